"""Servo ticks and radians: which tick of each servo is which joint angle, read from a JSON file.

Part of teleop; exports `Calibration`. The file has one object for each joint, with the keys that SO-101 owners
already have from calibrating with LeRobot (`id`, `drive_mode`, `homing_offset`, `range_min`, `range_max`), so that
such a file can be used as it is. A joint's zero is the middle of its range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from sim.robot import RobotError
from sim.robots.so101 import DESCRIPTION, GRIPPER_JOINT, JOINT_NAMES

TURN_TICKS: Final = 4096
RAD_PER_TICK: Final = 2.0 * math.pi / TURN_TICKS
SERVO_NAMES: Final = (*JOINT_NAMES, GRIPPER_JOINT)
"""All six servos, in the order of their usual ids, 1 to 6."""

Tick = Annotated[int, msgspec.Meta(ge=0, le=TURN_TICKS - 1)]


class CalibrationError(RobotError):
    """A calibration cannot be used: the file is missing or malformed, or it does not fit the servo it meets."""


class JointCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one servo is mounted in its joint. Ticks are those that the servo reports with `homing_offset` set in it."""

    id: Annotated[int, msgspec.Meta(ge=0, le=252)]
    range_min: Tick
    """The lowest tick that the joint may go to; for the gripper, closed."""
    range_max: Tick
    """The highest; for the gripper, open."""
    homing_offset: Annotated[int, msgspec.Meta(ge=-2047, le=2047)] = 0
    """The servo's own offset register at calibration, ticks: reported = shaft - homing_offset."""
    drive_mode: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0
    """1 if the servo turns the opposite way to the joint (for the gripper: if `range_min` is open)."""

    @property
    def sign(self) -> int:
        """1, or -1 if the servo turns the opposite way to the joint."""
        return -1 if self.drive_mode else 1

    @property
    def middle(self) -> float:
        """The tick of the joint's zero."""
        return 0.5 * (self.range_min + self.range_max)

    def to_rad(self, tick: float) -> float:
        """Return the joint's angle at a tick."""
        return self.sign * (tick - self.middle) * RAD_PER_TICK

    def to_tick(self, angle_rad: float) -> int:
        """Return the tick of the range that is nearest to an angle."""
        return self._inside(self.middle + self.sign * angle_rad / RAD_PER_TICK)

    def to_opening(self, tick: float) -> float:
        """Return the gripper's opening in [0, 1] at a tick."""
        fraction = (tick - self.range_min) / (self.range_max - self.range_min)
        return min(max(1.0 - fraction if self.drive_mode else fraction, 0.0), 1.0)

    def opening_tick(self, opening: float) -> int:
        """Return the tick of an opening in [0, 1]."""
        fraction = 1.0 - opening if self.drive_mode else opening
        return self._inside(self.range_min + fraction * (self.range_max - self.range_min))

    def unwrapped(self, tick: int) -> int:
        """Return the tick, plus or minus whole turns, that is nearest to the middle of the range."""
        middle = math.floor(self.middle)
        return middle + (tick - middle + TURN_TICKS // 2) % TURN_TICKS - TURN_TICKS // 2

    def shift(self, servo_offset: int) -> int:
        """Return what to add to a calibrated tick to get the tick of a servo whose register holds `servo_offset`.

        Raises CalibrationError if the range would cross the servo's own end, which a goal cannot.
        """
        shift = (self.homing_offset - servo_offset + self.range_min) % TURN_TICKS - self.range_min
        if self.range_max + shift >= TURN_TICKS:
            raise CalibrationError(
                f"servo {self.id} has the homing offset {servo_offset}, and was calibrated at {self.homing_offset}: "
                "its range would cross the end of its turn; write the calibration's offsets into the servos, or "
                "calibrate again"
            )
        return shift

    def _inside(self, tick: float) -> int:
        nearest = math.floor(tick + 0.5)  # not `round`, which goes to even: n ticks farther would then be n or n + 1
        return min(max(nearest, self.range_min), self.range_max)


Calibration = Mapping[str, JointCalibration]
"""The servo for each name of SERVO_NAMES."""

_CALIBRATION: Final = msgspec.json.Decoder(dict[str, JointCalibration])


def default_calibration() -> Calibration:
    """Return that of an arm whose servos were centred (tick 2048) at each joint's zero, with the URDF's limits.

    The gripper is centred closed. An arm assembled by hand is seldom exactly like that: measure it instead.
    """
    lower, upper = DESCRIPTION.joint_lower_rad, DESCRIPTION.joint_upper_rad
    reach = [math.floor(min(-low, high) / RAD_PER_TICK) for low, high in zip(lower, upper, strict=True)]
    closed, opened = DESCRIPTION.hands[0].gripper_joints[GRIPPER_JOINT]
    stroke = round((opened - closed) / RAD_PER_TICK)
    centred = {
        name: JointCalibration(id=number, range_min=2048 - ticks, range_max=2048 + ticks)
        for number, (name, ticks) in enumerate(zip(JOINT_NAMES, reach, strict=True), 1)
    }
    return {**centred, GRIPPER_JOINT: JointCalibration(id=6, range_min=2048, range_max=2048 + stroke)}


def read_calibration(path: Path) -> Calibration:
    """Read a calibration file; raise CalibrationError."""
    try:
        found = _CALIBRATION.decode(path.read_bytes())
    except OSError as error:
        raise CalibrationError(
            f"{path} cannot be read as a calibration ({error.strerror}); `armshare calibrate DEVICE FILE` makes one"
        ) from error
    except msgspec.MsgspecError as error:
        raise CalibrationError(
            f"{path} is not a calibration file: {error}; `armshare calibrate DEVICE FILE` makes one"
        ) from error
    return checked_calibration(found, str(path))


def checked_calibration(found: Calibration, source: str) -> Calibration:
    """Return `found`, in the order of SERVO_NAMES; raise CalibrationError if it does not make sense."""
    if set(found) != set(SERVO_NAMES):
        raise CalibrationError(f"{source} has the joints {sorted(found)}, and needs {list(SERVO_NAMES)}")
    numbers = [found[name].id for name in SERVO_NAMES]
    if len(set(numbers)) != len(numbers):
        raise CalibrationError(f"{source} gives two joints the same servo id ({numbers}); each needs one of its own")
    for name in SERVO_NAMES:
        if found[name].range_max - found[name].range_min < TURN_TICKS // 64:
            ends = found[name].range_min, found[name].range_max
            raise CalibrationError(
                f"{source}: {name} has hardly a range, {ends[0]} to {ends[1]}; calibrate again, moving it to both ends"
            )
    return {name: found[name] for name in SERVO_NAMES}
