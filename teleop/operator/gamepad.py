"""A gamepad on Linux's joystick interface (`/dev/input/js*`, kernel documentation `input/joydev/joystick-api`).

The device gives eight bytes per event: milliseconds u32, value i16, type u8 (1 button, 2 axis, 0x80 added if it
reports the state at opening), number u8. Which control a number is, the device is asked: it tells the input codes of
its axes and buttons (`input/gamepad`, the kernel's rules for gamepads).
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
DRIFT_MAX: Final = 0.3
"""A stick that rests farther out than this is held by somebody, and its middle is not known."""
_SLOW: Final = 0.35
_EVENTS_AT_ONCE: Final = 256
_JSIOCGAXES: Final = 0x80016A11
_JSIOCGBUTTONS: Final = 0x80016A12
_JSIOCGNAME: Final = 0x80006A13
_JSIOCGAXMAP: Final = 0x80406A32
_JSIOCGBTNMAP: Final = 0x84006A34
_NAME_BYTES: Final = 128
_NAME_ONE: Final = "Name one such as /dev/input/js0."
_AXES, _BUTTONS = 64, 512


class GamepadError(Exception):
    """There is no gamepad, or it is gone; the robot holds."""


class Axis(IntEnum):
    """Sticks, and the cross, by the kernel's codes (`ABS_*`): right and down are positive."""

    LEFT_X = 0x00
    """ABS_X"""
    LEFT_Y = 0x01
    """ABS_Y"""
    RIGHT_X = 0x03
    """ABS_RX"""
    RIGHT_Y = 0x04
    """ABS_RY"""
    CROSS_X = 0x10
    """ABS_HAT0X"""
    CROSS_Y = 0x11
    """ABS_HAT0Y"""


class Button(IntEnum):
    """What each button is for, by the kernel's codes (`BTN_*`)."""

    GRIP = 0x130
    """BTN_SOUTH, A: open or close."""
    NEXT_PART = 0x133
    """BTN_X: X of an Xbox pad, triangle of a PlayStation's: the next hand, then the base."""
    SLOW = 0x136
    """BTN_TL, left shoulder, held."""
    DEAD_MAN = 0x137
    """BTN_TR, right shoulder, held."""
    DISCARD = 0x13A
    """BTN_SELECT, Back."""
    FINISH = 0x13B
    """BTN_START."""


CROSS: Final = {
    0x220: (Axis.CROSS_Y, -1.0),
    0x221: (Axis.CROSS_Y, 1.0),
    0x222: (Axis.CROSS_X, -1.0),
    0x223: (Axis.CROSS_X, 1.0),
}
"""BTN_DPAD_UP, DOWN, LEFT and RIGHT: the cross of pads that have buttons there instead of an axis."""
_ABS_Z: Final = 0x02
_ABS_RZ: Final = 0x05
_TRIGGERS: Final = frozenset((0x138, 0x139))
"""BTN_TL2 and BTN_TR2: a pad whose triggers are buttons has its right stick on ABS_Z and ABS_RZ if it has no ABS_RX."""
_NEEDED: Final = (Axis.LEFT_X, Axis.LEFT_Y, Button.DEAD_MAN, Button.GRIP, Button.FINISH)
"""Without these a device cannot drive."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the device says it is: the code of each axis and of each button, by its number."""

    name: str
    axes: Sequence[int]
    buttons: Sequence[int]


XPAD: Final = Layout(
    "xpad", (0, 1, 2, 3, 4, 5, 16, 17), (0x130, 0x131, 0x133, 0x134, 0x136, 0x137, 0x13A, 0x13B, 0x13C)
)
"""How the kernel's xpad driver numbers an Xbox pad."""


