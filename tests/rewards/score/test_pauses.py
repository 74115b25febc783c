"""What an operator is told of pauses: the moment, and nothing of the time after the task was done; pay is as before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recorder.file.episode import read_episode
from rewards.score.metrics import idle, idle_until_done, measure
from rewards.score.score import facts_of, score
from tests.rewards.drives import HZ, facts_along, line, recorded


def rest(path: np.ndarray, seconds: float) -> np.ndarray:
    """Return the path with a rest at its end."""
    return np.vstack([path, np.repeat(path[-1:], round(seconds * HZ), axis=0)])


def after(path: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return one path after the other, from where it ends."""
    return np.vstack([path, path[-1] + more[1:] - more[0]])


PAUSED = after(rest(line(0.0, 0.4), 6.0), line(0.0, 0.4))
"""Two seconds of motion, six of rest, two of motion."""
LATE = rest(line(0.0, 0.4), 8.0)
"""Two seconds of motion, and eight in which the task is done."""


def test_the_longest_pause_is_told_with_its_moment():
    (told,) = score(facts_along(PAUSED)).reasons
    assert "The longest pause was 6." in told
    assert "at 0:01." in told or "at 0:02." in told
    assert "finish at once" not in told


def test_the_time_after_the_task_was_done_is_told_as_a_late_finish_and_not_as_a_pause():
    (told,) = score(facts_along(LATE, done_s=2.0)).reasons
    assert told == "You finished 8.0 s after the task was done: finish at once."


def test_both_are_told_if_both_are_so():
    path = after(rest(line(0.0, 0.4), 6.0), rest(line(0.0, 0.4), 4.0))
    (told,) = score(facts_along(path, done_s=10.0)).reasons
    assert "until the task was done. The longest pause was 6." in told
    assert told.endswith("You finished 4.0 s after the task was done: finish at once.")


@pytest.mark.parametrize("done_s", [None, 0.0, 2.0, 9.9])
def test_score_and_components_do_not_depend_on_when_the_task_was_done(done_s):
    facts = facts_along(LATE, done_s=done_s)
    found = score(facts)
    assert (found.score_ppm, found.vector) == (score(replace(facts, done_s=None)).score_ppm, found.vector)
    assert measure(facts).idle == idle(facts.ee_position_m, facts.joint_rad, facts.gripper)
    assert all(reason[0].isupper() and reason.endswith(".") for reason in found.reasons)


def test_pauses_before_the_task_was_done_are_measured_up_to_that_moment():
    facts = facts_along(LATE, done_s=2.0)
    assert idle_until_done(facts).longest_s < 0.5
    assert idle_until_done(replace(facts, done_s=None)).longest_s == pytest.approx(8.0, abs=0.5)


def test_the_moment_is_read_from_the_file(tmp_path):
    facts = facts_of(read_episode(recorded(tmp_path)))
    assert facts.done_s is not None
    assert 0.0 < facts.done_s < facts.t_s[-1]
    assert facts_of(read_episode(recorded(tmp_path / "undone", success=False))).done_s is None
