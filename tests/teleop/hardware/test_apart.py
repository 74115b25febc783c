"""A robot whose driver runs in a process of its own: it does what it does here, and may hang or die."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from sim.robot import Action, NotConnectedError, Observation, RobotFaultError, RobotSpec, Vector, checked
from sim.robots.so101 import DESCRIPTION
from teleop.hardware.apart import Apart, DriverDiedError, DriverHungError

SPEC = DESCRIPTION.spec(DESCRIPTION.arrays, simulated=False, control_hz=20.0)


class Held:
    """A robot that is where it was sent; it fails when it is sent to one of these openings of its gripper."""

    FAULT, HANG, DIE = 0.1, 0.2, 0.3

    def __init__(self) -> None:
        self._at: Vector | None = None

    @property
    def spec(self) -> RobotSpec:
        return SPEC

    def connect(self) -> None:
        self._at = self._at if self._at is not None else np.zeros(SPEC.joints)

    def reset(self, seed: int) -> Observation:
        return self.observe()

    def observe(self) -> Observation:
        if self._at is None:
            raise NotConnectedError("expected connect() before observe()")
        return Observation({"joint_position": self._at, "process": np.array([os.getpid()])})

    def send_action(self, action: Action) -> Action:
        applied = checked(action, SPEC)
        opening = float(applied.gripper[0])
        if opening == self.FAULT:
            raise RobotFaultError("its elbow is hot")
        if opening == self.HANG:
            time.sleep(3600.0)
        if opening == self.DIE:
            os._exit(7)
        self._at = applied.joint_position
        return applied

    def disconnect(self) -> None:
        self._at = None


@pytest.fixture
def robot() -> Iterator[Apart]:
    robot = Apart(Held, SPEC, answer_s=10.0)
    robot.connect()
    yield robot
    robot.disconnect()


def test_it_does_what_its_driver_does_and_says_what_that_says(robot: Apart) -> None:
    robot.connect()
    target = Action(np.linspace(-0.2, 0.2, SPEC.joints), np.array([0.5]))
    applied = robot.send_action(target)
    assert applied.joint_position.tobytes() == target.joint_position.tobytes()
    seen = robot.observe()
    assert seen.values["joint_position"].tobytes() == target.joint_position.tobytes()
    assert seen.values["process"][0] != os.getpid()
    with pytest.raises(RobotFaultError, match="its elbow is hot"):
        robot.send_action(Action(target.joint_position, np.array([Held.FAULT])))
    assert robot.reset(1).values["process"][0] == seen.values["process"][0], "an error of the robot ended its driver"
    robot.disconnect()
    robot.disconnect()
    with pytest.raises(NotConnectedError):
        robot.observe()
    robot.connect()
    assert robot.observe().values["joint_position"].tolist() == [0.0] * SPEC.joints


def test_a_driver_that_dies_is_named_and_another_can_be_started(robot: Apart) -> None:
    with pytest.raises(DriverDiedError, match="exit status 7"):
        robot.send_action(Action(np.zeros(SPEC.joints), np.array([Held.DIE])))
    with pytest.raises(NotConnectedError):
        robot.observe()
    robot.connect()
    assert robot.observe().values["joint_position"].shape == (SPEC.joints,)


def test_a_driver_that_hangs_is_ended() -> None:
    robot = Apart(partial(Held), SPEC, answer_s=0.2)
    robot.connect()
    with pytest.raises(DriverHungError, match=r"within 0\.2 s"):
        robot.send_action(Action(np.zeros(SPEC.joints), np.array([Held.HANG])))
    robot.disconnect()
