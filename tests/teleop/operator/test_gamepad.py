"""A gamepad moves the robot while its dead-man is held, and by nothing else; one that is gone ends the drive."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from sim.catalogue import make_world
from sim.motion.control import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S
from teleop.operator.gamepad import (
    AT_OPENING,
    AXIS,
    BUTTON,
    EVENT,
    FULL,
    XPAD,
    Axis,
    Button,
    Gamepad,
    GamepadError,
    GamepadPilot,
    Layout,
    asked,
    opened,
    require_gamepad,
)
from teleop.operator.pilot import Ask
from teleop.wire.descriptor import describe

PANDA = describe("panda-1", make_world("panda", "lift").spec)
PAIR = describe("pair-1", make_world("dual_panda", "handover").spec)
HUSKY = describe("husky-1", make_world("husky", "fetch").spec)
OPEN = {"gripper_position": np.ones(1)}


class Device:
    """The kernel's side of a pipe in place of `/dev/input/js0`."""

    def __init__(self, layout: Layout = XPAD, at_opening: dict[int, float] | None = None) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.layout = layout
        self.gamepad = Gamepad(self.reading, "js0", require_gamepad(layout, Path("js0")))
        for number in range(len(layout.axes)):
            self.says(AXIS | AT_OPENING, number, int((at_opening or {}).get(number, 0.0) * FULL))

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)

    def says(self, kind: int, number: int, value: int) -> None:
        os.write(self.writing, EVENT.pack(0, value, kind, number))

    def press(self, button: Button) -> None:
        self.hold(button)
        self.let_go(button)

    def push(self, axis: Axis, part: float) -> None:
        self.says(AXIS, self.layout.axes.index(axis), int(part * FULL))

    def hold(self, button: Button = Button.DEAD_MAN, at_opening: int = 0) -> None:
        self.says(BUTTON | at_opening, self.layout.buttons.index(button), 1)

    def let_go(self, button: Button = Button.DEAD_MAN) -> None:
        self.says(BUTTON, self.layout.buttons.index(button), 0)


