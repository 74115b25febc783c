"""The real UR5e's driver, through `ur-rtde`, against an emulated controller in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from sim import rotation
from sim.contract import RobotContract
from sim.motion.kinematics import Kinematics
from sim.robot import Action, NotConnectedError, Robot, RobotFaultError, Vector
from sim.robots.ur5e_gripper import DESCRIPTION
from teleop.hardware.apart import Apart
from teleop.hardware.feetech import FREE
from teleop.hardware.robotiq import GripperError
from teleop.hardware.ur import Ur5e, UrLostError, UrNotReadyError, UrSilentError, UrStoppedError, WrongUrError
from tests.emulators.ur import STOPPED, Controller, controller

PATIENT_S = 5.0
"""An emulated controller on a busy machine may be silent for longer than a real one."""


@pytest.fixture
def box() -> Iterator[Controller]:
    with controller() as one:
        yield one


def apart(box: Controller, silent_s: float = PATIENT_S) -> Apart:
    """The arm as a host has it: at a controller that is gone the client hangs, with Python's lock held."""
    make = partial(Ur5e, box.where(), task=FREE, silent_s=silent_s)
    return Apart(make, make().spec, answer_s=3.0 * PATIENT_S)


@pytest.fixture
def arm(box: Controller) -> Iterator[Apart]:
    arm = apart(box)
    arm.connect()
    yield arm
    arm.disconnect()


@pytest.fixture(scope="module")
def shared() -> Iterator[Ur5e]:
    with controller() as box:
        arm = Ur5e(box.where(), task=FREE, silent_s=PATIENT_S)
        yield arm
        arm.disconnect()


class TestUr5e(RobotContract):
    """All that every robot promises, at one controller, whose own clock says how much time has passed."""

    settle_periods = 120

    @pytest.fixture
    def robot(self, shared: Ur5e) -> Robot:
        shared.connect()
        here = shared.reset(0).values["joint_position"]
        self.pace(shared)
        while np.abs((now := shared.observe().values["joint_position"]) - here).max() > 1e-9:
            here = now
            self.pace(shared)
        return shared

    def pace(self, robot: Robot) -> None:
        assert isinstance(robot, Ur5e)
        until_s = robot.stamp_s + robot.spec.period_s
        while robot.stamp_s < until_s:
            time.sleep(0.001)


def published(q: Vector) -> np.ndarray[Any, Any]:
    """The flange of a UR5e by its maker's Denavit-Hartenberg parameters."""
    half = 0.5 * np.pi
    rows = zip(
        q,
        (0.1625, 0, 0, 0.1333, 0.0997, 0.0996),
        (0, -0.425, -0.3922, 0, 0, 0),
        (half, 0, 0, half, -half, 0),
        strict=True,
    )
    found = np.eye(4)
    for turn, d, a, alpha in rows:
        c, s, ca, sa = np.cos(turn), np.sin(turn), np.cos(alpha), np.sin(alpha)
        found = found @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
    return found


def test_its_links_are_where_their_maker_says() -> None:
    hand = DESCRIPTION.hands[0]
    home = np.array(DESCRIPTION.home_rad)
    flange = Kinematics(DESCRIPTION.model.urdf_path, hand.joint_names, "wrist_3_link", base_link=None, home=home)
    draws = np.random.default_rng(5)
    for _ in range(20):
        q = draws.uniform(-3.0, 3.0, 6)
        pose, expected = flange.forward(q), published(q)
        assert np.abs(pose[:3] - expected[:3, 3]).max() < 1e-9
        assert np.abs(rotation.to_matrix(pose[3:]) - expected[:3, :3]).max() < 1e-9


def test_taking_over_moves_nothing_and_letting_go_ends_the_program(box: Controller) -> None:
    before = box.seen().joints
    arm = Ur5e(box.where(), task=FREE, silent_s=PATIENT_S)
    arm.connect()
    arm.reset(1)
    arm.disconnect()
    seen = box.seen()
    assert seen.joints == pytest.approx(before, abs=1e-9)
    assert seen.runtime == STOPPED
    with pytest.raises(NotConnectedError):
        arm.observe()


def test_what_was_applied_is_what_the_controller_was_told(arm: Apart, box: Controller) -> None:
    wanted = arm.observe().values["joint_position"] + 0.01
    applied = arm.send_action(Action(wanted, np.array([0.3])))
    while box.seen().gripper == 0 or box.seen().target is None:
        pass
    assert box.seen().target == applied.joint_position.tolist()
    assert applied.gripper[0] == 1.0 - box.seen().gripper / 255


def drive(arm: Robot) -> None:
    here = arm.observe().values["joint_position"]
    while True:
        arm.observe()
        arm.send_action(Action(here))


FAULTS: dict[str, tuple[Callable[[Controller], object], type[RobotFaultError], str]] = {
    "collision": (Controller.protect, UrStoppedError, "protective stop"),
    "stop": (Controller.press_stop, UrStoppedError, "emergency stop at its pendant"),
    "program": (Controller.end_program, UrNotReadyError, "ended at the pendant"),
    "gripper": (Controller.drop_gripper, GripperError, "fault 11"),
    "power": (Controller.close, RobotFaultError, "is gone|does not answer"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_ends_the_drive_with_its_sentence(fault: str, arm: Apart, box: Controller) -> None:
    cause, error, said = FAULTS[fault]
    getattr(box, cause.__name__)()
    with pytest.raises(error, match=said):
        drive(arm)


def test_a_controller_that_goes_silent_is_noticed_though_the_client_does_not(box: Controller) -> None:
    arm = apart(box, silent_s=0.5)
    arm.connect()
    box.hang()
    with pytest.raises(UrSilentError, match=r"nothing for 0\.5 s"):
        drive(arm)
    arm.disconnect()


REFUSED: dict[str, tuple[dict[str, Any], type[RobotFaultError], str]] = {
    "another model": ({"model": "UR10"}, WrongUrError, "is a UR10"),
    "brakes on": ({"mode": 5}, UrNotReadyError, "release its brakes"),
    "local control": ({"remote": False}, UrNotReadyError, "switch it to remote control"),
    "gripper not activated": ({"hand_status": 0}, GripperError, "activate it at the pendant"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_an_arm_that_is_not_ready_is_left_as_it_is(why: str) -> None:
    made, error, said = REFUSED[why]
    with controller(**made) as box:
        with pytest.raises(error, match=said):
            apart(box).connect()
        assert box.seen().targets == 0


def test_nobody_at_the_address_is_named() -> None:
    with pytest.raises(UrLostError, match="cannot be reached"):
        Ur5e("127.0.0.1", task=FREE).connect()
