"""A crash at any instant leaves a readable episode, short of its last half second, and never a valid one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recorder.file.episode import MissingDatasetError, UnreadableFileError, read_episode
from recorder.file.part import NothingRecordedError, recover
from recorder.file.writer import EpisodeWriter
from teleop.wire.reasons import EndReason
from tests.recorder.factory import fake_episode, fake_start

ROOT = Path(__file__).parents[3]


def killed_recording(part: Path, steps: int) -> int:
    """Let another process record, kill -9 it after it appended `steps`; return the last step that it said."""
    command = [sys.executable, "-m", "tests.recorder.crash_child", str(part)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as said:
        for line in said:
            if int(line) >= steps:
                child.send_signal(signal.SIGKILL)
                break
        rest = said.read().split()
    assert child.wait() == -signal.SIGKILL
    return int(rest[-1]) if rest else steps


@pytest.mark.parametrize("steps", [10, 57, 234])
def test_a_killed_recorder_loses_at_most_half_a_second_of_steps(tmp_path: Path, steps: int) -> None:
    part, clean = tmp_path / "e.part.h5", tmp_path / "e.h5"
    said = killed_recording(part, steps)

    recover(part, clean)
    episode = read_episode(clean)

    assert said + 1 - 10 <= episode.steps <= said + 2
    assert episode.end.reason is EndReason.HOST_LOST
    assert not episode.end.reason.valid
    _, made, _ = fake_episode(5000, joints=7)
    expected = [step.applied.joint_position for step in made[: episode.steps]]
    assert np.array_equal(episode.applied_joint_position, expected)
    assert np.array_equal(
        episode.observation("joint_position")[1:],
        [step.observed.values["joint_position"] for step in made[: episode.steps]],
    )


def test_a_crash_before_the_first_committed_step_leaves_nothing_to_recover(tmp_path: Path) -> None:
    EpisodeWriter.start(tmp_path / "e.part.h5", fake_start(), {}).abandon()

    with pytest.raises(NothingRecordedError):
        recover(tmp_path / "e.part.h5", tmp_path / "e.h5")


def part_of(folder: Path, steps: int = 30) -> Path:
    start, made, _ = fake_episode(steps)
    writer = EpisodeWriter.start(folder / "e.part.h5", start, {})
    for step in made:
        writer.append(step)
    writer.abandon()
    return folder / "e.part.h5"


def test_rows_that_were_not_committed_do_not_count(tmp_path: Path) -> None:
    recover(part_of(tmp_path, 29), tmp_path / "e.h5")

    assert read_episode(tmp_path / "e.h5").steps == 20


def test_recovering_twice_gives_the_same_file(tmp_path: Path) -> None:
    part = part_of(tmp_path)
    recover(part, tmp_path / "a.h5")
    recover(part, tmp_path / "b.h5")

    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("keep", [0.0, 0.05, 0.5])
def test_a_truncated_recording_is_refused_by_name(tmp_path: Path, keep: float) -> None:
    part = part_of(tmp_path)
    os.truncate(part, int(part.stat().st_size * keep))

    with pytest.raises((UnreadableFileError, MissingDatasetError)):
        recover(part, tmp_path / "e.h5")
    assert not (tmp_path / "e.h5").exists()


def test_garbage_is_refused_by_name(tmp_path: Path) -> None:
    part = tmp_path / "e.part.h5"
    part.write_bytes(np.random.default_rng(1).bytes(40_000))

    with pytest.raises(UnreadableFileError, match=r"e\.part\.h5"):
        recover(part, tmp_path / "e.h5")
