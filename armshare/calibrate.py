"""Measuring an SO-101 with a person's help: `armshare calibrate DEVICE FILE`."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from pathlib import Path

from teleop.hardware.measure import Measurement, write_calibration

_LOOK_S = 0.05
_PATIENCE_S = 0.25
Say = Callable[[str], None]


def calibrate(device: str, file: Path, say: Say) -> None:
    """Ask a person, measure, and write the calibration; raise RobotError or OSError if the arm cannot be measured."""
    work = Measurement(device, answer_wait_s=_PATIENCE_S)
    try:
        work.open()
        _measure(work, say)
        write_calibration(file, work.result())
    finally:
        work.close()


def _measure(work: Measurement, say: Say) -> None:
    _until_enter(say, "Hold the arm: it goes limp. Press Enter.")
    work.relax()
    _until_enter(say, "Put every joint, and the gripper, in the middle of its range. Press Enter.")
    work.centre()
    _until_enter(say, "Move every joint, and the gripper, slowly to both ends of its range. Press Enter.", work.look)
    for name, (low, now, high) in work.look().items():
        say(f"{name:14} {low:5} to {high:5}, now {now:5}")


def _until_enter(say: Say, text: str, meanwhile: Callable[[], object] | None = None) -> None:
    say(text)
    while meanwhile is not None and not select.select([sys.stdin], [], [], _LOOK_S)[0]:
        meanwhile()
    sys.stdin.readline()
