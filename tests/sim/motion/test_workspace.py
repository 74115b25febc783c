"""How far a hand may get beyond its workspace, whatever is asked, however the arm follows, whenever it must stop."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim.catalogue import make_world
from sim.motion.control import OVERSHOOT_M, Controller, Joints, Pose, Setpoint, Twist
from sim.motion.kinematics import Kinematics
from sim.motion.smooth import Smoother
from sim.robot import Observation, RobotSpec

ROUNDED_M = 1e-7
"""What the arithmetic of a stop, planned once and then again from each period on, may add."""
SPEEDS = (0.0, 0.25, -0.25, 0.6, -0.6, 9.0, -9.0)


@cache
def spec_of(robot: str) -> RobotSpec:
    return make_world(robot, "lift").spec


def asked(spec: RobotSpec, random: np.random.Generator, kinds: str) -> Setpoint:
    kind = str(random.choice([*kinds]))
    if kind == "t":
        values = random.choice(SPEEDS, 6) if random.random() < 0.7 else random.uniform(-3.0, 3.0, 6)
        return Twist(values.reshape(1, 6), np.ones(1))
    if kind == "p":
        return Pose(random.uniform(-1.0, 1.0, (1, 7)), np.ones(1))
    moved = random.uniform(-1.5, 1.5, spec.joints) * (random.random(spec.joints) < 0.7)
    thrown = random.choice([0.0, 0.0, 0.0, 50.0], spec.joints)
    return Joints(spec.home_rad + moved + thrown, np.ones(1))


def farthest_m(robot: str, seed: int, kinds: str, follows: float, drives: int = 12) -> float:
    """Return how far beyond its workspace a hand is ever sent in a random drive, with stops between."""
    spec, random = spec_of(robot), np.random.default_rng(seed)
    kinematics, end, made = Kinematics.of(spec), spec.end_effectors[0], Controller(spec)
    measured, most = spec.home_rad, 0.0
    for _ in range(drives):
        setpoint, stops = asked(spec, random, kinds), random.random() < 0.2
        for _ in range(random.integers(1, 13)):
            seen = Observation({"joint_position": measured, "gripper_position": np.ones(1)})
            joints = (made.hold() if stops else made.step(setpoint, seen)).action.joint_position
            measured = measured + follows * (joints - measured)
            own = joints[[spec.joint_names.index(name) for name in end.joint_names]]
            hand = kinematics.forward(own)[:3]
            most = max(most, *(end.workspace_lower_m - hand), *(hand - end.workspace_upper_m))
    return most


@settings(max_examples=60, deadline=None)
@given(
    robot=st.sampled_from(["panda", "so101", "xarm6", "iiwa"]),
    seed=st.integers(0, 2**32),
    kinds=st.sampled_from(["t", "j", "ttttppjjj", "tp"]),
    follows=st.sampled_from([1.0, 1.0, 0.9, 0.5, 0.0]),
)
@example(robot="panda", seed=111, kinds="tp", follows=1.0)  # 7.25 mm while only where a stop ends was looked at
@example(robot="panda", seed=120, kinds="ttttppjjj", follows=0.5)  # 6.69 mm
@example(robot="panda", seed=123, kinds="t", follows=0.9)  # 6.57 mm
def test_no_hand_is_ever_sent_farther_out_than_its_overshoot(robot: str, seed: int, kinds: str, follows: float) -> None:
    assert farthest_m(robot, seed, kinds, follows) <= OVERSHOOT_M + ROUNDED_M


@pytest.mark.parametrize("robot", ["panda", "husky"])
def test_a_stop_goes_where_it_was_said_to_go(robot: str) -> None:
    """What was agreed to before is what is sent, so that the hand stays where it was looked at."""
    spec, random = spec_of(robot), np.random.default_rng(3)
    smoother, shown = Smoother(spec), []

    def may_go(path: np.ndarray) -> bool:
        shown.append(path)
        return True

    for _ in range(40):
        goal = spec.home_rad + random.uniform(-1.0, 1.0, spec.joints)
        for _ in range(random.integers(1, 10)):
            last = smoother.towards(goal, may_go)
        said = shown[-1]
        sent = np.array([last, *(smoother.stop(last) for _ in said[1:])])
        assert np.abs(sent - said).max() < 1e-8
        assert np.abs(smoother.stop(sent[-1]) - sent[-1]).max() < 1e-8, "it has not come to rest"
