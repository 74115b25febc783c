"""A door: `python -m teleop.hardware DEVICE FILE` measures an SO-101, with a person's help, and writes that down."""

from __future__ import annotations

import argparse
import select
import sys
from collections.abc import Callable
from pathlib import Path

from sim.robot import RobotError
from teleop.hardware.measure import Measurement, write_calibration

_LOOK_S = 0.05
_PATIENCE_S = 0.25


def main() -> int:
    """Ask, measure, write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m teleop.hardware", description=main.__doc__)
    parser.add_argument("device", help="the serial port of the arm's adapter")
    parser.add_argument("file", type=Path, help="where to write the calibration, as JSON")
    given = parser.parse_args()
    work = Measurement(given.device, answer_wait_s=_PATIENCE_S)
    try:
        _measure(work)
        write_calibration(given.file, work.result())
    except (RobotError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        work.close()
    print(f"Written: {given.file}. The arm is still limp.")
    return 0


def _measure(work: Measurement) -> None:
    _until_enter("Hold the arm: it goes limp. Press Enter.")
    work.relax()
    _until_enter("Put every joint, and the gripper, in the middle of its range. Press Enter.")
    work.centre()
    _until_enter("Move every joint, and the gripper, slowly to both ends of its range. Press Enter.", work.look)
    for name, (low, now, high) in work.look().items():
        print(f"{name:14} {low:5} to {high:5}, now {now:5}")


def _until_enter(text: str, meanwhile: Callable[[], object] | None = None) -> None:
    print(text, flush=True)
    while meanwhile is not None and not select.select([sys.stdin], [], [], _LOOK_S)[0]:
        meanwhile()
    sys.stdin.readline()


if __name__ == "__main__":
    sys.exit(main())
