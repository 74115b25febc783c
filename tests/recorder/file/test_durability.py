"""What a recording says is kept is on the disk: synced before it counts, not only written."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from recorder.file import part as parts
from recorder.file.part import read_part
from recorder.file.writer import EpisodeWriter
from tests.recorder.factory import fake_episode


class Disk:
    """What a power cut would leave: of each file, the bytes that it had when it was last synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: list[str] = []
        self.kept: dict[str, bytes] = {}
        real = os.fsync

        def fsync(descriptor: int) -> None:
            real(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.synced.append(str(path))
            if path.is_file():
                self.kept[str(path)] = path.read_bytes()

        monkeypatch.setattr(os, "fsync", fsync)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


def committed_in(file: h5py.File) -> int:
    return int(file["committed"][0])


def test_rows_are_synced_before_they_count(tmp_path, disk, monkeypatch):
    """At the moment of the sync the rows are in the file, and `/committed` does not say so yet."""
    start, steps, _end = fake_episode(20)
    path = tmp_path / "one.part.h5"
    writer = EpisodeWriter.start(path, start, {})
    counted: list[tuple[int, int]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        counted.append((committed_in(writer._file), writer._file["time/t_sent_mono_ns"].shape[0]))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for step in steps:
        writer.append(step)
    assert counted == [(0, 10), (10, 20)]
    writer.abandon()


def test_what_was_synced_holds_every_step_of_the_commit_before(tmp_path, disk):
    start, steps, _end = fake_episode(30)
    path = tmp_path / "one.part.h5"
    writer = EpisodeWriter.start(path, start, {})
    before = len(disk.synced)
    for step in steps:
        writer.append(step)
    assert disk.synced[before:] == [str(path)] * 3, "one sync a commit"
    after_power_cut = tmp_path / "cut.part.h5"
    after_power_cut.write_bytes(disk.kept[str(path)])
    writer.abandon()
    kept = read_part(after_power_cut)
    assert kept.steps == 20
    assert np.array_equal(kept.arrays["time/t_sent_mono_ns"], [step.t_sent_ns for step in steps[:20]])


def test_a_commit_whose_sync_fails_does_not_count(tmp_path, monkeypatch):
    start, steps, _end = fake_episode(20)
    path = tmp_path / "one.part.h5"
    writer = EpisodeWriter.start(path, start, {})
    for step in steps[:19]:
        writer.append(step)

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        writer.append(steps[19])
    assert committed_in(writer._file) == 10
    writer.abandon()
    assert read_part(path).steps == 10


def test_a_finished_file_is_synced_before_it_has_its_name(tmp_path, disk, monkeypatch):
    start, steps, end = fake_episode(5)
    path, clean = tmp_path / "one.part.h5", tmp_path / "one.h5"
    writer = EpisodeWriter.start(path, start, {})
    for step in steps:
        writer.append(step)
    moved: list[list[str]] = []
    real = parts.move

    def move(source: Path, target: Path) -> None:
        moved.append([one for one in disk.synced if one == str(source)])
        real(source, target)

    monkeypatch.setattr(parts, "move", move)
    writer.finish(end, clean)
    assert moved == [[str(clean) + ".tmp"]]
    assert disk.synced[-1] == str(tmp_path), "and its name is"


def test_an_open_file_has_its_name_on_the_disk_before_a_step_is_taken(tmp_path, disk):
    writer = EpisodeWriter.start(tmp_path / "one.part.h5", fake_episode(1)[0], {})
    assert str(tmp_path) in disk.synced
    writer.abandon()
