"""Files that are whole or absent: written under a temporary name, synced, then renamed.

Part of teleop; every room that writes such files uses these functions.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

_sync_data: Final = getattr(os, "fdatasync", os.fsync)
"""macOS has no fdatasync."""


class NotRegularError(Exception):
    """Something else is in the place of a file: a folder, a link, a pipe, a socket or a device."""


def open_regular(path: Path) -> int:
    """Return a descriptor that reads a file, never waiting and following no link, for the caller to close.

    Raises FileNotFoundError, or NotRegularError for anything but a regular file.
    """
    said = f"There is no regular file at {path}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:  # a link, a socket, or a file that we may not read
        raise NotRegularError(f"{said}: {error.strerror}") from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise NotRegularError(f"{said}, but something else.")


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path`, so that a crash leaves either the old file or the new one; a full disk, the old one."""
    beside = path.with_name(path.name + ".tmp")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        move(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def move(source: Path, target: Path) -> None:
    """Rename a file or folder within one file system, and make the rename durable."""
    source.replace(target)
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Make a file's bytes durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_data(descriptor: int) -> None:
    """Make an open file's bytes and length durable."""
    _sync_data(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
