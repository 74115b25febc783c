"""A real robot that cannot tell whether the task was done: whoever drove is told how, and nothing is paid by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewards.score.score import pay_wei, recompute, score
from rewards.score.unjudged import FOR_YOU
from rewards.score.verdict import SegmentKind
from tests.rewards.drives import recorded
from tests.rewards.score.teaching.test_refusals import GOOD, require_sane

UNKNOWN = replace(GOOD, success=None)


def test_it_is_refused_as_before_and_says_how_it_was_driven() -> None:
    found = score(UNKNOWN)
    require_sane(found)
    assert (found.accepted, found.score_ppm, found.refused, found.costs) == (False, 0, ("success_unknown",), ())
    assert set(found.vector.values()) == {0.0}
    assert "cannot tell" in found.reasons[0]
    assert found.reasons[1] == FOR_YOU
    assert found.shown["duration_s"] == pytest.approx(float(GOOD.t_s[-1] - GOOD.t_s[0]))
    assert 0.0 < found.shown["path_efficiency"] <= 1.0
    assert pay_wei(found, 10**18) == 0


def test_a_pause_and_a_limit_are_told_with_their_moments_and_what_to_do() -> None:
    half = GOOD.steps // 2
    rows = np.r_[: half + 1, [half] * 100, half + 1 : GOOD.steps + 1]
    steps = rows[1:] - 1
    names = ("ee_position_m", "joint_rad", "gripper")
    paused = {name: np.asarray(getattr(GOOD, name))[rows] for name in names}
    t_s = np.arange(len(rows)) / GOOD.control_hz
    limited = np.zeros(len(steps), dtype=np.bool_)
    limited[5:60] = True
    facts = replace(
        UNKNOWN,
        t_s=t_s,
        measured_s=None,
        applied_rad=GOOD.applied_rad[steps],
        applied_gripper=GOOD.applied_gripper[steps],
        limited=limited,
        **paused,
    )
    found = score(facts)
    kinds = {one.kind: one for one in found.segments}
    assert set(kinds) == {SegmentKind.IDLE, SegmentKind.LIMITED}
    idle, cut = kinds[SegmentKind.IDLE], kinds[SegmentKind.LIMITED]
    assert idle.from_s <= (half + 10) / GOOD.control_hz
    assert idle.until_s >= (half + 90) / GOOD.control_hz
    assert (cut.from_s, cut.until_s) == pytest.approx((5 / GOOD.control_hz, 60 / GOOD.control_hz))
    assert found.shown["limited"] == pytest.approx(55 / len(steps))
    assert found.shown["idle_s"] >= 80 / GOOD.control_hz
    assert any("paused" in reason or "longest pause" in reason for reason in found.reasons[2:])


def test_what_cannot_be_measured_is_told_nothing_more() -> None:
    found = score(replace(UNKNOWN, t_s=np.zeros_like(GOOD.t_s)))
    assert (found.refused, found.shown, found.segments) == (("unmeasurable",), {}, ())


def test_a_real_robots_file_says_it_too(tmp_path: Path) -> None:
    found = recompute(recorded(tmp_path, simulated=False, success=None), "3")
    require_sane(found)
    assert found.refused == ("success_unknown",)
    assert {"duration_s", "path_efficiency", "idle_s", "limited"} <= set(found.shown)
