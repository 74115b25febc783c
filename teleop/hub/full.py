"""A hub whose disk is full: how that is recognized, whoever reports it, and what everyone is told.

Part of teleop; exports `is_full`, `require_room` and `FULL`. A full disk says nothing about a request: nothing
of it is kept, and it can be repeated once there is room.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

FULL: Final = (
    "the hub's disk is full, so it kept nothing of this; try again once whoever runs the hub has made room there"
)
RESERVE_BYTES: Final = 64 << 20
"""What an upload leaves free: for the database, the logs and the chain."""
_ERRNO: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_FULL: Final = 13
_POSTGRESQL_FULL: Final = "53100"


class HubFullError(OSError):
    """Something would leave too little room on the hub's disk."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOSPC, message)


def is_full(error: BaseException) -> bool:
    """Whether a disk that is full raised this: the operating system's own error, or a database's."""
    if isinstance(error, DBAPIError):
        said = getattr(error.orig, "sqlite_errorcode", None), getattr(error.orig, "sqlstate", None)
        return said[0] == _SQLITE_FULL or said[1] == _POSTGRESQL_FULL
    return isinstance(error, OSError) and error.errno in _ERRNO


def require_room(folder: Path, length: int) -> None:
    """Raise HubFullError if `length` bytes more in this folder would leave less than `RESERVE_BYTES` free."""
    free = shutil.disk_usage(folder).free
    if free < length + RESERVE_BYTES:
        raise HubFullError(f"expected room for {length} bytes and {RESERVE_BYTES} beside them, got {free} free")
