"""A person takes over from a program while they hold a gamepad's dead-man, and hands back when they let go."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pytest

from sim.motion.control import EE_SPEED_MAX_M_S, Twist
from teleop.operator.gamepad import Axis, Button, GamepadError, GamepadPilot
from teleop.operator.pilot import Ask, ByHand, fly
from teleop.operator.takeover import Takeover
from teleop.wire.driver import Driver, DriverKind
from tests.teleop.operator.test_gamepad import PANDA, Device
from tests.teleop.operator.test_pilot import Counting
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio
DOWN = np.array([[0.0, 0.0, -0.05, 0.0, 0.0, 0.0]])


@dataclass
class Grasping:
    """A program that goes down with the gripper as wide open as it is told, or holds; it remembers what it has seen."""

    opening: float | None = 0.4
    seen: list = field(default_factory=list)

    def act(self, state, values):
        self.seen.append((state, values))
        return Ask.HOLD if self.opening is None else Twist(DOWN, np.array([self.opening]))


@pytest.fixture
def device():
    made = Device()
    yield made
    for descriptor in (made.reading, made.writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


@pytest.fixture
def program() -> Grasping:
    return Grasping()


@pytest.fixture
def pilot(device, program) -> Takeover:
    return Takeover(program, GamepadPilot(device.gamepad, PANDA))


def saw(number: int, commanded: float = 1.0) -> tuple:
    """A state and what it says, which nobody here looks into but the program."""
    return number, {"gripper_position": np.ones(1), "commanded_gripper_position": np.array([commanded])}


def test_a_program_drives_until_somebody_holds_the_dead_man(device, pilot):
    device.push(Axis.LEFT_Y, -1.0)
    answer = pilot.act(*saw(1))
    assert isinstance(answer, Twist)
    assert np.array_equal(answer.twist, DOWN)


def test_what_the_person_asks_for_replaces_the_programs_and_says_so(device, pilot):
    pilot.act(*saw(1))
    device.push(Axis.LEFT_Y, -1.0)
    device.hold()
    answer = pilot.act(*saw(2))
    assert isinstance(answer, ByHand)
    assert answer.setpoint.twist[0, 0] == pytest.approx(EE_SPEED_MAX_M_S)
    assert answer.setpoint.twist[0, 2] == 0


def test_a_person_who_holds_still_stops_the_program(device, pilot):
    device.hold()
    answer = pilot.act(*saw(1))
    assert isinstance(answer, ByHand)
    assert not answer.setpoint.twist.any()


def test_the_program_drives_on_once_the_person_lets_go(device, pilot):
    device.hold()
    pilot.act(*saw(1))
    device.let_go()
    answer = pilot.act(*saw(2))
    assert isinstance(answer, Twist)
    assert np.array_equal(answer.twist, DOWN)


def test_the_program_sees_every_state_whoever_drives(device, pilot, program):
    pilot.act(*saw(1))
    device.hold()
    for number in (2, 3):
        pilot.act(*saw(number))
    device.let_go()
    pilot.act(*saw(4))
    assert [state for state, _values in program.seen] == [1, 2, 3, 4]


def test_taking_over_drops_nothing(device, pilot, program):
    """The gripper is still on its way to what the program asked for; it goes on there."""
    pilot.act(*saw(1, commanded=0.9))
    device.hold()
    for opening in (None, 1.0):  # what the program wants meanwhile counts for nothing
        answer = pilot.act(*saw(2, commanded=0.7))
        assert answer.setpoint.gripper.tolist() == [0.4]
        program.opening = opening


def test_a_program_that_holds_leaves_the_gripper_where_it_was_sent(device, pilot, program):
    program.opening = None
    device.hold()
    assert pilot.act(*saw(1, commanded=0.3)).setpoint.gripper.tolist() == [0.3]


def test_the_person_opens_and_closes_while_they_drive_and_each_time_anew(device, pilot):
    device.hold()
    pilot.act(*saw(1))
    device.press(Button.GRIP)
    assert pilot.act(*saw(2)).setpoint.gripper.tolist() == [1.0], "0.4 is nearly closed"
    device.press(Button.GRIP)
    assert pilot.act(*saw(3)).setpoint.gripper.tolist() == [0.0]
    device.let_go()
    pilot.act(*saw(4))
    device.hold()
    assert pilot.act(*saw(5)).setpoint.gripper.tolist() == [0.4]


def test_a_press_of_grip_while_the_program_drives_moves_nothing(device, pilot):
    device.press(Button.GRIP)
    assert pilot.act(*saw(1)).gripper.tolist() == [0.4]
    device.hold()
    assert pilot.act(*saw(2)).setpoint.gripper.tolist() == [0.4]


@pytest.mark.parametrize(("button", "ask"), [(Button.FINISH, Ask.FINISH), (Button.DISCARD, Ask.DISCARD)])
def test_the_person_ends_the_episode_of_a_program(device, pilot, button, ask):
    device.press(button)
    assert pilot.act(*saw(1)) is ask


def test_a_gamepad_that_is_gone_ends_the_drive_of_a_program_too(device, pilot):
    pilot.act(*saw(1))
    os.close(device.writing)
    with pytest.raises(GamepadError):
        pilot.act(*saw(2))


@dataclass
class Hovering:
    """A person who takes over for some states, and holds still."""

    during: range
    at: int = 0

    def adopt(self, openings):
        self.openings = openings

    def act(self, _state, _values):
        self.at += 1
        return Twist(np.zeros((1, 6)), self.openings) if self.at in self.during else Ask.HOLD


async def test_the_robot_obeys_the_person_and_the_episode_says_when(tmp_path):
    policy = Driver(DriverKind.POLICY, "my_policy:act", "5" * 64)
    program, person = Counting(60), Hovering(range(20, 40))
    async with platform(tmp_path) as house:
        async with house.driver() as driver:
            await driver.join(house.robot_key.address, "lift")
            flight = await fly(driver, lambda *_: Takeover(program, person), policy)
        start, *steps, _end = [house.events.get_nowait() for _ in range(house.events.qsize())]
    assert flight.ended["valid"]
    assert start.driver == driver.said[flight.ended["episode"]] == policy
    marks = [step.commanded.intervention for step in steps if step.commanded is not None]
    assert [mark for mark, _same in groupby(marks)] == [False, True, False]
    asked = [step.commanded.values[2] for step in steps if step.commanded is not None and step.commanded.dead_man]
    assert {round(float(speed), 3) for speed in asked} == {0.0, 0.05}
    held = [step for step in steps if step.commanded is not None and step.commanded.intervention]
    assert {float(step.commanded.values[2]) for step in held} == {0.0}


async def test_what_is_noted_while_driving_is_in_the_episodes_end(tmp_path):
    async with platform(tmp_path) as house:
        async with house.driver() as driver:
            await driver.join(house.robot_key.address, "lift")
            driving = asyncio.create_task(fly(driver, Counting(10**6)))
            while driver.state is None or not driver.state.recording:
                await driver.next_state()
            await driver.send({"type": "note", "text": " the cube\nslipped "})
            await driver.send({"type": "finish"})
            flight = await driving
        end = [house.events.get_nowait() for _ in range(house.events.qsize())][-1]
    assert flight.ended["valid"]
    assert [note.text for note in end.notes] == ["the cube slipped"]
