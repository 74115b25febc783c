"""Films on their way into sealed episodes, through every crash: no picture is lost in silence, and no film stays."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.file.episode import Episode, read_episode
from recorder.file.journal import finish
from recorder.file.writer import EpisodeWriter
from recorder.host.recording import Recorder
from recorder.proof.case import Trust
from recorder.proof.description import hash_description
from recorder.proof.refusals import OperatorSignatureInvalid
from recorder.proof.seal import SealedEpisode
from recorder.proof.verify import verify_bundle
from teleop.cameras.film import Trouble
from tests.recorder.factory import DOMAIN, ROBOT, fake_episode, fake_start
from tests.recorder.filming import film, head

ROOT = Path(__file__).parents[3]


def recorder(folder: Path) -> tuple[Recorder, list[SealedEpisode]]:
    handed: list[SealedEpisode] = []
    return Recorder(folder, ROBOT, DOMAIN, handed.append), handed


def left(folder: Path, episode: str, *, steps: int = 14, filmed: bool = True) -> Path:
    """Leave an ended journal and its film, as a crash before sealing does."""
    start, made, end = fake_episode(steps, episode=episode, simulated=False, cameras=(head(),))
    journal = folder / "recording" / f"{episode}.journal"
    writer = EpisodeWriter.start(journal, start, hash_description(start.spec.model))
    for step in made:
        writer.append(step)
    writer.end(end)
    if filmed:
        film(journal, head(), made[-1].t_observed_ns)
    return journal


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pictures(sealed: SealedEpisode) -> int:
    return len(episode(sealed).pictures["front"])


def episode(sealed: SealedEpisode) -> Episode:
    return read_episode(sealed.folder / "episode.h5")


def test_what_a_crash_left_is_sealed_with_its_pictures(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    left(tmp_path, "e0")
    made.recover()

    assert pictures(handed[0]) == 24
    assert names(tmp_path / "recording") == []
    with pytest.raises(OperatorSignatureInvalid, match="none yet"):  # all gates before it have passed
        verify_bundle(handed[0].folder, Trust(DOMAIN))


def test_a_crash_before_the_films_were_removed_leaves_one_episode_and_no_film(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    journal = left(tmp_path, "e0")
    kept = tmp_path / "kept"
    shutil.copytree(journal.parent, kept)
    finish(journal, journal.with_suffix(".h5"))
    shutil.copy(kept / "e0.front.film", journal.parent)
    made.recover()

    assert [pictures(one) for one in handed] == [24]
    assert names(tmp_path / "recording") == []

    shutil.copy(kept / "e0.journal", journal)  # as if the machine had lost that it was removed
    shutil.copy(kept / "e0.front.film", journal.parent)
    made.recover()

    assert len({one.digest for one in handed}) == 1
    assert names(tmp_path / "recording") == []


def test_a_film_without_an_episode_is_removed(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    film(tmp_path / "recording" / "ghost.journal", head(), 10**9)
    empty = tmp_path / "recording" / "empty.journal"
    EpisodeWriter.start(empty, fake_start("empty"), {}).abandon()
    film(empty, head(), 10**9)
    made.recover()

    assert handed == []
    assert names(tmp_path / "recording") == []


def test_a_film_that_is_damaged_is_kept_for_someone_to_look_at(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    journal = left(tmp_path, "e0", filmed=False)
    (journal.parent / "e0.front.film").write_bytes(b"what is this")
    made.recover()

    assert pictures(handed[0]) == 0
    assert episode(handed[0]).arrays["cameras/front/events"]["trouble"].tolist() == [Trouble.LOST]
    assert names(tmp_path / "damaged") == ["e0.front.film"]
    assert names(tmp_path / "recording") == []


def test_a_damaged_journal_goes_together_with_its_films(tmp_path: Path) -> None:
    made, handed = recorder(tmp_path)
    journal = left(tmp_path, "e0")
    journal.write_bytes(b"x" + journal.read_bytes()[1:])
    made.recover()

    assert handed == []
    assert names(tmp_path / "damaged") == ["e0.front.film", "e0.journal"]


@pytest.mark.parametrize("steps", [25, 130])
def test_a_killed_recorder_loses_at_most_half_a_second_of_either(tmp_path: Path, steps: int) -> None:
    made, handed = recorder(tmp_path)
    command = [sys.executable, "-m", "tests.recorder.filmed_crash_child", str(tmp_path / "recording" / "e0.journal")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as said:
        while int(said.readline()) < steps:
            pass
        child.send_signal(signal.SIGKILL)
        last = int((said.read().split() or [steps])[-1])
    child.wait()
    made.recover()

    found = episode(handed[0])
    assert last + 1 - 10 <= found.steps <= last + 2
    taken = found.pictures["front"].t_captured_ns
    assert found.t_observed_ns[-1] - taken[-1] <= 600_000_000
    events = found.arrays["cameras/front/events"]
    assert events["t_from_ns"].tolist() == [taken[-1]]
    assert events["trouble"].tolist() == [Trouble.LOST]
