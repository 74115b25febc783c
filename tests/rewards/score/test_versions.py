"""A simulated robot's host can be as uneven as it likes: its operator's score is the simulation's. Old scores stay."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.file.episode import Episode, read_episode
from rewards.people.qualification import appraise, check, practice_of
from rewards.score.score import facts_of, recompute, score
from rewards.score.versions import FIRST, NEWEST, SECOND, VERSIONS, UnknownRulesError, version_of
from tests.recorder.factory import fake_end, fake_episode
from tests.rewards.drives import write_episode

PERIOD_NS = 50_000_000
OLD = Path(__file__).parents[2] / "recorder" / "golden" / "version-1" / "good"


def recorded(folder: Path, late_ns: Any, *, simulated: bool = True) -> Path:
    """Return the file of one motion whose observations came so late, (N,) ns."""
    start, steps, _ = fake_episode(steps=60, simulated=simulated, idle=18)
    moved = []
    for step, late in zip(steps, np.asarray(late_ns).tolist(), strict=True):
        at = start.t_mono_ns + (step.index + 1) * PERIOD_NS + int(late)
        moved.append(dataclasses.replace(step, t_observed_ns=at, t_began_ns=at - 30_000_000, t_sent_ns=at - 25_000_000))
    return write_episode(folder, start, moved, fake_end(start, moved))


def jitter(seed: int, most_ns: int) -> Any:
    """Return how late each of 60 observations was."""
    return np.random.default_rng(seed).integers(-most_ns, most_ns, 60)


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    """Return the motion as an even host records it."""
    return read_episode(recorded(tmp_path_factory.mktemp("even"), np.zeros(60, int)))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), most_ns=st.integers(1, 20_000_000))
def test_the_same_simulated_motion_has_the_same_score_however_uneven_its_host(
    even: Episode, tmp_path_factory: pytest.TempPathFactory, seed: int, most_ns: int
) -> None:
    file = recorded(tmp_path_factory.mktemp("uneven"), jitter(seed, most_ns))
    found, expected = appraise(file), (score(facts_of(even)), check(practice_of(even)))
    assert found == expected
    assert found[0].accepted
    assert found[0].version == SECOND


def test_the_first_version_let_an_operator_pay_for_the_host(even: Episode, tmp_path: Path) -> None:
    file = recorded(tmp_path, jitter(3, 20_000_000))
    assert recompute(file, FIRST).score_ppm < recompute(file).score_ppm
    assert recompute(file).score_ppm == score(facts_of(even)).score_ppm


def test_a_real_robots_motion_is_measured_on_its_hosts_clock(tmp_path: Path) -> None:
    late = jitter(3, 20_000_000)
    steady = recompute(recorded(tmp_path / "steady", np.zeros(60, int), simulated=False))
    uneven = recompute(recorded(tmp_path / "uneven", late, simulated=False))
    assert uneven.vector != steady.vector
    assert uneven.vector == recompute(tmp_path / "uneven" / "episode-1.h5", FIRST).vector


def test_slow_motion_does_not_pass_for_a_simulation_at_its_pace(tmp_path: Path) -> None:
    found = recompute(recorded(tmp_path, 2 * PERIOD_NS * np.arange(1, 61)))
    assert not found.accepted
    assert "The robot's loop stalled for 100% of the time" in found.reasons[0]


def test_an_episode_of_the_first_format_keeps_the_first_version() -> None:
    episode = read_episode(OLD / "episode.h5")
    assert version_of(episode.meta) == FIRST
    assert recompute(OLD / "episode.h5") == score(facts_of(episode, FIRST))
    assert facts_of(episode).t_s.tolist() == facts_of(episode).host_s.tolist()


@pytest.mark.parametrize("rules", VERSIONS)
def test_an_episode_is_scored_by_the_rules_that_it_names(tmp_path: Path, rules: str) -> None:
    start, steps, end = fake_episode(steps=60, rules=rules)
    file = write_episode(tmp_path, start, steps, end)
    assert version_of(read_episode(file).meta) == rules
    assert recompute(file).version == rules


def test_an_episode_that_names_no_rules_is_scored_as_before_there_were_names(tmp_path: Path) -> None:
    start, steps, end = fake_episode(steps=60)
    assert recompute(write_episode(tmp_path, start, steps, end)).version == SECOND


def test_rules_that_are_not_here_are_refused_by_name(tmp_path: Path) -> None:
    start, steps, end = fake_episode(steps=60, rules="x-9")
    file = write_episode(tmp_path, start, steps, end)
    with pytest.raises(UnknownRulesError, match=r"'x-9'.*update armshare") as refused:
        recompute(file)
    assert refused.value.version == "x-9"
    with pytest.raises(UnknownRulesError, match="'x-8'"):
        recompute(file, "x-8")


def test_the_refusal_of_unknown_rules_outlasts_the_way_from_a_worker() -> None:
    again = pickle.loads(pickle.dumps(UnknownRulesError("x-9")))
    assert (type(again), again.version, str(again)) == (UnknownRulesError, "x-9", str(UnknownRulesError("x-9")))


def test_the_rules_in_force_are_the_last_of_those_that_there_are() -> None:
    assert VERSIONS[-1] == NEWEST
