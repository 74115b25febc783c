"""The host's recorder: from the queue of events to sealed bundles, through every crash on the way."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from pathlib import Path

import h5py
import pytest

from recorder.file.episode import Episode, read_episode
from recorder.file.journal import finish, read_journal
from recorder.file.writer import EpisodeWriter
from recorder.host import sealer
from recorder.host.recording import Recorder
from recorder.proof import manifest as manifests
from recorder.proof.bundle import opened, read_bundle
from recorder.proof.case import Trust
from recorder.proof.manifest import NO_PREVIOUS
from recorder.proof.refusals import OperatorSignatureInvalid
from recorder.proof.seal import SealedEpisode, seal
from recorder.proof.verify import verify_bundle
from teleop.records import RecordFile
from teleop.steps import EpisodeEvent, Events
from teleop.wire.reasons import EndReason
from tests.recorder.bundles import record
from tests.recorder.factory import DOMAIN, ROBOT, fake_end, fake_episode, fake_start


def events_of(*episodes: object) -> Events:
    events = Events()
    for start, steps, end in episodes:
        for event in (start, *steps, end):
            if event is not None:
                events.put(event)
    events.put(None)
    return events


def recorder(folder: Path) -> tuple[Recorder, list[SealedEpisode]]:
    handed: list[SealedEpisode] = []
    return Recorder(folder, ROBOT, DOMAIN, handed.append), handed


def test_each_episode_is_sealed_and_continues_the_one_before(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    made.run(events_of(*(fake_episode(25, episode=f"e{number}", seed=number) for number in range(3))))

    assert [one.episode for one in handed] == ["e0", "e1", "e2"]
    previous = NO_PREVIOUS
    for one in handed:
        with pytest.raises(OperatorSignatureInvalid, match="none yet"):  # all gates before it have passed
            verify_bundle(one.folder, Trust(DOMAIN))
        assert manifests.decode((one.folder / "manifest.json").read_bytes()).previous == previous
        previous = one.digest
    assert list((tmp_path / "recording").iterdir()) == []


def test_the_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    first, handed = recorder(tmp_path)
    first.run(events_of(fake_episode(episode="e0")))
    second, more = recorder(tmp_path)
    second.run(events_of(fake_episode(episode="e1")))

    manifest = manifests.decode((more[0].folder / "manifest.json").read_bytes())
    assert manifest.previous == handed[0].digest


def test_an_episode_without_a_step_is_not_kept(tmp_path: Path) -> None:
    start = fake_start("empty")
    made, handed = recorder(tmp_path)
    made.run(events_of((start, [], fake_end(start, [])), fake_episode(episode="next")))

    assert [one.episode for one in handed] == ["next"]
    assert list((tmp_path / "recording").iterdir()) == []


@pytest.mark.parametrize("reason", [reason for reason in EndReason if not reason.valid])
def test_an_accident_is_sealed_as_invalid_with_its_reason(tmp_path: Path, reason: EndReason) -> None:
    made, handed = recorder(tmp_path)
    made.run(events_of(fake_episode(reason=reason)))

    manifest = manifests.decode((handed[0].folder / "manifest.json").read_bytes())
    assert (manifest.valid, manifest.reason, handed[0].valid) == (False, reason, False)


def test_a_broken_stream_ends_one_episode_and_not_the_next(tmp_path: Path) -> None:
    start, steps, end = fake_episode(40, episode="broken")
    del steps[30]
    made, handed = recorder(tmp_path)
    made.run(events_of((start, steps, dataclasses.replace(end, steps=39)), fake_episode(episode="next")))

    assert [(one.episode, one.valid) for one in handed] == [("broken", False), ("next", True)]
    episode = read_episode(handed[0].folder / "episode.h5")
    assert (episode.steps, episode.end.reason) == (30, EndReason.RECORDER_FAILED)


def test_a_host_that_stops_in_the_middle_recovers_the_episode_when_it_starts(tmp_path: Path) -> None:
    start, steps, _ = fake_episode(40, episode="open")
    made, handed = recorder(tmp_path)
    made.run(events_of((start, steps[:25], None)))
    assert handed == []

    again, handed = recorder(tmp_path)
    recovered = again.recover()

    assert recovered == handed
    manifest = manifests.decode((handed[0].folder / "manifest.json").read_bytes())
    assert (manifest.steps, manifest.valid, manifest.reason) == (20, False, EndReason.HOST_LOST)
    assert again.recover() == []


def test_a_crash_between_finishing_and_sealing_loses_nothing(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    record(tmp_path / "recording", fake_episode(episode="finished"))
    made.recover()

    assert [(one.episode, one.valid) for one in handed] == [("finished", True)]


def journal_in(folder: Path, name: str, *, ended: bool) -> Path:
    start, steps, end = fake_episode(episode=name)
    journal = folder / "recording" / f"{name}.journal"
    writer = EpisodeWriter.start(journal, start, {})
    for step in steps:
        writer.append(step)
    if ended:
        writer.end(end)
    writer.abandon()
    return journal


def test_a_crash_between_the_end_and_the_file_loses_nothing(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    journal_in(tmp_path, "ended", ended=True)
    journal_in(tmp_path, "open", ended=False)
    made.recover()

    assert [(one.episode, one.valid) for one in handed] == [("ended", True), ("open", False)]
    assert list((tmp_path / "recording").iterdir()) == []


def test_a_crash_before_the_journal_was_removed_leaves_one_episode(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    journal = journal_in(tmp_path, "e0", ended=True)
    kept = journal.read_bytes()
    finish(journal, journal.with_suffix(".h5"))
    journal.write_bytes(kept)
    made.recover()

    assert [(one.episode, one.valid) for one in handed] == [("e0", True)]
    assert list((tmp_path / "recording").iterdir()) == []


def test_a_disk_that_fills_up_ends_one_episode_and_not_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, commits = RecordFile.commit, itertools.count()

    def full(journal: RecordFile) -> None:
        if next(commits) == 3:
            raise OSError(28, "no space left on device")
        commit(journal)

    monkeypatch.setattr(RecordFile, "commit", full)
    made, handed = recorder(tmp_path)
    made.run(events_of(fake_episode(episode="full"), fake_episode(episode="next")))

    assert [(one.episode, one.valid) for one in handed] == [("full", False), ("next", True)]
    assert read_episode(handed[0].folder / "episode.h5").steps == 20


def test_an_episode_that_a_full_disk_does_not_take_is_sealed_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        monkeypatch.undo()
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(sealer, "finish", full)
    made, handed = recorder(tmp_path)
    made.run(events_of(fake_episode(episode="full"), fake_episode(episode="next")))
    assert [(one.episode, one.valid) for one in handed] == [("full", True), ("next", True)]


def test_an_episode_that_cannot_be_sealed_now_is_sealed_when_the_host_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        monkeypatch.undo()
        raise OSError(5, "input/output error")

    monkeypatch.setattr(sealer, "finish", broken)
    made, handed = recorder(tmp_path)
    made.run(events_of(fake_episode(episode="first"), fake_episode(episode="next")))
    assert [one.episode for one in handed] == ["next"]

    again, handed = recorder(tmp_path)
    again.recover()
    assert [(one.episode, one.valid) for one in handed] == [("first", True)]


class WatchedEvents(Events):
    """Tells when a recorder has come so far as to ask for what is after an event."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.taken = threading.Event(), 0
        self.after = 0

    def get(self, block: bool = True, timeout: float | None = None) -> EpisodeEvent | None:
        if self.taken == self.after:
            self.asked.set()
        self.taken += 1
        return super().get(block, timeout)


