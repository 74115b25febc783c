"""A client of a hub's HTTP API for the command line; if no hub answers, it says so in words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

import httpx

from armshare.failures import PlatformError
from sim.words import listed
from teleop.dialing import trusted

_CHECK: Final = "Check the address, with its path if it has one."


@contextmanager
def client_of(hub: str) -> Iterator[httpx.Client]:
    """Yield a client of a hub's HTTP API; raise PlatformError if the hub cannot be reached."""
    with httpx.Client(base_url=hub, timeout=60.0, trust_env=False, verify=trusted()) as client:
        try:
            yield client
        except httpx.TransportError as error:
            raise no_hub(hub, error) from error
        except httpx.HTTPStatusError as error:
            raise PlatformError(message_of(error.response)) from error
        except json.JSONDecodeError as error:
            raise not_a_hub(hub) from error


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
