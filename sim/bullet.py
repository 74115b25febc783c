"""PyBullet, imported in one place and without its banners: what it prints to the process's streams is not for users."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Send what C code prints meanwhile to nowhere. Not for code that may print something worth reading."""
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


def new_client() -> BulletClient:
    """Return a fresh engine without a window."""
    with quiet():
        return BulletClient(connection_mode=pybullet.DIRECT)
