"""The real xArm6's driver, through the maker's SDK, against an emulated control box."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sim.contract import RobotContract
from sim.robot import Action, Robot, RobotFaultError, Vector
from teleop.hardware.feetech import FREE
from teleop.hardware.xarm import (
    PULSES,
    WrongXArmError,
    XArm6,
    XArmAddressError,
    XArmAlarmError,
    XArmGripperError,
    XArmLostError,
    XArmSilentError,
    XArmStoppedError,
)
from tests.emulators.feetech import ManualClock
from tests.emulators.xarm import MOVE_SERVOJ, OVER_CURRENT, XArmBox


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def box(clock: ManualClock) -> Iterator[XArmBox]:
    with XArmBox(clock) as box:
        yield box


@pytest.fixture
def arm(box: XArmBox) -> Iterator[XArm6]:
    arm = XArm6(box.address, task=FREE, answer_wait_s=2.0)
    arm.connect()
    yield arm
    arm.disconnect()


class TestXArm6(RobotContract):
    """On a box whose clock the test owns."""

    @pytest.fixture
    def robot(self, arm: XArm6, clock: ManualClock) -> Robot:
        self.clock = clock
        return arm

    def pace(self, robot: Robot) -> None:
        self.clock.advance(robot.spec.period_s)


def test_taking_over_moves_nothing(box: XArmBox, clock: ManualClock) -> None:
    before = box.settle()
    arm = XArm6(box.address, task=FREE, answer_wait_s=2.0)
    arm.connect()
    arm.reset(1)
    clock.advance(1.0)
    assert box.settle() == pytest.approx(before, abs=1e-6)
    arm.disconnect()
    assert box.ready, "it lets go of an arm that should hold"


def test_a_target_is_sent_in_the_precision_that_is_said(arm: XArm6, box: XArmBox) -> None:
    applied = arm.send_action(Action(arm.observe().values["joint_position"] + 0.0123))
    assert box.targets == applied.joint_position.tolist()
    edge = arm.send_action(Action(arm.spec.joint_upper_rad))
    assert (edge.joint_position <= arm.spec.joint_upper_rad).all()
    assert box.targets == edge.joint_position.tolist()


def test_the_slow_gripper_is_told_now_and_then_and_what_it_was_told_is_said(arm: XArm6, box: XArmBox) -> None:
    here = arm.observe().values["joint_position"]
    said = [float(arm.send_action(Action(here, np.array([1.0 - 0.01 * n]))).gripper[0]) for n in range(1, 12)]
    assert len(set(said)) == 3, "the gripper's bus was asked in every period"
    assert box.gripper_target == round(said[-1] * PULSES)


def drive(arm: XArm6, target: Vector) -> None:
    for _ in range(10):
        arm.observe()
        arm.send_action(Action(target))


FAULTS: dict[str, tuple[Callable[[XArmBox], object], type[RobotFaultError], str]] = {
    "stop": (XArmBox.press_stop, XArmAlarmError, r"error 2 \(The Emergency IO"),
    "alarm": (lambda box: box.fail(31), XArmAlarmError, "error 31"),
    "paused": (XArmBox.pause, XArmStoppedError, "paused or stopped by somebody else"),
    "power": (XArmBox.close, XArmLostError, "is gone"),
    "gripper": (lambda box: setattr(box, "gripper_error", 9), XArmGripperError, "gripper"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_ends_the_drive_with_its_sentence(fault: str, arm: XArm6, box: XArmBox) -> None:
    cause, error, said = FAULTS[fault]
    here = arm.observe().values["joint_position"]
    arm.send_action(Action(here))
    cause(box)
    with pytest.raises(error, match=said):
        drive(arm, here)


def test_a_box_that_hangs_is_named(box: XArmBox) -> None:
    arm = XArm6(box.address, task=FREE, answer_wait_s=0.2)
    arm.connect()
    box.mute = True
    with pytest.raises(XArmSilentError, match=r"within 0\.2 s"):
        arm.observe()
    arm.disconnect()


def test_an_error_that_the_box_shows_is_not_cleared_unseen(box: XArmBox) -> None:
    box.fail(31)
    with pytest.raises(XArmAlarmError):
        XArm6(box.address, task=FREE).connect()
    assert box.error == 31
    assert MOVE_SERVOJ not in box.heard


def test_an_arm_without_its_gripper_is_named(box: XArmBox) -> None:
    box.gripper_away = True
    with pytest.raises((XArmGripperError, XArmAlarmError)):
        XArm6(box.address, task=FREE, answer_wait_s=2.0).connect()
    assert box.error == OVER_CURRENT


@pytest.mark.parametrize("detail", ["7,7,XI1305,AC1305,v2.5.0", "6,9,FX1300,FC1300,v2.5.0"])
def test_another_arm_is_refused_before_its_motors_are_on(detail: str, clock: ManualClock) -> None:
    with XArmBox(clock, detail) as box:
        with pytest.raises(WrongXArmError):
            XArm6(box.address, task=FREE).connect()
        assert not box.enabled


@pytest.mark.parametrize("address", ["", ":502", "192.168.1.201:x", "192.168.1.201:70000"])
def test_what_is_no_address_is_named_before_anything_is_opened(address: str) -> None:
    with pytest.raises(XArmAddressError, match="expected the address of the control box"):
        XArm6(address, task=FREE)


def test_loading_the_makers_client_prints_nothing() -> None:
    program = """
from contextlib import suppress
from teleop.hardware.xarm import XArmLostError, _reached
with suppress(XArmLostError):
    _reached("127.0.0.1", 1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_a_box_is_found_by_its_name(box: XArmBox) -> None:
    arm = XArm6(f"localhost:{box.port}", task=FREE, answer_wait_s=2.0)
    arm.connect()
    arm.disconnect()


def test_nobody_at_the_address_is_named_and_the_process_is_left_as_it_was() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    socket.setdefaulttimeout(None)
    with pytest.raises(XArmLostError, match="cannot be reached"):
        XArm6(f"127.0.0.1:{port}", task=FREE).connect()
    assert socket.getdefaulttimeout() is None
