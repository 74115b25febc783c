"""Whatever an episode holds, version 3 answers, by the name of a gate and a sentence, and never by an exception."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rewards.score.facts import EpisodeFacts
from rewards.score.references import store
from rewards.score.references.store import ReferenceDamagedError, ReferenceVersionError, parsed, reference_set
from rewards.score.score import recompute, score
from rewards.score.teaching.integrity import Gate
from rewards.score.verdict import ONE_PPM, Score
from sim.catalogue import TASKS
from tests.rewards.drives import recorded
from tests.rewards.score.teaching.lifts import Lift, good_lift

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
ANY = hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6), elements=NUMBERS)


def require_sane(found: Score) -> None:
    """Hold any score to what every score of version 3 promises."""
    assert 0 <= found.score_ppm <= ONE_PPM
    assert all(0.0 <= part <= 1.0 for part in found.vector.values())
    assert found.accepted is not bool(found.refused)
    assert set(found.refused) <= {gate.value for gate in Gate}
    assert all(re.match(r"[A-Z\d].*\.$", reason, re.DOTALL) for reason in found.reasons)
    assert all(np.isfinite(value) for value in found.shown.values())
    assert all(0.0 <= one.from_s <= one.until_s for one in found.segments)
    assert list(found.segments) == sorted(found.segments, key=lambda one: one.from_s)


def cut(facts: EpisodeFacts, steps: int) -> EpisodeFacts:
    """Return the first steps of a drive."""
    rows = ("t_s", "ee_position_m", "joint_rad", "gripper", "progress")
    short = {name: getattr(facts, name)[: steps + 1] for name in rows}
    short |= {name: getattr(facts, name)[:steps] for name in ("applied_rad", "applied_gripper", "limited")}
    return replace(facts, poses={name: pose[: steps + 1] for name, pose in facts.poses.items()}, **short)


def with_pose(facts: EpisodeFacts, name: str, pose: object) -> EpisodeFacts:
    return replace(facts, poses={**facts.poses, name: pose})  # type: ignore[dict-item] # what nobody may trust


def spoilt(facts: EpisodeFacts, at: int, value: float) -> EpisodeFacts:
    cube = facts.poses["cube_pose"].copy()
    cube[at, 2] = value
    return with_pose(facts, "cube_pose", cube)


GOOD = good_lift().facts()
STILL = Lift().rest(3.0).facts()
LATE = np.where(np.arange(GOOD.steps + 1) < 30, GOOD.t_s, GOOD.t_s + 4.0)
TWO_HANDS = replace(
    GOOD,
    hands=("ee_pose", "cube_pose"),
    poses={**GOOD.poses, "goal_pose": GOOD.poses["cube_pose"]},
    movable=frozenset(),
    applied_gripper=np.ones((GOOD.steps, 2)),
    gripper=np.ones((GOOD.steps + 1, 2)),
    ee_position_m=np.hstack([GOOD.ee_position_m, GOOD.ee_position_m]),
)
BAD: dict[str, tuple[EpisodeFacts, Gate, str]] = {
    "no step": (cut(GOOD, 0), Gate.UNMEASURABLE, "no step"),
    "one step": (cut(GOOD, 1), Gate.TOO_SHORT, "1 steps; at least 10"),
    "no motion": (replace(STILL, success=True), Gate.NO_MOTION, "moved 0.0 mm"),
    "not a number": (replace(GOOD, t_s=np.full(GOOD.steps + 1, np.nan)), Gate.UNMEASURABLE, "t_s"),
    "a thing that is not a number": (spoilt(GOOD, 5, np.nan), Gate.STREAM_MISSING, "cube_pose"),
    "a thing beyond all robots": (spoilt(GOOD, 5, 1e9), Gate.STREAM_MISSING, "cube_pose"),
    "a clock that stands still": (replace(GOOD, t_s=np.zeros(GOOD.steps + 1)), Gate.UNMEASURABLE, "stands still"),
    "a clock that runs backwards": (replace(GOOD, t_s=-GOOD.t_s), Gate.UNMEASURABLE, "backwards"),
    "a clock of years": (replace(GOOD, t_s=GOOD.t_s * 1e5), Gate.UNMEASURABLE, "longer than 3900"),
    "no rate": (replace(GOOD, control_hz=0.0), Gate.UNMEASURABLE, "control rate"),
    "no pose of the hand": (replace(GOOD, hands=()), Gate.STREAM_MISSING, "robot's hand"),
    "no pose of a thing": (
        replace(GOOD, poses={"ee_pose": GOOD.poses["ee_pose"]}, movable=frozenset()),
        Gate.STREAM_MISSING,
        "the task's things",
    ),
    "a thing that moves unseen": (
        replace(GOOD, movable=frozenset({"cube_pose", "ghost_pose"})),
        Gate.STREAM_MISSING,
        "no pose of ghost",
    ),
    "a short pose": (with_pose(GOOD, "cube_pose", GOOD.poses["cube_pose"][:-1]), Gate.STREAM_MISSING, "shape"),
    "no progress": (replace(GOOD, progress=None), Gate.STREAM_MISSING, "how far"),
    "a short progress": (replace(GOOD, progress=np.zeros(3)), Gate.STREAM_MISSING, "progress has shape"),
    "no stages": (replace(GOOD, stages=()), Gate.STREAM_MISSING, "how far"),
    "another number of stages": (replace(GOOD, stages=("one", "two", "three")), Gate.STREAM_MISSING, "3 stages"),
    "another number of hands": (TWO_HANDS, Gate.STREAM_MISSING, "2 hands"),
    "an unknown task": (replace(GOOD, task="juggle"), Gate.NO_REFERENCE_SET, "'juggle'"),
    "another version of the task": (replace(GOOD, task_version=7), Gate.REFERENCE_OF_ANOTHER_VERSION, "version 7"),
    "left": (replace(GOOD, valid=False, end_reason="left"), Gate.INVALID_END, "'left'"),
    "nobody knows": (replace(GOOD, success=None), Gate.SUCCESS_UNKNOWN, "cannot tell"),
    "not done": (replace(GOOD, success=False), Gate.NOT_DONE, "not done"),
    "a loop that stood still": (replace(GOOD, measured_s=LATE), Gate.STALLED, "not you"),
    "a dead camera": (replace(GOOD, unseen={"wrist": 0.5}), Gate.UNSEEN, "'wrist' has no usable picture for 50%"),
    "a camera of nonsense": (replace(GOOD, unseen={"wrist": np.nan}), Gate.UNSEEN, "the camera, not you"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_by_name_and_in_words(name):
    facts, gate, words = BAD[name]
    found = score(facts)
    require_sane(found)
    assert not found.accepted
    assert gate.value in found.refused
    assert words in found.reasons[found.refused.index(gate.value)]


def test_every_gate_refuses_something_here():
    damaged = {Gate.REFERENCE_DAMAGED}
    assert {gate for _, gate, _ in BAD.values()} | damaged == set(Gate)


def test_a_damaged_reference_set_is_refused_and_is_not_the_operators_fault(monkeypatch):
    monkeypatch.setitem(store.DIGESTS[1], "lift", "0" * 64)
    store._shipped.cache_clear()
    try:
        found = score(GOOD)
    finally:
        monkeypatch.undo()
        store._shipped.cache_clear()
    assert found.refused == (Gate.REFERENCE_DAMAGED.value,)
    assert "not your fault" in found.reasons[0]


def test_a_file_that_is_missing_cut_or_of_another_number_is_no_reference_set(monkeypatch):
    data = (Path(store.__file__).parent / "1" / "lift.npz").read_bytes()
    digest = store.DIGESTS[1]["lift"]
    with pytest.raises(ReferenceDamagedError, match="SHA-256"):
        parsed(data[:-1], 1, "lift", digest)
    with pytest.raises(ReferenceDamagedError, match="is no reference set"):
        parsed(b"nothing", 1, "lift", store.hashlib.sha256(b"nothing").hexdigest())
    with pytest.raises(ReferenceVersionError, match="of number 1"):
        parsed(data, 2, "lift", digest)
    monkeypatch.setitem(store.DIGESTS[1], "nobody", "0" * 64)
    with pytest.raises(ReferenceDamagedError, match="is missing"):
        reference_set(1, "nobody", 1)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_set_of_its_version_and_it_is_small(task):
    from sim.catalogue import task as task_of

    spec = task_of(task).spec
    found = reference_set(1, task, spec.version)
    assert found.stages == len(spec.stages)
    assert len(found.idle_s) >= 10
    assert (Path(store.__file__).parent / "1" / f"{task}.npz").stat().st_size < 64 << 10


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9])
def test_the_shortest_episodes_are_scored(steps):
    require_sane(score(cut(GOOD, steps)))


@given(ANY, ANY, ANY, ANY, ANY)
def test_no_arrays_make_it_raise(t_s, hand, cube, progress, unseen):
    changed = replace(GOOD, t_s=t_s, progress=progress, unseen={"c": float(unseen.flat[0]) if unseen.size else 0.0})
    require_sane(score(changed))
    require_sane(score(with_pose(with_pose(GOOD, "cube_pose", cube), "ee_pose", hand)))


@st.composite
def shaped(draw: st.DrawFn) -> EpisodeFacts:
    """Arrays of matching shapes and any finite values, on any clock that runs forward."""
    steps = draw(st.integers(1, 60))
    values, openings = st.floats(-1e6, 1e6), st.floats(0.0, 1.0)
    rows = {name: draw(hnp.arrays(np.float64, (steps + 1, 7), elements=values)) for name in ("ee_pose", "cube_pose")}
    intervals = draw(hnp.arrays(np.float64, steps, elements=st.floats(1e-9, 60.0)))
    t_s = np.concatenate([[0.0], np.cumsum(intervals)])
    return replace(
        GOOD,
        success=draw(st.booleans()),
        control_hz=draw(st.floats(1e-3, 1e4)),
        t_s=t_s,
        ee_position_m=rows["ee_pose"][:, :3],
        joint_rad=draw(hnp.arrays(np.float64, (steps + 1, 2), elements=values)),
        gripper=draw(hnp.arrays(np.float64, (steps + 1, 1), elements=openings)),
        applied_rad=draw(hnp.arrays(np.float64, (steps, 2), elements=values)),
        applied_gripper=draw(hnp.arrays(np.float64, (steps, 1), elements=openings)),
        limited=draw(hnp.arrays(np.bool_, steps)),
        done_s=draw(st.none() | st.sampled_from(t_s.tolist())),
        poses=rows,
        progress=draw(hnp.arrays(np.float64, steps + 1, elements=st.floats(0.0, 1.0) | st.just(np.nan))),
    )


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(shaped())
def test_any_motion_on_any_forward_clock_has_a_sane_score(facts):
    require_sane(score(facts))
    assert score(facts) == score(facts)


def test_a_recorded_episode_can_be_scored_by_any_version(tmp_path):
    file = recorded(tmp_path)
    assert recompute(file, "2") == recompute(file)
    found = recompute(file, "3")
    require_sane(found)
    assert found.version == "3"


def test_a_real_robot_that_cannot_know_whether_it_succeeded_is_told_so_first(tmp_path):
    found = recompute(recorded(tmp_path, simulated=False, success=None), "3")
    assert found.refused == (Gate.SUCCESS_UNKNOWN.value,)


def test_a_change_of_the_memory_that_arrays_lie_in_changes_nothing():
    turned: Callable[[np.ndarray], np.ndarray] = np.asfortranarray
    same = replace(
        GOOD,
        poses={name: turned(pose) for name, pose in GOOD.poses.items()},
        joint_rad=turned(GOOD.joint_rad),
        ee_position_m=turned(GOOD.ee_position_m),
    )
    assert score(same) == score(GOOD)


@pytest.mark.parametrize(("hz", "steps"), [(100 / 3, 35), (100 / 3, 45), (200 / 3, 70)])
def test_a_control_rate_whose_end_falls_on_the_grid_by_a_hair_is_scored(hz, steps):
    rows = np.linspace(0, GOOD.steps, steps + 1).astype(int)
    names = ("ee_position_m", "joint_rad", "gripper", "progress")
    cut = {name: getattr(GOOD, name)[rows] for name in names}
    cut |= {name: getattr(GOOD, name)[rows[:-1]] for name in ("applied_rad", "applied_gripper", "limited")}
    poses = {name: pose[rows] for name, pose in GOOD.poses.items()}
    require_sane(score(replace(GOOD, t_s=np.arange(steps + 1) / hz, control_hz=hz, done_s=None, poses=poses, **cut)))
