"""A mobile base keeps its speeds and ramps, drives where wheels could, and gets there, however it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.catalogue import make_world
from sim.motion.control import Controller, Joints, Limit, Setpoint, Twist
from sim.robot import Observation, Vector

SPEC = make_world("husky", "lift").spec
BASE = SPEC.base
PERIOD_S = SPEC.period_s
AT = [SPEC.joint_names.index(name) for name in BASE.joint_names]


def goal(x: float, y: float, heading: float, arm: float = 0.0) -> Joints:
    joints = SPEC.home_rad + arm
    joints[AT] = x, y, heading
    return Joints(joints, np.ones(1))


def driven(made: Controller, joints: Vector, setpoints: Sequence[Setpoint | None]) -> Vector:
    """Return the base's places (T, 3) from `joints` on, as a robot that follows exactly has them; None holds."""
    path = [joints]
    for setpoint in setpoints:
        seen = Observation({"joint_position": path[-1], "gripper_position": np.ones(1)})
        directive = made.hold() if setpoint is None else made.step(setpoint, seen)
        path.append(directive.action.joint_position)
    return np.array(path)[:, AT]


def started() -> Controller:
    made = Controller(SPEC)
    made.start(Observation({"joint_position": SPEC.home_rad, "gripper_position": np.ones(1)}))
    return made


def keeps_to_its_wheels(places: Vector) -> None:
    moved = np.diff(np.vstack([places[:1], places]), axis=0) / PERIOD_S
    middle = places[:, 2] - 0.5 * moved[:, 2] * PERIOD_S
    ahead = moved[:, 0] * np.cos(middle) + moved[:, 1] * np.sin(middle)
    aside = moved[:, 1] * np.cos(middle) - moved[:, 0] * np.sin(middle)
    assert np.abs(aside).max() < 1e-9, "it slides"
    assert np.abs(ahead).max() <= BASE.speed_max_m_s + 1e-9
    assert np.abs(moved[:, 2]).max() <= BASE.turn_max_rad_s + 1e-9
    assert np.abs(np.diff(ahead)).max() <= BASE.acceleration_max_m_s2 * PERIOD_S + 1e-9
    assert np.abs(np.diff(moved[:, 2])).max() <= BASE.turn_acceleration_max_rad_s2 * PERIOD_S + 1e-9
    assert (places >= SPEC.joint_lower_rad[AT]).all()
    assert (places <= SPEC.joint_upper_rad[AT]).all()


goals = st.builds(goal, st.floats(-9, 9), st.floats(-9, 9), st.floats(-30, 30), st.floats(-0.5, 0.5))
twists = st.builds(
    lambda ahead, turn: Twist(np.zeros((1, 6)), np.ones(1), np.array([ahead, turn])), st.floats(-9, 9), st.floats(-9, 9)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.one_of(goals, goals, twists, st.none()), st.integers(1, 40)), min_size=1, max_size=8))
def test_however_a_base_is_asked_it_keeps_its_speeds_and_ramps_and_never_slides(
    asked: list[tuple[Setpoint | None, int]],
) -> None:
    setpoints = [setpoint for setpoint, periods in asked for _ in range(periods)]
    keeps_to_its_wheels(driven(started(), SPEC.home_rad, setpoints))


@settings(max_examples=12, deadline=None)
@given(x=st.floats(-2.5, 2.5), y=st.floats(-2.5, 2.5), heading=st.floats(-3, 3))
def test_a_base_that_is_sent_to_a_place_gets_there_and_rests(x: float, y: float, heading: float) -> None:
    places = driven(started(), SPEC.home_rad, [goal(x, y, heading)] * 360)
    keeps_to_its_wheels(places)
    assert np.hypot(*(places[-1, :2] - (x, y))) < 0.011
    assert places[-1, 2] == pytest.approx(heading, abs=1e-3)
    assert np.abs(places[-1] - places[-2]).max() < 1e-6


def test_a_base_goes_straight_ahead_and_straight_back() -> None:
    for x in (1.0, -1.0):
        places = driven(started(), SPEC.home_rad, [goal(x, 0.0, 0.0)] * 60)
        assert places[-1] == pytest.approx([x, 0.0, 0.0], abs=1e-3)
        assert np.abs(places[:, 2]).max() < 1e-9


def test_a_base_stays_while_only_the_arm_is_sent_somewhere() -> None:
    places = driven(started(), SPEC.home_rad, [goal(0.0, 0.0, 0.0, arm=0.3)] * 20)
    assert not places.any()


def test_an_arm_whose_way_leaves_its_workspace_does_not_change_the_bases_speed() -> None:
    joints = SPEC.home_rad.copy()
    joints[AT] = 2.0, 0.0, 0.0
    joints[len(AT)] = 3.0
    places = driven(started(), SPEC.home_rad, [Joints(joints, np.ones(1))] * 30)
    keeps_to_its_wheels(places)
    assert places[-1, 0] > 0.5


def test_a_base_brakes_before_the_end_of_its_floor() -> None:
    ahead = Twist(np.zeros((1, 6)), np.ones(1), np.array([0.6, 0.0]))
    places = driven(started(), SPEC.home_rad, [ahead] * 130)
    keeps_to_its_wheels(places)
    assert 2.9 < places[-1, 0] <= 3.0


def test_a_blocked_base_forgets_its_speed() -> None:
    made = started()
    ahead = Twist(np.zeros((1, 6)), np.ones(1), np.array([0.6, 0.0]))
    seen = Observation({"joint_position": SPEC.home_rad, "gripper_position": np.ones(1)})
    directives = [made.step(ahead, seen) for _ in range(30)]
    assert Limit.TRACKING in {event.rule for event in directives[-1].limits}
    last = directives[-1].action.joint_position
    freed = made.step(ahead, Observation({"joint_position": last, "gripper_position": np.ones(1)}))
    moved = freed.action.joint_position[0] - last[0]
    assert moved <= 2.0 * BASE.acceleration_max_m_s2 * PERIOD_S**2 + 1e-12
