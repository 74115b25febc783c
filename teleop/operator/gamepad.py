"""A gamepad on Linux's joystick interface (`/dev/input/js*`, kernel documentation `input/joydev/joystick-api`).

The device gives eight bytes per event: milliseconds u32, value i16, type u8 (1 button, 2 axis, 0x80 added if it
reports the state at opening), number u8. Numbers are those of the kernel's xpad layout.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Final

import numpy as np

from sim.motion.control import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S, Twist
from sim.robot import Vector
from teleop.operator.pilot import Answer, Ask, Descriptor, Values
from teleop.wire.messages import State

EVENT: Final = struct.Struct("=IhBB")
BUTTON: Final = 0x01
AXIS: Final = 0x02
AT_OPENING: Final = 0x80
FULL: Final = 32767
"""The value of an axis at its end."""
DEAD_ZONE: Final = 0.12
_SLOW: Final = 0.35
_EVENTS_AT_ONCE: Final = 256


class GamepadError(Exception):
    """There is no gamepad, or it is gone; the robot holds."""


class Axis(IntEnum):
    """Sticks: right and down are positive."""

    LEFT_X = 0
    LEFT_Y = 1
    RIGHT_X = 3
    RIGHT_Y = 4
    CROSS_X = 6
    CROSS_Y = 7


class Button(IntEnum):
    """What each button is for."""

    GRIP = 0
    """A: open or close."""
    NEXT_PART = 2
    """X: the next hand, then the base."""
    SLOW = 4
    """Left shoulder, held."""
    DEAD_MAN = 5
    """Right shoulder, held."""
    DISCARD = 6
    """Back."""
    FINISH = 7
    """Start."""


class Gamepad:
    """One device's state. `poll` never waits."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name, self._rest = descriptor, name, b""
        self._axes: dict[int, float] = {}
        self._held: set[int] = set()
        self._pressed: list[int] = []

    def poll(self) -> list[int]:
        """Read what has happened; return the buttons pressed since. Raise GamepadError if the device is gone."""
        while True:
            try:
                data = os.read(self._descriptor, EVENT.size * _EVENTS_AT_ONCE)
            except BlockingIOError:
                break
            except OSError as error:
                raise GamepadError(f"the gamepad {self._name} is gone: {error.strerror}; plug it in again") from error
            if not data:
                raise GamepadError(f"the gamepad {self._name} is gone; plug it in again")
            self._take(self._rest + data)
        pressed, self._pressed = self._pressed, []
        return pressed

    def axis(self, axis: Axis) -> float:
        """Return the position of an axis, in [-1, 1]; near its middle it is 0."""
        value = self._axes.get(axis, 0.0)
        return float(np.copysign(max(abs(value) - DEAD_ZONE, 0.0) / (1.0 - DEAD_ZONE), value))

    def held(self, button: Button) -> bool:
        """Whether a button is down."""
        return button in self._held

    def _take(self, data: bytes) -> None:
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        for _time_ms, value, kind, number in EVENT.iter_unpack(data[:whole]):
            if kind & ~AT_OPENING == AXIS:
                self._axes[number] = max(-1.0, min(1.0, value / FULL))
            elif kind & ~AT_OPENING == BUTTON and value:
                self._held.add(number)
                if not kind & AT_OPENING:
                    self._pressed.append(number)
            elif kind & ~AT_OPENING == BUTTON:
                self._held.discard(number)


@contextmanager
def opened(path: Path) -> Iterator[Gamepad]:
    """Open a gamepad's device; raise GamepadError if that fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise GamepadError(f"expected a gamepad such as /dev/input/js0, got {path}: {error.strerror}") from error
    try:
        gamepad = Gamepad(descriptor, str(path))
        try:
            gamepad.poll()  # its present state
        except GamepadError as error:
            raise GamepadError(f"expected a gamepad such as /dev/input/js0, got {path}: it sends nothing") from error
        yield gamepad
    finally:
        os.close(descriptor)


class GamepadPilot:
    """A person with a gamepad, through one episode."""

    def __init__(self, gamepad: Gamepad, robot: Descriptor) -> None:
        self._gamepad = gamepad
        self._hands: int = len(robot["end_effectors"])
        self._base = robot["base"]
        self._parts = self._hands + (self._base is not None)
        self._part = 0
        self._openings: Vector | None = None

    def act(self, _state: State, values: Values) -> Answer:
        """Return what the sticks ask for while the dead-man is held; raise GamepadError if the gamepad is gone."""
        if self._openings is None:
            self._openings = np.round(values.get("gripper_position", np.ones(self._hands)))
        for button in self._gamepad.poll():
            match button:
                case Button.FINISH:
                    return Ask.FINISH
                case Button.DISCARD:
                    return Ask.DISCARD
                case Button.NEXT_PART:
                    self._part = (self._part + 1) % self._parts
                case Button.GRIP if self._part < self._hands:
                    self._openings[self._part] = 1.0 - self._openings[self._part]
        if not self._gamepad.held(Button.DEAD_MAN):
            return Ask.HOLD
        return self._twist(self._openings)

    def _twist(self, openings: Vector) -> Twist:
        pad, pace = self._gamepad, _SLOW if self._gamepad.held(Button.SLOW) else 1.0
        twist, base = np.zeros((self._hands, 6)), np.zeros(2)
        ahead, left = -pad.axis(Axis.LEFT_Y), -pad.axis(Axis.LEFT_X)
        if self._part < self._hands:
            move = np.array((ahead, left, -pad.axis(Axis.RIGHT_Y)))
            turn = np.array((pad.axis(Axis.CROSS_X), -pad.axis(Axis.CROSS_Y), -pad.axis(Axis.RIGHT_X)))
            twist[self._part, :3] = pace * EE_SPEED_MAX_M_S * _within(move)
            twist[self._part, 3:] = pace * EE_ROTATION_MAX_RAD_S * _within(turn)
        elif self._base is not None:
            base[:] = pace * ahead * self._base["speed_max_m_s"], pace * left * self._base["turn_max_rad_s"]
        return Twist(twist, openings.copy(), None if self._base is None else base)


def _within(vector: Vector) -> Vector:
    """Return `vector`, no longer than 1: a diagonal is no faster than an axis."""
    return vector / max(1.0, float(np.linalg.norm(vector)))
