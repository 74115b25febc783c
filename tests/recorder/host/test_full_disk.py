"""A full disk on the host ends the episode, in words; the recorder lives, and records again once there is room."""

from __future__ import annotations

import errno
import queue
import threading
from pathlib import Path

import h5py
import pytest
import structlog

from recorder.file.episode import read_episode
from recorder.host.recording import Recorder
from recorder.host.room import RESERVE_BYTES, Room, episode_bytes
from recorder.proof.seal import SealedEpisode
from teleop.files import write_atomic
from teleop.steps import CannotRecord, Events
from teleop.wire.reasons import EndReason
from tests.recorder.disk import Disk
from tests.recorder.factory import DOMAIN, ROBOT, fake_episode, fake_spec

PATIENCE_S = 20.0
PLENTY = 1 << 40


class Rig:
    """A recorder in its thread, what it told, and what it sealed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.free = folder, PLENTY
        self.told: queue.Queue[CannotRecord | None] = queue.Queue()
        self.sealed: queue.Queue[SealedEpisode] = queue.Queue()
        self.room = Room(folder, self.told.put, free=lambda _folder: self.free)
        self.recorder = Recorder(folder, ROBOT, DOMAIN, self.sealed.put, self.room)
        self.events = Events()
        self.thread = threading.Thread(target=self.recorder.run, args=(self.events,))

    def __enter__(self) -> Rig:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.events.put(None)
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def put(self, *events: object) -> None:
        for event in events:
            self.events.put(event)

    def hears(self) -> CannotRecord | None:
        return self.told.get(timeout=PATIENCE_S)

    def reason(self) -> EndReason:
        return read_episode(self.sealed.get(timeout=PATIENCE_S).folder / "episode.h5").end.reason


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_disk_that_fills_while_driving_is_told_and_the_next_episode_is_recorded(tmp_path: Path, disk: Disk) -> None:
    start, steps, end = fake_episode(45, episode="cut")
    with Rig(tmp_path) as rig:
        rig.put(start, *steps[:20])
        for _committed in ("its head", "ten steps", "twenty"):
            assert disk.committed.acquire(timeout=PATIENCE_S)
        disk.full = True
        rig.put(*steps[20:40])
        told = rig.hears()
        assert told is not None
        assert (told.says, told.reason, told.reason.valid) == ("its disk is full", EndReason.DISK_FULL, False)
        rig.put(*steps[40:], end)
        disk.frees()
        assert rig.hears() is None, "it can record again"
        rig.put(*flat(fake_episode(25, episode="next")))
        assert rig.reason() is EndReason.DISK_FULL
        assert rig.reason() is EndReason.FINISHED


def flat(episode: object) -> list[object]:
    start, steps, end = episode
    return [start, *steps, end]


def test_a_full_disk_at_the_start_leaves_nothing_half_written(tmp_path: Path, disk: Disk) -> None:
    with Rig(tmp_path) as rig:
        disk.full = True
        rig.put(*flat(fake_episode(12, episode="lost")))
        told = rig.hears()
        assert told is not None
        assert told.reason is EndReason.DISK_FULL
        disk.frees()
        assert rig.hears() is None
        rig.put(*flat(fake_episode(12, episode="next")))
        assert rig.reason() is EndReason.FINISHED
    assert list((tmp_path / "recording").iterdir()) == []


@pytest.mark.parametrize("writes", range(1, 12))
def test_whatever_the_disk_refuses_the_episode_is_sealed_once_there_is_room(
    tmp_path: Path, disk: Disk, writes: int
) -> None:
    """The journal's sync, the file's, the manifest's, the signatures', the chain's head, and each rename."""
    with Rig(tmp_path) as rig:
        disk.writes_left = 3 + writes  # the journal's name and head, and its first half second
        rig.put(*flat(fake_episode(12, episode="e1")))
        told = rig.hears()
        assert told is not None
        assert told.reason is EndReason.DISK_FULL
        disk.frees()
        assert rig.hears() is None
        rig.put(*flat(fake_episode(12, episode="e2")))
        first, second = rig.sealed.get(timeout=PATIENCE_S), rig.sealed.get(timeout=PATIENCE_S)
    assert (first.episode, second.episode) == ("e1", "e2")
    assert list((tmp_path / "recording").iterdir()) == []
    assert (tmp_path / "previous").read_text() == second.digest


