"""What is said while driving is in the journal as it comes: a crash loses it only with the half second around it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.file.episode import UnreadableFileError, read_episode
from recorder.file.journal import Kind, NothingRecordedError, finish, open_journal, read_journal
from recorder.file.meta import start_meta
from recorder.file.writer import EpisodeWriter, commit_steps
from teleop.records import RecordFile
from teleop.steps import Note
from teleop.wire.notes import NOTES_MAX
from teleop.wire.reasons import EndReason
from tests.recorder.factory import fake_end, fake_episode

ROOT = Path(__file__).parents[3]
CHILD = """
import sys
from pathlib import Path
from tests.recorder.file.test_notes_kept import record
record(Path(sys.argv[1]))
"""
EVERY = 3
"""A note comes before every third step."""


def said_at(index: int, t_ns: int) -> Note:
    return Note(t_ns, f"before step {index}: 滑った")


def record(journal: Path) -> None:
    """Record and say so, step by step, until this process is killed."""
    start, steps, _ = fake_episode(5000)
    writer = EpisodeWriter.start(journal, start, {})
    for step in steps:
        if step.index % EVERY == 0:
            writer.note(said_at(step.index, step.t_began_ns))
        writer.append(step)
        sys.stdout.write(f"{step.index}\n")
        sys.stdout.flush()


@pytest.mark.slow
def test_a_killed_recorder_keeps_the_notes_of_the_steps_that_it_keeps(tmp_path: Path) -> None:
    journal, clean = tmp_path / "e.journal", tmp_path / "e.h5"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(journal)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as said:
        for line in said:
            if int(line) >= 57:
                child.send_signal(signal.SIGKILL)
                break
        rest = said.read().split()
    assert child.wait() == -signal.SIGKILL
    assert not finish(journal, clean)
    episode = read_episode(clean)
    assert episode.end.reason is EndReason.HOST_LOST
    assert episode.steps >= 50
    _, steps, _ = fake_episode(5000)
    expected = [said_at(step.index, step.t_began_ns) for step in steps[: episode.steps : EVERY]]
    found = [(int(one.t_mono_ns), one.text) for one in episode.meta.notes]
    assert found[: len(expected)] == [(one.t_mono_ns, one.text) for one in expected]
    assert len(found) <= len(expected) + 1, "one may have come after the last step"
    assert int(rest[-1] if rest else 57) + 1 - episode.steps <= commit_steps(20.0)


def journal_of(folder: Path, notes: int = 2, steps: int = 6) -> Path:
    """A journal that was cut off after its last step, with a note before each of its first steps."""
    start, made, _ = fake_episode(steps)
    path = folder / "e.journal"
    writer = EpisodeWriter.start(path, start, {})
    for step in made:
        if step.index < notes:
            writer.note(said_at(step.index, step.t_began_ns))
        writer.append(step)
    writer._commit()
    writer.abandon()
    return path


def test_wherever_a_journal_is_cut_off_the_notes_up_to_there_are_kept(tmp_path: Path) -> None:
    path = journal_of(tmp_path)
    whole = path.read_bytes()
    counts = []
    for size in range(whole.index(b"before step 0"), len(whole) + 1, 7):
        path.write_bytes(whole[:size])
        with contextlib.suppress(NothingRecordedError):  # before the first step
            counts.append(len(read_journal(path).notes))
    assert counts == sorted(counts)
    assert set(counts) == {1, 2}


def test_an_episode_that_ended_has_what_its_end_says(tmp_path: Path) -> None:
    start, steps, _ = fake_episode(4)
    writer = EpisodeWriter.start(tmp_path / "e.journal", start, {})
    note = said_at(0, steps[0].t_began_ns)
    writer.note(note)
    for step in steps:
        writer.append(step)
    end = fake_end(start, steps)
    writer.end(type(end)(**{**{name: getattr(end, name) for name in end.__slots__}, "notes": (note,)}))
    assert finish(tmp_path / "e.journal", tmp_path / "e.h5")
    assert [one.text for one in read_episode(tmp_path / "e.h5").meta.notes] == [note.text]


def damaged(folder: Path, *bodies: bytes) -> Path:
    """A journal whose records of notes have these bodies, with checksums that are right."""
    start, steps, _ = fake_episode(3)
    made = journal_of(folder, 0, 3)
    made.unlink()
    journal: RecordFile = open_journal(made, start_meta(start, {}))
    writer = EpisodeWriter(journal, start_meta(start, {}))
    journal.add(Kind.FIRST, writer._rows.first(start))
    for body in bodies:
        journal.add(Kind.NOTE, body)
    for step in steps:
        writer.append(step)
    writer._commit()
    writer.abandon()
    return made


@pytest.mark.parametrize(
    "bodies",
    [
        [b""],
        [bytes(8)],
        [bytes(7) + b"x"],
        [bytes(8) + b"\xff\xfe"],
        [bytes(8) + b"x" * 281],
        [bytes(8) + b"two\nlines"],
        [bytes(8) + b"x"] * (NOTES_MAX + 1),
    ],
)
def test_what_is_no_note_makes_a_journal_unreadable_by_name(tmp_path: Path, bodies: list[bytes]) -> None:
    with pytest.raises(UnreadableFileError, match="does not fit its robot"):
        read_journal(damaged(tmp_path, *bodies))
