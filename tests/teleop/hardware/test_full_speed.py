"""An arm of servos driven as fast as it may goes no farther in a period than its spec says, to its resolution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.motion.control import Controller, Joints
from sim.robot import Action, Vector
from teleop.hardware.calibration import JointCalibration
from teleop.hardware.feetech import So101
from tests.emulators.feetech import FeetechBus, ManualClock
from tests.teleop.hardware.test_feetech import let_pass, patient

ROUNDED_RAD = 1e-6
"""What the gate for an episode's speeds allows for arithmetic, `recorder.proof.checks.motion.TOLERANCE_RAD`."""


@pytest.mark.parametrize("direction", [1.0, -1.0])
def test_an_arm_at_full_speed_is_sent_no_step_that_its_own_limit_forbids(direction: float) -> None:
    clock = ManualClock()
    with FeetechBus(clock=clock) as bus:
        arm = patient(bus)
        arm.connect()
        sent = _swept(arm, clock, direction)
        arm.disconnect()
    reach = arm.spec.joint_velocity_max_rad_s * arm.spec.period_s
    steps = np.abs(np.diff(sent, axis=0))
    most = reach + arm.spec.joint_resolution_rad + ROUNDED_RAD
    assert (steps <= most).all(), f"{steps.max(axis=0)} rad in a period, of {reach}"
    assert (steps.max(axis=0) > 0.98 * reach).any(), "nothing went at full speed"


def _swept(arm: So101, clock: ManualClock, direction: float) -> Vector:
    """Return the targets (T, J) that the arm took, rad, on the way from one end of every joint to the other."""
    spec, controller = arm.spec, Controller(arm.spec)
    # Not in the middle, so that what is asked lies anywhere between two ticks.
    goal = Joints(spec.home_rad + direction * np.array([1.20123, 0.2, 0.2, 0.2, 1.50077]), np.ones(1))
    seen = arm.reset(0)
    controller.start(seen)
    sent = [seen.values["joint_position"]]
    for _ in range(24):
        directive = controller.step(goal, seen)
        sent.append(arm.send_action(directive.action).joint_position)
        let_pass(spec.period_s, arm, clock)
        seen = arm.observe()
    return np.array(sent)


@settings(deadline=None)
@given(
    low=st.integers(0, 1900),
    high=st.integers(2200, 4095),
    mode=st.integers(0, 1),
    at=st.floats(-2.0, 2.0),
    parts=st.lists(st.floats(-1.0, 1.0) | st.sampled_from([1.0, -1.0]), min_size=1, max_size=30),
)
def test_rounding_never_makes_a_step_longer_by_more_than_the_resolution(
    low: int, high: int, mode: int, at: float, parts: list[float]
) -> None:
    servo = JointCalibration(1, low, high, drive_mode=mode)
    arm = So101("unopened")
    reach = float(arm.spec.joint_velocity_max_rad_s[0]) * arm.spec.period_s
    resolution = float(arm.spec.joint_resolution_rad[0])
    angles = at + np.cumsum([0.0, *parts]) * reach * (1.0 - 1e-9)
    ticks = [servo.to_tick(angle) for angle in angles.tolist()]
    steps = np.abs(np.diff([servo.to_rad(tick) for tick in ticks]))
    assert (steps <= reach + resolution + ROUNDED_RAD).all()


def test_an_action_beyond_the_limits_is_sent_within_them() -> None:
    clock = ManualClock()
    with FeetechBus(clock=clock) as bus:
        arm = patient(bus)
        arm.connect()
        for end in (arm.spec.joint_lower_rad, arm.spec.joint_upper_rad):
            sent = arm.send_action(Action(end * 2.0, np.ones(1))).joint_position
            assert (sent >= arm.spec.joint_lower_rad).all()
            assert (sent <= arm.spec.joint_upper_rad).all()
            assert np.abs(sent - end).max() < 0.002
        arm.disconnect()
