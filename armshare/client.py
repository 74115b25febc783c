"""A client of a hub's HTTP API for the command line; if no hub answers, it says so in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from armshare.failures import PlatformError
from teleop.dialing import trusted


@contextmanager
def client_of(hub: str) -> Iterator[httpx.Client]:
    """Yield a client of a hub's HTTP API; raise PlatformError if the hub cannot be reached."""
    with httpx.Client(base_url=hub, timeout=60.0, trust_env=False, verify=trusted()) as client:
        try:
            yield client
        except httpx.TransportError as error:
            raise no_hub(hub, error) from error


def message_of(answer: httpx.Response) -> str:
    """Return the sentence in an error's answer; of an answer that is not a hub's, its status and how it begins."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status_code}, and not in a hub's words: {answer.text[:80]!r}"


def no_hub(url: str, error: Exception) -> PlatformError:
    """Return the error to raise if no hub is reached at `url`."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        how = "name the authority that signed it with --ca FILE, or with SSL_CERT_FILE"
        return PlatformError(f"expected a certificate at {url} that this machine trusts, got {error}; {how}")
    if "[SSL" in str(error):
        return PlatformError(f"expected a hub with a certificate at {url}, got {error}; try http://")
    return PlatformError(f"expected a hub at {url}: {error}; start one, or name it with --hub")
