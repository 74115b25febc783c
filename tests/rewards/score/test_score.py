"""Promises of the score: in range, monotone, the same integer always, and never without a reason when it says
no."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recorder.file.episode import read_episode
from rewards.score.metrics import EpisodeFacts
from rewards.score.score import (
    WEIGHTS_PERCENT,
    Vector,
    facts_of,
    pay_wei,
    ramp_ppm,
    recompute,
    score,
    weigh,
)
from rewards.score.verdict import ONE_PPM, Score
from rewards.score.versions import NEWEST, VERSIONS
from sim.motion.control import Limit, LimitEvent
from tests.recorder.factory import fake_end, fake_episode, fake_steps
from tests.rewards.drives import facts_along, good_drive, line, recorded, write_episode

PPM = st.integers(0, ONE_PPM)
VECTORS = st.builds(Vector, PPM, PPM, PPM, PPM, PPM)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
ANY = hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6), elements=NUMBERS)


@st.composite
def shaped(draw: st.DrawFn) -> EpisodeFacts:
    """Arrays of matching shapes and any finite values, on any clock that runs forward."""
    steps, joints = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    values = st.floats(-1e6, 1e6)
    intervals = draw(hnp.arrays(np.float64, steps, elements=st.floats(1e-9, 80.0)))
    return EpisodeFacts(
        episode="e",
        task="lift",
        success=draw(st.sampled_from([True, False, None])),
        valid=draw(st.booleans()),
        end_reason="finished",
        control_hz=draw(st.floats(1e-3, 1e4)),
        t_s=np.concatenate([[0.0], np.cumsum(intervals)]),
        ee_position_m=draw(hnp.arrays(np.float64, (steps + 1, 3), elements=values)),
        joint_rad=draw(hnp.arrays(np.float64, (steps + 1, joints), elements=values)),
        gripper=draw(hnp.arrays(np.float64, (steps + 1, 1), elements=st.floats(0, 1))),
        applied_rad=draw(hnp.arrays(np.float64, (steps, joints), elements=values)),
        applied_gripper=draw(hnp.arrays(np.float64, (steps, 1), elements=st.floats(0, 1))),
        limited=draw(hnp.arrays(np.bool_, steps)),
    )


def require_sane(found: Score) -> None:
    """Hold any score to what every score promises."""
    assert 0 <= found.score_ppm <= ONE_PPM
    assert set(found.vector) == {field.name for field in fields(Vector)}
    assert all(0.0 <= part <= 1.0 for part in found.vector.values())
    assert found.accepted or found.reasons
    assert all(re.match(r"[A-Z\d].*\.$", reason, re.DOTALL) for reason in found.reasons)


@given(ANY, ANY, ANY, ANY, ANY, ANY, ANY, NUMBERS)
def test_no_arrays_make_it_raise(t_s, hand, joints, gripper, applied, applied_gripper, limited, control_hz):
    arrays = (t_s, hand, joints, gripper, applied, applied_gripper, limited)
    found = score(EpisodeFacts("e", "lift", True, True, "finished", control_hz, *arrays))
    require_sane(found)
    assert pay_wei(found, 10**18) <= 10**18


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(shaped())
def test_any_motion_on_any_forward_clock_has_a_sane_score(facts):
    require_sane(score(facts))
    assert score(facts) == score(facts)


@given(VECTORS, st.sampled_from([field.name for field in fields(Vector)]), PPM)
def test_a_better_component_never_lowers_the_score(vector, name, value):
    other = replace(vector, **{name: value})
    low, high = sorted([vector, other], key=lambda v: getattr(v, name))
    assert weigh(low) <= weigh(high)
    assert 0 <= weigh(low) <= ONE_PPM


@given(NUMBERS, NUMBERS)
def test_a_ramp_is_monotone_and_defined_everywhere(a, b):
    for worst, best in ((0.0, 1.0), (0.7, 0.2), (-6.5, -2.5)):
        low, high = ramp_ppm(a, worst, best), ramp_ppm(b, worst, best)
        assert 0 <= low <= ONE_PPM
        assert low % 100 == 0
        if not math.isnan(a) and not math.isnan(b) and (a - b) * (best - worst) < 0:
            assert low <= high


def test_the_weights_are_a_whole():
    assert sum(getattr(WEIGHTS_PERCENT, field.name) for field in fields(Vector)) == 100


def test_the_rules_for_people_have_the_weights_of_the_rules():
    rules = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text()
    for field in fields(Vector):
        assert f"| `{field.name}` | {getattr(WEIGHTS_PERCENT, field.name)} % |" in rules
    assert f"Scoring and pay: versions {', '.join(VERSIONS[:-1])} and {VERSIONS[-1]}" in rules


def test_a_good_drive_is_accepted_and_near_the_top():
    found = score(good_drive())
    assert found.accepted
    assert found.score_ppm > 950_000
    assert found.reasons == ()
    assert found.version == NEWEST == "2"


def test_the_score_of_a_known_drive_is_this_integer():
    path = np.concatenate([line(0.0, 0.4), np.full((30, 3), [0.4, 0.0, 0.0]), line(0.4, 0.1, 0.4)])
    path[:, 1] += 0.004 * np.sin(2 * np.pi * 2.5 * np.arange(len(path)) / 20.0)
    assert score(facts_along(path)).score_ppm == 853_375


def test_a_failed_drive_is_rejected_and_unpaid_however_fine_it_was():
    found = score(good_drive(success=False))
    assert not found.accepted
    assert "not done" in found.reasons[0]
    assert pay_wei(found, 10**18) == 0


def test_a_robot_that_cannot_know_is_not_guessed_for():
    found = score(good_drive(success=None))
    assert not found.accepted
    assert found.vector["success"] == 0


def test_an_episode_that_ended_badly_is_rejected_with_how_it_ended():
    found = score(good_drive(valid=False, end_reason="operator_lost"))
    assert not found.accepted
    assert "operator_lost" in found.reasons[0]


def test_a_success_that_nobody_moved_for_is_rejected():
    found = score(facts_along(np.zeros((60, 3))))
    assert not found.accepted
    assert any("moved" in reason for reason in found.reasons)


def test_too_few_steps_are_rejected():
    found = score(facts_along(line(0.0, 0.4)[:6]))
    assert any("steps" in reason for reason in found.reasons)
    assert not found.accepted


def test_a_loop_that_stood_still_is_not_blamed_on_the_operator():
    t_s = np.arange(41) / 20.0
    t_s[20:] += 2.0
    found = score(good_drive(t_s=t_s))
    assert not found.accepted
    assert "not you" in found.reasons[0]


def test_a_pause_is_told_in_numbers_that_help():
    path = np.concatenate([np.zeros((40, 3)), line(0.0, 0.4)])
    found = score(facts_along(path))
    assert found.accepted
    advice = next(reason for reason in found.reasons if "paused" in reason)
    assert "2.0 s before the first move" in advice or "1.9 s before the first move" in advice


def test_the_pay_is_rounded_down_to_a_whole_wei():
    found = replace(score(good_drive()), score_ppm=333_333)
    assert pay_wei(found, 10) == 3
    assert pay_wei(found, 10**30) == 333_333 * 10**24


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_episodes_are_scored(steps):
    require_sane(score(facts_along(line(0.0, 0.4)[: steps + 1])))


def test_a_recorded_episode_scores_the_same_from_its_file_each_time(tmp_path):
    file = recorded(tmp_path)
    assert recompute(file) == recompute(file)
    assert recompute(file).accepted


def test_a_recorded_failure_is_rejected(tmp_path):
    assert not recompute(recorded(tmp_path, success=False)).accepted


def test_a_recorded_pause_costs(tmp_path):
    steady = recompute(recorded(tmp_path))
    paused = recompute(recorded(tmp_path, idle=40, episode="episode-2"))
    assert paused.vector["idle"] < steady.vector["idle"]


def test_moving_the_gripper_at_full_speed_is_not_held_against_anyone(tmp_path):
    start, _, _ = fake_episode()
    clamps = {3: Limit.GRIPPER_VELOCITY, 4: Limit.WORKSPACE, 5: Limit.GRIPPER_VELOCITY}
    extra = {index: (LimitEvent(rule, 0, 1.0, 0.5),) for index, rule in clamps.items()}
    steps = fake_steps(start, 40, extra=extra)
    facts = facts_of(read_episode(write_episode(tmp_path, start, steps, fake_end(start, steps))))
    assert np.flatnonzero(facts.limited).tolist() == [4]


def test_an_arm_without_a_gripper_is_scored(tmp_path):
    assert recompute(recorded(tmp_path, gripper=False)).accepted
