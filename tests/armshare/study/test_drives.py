"""A study's drives go through the recorder, are scored from their files as a hub does, and are made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from armshare.study.drives import Drive, Measured, Shelf, job_of, make, measure
from armshare.study.learner import AHEAD
from armshare.study.measures import BEFORE, JUDGED, LENGTH, SCORE, at_length, measures, paid
from armshare.study.plan import Group, Wanted
from recorder.collect.folder import Folder
from recorder.file.episode import Episode, read_episode
from recorder.proof.bundle import read_bundle
from recorder.proof.case import Trust
from recorder.proof.hubless import NO_HUB
from recorder.proof.verify import verify
from rewards.score.score import recompute
from sim.demonstrators.defects import Kind

CLEAN = Wanted("lift", 0, Group.CLEAN, 1_000_000)
DROPPED = Wanted("lift", 0, Group.RECOVERING, 1_000_001, Kind.DROP_AND_REGRASP, 0.7)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """A study's folder with two drives in it."""
    found = Shelf(tmp_path_factory.mktemp("study"))
    folder = found.episodes("lift")
    with Folder(folder).held(job_of("lift", folder).made):
        for one in (CLEAN, DROPPED):
            make(found.path, one)
        yield found


def file_of(shelf: Shelf, one: Wanted) -> Path:
    return shelf.episodes(one.task) / one.name / "episode.h5"


@pytest.fixture
def clean(shelf: Shelf) -> Episode:
    return read_episode(file_of(shelf, CLEAN))


def test_a_drive_is_a_whole_bundle_and_says_what_happened(shelf: Shelf):
    verify(read_bundle(file_of(shelf, DROPPED).parent), Trust(NO_HUB))
    drive = make(shelf.path, DROPPED)
    assert (drive.success, drive.happened, drive.lost) == (True, True, "")
    assert read_episode(file_of(shelf, DROPPED)).steps == drive.steps


def test_a_drive_that_is_there_is_not_made_again_and_another_of_its_name_is(shelf: Shelf):
    before = file_of(shelf, CLEAN).stat().st_mtime_ns
    drive = make(shelf.path, CLEAN)
    assert file_of(shelf, CLEAN).stat().st_mtime_ns == before
    assert drive == Drive(CLEAN, drive.steps, True, True)


def test_a_study_that_was_ended_before_it_noted_a_drive_makes_it_again(shelf: Shelf):
    noted = shelf.drive(DROPPED)
    before = noted.read_bytes()
    noted.unlink()
    make(shelf.path, DROPPED)
    assert noted.read_bytes() == before


def test_a_score_is_the_one_that_anybody_computes_from_the_file(shelf: Shelf):
    found = measure(shelf.path, DROPPED, 60)
    assert found.as_driven[SCORE] == paid(recompute(file_of(shelf, DROPPED), JUDGED))
    assert found.as_driven[BEFORE] == paid(recompute(file_of(shelf, DROPPED), "2"))


def test_what_was_measured_is_kept_under_the_rules_that_measured(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    found = measure(shelf.path, CLEAN, 60)
    monkeypatch.setattr("armshare.study.drives.measures", lambda _: {"other": 1.0})
    assert measure(shelf.path, CLEAN, 60) == found
    monkeypatch.setattr("armshare.study.drives.rules_digest", lambda: "f" * 64)
    assert measure(shelf.path, CLEAN, 60) == Measured({"other": 1.0}, {"other": 1.0})


def test_drives_of_other_demonstrators_are_other_drives(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("armshare.study.drives.demonstrators_digest", lambda: "f" * 64)
    assert not Shelf(shelf.path).drive(CLEAN).exists()
    assert not Shelf(shelf.path).episodes("lift").exists()


def test_a_lesson_has_a_row_for_each_step_that_was_driven(shelf: Shelf):
    drive = make(shelf.path, CLEAN)
    with np.load(shelf.lesson(CLEAN.name)) as file:
        seen, then = file["seen"], file["then"]
    assert len(seen) == len(then) == drive.steps
    assert then.shape[1] == 7 * AHEAD
    assert np.abs(then).max() <= 1.0
    assert np.isfinite(seen).all()


def test_at_its_own_length_an_episode_is_what_it_was(clean: Episode):
    again = at_length(clean, clean.steps)
    for path in clean.arrays:
        if path.startswith(("observation/", "applied/", "progress", "success", "stage")):
            assert again.arrays[path] == pytest.approx(clean.arrays[path], abs=1e-6), path
    assert measures(again)[SCORE] == pytest.approx(measures(clean)[SCORE], abs=1e-6)


@pytest.mark.parametrize("times", [0.5, 2.0, 3.3])
def test_at_another_length_it_is_the_same_motion(clean: Episode, times: float):
    steps = round(times * clean.steps)
    spread = at_length(clean, steps)
    assert spread.steps == steps
    assert spread.meta.spec.control_hz == clean.meta.spec.control_hz
    for column in clean.meta.columns:
        rows = {"step": steps, "observation": steps + 1}.get(column.rows.value)
        if rows is not None:
            assert spread.arrays[column.path].shape == (rows, *column.shape)
            assert spread.arrays[column.path].dtype == column.dtype
    hand = spread.observation("ee_pose")
    assert hand[0] == pytest.approx(clean.observation("ee_pose")[0])
    assert hand[-1] == pytest.approx(clean.observation("ee_pose")[-1])
    assert np.linalg.norm(hand[:, 3:], axis=1) == pytest.approx(1.0)
    assert (np.diff(spread.t_observed_ns) > 0).all()
    assert spread.arrays["success"][-1] == 1


def test_at_equal_length_length_tells_nothing(shelf: Shelf):
    one, other = (measure(shelf.path, wanted, 60) for wanted in (CLEAN, DROPPED))
    assert one.as_driven[LENGTH] != other.as_driven[LENGTH]
    assert one.equal[LENGTH] == other.equal[LENGTH]


def test_a_limit_stays_at_its_moment(clean: Episode):
    limits = clean.arrays["limits"]
    spread = at_length(clean, 2 * clean.steps).arrays["limits"]
    assert set(np.unique(spread["rule"])) == set(np.unique(limits["rule"]))
    if len(limits):
        assert spread["step"].max() / (2 * clean.steps) == pytest.approx(limits["step"].max() / clean.steps, abs=0.03)