def test_an_hdf5_library_that_finds_no_room_leaves_nothing(tmp_path: Path, disk: Disk, monkeypatch) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "Can't write data")

    with Rig(tmp_path) as rig:
        with monkeypatch.context() as patched:
            patched.setattr(h5py.File, "flush", refuses)
            rig.put(*flat(fake_episode(12, episode="e1")))
            assert rig.hears() is not None
            assert not list((tmp_path / "recording").glob("*.tmp"))
        assert rig.reason() is EndReason.FINISHED


def test_too_little_room_is_told_before_a_drive_and_again_once_there_is_enough(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.free = RESERVE_BYTES - 1
    with rig:
        told = rig.hears()
        assert told is not None
        assert told == CannotRecord("its disk has 63 MiB free, and recording needs 64 MiB", EndReason.DISK_FULL)
        rig.free = RESERVE_BYTES + 1
        rig.room.check()
        assert rig.told.empty(), "not in turns at the threshold"
        rig.free = PLENTY
        assert rig.hears() is None
    assert not (tmp_path / "probe").exists()


def test_what_a_crash_left_waits_for_room_too(tmp_path: Path, disk: Disk) -> None:
    before = Rig(tmp_path)
    with before:
        disk.writes_left = 4
        before.put(*flat(fake_episode(12, episode="left")))
        assert before.hears() is not None
    after = Rig(tmp_path)
    assert after.recorder.recover() == [], "the disk is still full, and the host starts all the same"
    assert after.room.trouble is not None
    disk.frees()
    with after:
        assert after.sealed.get(timeout=PATIENCE_S).episode == "left"


def test_another_failure_of_the_recorder_is_told_too(tmp_path: Path, disk: Disk) -> None:
    disk.error = errno.EIO
    start, steps, end = fake_episode(25, episode="broken")
    with Rig(tmp_path) as rig:
        disk.full = True
        rig.put(start, *steps, end)
        told = rig.hears()
        assert told == CannotRecord("its disk failed (Input/output error)", EndReason.RECORDER_FAILED)
        disk.frees()
        assert rig.hears() is None


def test_a_log_on_the_full_disk_does_not_end_the_recorder(tmp_path: Path, disk: Disk) -> None:
    """Its lines went to a file on the same disk, and the error of one that could not be written ended its thread."""

    def refuses(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = structlog.get_config()
    structlog.configure(processors=[refuses], cache_logger_on_first_use=False)
    try:
        with Rig(tmp_path) as rig:
            disk.full = True
            rig.put(*flat(fake_episode(12, episode="lost")))
            assert rig.hears() is not None
            disk.frees()
            assert rig.hears() is None
    finally:
        structlog.configure(**before)


def test_a_room_is_as_large_as_the_robots_longest_episode(tmp_path: Path) -> None:
    spec = fake_spec()
    assert spec.task is not None
    start, steps, end = fake_episode(spec.task.max_steps, episode="whole")
    with Rig(tmp_path) as rig:
        rig.put(start, *steps, end)
        sealed = rig.sealed.get(timeout=PATIENCE_S)
    assert (sealed.folder / "episode.h5").stat().st_size * 2 < episode_bytes(spec) + RESERVE_BYTES


def test_an_atomic_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, disk: Disk) -> None:
    write_atomic(tmp_path / "previous", b"old")
    disk.full = True
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "previous", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["previous"]
    assert (tmp_path / "previous").read_bytes() == b"old"
