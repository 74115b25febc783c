"""Whether the host's disk has room for the next episode; what keeps it from recording is told once, in a sentence.

The recorder's and the sealer's threads both report here. `report` hands the sentence on, to the robot's control loop.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from recorder.file.commands import HEAD_BYTES
from recorder.file.layout import VERSION
from recorder.file.meta import spec_meta
from recorder.file.rows import COMMAND_HEAD, STEP_ROWS, row_type
from sim.robot import RobotSpec
from teleop.files import write_atomic
from teleop.steps import CannotRecord, FilmHead
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
CHECK_S: Final = 1.0
"""How often the room is looked at while nothing is recorded."""
RESERVE_BYTES: Final = 64 << 20
"""What is to stay free beside an episode: for limit events, the descriptions, logs and the keys."""
_AGAIN: Final = 1.25
"""How much more room than needed there must be after there was too little, so that it is not told in turns."""
_COPIES: Final = 2
"""An episode is on the disk twice while its journal becomes its file."""
_COMMANDS_HZ: Final = 60
"""As often as an operator sends them (PROTOCOL.md); a change comes between two."""
_F32_BYTES: Final = 4
_PIXEL_BYTES: Final = {"h264": 0.05, "jpeg": 0.3, "png": 3.0, "depth16": 2.0}
"""How much a pixel of a recorded picture takes; of H.264 and JPEG more than twice what was measured."""
_STEPS: Final = 72_000
"""Of a robot without a task: an hour at 20 Hz."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(folder: Path) -> int:
    """Return how much can be written to the disk of a folder."""
    return shutil.disk_usage(folder).free


def episode_bytes(spec: RobotSpec, cameras: Sequence[FilmHead] = ()) -> int:
    """Return how much room an episode of this robot may take, with what these cameras record."""
    steps = _STEPS if spec.task is None else spec.task.max_steps
    meta = spec_meta(spec)
    command = COMMAND_HEAD.size + HEAD_BYTES + _F32_BYTES * meta.sizes.command_values
    commands = steps * max(1, round(_COMMANDS_HZ / spec.control_hz))
    seconds = steps / spec.control_hz
    pictures = sum(one.width * one.height * one.fps * seconds * _PIXEL_BYTES[one.codec] for one in cameras)
    rows = steps * row_type(meta.columns(VERSION), STEP_ROWS).itemsize
    return _COPIES * (round(pictures) + rows + commands * command)


class Room:
    """What keeps one host from recording, if anything does."""

    def __init__(
        self,
        folder: Path,
        report: Callable[[CannotRecord | None], None],
        needed_bytes: int = 0,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """`needed_bytes`: for one episode; `report` must not block, and gets None once there is no trouble any more."""
        self._folder, self._report, self._free = folder, report, free
        self._needed_bytes = needed_bytes + RESERVE_BYTES
        self._told: CannotRecord | None = None
        self._turn = threading.Lock()

    @property
    def trouble(self) -> CannotRecord | None:
        """What keeps it from recording."""
        return self._told

    def check(self) -> None:
        """Look at the disk; after something failed, also try to write to it."""
        with self._turn:
            try:
                self._tell(self._too_little())
            except OSError as error:
                self._tell(_trouble(error))

    def failed(self, error: Exception) -> CannotRecord:
        """Report that something could not be recorded; return what is told of it."""
        found = _trouble(error)
        with self._turn:
            self._tell(found)
        return found

    def _too_little(self) -> CannotRecord | None:
        needed = self._needed_bytes
        if self._told is not None:
            write_atomic(self._folder / "probe", b"Written to see whether this disk takes anything.\n")
            (self._folder / "probe").unlink()
            needed = int(needed * _AGAIN)
        free = self._free(self._folder)
        if free >= needed:
            return None
        says = f"its disk has {free >> 20} MiB free, and recording needs {-(-needed >> 20)} MiB"
        return CannotRecord(says, EndReason.DISK_FULL)

    def _tell(self, found: CannotRecord | None) -> None:
        if found == self._told:
            return
        changed = found is None or self._told is None or found.reason is not self._told.reason
        self._told = found
        if changed:  # how much is free changes all the time
            self._report(found)
            with contextlib.suppress(OSError):  # the log may be on the same disk
                self._log(found)

    def _log(self, found: CannotRecord | None) -> None:
        if found is None:
            _log.info("can record again", folder=str(self._folder))
        else:
            how = "make room there; what is in uploaded/ is at the hub already"
            _log.error("cannot record", folder=str(self._folder), why=found.says, how=how)


def _trouble(error: Exception) -> CannotRecord:
    """Return what everyone is told, which names no folder; the log does."""
    if isinstance(error, OSError):
        if error.errno in FULL:
            return CannotRecord("its disk is full", EndReason.DISK_FULL)
        return CannotRecord(f"its disk failed ({error.strerror})", EndReason.RECORDER_FAILED)
    return CannotRecord(f"its recorder failed ({type(error).__name__})", EndReason.RECORDER_FAILED)