@pytest.fixture
def device():
    made = Device()
    yield made
    for descriptor in (made.reading, made.writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_nothing_moves_without_the_dead_man_whatever_the_sticks_say(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.push(Axis.LEFT_Y, -1.0)
    assert pilot.act(None, OPEN) is Ask.HOLD
    device.hold()
    assert pilot.act(None, OPEN).twist[0, 0] == pytest.approx(EE_SPEED_MAX_M_S)
    device.let_go()
    assert pilot.act(None, OPEN) is Ask.HOLD


@pytest.mark.parametrize(
    ("axis", "part", "index", "most"),
    [
        (Axis.LEFT_Y, -1.0, 0, EE_SPEED_MAX_M_S),
        (Axis.LEFT_X, -1.0, 1, EE_SPEED_MAX_M_S),
        (Axis.RIGHT_Y, -1.0, 2, EE_SPEED_MAX_M_S),
        (Axis.CROSS_X, 1.0, 3, EE_ROTATION_MAX_RAD_S),
        (Axis.CROSS_Y, -1.0, 4, EE_ROTATION_MAX_RAD_S),
        (Axis.RIGHT_X, -1.0, 5, EE_ROTATION_MAX_RAD_S),
    ],
)
def test_each_stick_moves_one_way(device, axis, part, index, most):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    device.push(axis, part)
    expected = np.zeros(6)
    expected[index] = most
    assert pilot.act(None, OPEN).twist[0] == pytest.approx(expected)
    device.hold(Button.SLOW)
    assert 0.0 < pilot.act(None, OPEN).twist[0, index] < 0.5 * most


def test_a_stick_near_its_middle_is_still_and_a_diagonal_is_no_faster(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    device.push(Axis.LEFT_X, 0.1)
    assert not pilot.act(None, OPEN).twist.any()
    for axis in (Axis.LEFT_X, Axis.LEFT_Y, Axis.RIGHT_Y):
        device.says(AXIS, XPAD.axes.index(axis), -FULL - 1)  # what the kernel may say
    assert np.linalg.norm(pilot.act(None, OPEN).twist[0, :3]) == pytest.approx(EE_SPEED_MAX_M_S)


def test_a_press_grips_and_the_next_lets_go_but_one_at_opening_does_nothing(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    device.hold(Button.GRIP, AT_OPENING)
    device.hold(Button.FINISH, AT_OPENING)
    assert pilot.act(None, OPEN).gripper.tolist() == [1.0]
    device.press(Button.GRIP)
    assert pilot.act(None, OPEN).gripper.tolist() == [0.0]
    assert pilot.act(None, OPEN).gripper.tolist() == [0.0]
    device.press(Button.GRIP)
    assert pilot.act(None, OPEN).gripper.tolist() == [1.0]


def test_start_finishes_and_back_discards(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.press(Button.FINISH)
    assert pilot.act(None, OPEN) is Ask.FINISH
    device.press(Button.DISCARD)
    assert pilot.act(None, OPEN) is Ask.DISCARD


def test_the_next_part_is_the_other_hand_or_the_base(device):
    device.hold()
    device.push(Axis.LEFT_Y, -1.0)
    device.press(Button.NEXT_PART)
    other = GamepadPilot(device.gamepad, PAIR).act(None, {"gripper_position": np.ones(2)})
    assert (other.twist[0].any(), other.twist[1, 0], other.base) == (False, pytest.approx(EE_SPEED_MAX_M_S), None)
    device.press(Button.NEXT_PART)
    base = GamepadPilot(device.gamepad, HUSKY).act(None, OPEN)
    assert not base.twist.any()
    assert base.base.tolist() == [HUSKY["base"]["speed_max_m_s"], 0.0]


def test_an_event_that_comes_in_two_parts_is_one(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    event = EVENT.pack(0, 1, BUTTON, XPAD.buttons.index(Button.DEAD_MAN))
    os.write(device.writing, event[:3])
    assert pilot.act(None, OPEN) is Ask.HOLD
    os.write(device.writing, event[3:])
    assert pilot.act(None, OPEN) is not Ask.HOLD


def test_unknown_buttons_axes_and_kinds_are_nobodys(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    for kind in (BUTTON, AXIS, 0x04, 0x7F):
        device.says(kind, 42, 1)
    assert not pilot.act(None, OPEN).twist.any()


GENERIC = Layout(
    "Generic USB pad", (0, 1, 2, 5, 16, 17), (0x130, 0x131, 0x133, 0x134, 0x136, 0x137, 0x138, 0x139, 0x13A, 0x13B)
)
"""Its triggers are buttons, and its right stick has the codes that other pads' triggers have."""
SHUFFLED = Layout("Other order", (5, 2, 17, 16, 4, 3, 1, 0), (0x13B, 0x137, 0x130, 0x136))
"""Triggers first: axes 0 and 1 rest at their ends."""
BUTTONS_FOR_A_CROSS = Layout("A cross of buttons", (0, 1, 3, 4), (0x130, 0x137, 0x13B, 0x220, 0x221, 0x222, 0x223))


@pytest.fixture
def plugged():
    """Make devices of any layout."""
    made = []

    def make(layout: Layout, at_opening: dict[int, float] | None = None) -> Device:
        made.append(Device(layout, at_opening))
        return made[-1]

    yield make
    for device in made:
        os.close(device.reading)
        os.close(device.writing)


def test_triggers_that_rest_at_their_ends_move_nothing_wherever_they_are_numbered(plugged):
    device = plugged(SHUFFLED, {0: -1.0, 1: -1.0})
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    for value in (-1.0, -0.2, 1.0):
        device.says(AXIS, 0, int(value * FULL))
        assert not pilot.act(None, OPEN).twist.any()
    device.push(Axis.LEFT_Y, -1.0)
    assert pilot.act(None, OPEN).twist[0, 0] == pytest.approx(EE_SPEED_MAX_M_S)


def test_the_right_stick_of_a_pad_without_analog_triggers_is_found(plugged):
    device = plugged(GENERIC)
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    device.says(AXIS, 3, -FULL)
    assert pilot.act(None, OPEN).twist[0, 2] == pytest.approx(EE_SPEED_MAX_M_S)


def test_a_cross_of_buttons_turns_the_hand(plugged):
    device = plugged(BUTTONS_FOR_A_CROSS)
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    for number, index, way in ((3, 4, 1.0), (4, 4, -1.0), (5, 3, -1.0), (6, 3, 1.0)):
        device.says(BUTTON, number, 1)
        assert pilot.act(None, OPEN).twist[0, index] == pytest.approx(way * EE_ROTATION_MAX_RAD_S)
        device.says(BUTTON, number, 0)
        assert not pilot.act(None, OPEN).twist.any()


def test_a_stick_that_drifts_moves_nothing_at_rest(plugged):
    device = plugged(XPAD, {0: 0.2})
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    assert not pilot.act(None, OPEN).twist.any()
    device.push(Axis.LEFT_X, 0.25)
    assert not pilot.act(None, OPEN).twist.any()
    device.push(Axis.LEFT_X, -0.9)
    assert pilot.act(None, OPEN).twist[0, 1] == pytest.approx(EE_SPEED_MAX_M_S)


def test_a_stick_that_is_held_at_opening_moves_nothing_until_it_was_let_go_of(plugged):
    device = plugged(XPAD, {1: -1.0})
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    assert not pilot.act(None, OPEN).twist.any()
    device.push(Axis.LEFT_Y, -0.9)
    assert not pilot.act(None, OPEN).twist.any()
    device.push(Axis.LEFT_Y, 0.05)
    device.push(Axis.LEFT_Y, -1.0)
    assert pilot.act(None, OPEN).twist[0, 0] == pytest.approx(EE_SPEED_MAX_M_S)


def test_the_device_is_asked_what_it_is(monkeypatch):
    """The answers are those of the kernel's joydev: a count, a name, and the codes in arrays longer than the device."""
    answers = {
        0x6A11: b"\x03",
        0x6A12: b"\x02",
        0x6A13: b"Some pad\0".ljust(128, b"\0"),
        0x6A32: bytes((0, 1, 5)).ljust(64, b"\0"),
        0x6A34: struct.pack("=2H", 0x130, 0x137).ljust(1024, b"\0"),
    }

    def ioctl(_descriptor: int, request: int, buffer: bytes) -> bytes:
        answer = answers[request & 0xFFFF]
        assert request >> 16 & 0x3FFF == len(buffer) == len(answer)
        return answer

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert asked(0, Path("js0")) == Layout("Some pad", (0, 1, 5), (0x130, 0x137))


def test_a_joystick_that_is_no_gamepad_is_refused_by_its_own_name():
    wheel = Layout("Racing wheel", (0, 1, 2), (0x120, 0x121))
    with pytest.raises(GamepadError, match=r"it is 'Racing wheel', without dead_man, grip, finish.*in the page"):
        require_gamepad(wheel, Path("/dev/input/js0"))


def test_a_gamepad_that_is_gone_is_said(device):
    os.close(device.writing)
    with pytest.raises(GamepadError, match="the gamepad js0 is gone; plug it in again"):
        device.gamepad.poll()
    os.close(device.reading)
    with pytest.raises(GamepadError, match="the gamepad js0 is gone: Bad file descriptor"):
        device.gamepad.poll()


@pytest.mark.parametrize(("path", "why"), [("/dev/nobody", "No such file"), ("/dev/null", "it is not a joystick")])
def test_what_is_no_gamepad_is_refused_with_its_path(path, why):
    said = f"{path} is not a gamepad: {why}"
    with pytest.raises(GamepadError, match=said), opened(Path(path)):
        pass
