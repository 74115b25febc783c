"""A gamepad moves the robot while its dead-man is held, and by nothing else; one that is gone ends the drive."""

from __future__ import annotations

import os
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
    Axis,
    Button,
    Gamepad,
    GamepadError,
    GamepadPilot,
    opened,
)
from teleop.operator.pilot import Ask
from teleop.wire.descriptor import describe

PANDA = describe("panda-1", make_world("panda", "lift").spec)
PAIR = describe("pair-1", make_world("dual_panda", "handover").spec)
HUSKY = describe("husky-1", make_world("husky", "fetch").spec)
OPEN = {"gripper_position": np.ones(1)}


class Device:
    """The kernel's side of a pipe in place of `/dev/input/js0`."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self.gamepad = Gamepad(self.reading, "js0")

    def says(self, kind: int, number: int, value: int) -> None:
        os.write(self.writing, EVENT.pack(0, value, kind, number))

    def press(self, button: Button) -> None:
        self.says(BUTTON, button, 1)
        self.says(BUTTON, button, 0)

    def push(self, axis: Axis, part: float) -> None:
        self.says(AXIS, axis, int(part * FULL))

    def hold(self, button: Button = Button.DEAD_MAN) -> None:
        self.says(BUTTON, button, 1)


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
    device.says(BUTTON, Button.DEAD_MAN, 0)
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
        device.says(AXIS, axis, -FULL - 1)  # what the kernel may say
    assert np.linalg.norm(pilot.act(None, OPEN).twist[0, :3]) == pytest.approx(EE_SPEED_MAX_M_S)


def test_a_press_grips_and_the_next_lets_go_but_one_at_opening_does_nothing(device):
    pilot = GamepadPilot(device.gamepad, PANDA)
    device.hold()
    device.says(BUTTON | AT_OPENING, Button.GRIP, 1)
    device.says(BUTTON | AT_OPENING, Button.FINISH, 1)
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
    event = EVENT.pack(0, 1, BUTTON, Button.DEAD_MAN)
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


def test_a_gamepad_that_is_gone_is_said(device):
    os.close(device.writing)
    with pytest.raises(GamepadError, match="the gamepad js0 is gone; plug it in again"):
        device.gamepad.poll()
    os.close(device.reading)
    with pytest.raises(GamepadError, match="the gamepad js0 is gone: Bad file descriptor"):
        device.gamepad.poll()


@pytest.mark.parametrize(("path", "why"), [("/dev/nobody", "No such file"), ("/dev/null", "it sends nothing")])
def test_what_is_no_gamepad_is_refused_with_its_path(path, why):
    said = f"expected a gamepad such as /dev/input/js0, got {path}: {why}"
    with pytest.raises(GamepadError, match=said), opened(Path(path)):
        pass
