"""How programs reach a hub over the network: a websocket's URL below the hub's, and whose certificates are trusted."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path
from typing import Final

import certifi

CA: Final = "ARMSHARE_CA"
"""The environment variable that names a file of certificate authorities; processes that are started inherit it."""
_READ_BY_TLS: Final = (CA, "SSL_CERT_FILE", "SSL_CERT_DIR")


class AuthorityError(Exception):
    """A file of certificate authorities cannot be used."""


def websocket_url(hub_url: str, path: str) -> str:
    """Return the URL of one of the hub's websockets, such as `/ws/drive`; a hub may be below a path of its site."""
    return hub_url.rstrip("/").replace("http", "ws", 1) + path


def trusted() -> ssl.SSLContext:
    """Return the TLS context by which hubs are verified, the same one each time: making one takes long.

    It trusts the system's authorities (or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name instead), those that browsers
    trust, as a machine may have no store, and those in the file that `ARMSHARE_CA` names. Raises AuthorityError.
    """
    return _context(*(os.environ.get(name, "") for name in _READ_BY_TLS))


def tls_of(url: str) -> ssl.SSLContext | None:
    """Return the TLS context for a hub's URL, None if it is reached without TLS."""
    return trusted() if url.startswith(("https:", "wss:")) else None


def trust(authorities: Path) -> None:
    """Trust a file of authorities (PEM), in this process and in those that it starts; raise AuthorityError."""
    os.environ[CA] = str(authorities)
    trusted()


@cache
def _context(authorities: str, *_environment: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if authorities:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:  # ssl.SSLError too
            raise AuthorityError(
                f"{authorities} holds no certificates that can be read (PEM): {error.strerror or error}"
            ) from error
    return context
