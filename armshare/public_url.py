"""What browsers call a hub: it is in what wallets sign, so it names one place, and never every address of a machine."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_TAKEN: Final = ("api", "ws", "assets", "static")
"""The hub's own first folders: below a path that begins so, it could not tell its routes from the path."""


def named(host: str, port: int) -> str:
    """Return the URL of an address to listen on; an IPv6 address gets its brackets."""
    bare = host.strip("[]")
    return f"http://[{bare}]:{port}" if ":" in bare else f"http://{bare}:{port}"


def is_every_address(host: str) -> bool:
    """Whether listening on `host` means every address of the machine, which is no place that one could name."""
    with suppress(ValueError):
        return ip_address(host.strip("[]")).is_unspecified
    return not host


def require_public(url: str) -> str:
    """Return a public URL without a slash at its end; raise ValueError, which says what is expected instead."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{url!r} is not the address of a hub; write it like https://example.org/arms")
    if is_every_address(parts.hostname or ""):
        raise ValueError(f"browsers cannot reach {url!r}: name this machine instead")
    if parts.path.strip("/").partition("/")[0] in _TAKEN:
        raise ValueError(
            f"the path {parts.path!r} is the hub's own; choose one that does not begin with {', '.join(_TAKEN)}"
        )
    return url.rstrip("/")


def own_address() -> str:
    """Return this machine's address in its network, for an example; no packet is sent to find it out."""
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): only the route to it is looked up
        return str(asked.getsockname()[0])
    return "example.org"
