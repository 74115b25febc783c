"""Demonstrations of known skill and defects are recorded as any drive is, and their labels fit the file's rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recorder.collect.demonstrated import Demonstration, demonstrated, job_of
from recorder.file.episode import read_episode
from recorder.proof.case import Trust
from recorder.proof.hubless import NO_HUB
from recorder.proof.manifest import EPISODE_FILE
from recorder.proof.verify import verify_bundle
from sim.catalogue import UnknownTaskError
from sim.demonstrators.defects import Defect, DefectError, Kind
from teleop.wire.driver import DriverKind

pytestmark = pytest.mark.slow


def test_labels_are_of_the_files_rows_and_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    job = job_of("panda", "lift", tmp_path / "made")
    wanted = [
        Demonstration("dropped", 7, 0.8, (Defect(Kind.DROP_AND_REGRASP),)),
        Demonstration("dropped-otherwise", 7, 0.8, (Defect(Kind.DROP_AND_REGRASP),), driver_seed=1),
    ]
    made = {one.wanted.episode: one for one in demonstrated(job, wanted, workers=1)}
    assert list(made) == [one.episode for one in wanted]
    assert made["dropped"].events != made["dropped-otherwise"].events
    for name, one in made.items():
        (event,) = one.events
        assert event.turn is not None
        verify_bundle(job.folder / name, Trust(NO_HUB))
        episode = read_episode(job.folder / name / EPISODE_FILE)
        assert episode.meta.driver is not None
        assert episode.meta.driver.kind is DriverKind.SCRIPT
        high = episode.observations["cube_pose"][:, 2]
        assert len(high) == one.attempt.steps + 1  # the last is what came of the last step
        assert high[event.start] > 0.05
        assert high[event.turn] < 0.03
        assert np.argmax(high[event.start :] < 0.03) + event.start <= event.turn
    assert list(demonstrated(job, wanted, workers=1)) == []


def test_what_cannot_be_demonstrated_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnknownTaskError):
        job_of("panda", "lfit", tmp_path)
    job = job_of("panda", "lift", tmp_path / "made")
    with pytest.raises(DefectError, match="no second thing"):
        list(demonstrated(job, [Demonstration("wrong", 1, 0.8, (Defect(Kind.WRONG_OBJECT),))], workers=1))
