"""Steps in which nobody drove: left out of an export unless they are asked for; what came of them is not lost."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recorder.export.demonstrations import demonstrations, frames
from recorder.export.errors import ActionError
from recorder.export.lerobot import export
from teleop.wire.messages import Safety
from tests.recorder.bundles import good_bundle
from tests.recorder.driving import GOOD, GOOD_SAFETY, drive
from tests.recorder.export import made
from tests.recorder.export.test_lerobot import data, episodes, video

DRIVEN = [step for step, state in enumerate(GOOD_SAFETY) if state is Safety.DRIVING]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An episode that was driven, held, driven again, and reached its task's end while nobody drove any more."""
    start, steps, end = drive(GOOD, GOOD_SAFETY)
    last = len(steps) - 1
    done = [
        dataclasses.replace(step, observed=dataclasses.replace(step.observed, success=index == last))
        for index, step in enumerate(steps)
    ]
    return good_bundle(tmp_path, made=(start, done, end))


def test_only_driven_steps_are_exported(bundle: Path) -> None:
    assert GOOD_SAFETY[-1] is not Safety.DRIVING
    (one,) = made.found([bundle])
    assert one.steps.tolist() == DRIVEN
    assert [frame.index for frame in frames(one)] == DRIVEN
    assert all(frame.driven for frame in frames(one))
    assert made.found([bundle]).steps == len(DRIVEN)


def test_all_steps_are_there_if_they_are_asked_for(bundle: Path, tmp_path: Path) -> None:
    found = made.found([bundle], driven_only=False)
    export(found, tmp_path / "set")
    assert data(tmp_path / "set")["driven"].to_pylist() == [state is Safety.DRIVING for state in GOOD_SAFETY]
    assert [frame.index for frame in frames(next(iter(found)))] == list(range(len(GOOD)))


def test_what_came_of_steps_that_are_left_out_is_told_by_the_step_before_them(bundle: Path, tmp_path: Path) -> None:
    export(made.found([bundle]), tmp_path / "set")
    table = data(tmp_path / "set")
    assert table["step"].to_pylist() == DRIVEN
    assert table["next.success"].to_pylist() == [False] * (len(DRIVEN) - 1) + [True]
    progress = next(iter(made.found([bundle]))).episode.arrays["progress"]
    assert sum(table["next.reward"].to_pylist()) == pytest.approx(progress[-1] - progress[0])
    np.testing.assert_allclose(table["timestamp"].to_numpy(), np.arange(len(DRIVEN)) / 20, atol=1e-6)
    assert len(pq.read_table(tmp_path / "set/sarm_progress.parquet")) == len(DRIVEN)


def test_a_gap_in_the_steps_is_a_gap_in_the_video(bundle: Path, tmp_path: Path) -> None:
    done = export(made.found([bundle]), tmp_path / "set")
    assert (done.copied, done.encoded) == (0, 1), "H.264 with pictures missing cannot be copied"
    (row,) = episodes(tmp_path / "set")
    (one,) = made.found([bundle])
    for pixels, frame in zip(video(tmp_path / "set", row), frames(one), strict=True):
        assert np.abs(pixels.astype(int) - frame.pictures["front"]).mean() < 8


def test_an_episode_that_nobody_drove_is_refused_by_name(tmp_path: Path) -> None:
    bundle = good_bundle(tmp_path, made=drive(GOOD, [Safety.EXPIRED] * len(GOOD)))
    with pytest.raises(ActionError, match="episode-1 was not driven in any"):
        demonstrations([bundle], action="joint_position")
