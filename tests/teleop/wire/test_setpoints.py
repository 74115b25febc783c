"""Values on the wire and setpoints are the same thing said twice, for robots of one hand, of two, and on wheels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.catalogue import make_world
from sim.motion.control import Controller, Joints, Limit, Pose, Twist
from sim.robot import MobileBase, Observation
from teleop.wire.messages import Command, Mode
from teleop.wire.setpoints import setpoint_of, values_of

PANDA = make_world("panda", "lift").spec
BASE = MobileBase(("x", "y", "heading"), 0.5, 1.0, 1.0, 2.0)
SPECS = {
    "one hand": PANDA,
    "two hands": replace(PANDA, end_effectors=PANDA.end_effectors * 2),
    "on wheels": replace(PANDA, base=BASE),
}


def command(mode: Mode, values) -> Command:
    return Command(mode, True, 1, 1, 0, 0, np.asarray(values, np.float32))


def flat(setpoint) -> list[float]:
    return values_of(setpoint)[1].tolist()


@pytest.mark.parametrize("name", SPECS)
@given(data=st.data(), mode=st.sampled_from([Mode.EE_TWIST, Mode.EE_POSE, Mode.JOINT_POSITION]), stands=st.booleans())
def test_what_is_read_is_what_was_asked(name, data, mode, stands):
    spec = SPECS[name]
    size = {
        Mode.EE_TWIST: 7 * spec.hands,
        Mode.EE_POSE: 8 * spec.hands,
        Mode.JOINT_POSITION: spec.joints + spec.hands,
    }[mode]
    if spec.base is not None and mode is not Mode.JOINT_POSITION and not stands:
        size += 2
    asked = data.draw(st.lists(st.floats(-3, 3, width=32), min_size=size, max_size=size))
    setpoint = setpoint_of(command(mode, asked), spec)
    assert values_of(setpoint) == (mode, pytest.approx(asked))
    assert setpoint.gripper.shape == (spec.hands,)
    assert isinstance(setpoint, Joints) or (setpoint.base is None) == (spec.base is None or stands)


def test_the_order_is_that_of_the_protocol():
    first, second = np.arange(6.0), 10.0 + np.arange(6.0)
    twist = Twist(np.array([first, second]), np.array([0.25, 0.75]), np.array([0.5, -1.0]))
    assert flat(twist) == [0, 1, 2, 3, 4, 5, 0.25, 10, 11, 12, 13, 14, 15, 0.75, 0.5, -1.0]
    pose = Pose(np.arange(7.0).reshape(1, 7), np.array([0.5]))
    assert flat(pose) == [0, 1, 2, 3, 4, 5, 6, 0.5]


def test_nothing_is_asked_by_a_neutral_command():
    assert setpoint_of(command(Mode.NEUTRAL, []), PANDA) is None


@pytest.mark.parametrize("mode", [Mode.EE_TWIST, Mode.EE_POSE, Mode.JOINT_POSITION])
@pytest.mark.parametrize("count", [0, 1, 6, 9, 10, 14, 64])
def test_values_that_do_not_fit_hold_the_robot_and_say_so(mode, count):
    controller = Controller(PANDA)
    seen = Observation({"joint_position": PANDA.home_rad, "gripper_position": np.ones(1)})
    controller.start(seen)
    setpoint = setpoint_of(command(mode, np.full(count, 0.1)), PANDA)
    directive = controller.step(setpoint, seen)
    assert [(event.rule, event.requested) for event in directive.limits] == [(Limit.SHAPE, count)]
    assert np.array_equal(directive.action.joint_position, PANDA.home_rad)


def test_a_base_at_its_highest_speed_on_the_wire_is_within_its_limits():
    husky = make_world("husky", "lift").spec
    controller = Controller(husky)
    seen = Observation({"joint_position": husky.home_rad, "gripper_position": np.ones(1)})
    controller.start(seen)
    fastest = [husky.base.speed_max_m_s, husky.base.turn_max_rad_s]
    directive = controller.step(setpoint_of(command(Mode.EE_TWIST, [0.0] * 6 + [1.0, *fastest]), husky), seen)
    assert Limit.BASE_VELOCITY not in [event.rule for event in directive.limits]