class Gamepad:
    """One device's state. `poll` never waits."""

    def __init__(self, descriptor: int, name: str, layout: Layout) -> None:
        self._descriptor, self._name, self._layout, self._rest = descriptor, name, layout, b""
        self._axes: dict[int, float] = {}
        self._middles: dict[int, float] = {}
        """Where each axis rests, once that is known."""
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
        """Return the position of an axis, in [-1, 1], from where it rests; near there, and before that is known, 0."""
        if axis not in self._middles:
            return 0.0
        away = self._axes.get(axis, 0.0) - self._middles[axis]
        return float(np.copysign(max(min(abs(away), 1.0) - DEAD_ZONE, 0.0) / (1.0 - DEAD_ZONE), away))

    def held(self, button: Button) -> bool:
        """Whether a button is down."""
        return button in self._held

    def _take(self, data: bytes) -> None:
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        for _time_ms, value, kind, number in EVENT.iter_unpack(data[:whole]):
            if kind & ~AT_OPENING == AXIS and number < len(self._layout.axes):
                self._move(self._layout.axes[number], max(-1.0, min(1.0, value / FULL)), bool(kind & AT_OPENING))
            elif kind & ~AT_OPENING == BUTTON and number < len(self._layout.buttons):
                self._push(self._layout.buttons[number], bool(value), bool(kind & AT_OPENING))

    def _move(self, code: int, value: float, at_opening: bool) -> None:
        """Take an axis. It rests where it was at opening, unless it was held then: that shows once it is let go of."""
        self._axes[code] = value
        if code not in self._middles and abs(value) < (DRIFT_MAX if at_opening else DEAD_ZONE):
            self._middles[code] = value if at_opening else 0.0

    def _push(self, code: int, down: bool, at_opening: bool) -> None:
        if code in CROSS:
            axis, way = CROSS[code]
            self._middles[axis], self._axes[axis] = 0.0, way if down else 0.0
        elif down:
            self._held.add(code)
            if not at_opening:
                self._pressed.append(code)
        else:
            self._held.discard(code)


@contextmanager
def opened(path: Path) -> Iterator[Gamepad]:
    """Open a gamepad's device; raise GamepadError if that fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise GamepadError(f"{path} is not a gamepad: {error.strerror}. {_NAME_ONE}") from error
    try:
        gamepad = Gamepad(descriptor, str(path), require_gamepad(asked(descriptor, path), path))
        try:
            gamepad.poll()  # its present state
        except GamepadError as error:
            raise GamepadError(f"{path} is not a gamepad: it sends nothing. {_NAME_ONE}") from error
        yield gamepad
    finally:
        os.close(descriptor)


def asked(descriptor: int, path: Path) -> Layout:
    """Return what the device says it is; raise GamepadError if it is not a joystick."""
    try:
        axes, buttons = (_ioctl(descriptor, request, 1)[0] for request in (_JSIOCGAXES, _JSIOCGBUTTONS))
        name = (
            _ioctl(descriptor, _JSIOCGNAME + (_NAME_BYTES << 16), _NAME_BYTES).split(b"\0")[0].decode(errors="replace")
        )
        of_axes = _ioctl(descriptor, _JSIOCGAXMAP, _AXES)[:axes]
        of_buttons = struct.unpack(f"={_BUTTONS}H", _ioctl(descriptor, _JSIOCGBTNMAP, 2 * _BUTTONS))[:buttons]
    except OSError as error:
        raise GamepadError(f"{path} is not a gamepad: it is not a joystick. {_NAME_ONE}") from error
    return Layout(name, tuple(of_axes), of_buttons)


def require_gamepad(layout: Layout, path: Path) -> Layout:
    """Return the layout, with a right stick; raise GamepadError for a device that has not what driving needs."""
    codes = [*layout.axes]
    if Axis.RIGHT_X not in codes and _ABS_Z in codes and _ABS_RZ in codes and not _TRIGGERS.isdisjoint(layout.buttons):
        codes[codes.index(_ABS_Z)], codes[codes.index(_ABS_RZ)] = Axis.RIGHT_X, Axis.RIGHT_Y
    missing = [one.name.lower() for one in _NEEDED if one not in (*codes, *layout.buttons)]
    if missing:
        raise GamepadError(
            f"{path} says that it is {layout.name!r}, without {', '.join(missing)}: it is not numbered like a gamepad. "
            "Drive with it in the page, which asks for each control once"
        )
    return Layout(layout.name, tuple(codes), layout.buttons)


def _ioctl(descriptor: int, request: int, size: int) -> bytes:
    return fcntl.ioctl(descriptor, request, bytes(size))


class GamepadPilot:
    """A person with a gamepad, through one episode."""

    def __init__(self, gamepad: Gamepad, robot: Descriptor) -> None:
        self._gamepad = gamepad
        self._hands: int = len(robot["end_effectors"])
        self._base = robot["base"]
        self._parts = self._hands + (self._base is not None)
        self._part = 0
        self._openings: Vector | None = None

    def adopt(self, openings: Vector) -> None:
        """Want the grippers as they are: (K,) openings, such as a program asked for before it was taken over."""
        self._openings = np.array(openings, dtype=np.float64)

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
                    self._openings[self._part] = 0.0 if self._openings[self._part] > 0.5 else 1.0
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
