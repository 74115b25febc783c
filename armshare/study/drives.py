"""Drives of known quality: made through `recorder.collect`, kept as files, scored from the files, cut into lessons.

What is kept in the study's folder is not made twice. Drives are kept under the digest of the demonstrators' own files,
and what the rules say of a drive under that of theirs: a study that goes on after the rules changed scores again, and
learns again only from what is chosen otherwise.
"""

from __future__ import annotations

import hashlib
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

import rewards.score
import sim.demonstrators
from armshare.study.learner import features, followed
from armshare.study.measures import at_length, measures
from armshare.study.plan import ROBOT, Wanted
from recorder.collect import demonstrated
from recorder.collect.crew import Job
from recorder.collect.demonstrated import Demonstration, demonstrate
from recorder.export.actions import action_space
from recorder.file.episode import read_episode
from recorder.proof.manifest import EPISODE_FILE
from teleop.files import write_atomic


class Drive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A drive that was made."""

    wanted: Wanted
    steps: int
    success: bool
    happened: bool
    """Whether what was to go wrong did; true of a clean drive."""
    lost: str = ""
    """Why nothing was kept of it; empty if the episode is there."""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is measured of a drive, by the measure's name."""

    as_driven: dict[str, float]
    equal: dict[str, float]
    """Of the same motion in as many steps as the clean drives of its task."""


_DRIVE: Final = msgspec.json.Decoder(Drive)
_MEASURED: Final = msgspec.json.Decoder(Measured)


class Shelf:
    """The folder that a study is kept in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._driven = path / "driven" / demonstrators_digest()[:16]

    def episodes(self, task_name: str) -> Path:
        """Where the episodes of a task are."""
        return self._driven / "episodes" / task_name

    def drive(self, one: Wanted) -> Path:
        """What is kept of a drive."""
        return self._driven / "drives" / f"{one.name}.json"

    def lesson(self, name: str) -> Path:
        """The steps that can be learnt from."""
        return self._driven / "lessons" / f"{name}.npz"

    def measured(self, one: Wanted, steps: int) -> Path:
        """What the rules as they are say of a drive, and of it in so many steps."""
        return self._driven / "measured" / rules_digest()[:16] / f"{one.name}-{steps}.json"

    def learnt(self, key: str) -> Path:
        """How a policy did."""
        return self.path / "learnt" / f"{key}.json"


def job_of(task_name: str, folder: Path) -> Job:
    """Return what makes a task's episodes in a folder. The demonstrators' own tests replay what they drive."""
    return demonstrated.job_of(ROBOT, task_name, folder, replay=False)


@lru_cache(maxsize=1)
def rules_digest() -> str:
    """Return the SHA-256 of all files that the rules of scoring are made of."""
    return _digest(Path(rewards.score.__file__).parent)


@lru_cache(maxsize=1)
def demonstrators_digest() -> str:
    """Return the SHA-256 of all files that demonstrators are made of."""
    return _digest(Path(sim.demonstrators.__file__).parent)


def _digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".npz", ".json"):
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def make(path: Path, one: Wanted) -> Drive:
    """Make a drive, unless it is there; in a worker process. Its folder must be held."""
    shelf = Shelf(path)
    kept = shelf.drive(one)
    if kept.exists() and (found := _DRIVE.decode(kept.read_bytes())).wanted == one:
        return found
    job = job_of(one.task, shelf.episodes(one.task))
    shutil.rmtree(job.folder / one.name, ignore_errors=True)  # left by a study that was ended before it noted more
    done = demonstrate(job, Demonstration(one.name, one.seed, one.skill, one.defects))
    happened = one.kind is None or any(event.kind is one.kind for event in done.events)
    drive = Drive(one, done.attempt.steps, done.attempt.success, happened, done.attempt.lost)
    if not drive.lost:
        keep_lesson(job.folder / one.name / EPISODE_FILE, shelf.lesson(one.name))
    _keep(kept, msgspec.json.encode(drive))
    return drive


def measure(path: Path, one: Wanted, steps: int) -> Measured:
    """Measure a drive from its file, unless that was done by the same rules; in a worker process."""
    shelf = Shelf(path)
    kept = shelf.measured(one, steps)
    if kept.exists():
        return _MEASURED.decode(kept.read_bytes())
    episode = read_episode(shelf.episodes(one.task) / one.name / EPISODE_FILE)
    found = Measured(measures(episode), measures(at_length(episode, steps)))
    _keep(kept, msgspec.json.encode(found))
    return found


def keep_lesson(episode_file: Path, to: Path) -> None:
    """Write what a network sees in each driven step of an episode, and the actions that followed it."""
    episode = read_episode(episode_file)
    actions = action_space("ee_twist", episode.meta).of(episode)
    seen = features(episode.observations)[:-1][actions.driven]
    to.parent.mkdir(parents=True, exist_ok=True)
    then = followed(actions.values[actions.driven])
    np.savez(to, seen=seen.astype(np.float32), then=then.astype(np.float32))


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)
