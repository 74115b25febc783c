"""A crash at any instant leaves a readable episode, short of its last half second, and never a valid one."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.file.episode import EpisodeError, UnreadableFileError, read_episode
from recorder.file.journal import (
    Journal,
    Kind,
    NothingRecordedError,
    end_record,
    finish,
    open_journal,
    read_journal,
)
from recorder.file.meta import end_meta, start_meta
from recorder.file.rows import FIRST_ROWS, STEP_ROWS, row_type
from recorder.file.writer import EpisodeWriter
from teleop.wire.reasons import EndReason
from tests.recorder.factory import fake_end, fake_episode, fake_start

ROOT = Path(__file__).parents[3]
STEPS = 30


def killed_recording(journal: Path, steps: int) -> int:
    """Let another process record, kill -9 it after it appended `steps`; return the last step that it said."""
    command = [sys.executable, "-m", "tests.recorder.crash_child", str(journal)]
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
    journal, clean = tmp_path / "e.journal", tmp_path / "e.h5"
    said = killed_recording(journal, steps)

    assert not finish(journal, clean)
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
    EpisodeWriter.start(tmp_path / "e.journal", fake_start(), {}).abandon()

    with pytest.raises(NothingRecordedError):
        finish(tmp_path / "e.journal", tmp_path / "e.h5")


def journal_of(folder: Path, steps: int = STEPS, *, ended: bool = False) -> Path:
    start, made, _ = fake_episode(steps)
    writer = EpisodeWriter.start(folder / "e.journal", start, {})
    for step in made:
        writer.append(step)
    if ended:
        writer.end(fake_end(start, made))
    writer.abandon()
    return folder / "e.journal"


def test_steps_that_were_not_committed_do_not_count(tmp_path: Path) -> None:
    finish(journal_of(tmp_path, 29), tmp_path / "e.h5")

    assert read_episode(tmp_path / "e.h5").steps == 20


def test_a_crash_after_the_end_leaves_the_episode_as_it_ended(tmp_path: Path) -> None:
    assert finish(journal_of(tmp_path, 29, ended=True), tmp_path / "e.h5")

    episode = read_episode(tmp_path / "e.h5")
    assert (episode.steps, episode.end.reason) == (29, EndReason.FINISHED)
    assert not (tmp_path / "e.journal").exists()


def test_a_journal_is_kept_until_its_file_is_there(tmp_path: Path) -> None:
    journal = journal_of(tmp_path)
    (tmp_path / "absent").mkdir()

    with pytest.raises(OSError, match="absent"):
        finish(journal, tmp_path / "absent" / "no folder" / "e.h5")
    assert read_journal(journal).steps == STEPS


@dataclass(frozen=True, slots=True)
class Whole:
    """A journal that ended, and where each of its records begins and ends: FORMAT.md, written down once more."""

    data: bytes
    found: Journal
    bounds: list[tuple[int, int]]

    def steps_before(self, at: int) -> int:
        """Return how many whole steps lie before a byte."""
        return sum(end <= at and kind == Kind.STEP for (_, end), kind in zip(self.bounds, self.kinds, strict=True))

    def step(self, index: int) -> tuple[int, int]:
        """Return where a step, with the commands that it takes, begins and ends."""
        at = [row for row, kind in enumerate(self.kinds) if kind == Kind.STEP][index]
        return self.bounds[at - 1][0], self.bounds[at][1]

    @property
    def kinds(self) -> list[int]:
        """What each record holds."""
        return [self.data[begin + 4] for begin, _ in self.bounds]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Return one of 30 steps."""
    journal = journal_of(tmp_path_factory.mktemp("whole"), ended=True)
    data = journal.read_bytes()
    at = 24 + int.from_bytes(data[20:24], "little") + 4
    bounds = []
    while at < len(data):
        end = at + 5 + int.from_bytes(data[at : at + 4], "little") + 4
        bounds.append((at, end))
        at = end
    made = Whole(data, read_journal(journal), bounds)
    assert made.kinds == [Kind.FIRST, *STEPS * [Kind.COMMANDS, Kind.STEP], Kind.END]
    return made


def require_beginning(folder: Path, whole: Whole, data: bytes, at: int) -> None:
    """Require of damaged data every step that lies whole before byte `at`, no other, and no end."""
    (folder / "e.journal").write_bytes(data)
    expected = whole.steps_before(at)
    try:
        found = read_journal(folder / "e.journal")
    except EpisodeError:
        assert expected == 0
        return
    assert (found.steps, found.end) == (expected, None)
    for path, array in found.arrays.items():
        assert np.array_equal(array, whole.found.arrays[path][: len(array)], equal_nan=array.dtype.kind == "f"), path


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_truncated_journal_gives_every_step_before_the_cut(
    whole: Whole, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(whole.data) - 1))

    require_beginning(tmp_path_factory.mktemp("cut"), whole, whole.data[:cut], cut)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_ends_the_episode_before_it_and_is_never_read(
    whole: Whole, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(whole.data) - 1))
    flipped = bytearray(whole.data)
    flipped[at] ^= data.draw(st.integers(1, 255))

    require_beginning(tmp_path_factory.mktemp("flip"), whole, bytes(flipped), at)


