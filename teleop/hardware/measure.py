"""Measuring a calibration: the arm is limp, and a person moves each joint through its range.

Part of teleop; exports `Measurement`, for a command to call: `relax`, then `centre` once every joint is in the middle
of its range, then `look` repeatedly while the joints are moved, then `result`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from teleop.hardware import sts3215
from teleop.hardware.calibration import (
    SERVO_NAMES,
    TURN_TICKS,
    Calibration,
    CalibrationError,
    JointCalibration,
    checked_calibration,
)
from teleop.hardware.sts3215 import Bus

_MIDDLE: Final = TURN_TICKS // 2
_OFFSET_MAX: Final = 2047
_JUMP_TICKS: Final = TURN_TICKS // 2


class Measurement:
    """One arm that is being measured, its servos numbered 1 to 6 in the order of SERVO_NAMES."""

    def __init__(self, device: str, *, answer_wait_s: float = sts3215.ANSWER_WAIT_S) -> None:
        self._names = dict(enumerate(SERVO_NAMES, 1))
        self._bus = Bus(device, self._names, answer_wait_s=answer_wait_s)
        self._last: dict[int, int] = {}
        self._low: dict[int, int] = {}
        self._high: dict[int, int] = {}
        self._offsets = dict.fromkeys(self._names, 0)

    def open(self) -> None:
        """Open the port; raise PortLostError if it cannot be had."""
        self._bus.open()

    def relax(self) -> None:
        """Let the arm go limp: somebody must be holding it. Raises a RobotFaultError."""
        for number in self._names:
            self._bus.write(number, sts3215.TORQUE_ENABLE, 0)

    def centre(self) -> None:
        """Make every joint's present position the middle of its servo's turn, in the servos' own memory."""
        for number, state in self._bus.states().items():
            held = sts3215.signed(self._bus.read(number, sts3215.HOMING_OFFSET), 11)
            shaft = state.position_tick + held
            offset = shaft % TURN_TICKS - _MIDDLE
            self._offsets[number] = max(-_OFFSET_MAX, offset)
            self._bus.save(number, sts3215.HOMING_OFFSET, sts3215.sign_magnitude(self._offsets[number], 11))
        self._last.clear()
        self._low.clear()
        self._high.clear()

    def look(self) -> dict[str, tuple[int, int, int]]:
        """Return, for each joint, the lowest tick so far, the present one, and the highest.

        Raises CalibrationError if a joint went over the end of its servo's turn.
        """
        for number, state in self._bus.states().items():
            tick = state.position_tick % TURN_TICKS
            if abs(tick - self._last.get(number, tick)) > _JUMP_TICKS:
                raise CalibrationError(
                    f"{self._names[number]} went over the end of its servo's turn (from {self._last[number]} to "
                    f"{tick}); put it in the middle of its range and centre again"
                )
            self._last[number] = tick
            self._low[number] = min(tick, self._low.get(number, tick))
            self._high[number] = max(tick, self._high.get(number, tick))
        return {name: (self._low[n], self._last[n], self._high[n]) for n, name in self._names.items()}

    def result(self) -> Calibration:
        """Return what was measured; raise CalibrationError if a joint was hardly moved."""
        found = {
            name: JointCalibration(number, self._low[number], self._high[number], self._offsets[number])
            for number, name in self._names.items()
            if number in self._low
        }
        return checked_calibration(found, "this measurement")

    def close(self) -> None:
        """Close the port; the arm stays limp. Idempotent."""
        self._bus.close()


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration file that `read_calibration` reads."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(dict(calibration)), indent=2) + b"\n")
