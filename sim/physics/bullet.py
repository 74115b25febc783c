"""PyBullet, imported in one place and without its banners: what it prints is not for users."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what C code prints meanwhile. Not for code that may print something worth reading."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        for stream, descriptor in zip((1, 2), kept, strict=True):
            os.dup2(descriptor, stream)
            os.close(descriptor)
        os.close(nowhere)


with quiet():
    import pybullet
    from pybullet_utils.bullet_client import BulletClient

__all__ = ["BulletClient", "new_client", "pybullet"]


class Client(BulletClient):  # type: ignore[misc]  # the library has no types
    """One engine. It may safely outlive the interpreter's modules."""

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """Disconnect, unless the process is ending: then the operating system does that, and modules may be gone."""
        if not is_finalizing():
            super().__del__()


def new_client() -> BulletClient:
    """Return a fresh engine without a window."""
    with quiet():
        return Client(connection_mode=pybullet.DIRECT)
