"""What a recording says is kept is on the disk: synced before it counts, not only written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from recorder.file import journal
from recorder.file.journal import finish, read_journal
from recorder.file.writer import EpisodeWriter
from teleop import files
from tests.recorder.factory import fake_episode


class Disk:
    """What a power cut would leave: of each file, the bytes that it had when it was last synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[str] = []
        self.kept: dict[str, bytes] = {}
        for module, name in ((os, "fsync"), (files, "_sync_data")):
            monkeypatch.setattr(module, name, self._noting(getattr(module, name)))

    def _noting(self, real):
        def sync(descriptor: int) -> None:
            real(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.synced.append(str(path))
            if path.is_file():
                self.kept[str(path)] = path.read_bytes()

        return sync


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


def test_what_was_synced_holds_every_step_of_the_commits_so_far(tmp_path, disk):
    start, steps, _end = fake_episode(35)
    path = tmp_path / "one.journal"
    writer = EpisodeWriter.start(path, start, {})
    before = len(disk.synced)
    for step in steps:
        writer.append(step)
    assert disk.synced[before:] == [str(path)] * 3, "one sync a commit"
    after_power_cut = tmp_path / "cut.journal"
    after_power_cut.write_bytes(disk.kept[str(path)])
    writer.abandon()
    kept = read_journal(after_power_cut)
    assert kept.steps == 30
    assert np.array_equal(kept.arrays["time/t_sent_mono_ns"], [step.t_sent_ns for step in steps[:30]])


def test_a_commit_whose_sync_fails_is_said_and_loses_nothing_from_before(tmp_path, monkeypatch):
    start, steps, _end = fake_episode(20)
    path = tmp_path / "one.journal"
    writer = EpisodeWriter.start(path, start, {})
    for step in steps[:19]:
        writer.append(step)

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(files, "_sync_data", full)
    with pytest.raises(OSError, match="no space"):
        writer.append(steps[19])
    writer.abandon()
    assert read_journal(path).steps >= 10


def test_an_end_is_synced_before_the_journal_is_closed(tmp_path, disk):
    start, steps, end = fake_episode(5)
    path = tmp_path / "one.journal"
    writer = EpisodeWriter.start(path, start, {})
    for step in steps:
        writer.append(step)
    writer.end(end)
    cut = tmp_path / "cut.journal"
    cut.write_bytes(disk.kept[str(path)])
    assert read_journal(cut).end is not None


def test_a_finished_file_is_synced_before_it_has_its_name_and_the_journal_outlives_both(tmp_path, disk, monkeypatch):
    start, steps, end = fake_episode(5)
    path, clean = tmp_path / "one.journal", tmp_path / "one.h5"
    writer = EpisodeWriter.start(path, start, {})
    for step in steps:
        writer.append(step)
    writer.end(end)
    moved: list[tuple[list[str], bool]] = []
    real = journal.move

    def move(source: Path, target: Path) -> None:
        moved.append(([one for one in disk.synced if one == str(source)], path.exists()))
        real(source, target)

    monkeypatch.setattr(journal, "move", move)
    finish(path, clean)
    assert moved == [([str(clean) + ".tmp"], True)]
    assert disk.synced[-1] == str(tmp_path), "and its name is"
    assert not path.exists()


def test_an_open_file_has_its_name_on_the_disk_before_a_step_is_taken(tmp_path, disk):
    writer = EpisodeWriter.start(tmp_path / "one.journal", fake_episode(1)[0], {})
    assert str(tmp_path) in disk.synced
    writer.abandon()
