"""The compiled kinematics finds what NumPy finds, at any posture of any robot, near singularities and limits too."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import rotation
from sim.catalogue import make_world
from sim.motion._native import Chain
from sim.motion.control import SINGULAR_STOP
from sim.motion.kinematics import IkOptions, Kinematics, moved_within
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


@settings(deadline=None)
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


@settings(deadline=None)
@given(
    pair=pairs,
    seed=st.integers(0, 2**32),
    size=st.sampled_from([1e-3, 0.02, 0.5]),
    options=st.sampled_from(OPTIONS),
)
def test_inverse_kinematics_steps_as_numpy_does(
    pair: tuple[Kinematics, Oracle], seed: int, size: float, options: IkOptions
) -> None:
    """Some joints stand at their limits; all else is drawn, so that no step is one that only rounding turns outward."""
    (native, oracle), random = pair, np.random.default_rng(seed)
    part = np.where(random.random(7) < 0.3, random.choice([0.0, 1.0], 7), random.random(7))
    start, nudge = posture_of(native, part), random.uniform(-1.0, 1.0, 6)
    pose = oracle.at(start).pose
    turned = rotation.multiply(rotation.from_rotvec(size * nudge[3:]), pose[3:])
    target = np.concatenate((pose[:3] + size * nudge[:3], turned))
    one = IkOptions(1, *options.values[1:])
    found, expected = native.solve(start, target, one), oracle.solve(start, target, one)
    assert np.abs(found.q - expected.q).max() < MOST_RAD
    assert found.position_error_m == pytest.approx(expected.position_error_m, abs=1e-9)
    assert found.rotation_error_rad == pytest.approx(expected.rotation_error_rad, abs=1e-6)


@given(pair=pairs, part=parts, nudge=nudges)
@settings(deadline=None)
def test_how_far_and_whether_within_are_those_of_the_pose(
    pair: tuple[Kinematics, Oracle], part: np.ndarray, nudge: np.ndarray
) -> None:
    native, oracle = pair
    q = posture_of(native, part)
    pose = oracle.at(q).pose
    turned = rotation.multiply(rotation.from_rotvec(nudge[3:]), pose[3:])
    away_m, turn_rad = native.away(q, np.concatenate((pose[:3] + nudge[:3], turned)))
    assert away_m == pytest.approx(np.linalg.norm(nudge[:3]), abs=1e-12)
    assert turn_rad == pytest.approx(np.linalg.norm(nudge[3:]), abs=1e-7)
    path = np.array((q, q + 0.3 * nudge[0], q))
    seen = np.array([oracle.at(row).pose[:3] for row in path])
    assert native.within(path, seen.min(axis=0) - 1e-9, seen.max(axis=0) + 1e-9)
    for axis in range(3):
        short = np.where(np.arange(3) == axis, 1e-6, -1e-9)
        assert not native.within(path, seen.min(axis=0) + short, seen.max(axis=0) + 1e-9)
        assert not native.within(path, seen.min(axis=0) - 1e-9, seen.max(axis=0) - short)


@settings(deadline=None)
@given(pose=nudges, way=nudges, turn=nudges, size=st.sampled_from([0.0, 1e-13, 0.1, 3.0]))
def test_a_pose_is_moved_as_by_rotations_and_clips(
    pose: np.ndarray, way: np.ndarray, turn: np.ndarray, size: float
) -> None:
    before = np.concatenate((pose[:3], rotation.from_rotvec(3.0 * pose[3:])))
    lower, upper = np.full(3, -0.5), np.array((0.5, 0.2, 0.5))
    found, held = moved_within(before, size * way[:3], size * turn[:3], lower, upper)
    there = before[:3] + size * way[:3]
    inside = np.clip(there, np.minimum(lower, before[:3]), np.maximum(upper, before[:3]))
    turned = rotation.normalized(rotation.multiply(rotation.from_rotvec(size * turn[:3]), before[3:]))
    assert np.array_equal(found[:3], inside)
    assert np.abs(found[3:] - turned).max() < 1e-15
    assert held is bool((inside != there).any())


def test_threads_may_share_a_chain() -> None:
    native, _ = PAIRS[0]
    postures = np.random.default_rng(1).uniform(native.lower, native.upper, (400, native.joints))
    expected = [native.forward(q) for q in postures]
    with ThreadPoolExecutor(4) as threads:
        for found in [threads.submit(lambda: [native.forward(q) for q in postures]) for _ in range(8)]:
            assert np.array_equal(found.result(), expected)


ARRAYS = {"axes": 6, "basis": 96, "tip": 12, "lower": 2, "upper": 2, "home": 2}


def chain(**changed: object) -> Chain:
    arrays = {**{name: np.zeros(size) for name, size in ARRAYS.items()}, **changed}
    order, rotates = arrays.pop("order", (0, 1)), arrays.pop("rotates", (True, True))
    return Chain(order, rotates, *(arrays[name] for name in ARRAYS))


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"order": ()}, "1 to 16 joints"),
        ({"order": tuple(range(17)), "rotates": (True,) * 17}, "1 to 16 joints"),
        ({"order": (0, 2)}, "order of the chain's own joints"),
        ({"order": (0, 0)}, "order of the chain's own joints"),
        ({"rotates": (True,)}, "1 to 16 joints"),
        ({"tip": np.zeros(11)}, "tip to be 12"),
        ({"lower": np.zeros(2, np.float32)}, "lower to be 2"),
        ({"basis": np.zeros(192)[::2]}, "contiguous"),
    ],
)
def test_a_malformed_chain_is_refused(changed: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        chain(**changed)


def test_arrays_that_do_not_fit_are_refused_and_nothing_is_written_beyond_them() -> None:
    made, q, pose, jacobian = chain(), np.zeros(2), np.zeros(7), np.zeros((6, 2))
    made.place(q, pose, jacobian)
    fixed = pose.copy()
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="pose to hold 7"):
        made.place(q, np.zeros(8), jacobian)
    with pytest.raises((ValueError, BufferError)):
        made.place(q, fixed, jacobian)
    with pytest.raises(ValueError, match="q to be 2"):
        made.place(np.zeros(3), pose, jacobian)
    with pytest.raises(ValueError, match="path"):
        made.within(np.zeros(4), np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match="path"):
        made.within(np.zeros((2, 3)), np.zeros(3), np.zeros(3))
    with pytest.raises(TypeError):
        made.place(q, pose)


def test_without_the_compiled_part_the_error_says_how_to_build_it() -> None:
    code = "import sys; sys.modules['sim.motion._native'] = None; import sim.motion.kinematics"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "build_ext --inplace" in done.stderr