def test_the_next_episode_is_on_the_disk_before_the_last_one_is_sealed(tmp_path: Path) -> None:
    events, kept = WatchedEvents(), []
    first, (start, steps, _) = fake_episode(episode="e0"), fake_episode(episode="e1")
    for event in (first[0], *first[1], first[2], start, *steps, None):
        events.put(event)
    events.after = events.qsize() - 1  # all of e1's steps were taken

    def hold(_sealed: SealedEpisode) -> None:
        assert events.asked.wait(30.0), "the recorder waited for the sealing of the episode before"
        kept.append(read_journal(tmp_path / "recording" / "e1.journal").steps)

    Recorder(tmp_path, ROBOT, DOMAIN, hold).run(events)

    assert kept == [len(steps)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_crash_while_sealing_leaves_one_bundle_and_one_chain(tmp_path: Path, whole: bool) -> None:
    made, handed = recorder(tmp_path)
    file = record(tmp_path / "recording", fake_episode(episode="e0"))
    building = tmp_path / "recording" / "e0.bundle"
    if whole:
        seal(file, building, key=ROBOT, domain=DOMAIN, previous=NO_PREVIOUS)
    else:
        building.mkdir()
        (building / "manifest.json").write_text("{}")
    made.recover()
    made.run(events_of(fake_episode(episode="e1")))

    assert [one.episode for one in handed] == ["e0", "e1"]
    manifest = manifests.decode((handed[1].folder / "manifest.json").read_bytes())
    assert manifest.previous == handed[0].digest
    assert isinstance(opened(read_bundle(handed[0].folder)).episode, Episode)


def test_a_damaged_recording_is_set_aside_for_a_person(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    (tmp_path / "recording" / "bad.journal").write_bytes(b"not HDF5")
    (tmp_path / "recording" / "worse.h5").write_bytes(b"not HDF5 either")
    made.recover()

    assert handed == []
    assert sorted(path.name for path in (tmp_path / "damaged").iterdir()) == ["bad.journal", "worse.h5"]


def test_a_recording_of_a_release_that_kept_hdf5_open_is_moved_aside_whole(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    with h5py.File(tmp_path / "recording" / "old.part.h5", "x", libver="latest") as file:
        file.attrs["format"] = "armshare-episode"
    kept = (tmp_path / "recording" / "old.part.h5").read_bytes()
    record(tmp_path / "recording", fake_episode(episode="finished"))
    made.recover()

    assert [one.episode for one in handed] == ["finished"]
    assert (tmp_path / "damaged" / "old.part.h5").read_bytes() == kept


def test_an_open_recording_without_a_committed_step_is_removed(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    EpisodeWriter.start(tmp_path / "recording" / "e.journal", fake_start("e"), {}).abandon()
    made.recover()

    assert handed == []
    assert list((tmp_path / "recording").iterdir()) == []


def test_an_id_that_is_a_path_never_reaches_the_disk(tmp_path: Path) -> None:
    start, steps, end = fake_episode(5)
    made, handed = recorder(tmp_path)
    made.run(events_of((dataclasses.replace(start, episode="../../x"), steps, end), fake_episode(episode="ok")))

    assert [one.episode for one in handed] == ["ok"]
    assert not list(tmp_path.parent.glob("*.h5"))
