"""A client of a hub's HTTP API for the command line; if no hub answers, it says so in words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import httpx

from armshare.failures import PlatformError
from sim.words import listed
from teleop.dialing import trusted

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PURPOSE_MAX: Final = 200
_CHECK: Final = "Check the address, with its path if it has one."


@dataclass(frozen=True, slots=True)
class As:
    """Whom clients are signed in as, and what they say that they ask for; it is signed in at each hub once."""

    wallet: LocalAccount
    purpose: str = ""
    tokens: dict[str, str] = field(default_factory=dict)


@contextmanager
def client_of(hub: str, signed: As | None = None) -> Iterator[httpx.Client]:
    """Yield a client of a hub's HTTP API, signed in if it is said as whom.

    Raises PlatformError if the hub cannot be reached, or does not let the wallet sign in.
    """
    with httpx.Client(base_url=hub, timeout=60.0, trust_env=False, verify=trusted()) as client:
        try:
            if signed is not None:
                _sign_in(client, signed)
            yield client
        except httpx.TransportError as error:
            raise no_hub(hub, error) from error
        except httpx.HTTPStatusError as error:
            raise PlatformError(message_of(error.response)) from error
        except json.JSONDecodeError as error:
            raise not_a_hub(hub) from error


def _sign_in(client: httpx.Client, signed: As) -> None:
    """Let a client carry the wallet's token from now on, and what it asks for."""
    hub = str(client.base_url)
    if hub not in signed.tokens:
        signed.tokens[hub] = _token(client, signed.wallet)
    client.headers["Authorization"] = f"Bearer {signed.tokens[hub]}"
    if signed.purpose:
        client.headers["Armshare-Purpose"] = signed.purpose.encode("ascii", "replace").decode()[:PURPOSE_MAX]


def _token(client: httpx.Client, wallet: LocalAccount) -> str:
    from eth_account.messages import encode_defunct  # here, so that commands without a wallet load no keys

    asked = client.post("/api/auth/challenge", json={"address": wallet.address}).raise_for_status().json()
    signature = wallet.sign_message(encode_defunct(text=asked["message"])).signature
    proof = {"nonce": asked["nonce"], "signature": "0x" + bytes(signature).hex()}
    return str(client.post("/api/auth/verify", json=proof).raise_for_status().json()["token"])


def config_of(client: httpx.Client) -> dict[str, Any]:
    """Return what a hub says of itself; raise PlatformError if what answers is not a hub."""
    found = client.get("/api/config").raise_for_status().json()
    if isinstance(found, dict) and {"chain_id", "vault", "hub", "log_public_key"} <= found.keys():
        return found
    raise not_a_hub(str(client.base_url))


def message_of(answer: httpx.Response) -> str:
    """Return the sentence in an error's answer; of an answer that is not a hub's, its address and status."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} was answered by something that is not a hub ({answer.status_code}). {_CHECK}"


def code_of(answer: httpx.Response) -> str:
    """Return the code in an error's answer; empty if it is not a hub's."""
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def one_of(robots: Sequence[dict[str, Any]], named: str) -> dict[str, Any]:
    """Return the robot of that name or address; raise PlatformError if there is none, or more than one."""
    found = [one for one in robots if named in (one["robot"], one["name"])]
    if len(found) == 1:
        return found[0]
    if found:
        addresses = listed((one["robot"] for one in found), "or")
        raise PlatformError(
            f"{len(found)} robots are called {named!r}. Name the one you mean by its address: {addresses}."
        )
    there = listed(one["name"] for one in robots) if robots else "no robots yet; `armshare host` brings one"
    raise PlatformError(f"There is no robot called {named!r} at this hub. It has {there}.")


def no_hub(url: str, error: Exception) -> PlatformError:
    """Return the error to raise if no hub is reached at `url`."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        how = "name the authority that signed it with --ca FILE, or with SSL_CERT_FILE"
        return PlatformError(f"This machine does not trust the certificate at {url} ({error}): {how}.")
    if "[SSL" in str(error):
        return PlatformError(f"There is no certificate at {url}: try http:// instead of https://.")
    return PlatformError(f"No hub answers at {url} ({_why(error)}). Start one, or name another with --hub.")


def not_a_hub(url: str) -> PlatformError:
    """Return the error to raise if something answers at `url` that is no hub."""
    return PlatformError(f"What answers at {url} is not a hub. {_CHECK}")


def _why(error: Exception) -> str:
    """Return what the system says, without what libraries put around it."""
    said, reason = str(error), cast("BaseException | None", error)
    while reason is not None:
        if isinstance(reason, OSError) and reason.strerror:
            said = os.strerror(reason.errno) if reason.errno and reason.errno > 0 else reason.strerror
        reason = reason.__cause__ or reason.__context__
    return said or "nothing came in time"
