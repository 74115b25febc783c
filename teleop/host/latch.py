"""What of a latch leaves the control loop: what a hub is told, and the file by which a stop outlives the process.

Part of teleop; exports `told` and `StopFile`. Why a latch has a name, which its owner signs:
`docs/decisions/0032-both-keys-and-a-signed-clear.md`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog

from teleop.files import sync_folder
from teleop.safety import Latch, fresh_stop
from teleop.wire import signalling

_log = structlog.get_logger()


def told(latch: Latch | None) -> list[signalling.Estopped | signalling.Faulted]:
    """Return what a hub is told of it."""
    said: list[signalling.Estopped | signalling.Faulted] = []
    if latch is not None and latch.by is not None:
        said.append(signalling.Estopped(latch.by, latch.stop))
    if latch is not None and latch.fault is not None:
        said.append(signalling.Faulted(latch.fault, latch.stop))
    return said


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    stop: signalling.Stop


_KEPT: Final = msgspec.json.Decoder(_Kept)


class StopFile:
    """Says who stopped the robot, and under which name, for as long as it is stopped. Whatever it holds, it is stopped.

    A fault is not kept: a host that starts again opens its robot again. Without a `path`, nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._by: str | None = None
        """Who stopped it, if it is stopped."""

    def read(self) -> Latch | None:
        """Return the stop that was left, if any; one without a name (an earlier release's, or torn) is given one.

        Raises OSError if there is a file that cannot be read.
        """
        if self._path is None or not self._path.exists():
            return None
        text = self._path.read_text(errors="replace")
        try:
            kept = _KEPT.decode(text)
            self._by = kept.by
            return Latch(kept.stop, kept.by)
        except msgspec.DecodeError:
            latch = Latch(fresh_stop(), text)
        try:
            self._write(text, latch.stop)
        except OSError as error:
            _log.error("a stop's name cannot be kept; the next start gives another", error=str(error))
        return latch

    def keep(self, message: signalling.Estopped | signalling.Faulted | signalling.Cleared) -> None:
        """Make what is reported durable. Raises OSError."""
        match message:
            case signalling.Estopped():
                self._write(message.by, message.stop)
            case signalling.Faulted() if self._by is not None:
                self._write(self._by, message.stop)
            case signalling.Cleared():
                self._by = None
                if self._path is not None:
                    self._path.unlink(missing_ok=True)

    def _write(self, by: str, stop: str) -> None:
        """Write in place: if the disk is full, an empty file is left, and stops the robot, too."""
        self._by = by
        if self._path is None:
            return
        with self._path.open("wb") as file:
            file.write(msgspec.json.encode(_Kept(by, stop)))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)
