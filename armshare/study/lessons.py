"""A policy that learns from chosen drives, and is judged in scenes that are in no drive."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from armshare.study import learner
from armshare.study.arms import Alone, Arm, Found, Part, alone, learnt_from, mixture
from armshare.study.drives import Drive, Shelf, demonstrators_digest
from armshare.study.learner import fit
from armshare.study.plan import MIXES, ROBOT, Group, Plan
from sim.evaluate import Job, episode
from sim.registry import env_id
from sim.seeds import JUDGING
from teleop.files import write_atomic

APART: Final = 25
"""So many scenes lie between the first of one policy's number and the first of the next one's, at least: who is judged
in fewer scenes is judged in the first of the same ones."""
_POLICY: Final = "armshare.study.learner:load"


class Lesson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that decides how a policy turns out."""

    task: str
    drivers: str
    """The SHA-256 of the demonstrators whose drives these are."""
    learner: str
    """That of the module that learns."""
    parts: tuple[Part, ...]
    hidden: int
    updates: int
    seed: int
    """Of the first weights, and of the order of what is seen."""
    scenes: tuple[int, int]
    """The first seed that it is judged on, and the first that it is not."""
    longest: int | None
    """Steps after which it has failed; None: as many as the task gives."""

    @property
    def key(self) -> str:
        """What a result is kept under."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:24]


class Pupil(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A lesson, and what it is an example of."""

    task: str
    cell: int
    number: int
    """Which of the arm's policies."""
    mix: Group | None
    """None for one kind of drive alone."""
    arm: str
    lesson: Lesson


class Learnt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a policy did."""

    samples: int
    """Steps that it learnt from, those in which nobody drove left out."""
    successes: tuple[bool, ...]
    """In each scene, by its seed."""


_LEARNT: Final = msgspec.json.Decoder(Learnt)


def pupils(plan: Plan, drives: Sequence[Drive], found: Found) -> Iterator[Pupil]:
    """Yield every policy of a study."""
    for task_name in plan.tasks:
        for number in range(plan.cells):
            cell = [one for one in drives if (one.wanted.task, one.wanted.cell) == (task_name, number)]
            for policy in range(plan.policies):
                yield from _of_cell(plan, (task_name, number, policy), cell, found)


def _of_cell(plan: Plan, which: tuple[str, int, int], cell: Sequence[Drive], found: Found) -> Iterator[Pupil]:
    """Yield one policy of each arm of a cell: `which` is the task, the cell, and which of the arm's policies it is."""
    task_name, number, policy = which
    seed = number * plan.policies + policy
    for mix in MIXES:
        whole = mixture(mix, plan.mixed[task_name], cell)
        for arm in Arm:
            parts = learnt_from(arm, whole, cell, found, seed)
            yield Pupil(task_name, number, policy, mix, arm, _lesson(plan, task_name, seed, parts, hurried=True))
    for kind in Alone:
        parts = alone(kind, plan.taught[task_name], cell, seed)
        yield Pupil(task_name, number, policy, None, kind, _lesson(plan, task_name, seed, parts, hurried=False))


def learn(path: Path, lesson: Lesson) -> Learnt:
    """Train and judge a policy, unless that was done; in a worker process with one thread."""
    shelf = Shelf(path)
    kept = shelf.learnt(lesson.key)
    if kept.exists():
        return _LEARNT.decode(kept.read_bytes())
    seen, then = _read(shelf, lesson.parts)
    weights = fit(seen, then, hidden=lesson.hidden, updates=lesson.updates, seed=lesson.seed)
    checkpoint = Path(_desk().name) / "policy.npz"  # always the same, so that the world of the last lesson is used
    np.savez(checkpoint, **weights)  # type: ignore[arg-type]  # NumPy's stub takes its one flag for any name
    job = Job(_POLICY, env_id(ROBOT, lesson.task), "ee_twist", str(checkpoint), lesson.longest)
    done = Learnt(len(seen), tuple(episode(job, seed).success for seed in range(*lesson.scenes)))
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(kept, msgspec.json.encode(done))
    return done


def _lesson(plan: Plan, task_name: str, seed: int, parts: tuple[Part, ...], *, hurried: bool) -> Lesson:
    """Who learns from slow drives is slow, and is given all the time that the task gives."""
    judged = plan.judged[task_name]
    first = JUDGING.start + seed * max(judged, APART)
    longest: Mapping[str, int] = plan.longest if hurried else {}
    return Lesson(
        task_name,
        demonstrators_digest(),
        _learner(),
        parts,
        plan.hidden,
        plan.updates[task_name],
        seed,
        (first, first + judged),
        longest.get(task_name),
    )


@lru_cache(maxsize=1)
def _desk() -> tempfile.TemporaryDirectory[str]:
    """Return a worker's own folder, which goes with it."""
    return tempfile.TemporaryDirectory()


@lru_cache(maxsize=1)
def _learner() -> str:
    return hashlib.sha256(Path(learner.__file__).read_bytes()).hexdigest()


def _read(shelf: Shelf, parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    seen, then = [], []
    for name, steps in parts:
        with np.load(shelf.lesson(name)) as file:
            seen.append(file["seen"][:steps])
            then.append(file["then"][:steps])
    return np.concatenate(seen), np.concatenate(then)
