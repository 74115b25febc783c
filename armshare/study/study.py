"""A study from one end to the other: drives made, measured and learnt from. It goes on where it was ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np

from armshare.study.drives import Drive, Measured, Shelf, demonstrators_digest, job_of, make, measure, rules_digest
from armshare.study.evidence import Evidence
from armshare.study.lessons import learn, pupils
from armshare.study.plan import CLEAN_GROUPS, Plan, PlanError, Wanted, wanted
from recorder.collect.folder import Folder
from sim.evaluate import workers

T = TypeVar("T")
R = TypeVar("R")

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Shown(Protocol):
    """Where it is said how far a study is."""

    def begin(self, what: str, total: int) -> None:
        """Something begins that has so many parts."""

    def done(self) -> None:
        """One more part is done."""


def study(plan: Plan, path: Path, count: int, shown: Shown) -> Evidence:
    """Return the evidence of a study that is kept in the folder `path`, worked on by `count` processes.

    What is kept there of another size of study is used too. Raises PlanError, or CollectError.
    """
    shelf = Shelf(path)
    with ExitStack() as stack:
        stack.enter_context(_one_thread())
        for name in plan.tasks:
            folder = shelf.episodes(name)
            stack.enter_context(Folder(folder).held(job_of(name, folder).made))
        pool = stack.enter_context(workers(count))
        try:
            drives = _every(pool, "driving", partial(make, path), list(wanted(plan)), shown)
            kept = [drive for drive in drives if not drive.lost]
            found = _measured(pool, path, kept, shown)
            lessons = list(pupils(plan, kept, found))
            learnt = _every(pool, "learning", partial(learn, path), [one.lesson for one in lessons], shown)
        except BrokenProcessPool as error:
            raise PlanError("A process of the study died, perhaps for lack of memory. Use fewer --workers.") from error
    return Evidence(
        plan, rules_digest(), demonstrators_digest(), tuple(drives), found, tuple(zip(lessons, learnt, strict=True))
    )


def equal_steps(drives: Sequence[Drive]) -> dict[str, int]:
    """Return how many steps a drive has at equal length, by task: as many as the median clean one."""
    clean: dict[str, list[int]] = {}
    for one in drives:
        if one.wanted.group in CLEAN_GROUPS and one.success:
            clean.setdefault(one.wanted.task, []).append(one.steps)
    return {name: int(np.median(steps)) for name, steps in clean.items()}


def _measured(pool: Executor, path: Path, drives: Sequence[Drive], shown: Shown) -> Mapping[str, Measured]:
    steps = equal_steps(drives)
    if lacking := {one.wanted.task for one in drives} - steps.keys():
        raise PlanError(f"Not one clean drive of {', '.join(sorted(lacking))} succeeded, so nothing can be compared.")
    asked = [(one.wanted, steps[one.wanted.task]) for one in drives]
    found = _every(pool, "scoring", partial(_measure, path), asked, shown)
    return {one.wanted.name: each for one, each in zip(drives, found, strict=True)}


def _measure(path: Path, asked: tuple[Wanted, int]) -> Measured:
    return measure(path, *asked)


def _every(pool: Executor, what: str, do: Callable[[T], R], things: Sequence[T], shown: Shown) -> list[R]:
    """Return what `do` returns for each thing, in their order; what comes first is said first."""
    shown.begin(what, len(things))
    waiting = {pool.submit(do, thing): number for number, thing in enumerate(things)}
    found: dict[int, R] = {}
    try:
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            shown.done()
    finally:
        for one in waiting:
            one.cancel()
    return [found[number] for number in range(len(things))]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let each process that is started compute in one thread: there are as many processes as cores."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
