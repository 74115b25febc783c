"""The compiled kinematics finds what NumPy finds, at any posture of any robot, near singularities and limits too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import rotation
from sim.catalogue import make_world
from sim.motion.control import SINGULAR_STOP
from sim.motion.kinematics import IkOptions, Kinematics
from tests.sim.motion.oracle import Oracle

MOST_RAD = 1e-9
SPECS = [make_world(robot, "lift").spec for robot in ("panda", "so101", "xarm6", "iiwa", "husky")]
PAIRS = [(Kinematics.of(spec), Oracle.of(spec)) for spec in SPECS]
OPTIONS = [IkOptions(), IkOptions(iterations=1), IkOptions(iterations=20, rotation_weight=0.3), IkOptions(4, 0.0)]

pairs = st.sampled_from(PAIRS)
parts = st.lists(st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.5, 1.0])), min_size=7, max_size=7).map(np.array)
nudges = st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6).map(np.array)


def posture_of(arm: Kinematics, part: np.ndarray) -> np.ndarray:
    return arm.lower + part[: arm.joints] * (arm.upper - arm.lower)


@given(pair=pairs, part=parts)
def test_pose_jacobian_and_condition_are_those_of_numpy(pair: tuple[Kinematics, Oracle], part: np.ndarray) -> None:
    native, oracle = pair
    found, expected = native.at(posture_of(native, part)), oracle.at(posture_of(native, part))
    assert np.abs(found.pose[:3] - expected.pose[:3]).max() < 1e-12
    assert rotation.angle_between(found.pose[3:], expected.pose[3:]) < 1e-7
    assert np.abs(found.jacobian - expected.jacobian).max() < 1e-12
    if expected.condition < 1e6:
        assert found.condition == pytest.approx(expected.condition, rel=1e-8)
    else:
        assert found.condition > SINGULAR_STOP


@given(pair=pairs, part=parts, nudge=nudges, size=st.sampled_from([1e-3, 0.02, 0.5]), options=st.sampled_from(OPTIONS))
def test_inverse_kinematics_steps_as_numpy_does(
    pair: tuple[Kinematics, Oracle], part: np.ndarray, nudge: np.ndarray, size: float, options: IkOptions
) -> None:
    native, oracle = pair
    start = posture_of(native, part)
    pose = oracle.at(start).pose
    turned = rotation.multiply(rotation.from_rotvec(size * nudge[3:]), pose[3:])
    target = np.concatenate((pose[:3] + size * nudge[:3], turned))
    one = IkOptions(1, *options.values[1:])
    found, expected = native.solve(start, target, one), oracle.solve(start, target, one)
    if _decides_by_a_hair(oracle, start, target, one):
        return
    assert np.abs(found.q - expected.q).max() < MOST_RAD
    assert found.position_error_m == pytest.approx(expected.position_error_m, abs=1e-9)
    assert found.rotation_error_rad == pytest.approx(expected.rotation_error_rad, abs=1e-6)


def _decides_by_a_hair(oracle: Oracle, start: np.ndarray, target: np.ndarray, options: IkOptions) -> bool:
    """Whether rounding decides: a singular value at the threshold, or a step at a limit, neither out nor in."""
    q = np.clip(start, oracle.lower, oracle.upper)
    eps = 1e-11
    around = [oracle.solve(np.clip(q + way, oracle.lower, oracle.upper), target, options).q for way in (-eps, eps)]
    return bool(np.abs(around[0] - around[1]).max() > 1e-7)