@pytest.mark.parametrize("steps", [1, 7, STEPS])
def test_every_whole_record_counts(tmp_path: Path, whole: Whole, steps: int) -> None:
    (tmp_path / "e.journal").write_bytes(whole.data[: whole.step(steps - 1)[1]])

    assert not finish(tmp_path / "e.journal", tmp_path / "e.h5")
    episode = read_episode(tmp_path / "e.h5")
    assert (episode.steps, episode.end.reason) == (steps, EndReason.HOST_LOST)


@pytest.mark.parametrize("change", ["swapped", "repeated", "missing"])
def test_records_out_of_place_are_damage_though_each_is_whole(tmp_path: Path, whole: Whole, change: str) -> None:
    begin, first = whole.bounds[0]
    records = [whole.data[begin:first], *(whole.data[slice(*whole.step(index))] for index in range(4))]
    order = {"swapped": [0, 1, 3, 2], "repeated": [0, 1, 1, 2], "missing": [0, 1, 3, 4]}[change]
    (tmp_path / "e.journal").write_bytes(whole.data[:begin] + b"".join(records[index] for index in order))

    assert read_journal(tmp_path / "e.journal").steps == 1


def test_zeros_that_a_power_cut_leaves_at_the_end_are_not_steps(tmp_path: Path, whole: Whole) -> None:
    (tmp_path / "e.journal").write_bytes(whole.data[: whole.step(11)[1]] + bytes(5000))

    found = read_journal(tmp_path / "e.journal")
    assert (found.steps, found.end) == (12, None)


@pytest.mark.parametrize("steps", [1, 7, STEPS])
def test_commands_whose_step_never_came_do_not_count(tmp_path: Path, whole: Whole, steps: int) -> None:
    at = whole.bounds.index(next(one for one in whole.bounds if one[1] == whole.step(steps - 1)[1]))
    (tmp_path / "e.journal").write_bytes(whole.data[: whole.bounds[at - 1][1]])

    with contextlib.suppress(NothingRecordedError):
        found = read_journal(tmp_path / "e.journal")
        assert found.steps == steps - 1
        assert found.arrays["commands/step"].max() == steps - 2
        assert found.arrays["commands/end"][-1] == len(found.arrays["commands/bytes"])
        return
    assert steps == 1


META = start_meta(fake_start(), {})
_FIRST, _STEP = (bytes(row_type(META.columns, kinds).itemsize) for kinds in (FIRST_ROWS, STEP_ROWS))
_END = end_record(end_meta(fake_end(fake_start(), [])))


@pytest.mark.parametrize(
    "records",
    [
        [(Kind.STEP, b"short")],
        [(Kind.FIRST, bytes(8))],
        [(Kind.END, b"{}")],
        [(7, b"")],
        [(Kind.COMMANDS, b"")],
        [(Kind.FIRST, _FIRST), (Kind.COMMANDS, b""), (Kind.COMMANDS, b"")],
        [(Kind.FIRST, _FIRST), (Kind.COMMANDS, b""), (Kind.END, _END)],
        [(Kind.FIRST, _FIRST), (Kind.COMMANDS, bytes(10)), (Kind.STEP, _STEP)],
        [(Kind.FIRST, _FIRST), (Kind.COMMANDS, bytes(9) + b"\x05\x00four"), (Kind.STEP, _STEP)],
    ],
)
def test_a_whole_record_that_its_robot_cannot_have_made_is_refused_by_name(
    tmp_path: Path, records: list[tuple[Kind, bytes]]
) -> None:
    journal = open_journal(tmp_path / "e.journal", META)
    for kind, body in records:
        journal.add(kind, body)
    journal.commit()
    journal.close()

    with pytest.raises(UnreadableFileError, match=r"e\.journal: a record is whole, but"):
        read_journal(tmp_path / "e.journal")


@pytest.mark.parametrize("size", [0, 10, 40_000])
def test_garbage_is_refused_by_name(tmp_path: Path, size: int) -> None:
    journal = tmp_path / "e.journal"
    journal.write_bytes(np.random.default_rng(1).bytes(size))

    with pytest.raises(UnreadableFileError, match=r"e\.journal"):
        finish(journal, tmp_path / "e.h5")
    assert journal.exists()
