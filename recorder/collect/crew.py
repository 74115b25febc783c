"""Many episodes at once: one process a core, each with a world, a pilot and its share of the seeds.

Part of recorder; exports `Job`, `collect`, and `crewed` for what else is made so. A worker that is told to end finishes
the episode that it makes: there are only whole ones.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from recorder.collect.folder import CollectError, Folder, Made
from recorder.collect.making import After, Attempt, Maker
from recorder.collect.parties import parties
from recorder.collect.piloted import piloted
from sim.catalogue import make_world
from sim.processes import WORKERS, end_with_parent
from teleop.operator import pilot
from teleop.operator.pilot import PilotMaker
from teleop.operator.policy import load

Wanted = TypeVar("Wanted")
Became = TypeVar("Became")
_ENDS: Final = frozenset({signal.SIGINT, signal.SIGTERM})
_AHEAD: Final = 2
"""How many seeds a worker has waiting, so that it never waits for the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every worker does. Hashable and picklable."""

    made: Made
    folder: Path
    policy: str
    """`module:function`; empty: the task's scripted operator."""
    wallet: Path | None
    """The operator's own key; None: one that is kept in the folder."""
    replay: bool
    after: After | None = None
    checkpoint: Path | None = None
    """The policy's, whose loader is called once in each process."""


def collect(job: Job, seeds: Iterable[int], workers: int = WORKERS) -> Iterator[Attempt]:
    """Make an episode from each seed, and yield what became of each as it is done. The folder must be held.

    Raises CollectError, PolicyError or UnknownPolicyError, as the first worker that fails does. What is whole stays.
    """
    return crewed(make, job, seeds, workers)


def crewed(call: Callable[[Job, Wanted], Became], job: Job, wanted: Iterable[Wanted], workers: int) -> Iterator[Became]:
    """Call `call(job, one)` for each one in worker processes, and yield what each returns as it is done.

    Raises CollectError if a process ends, and what the first call that fails raises.
    """
    waiting, left = set[Future[Became]](), iter(wanted)
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, fresh, _begin)
    try:
        while True:
            with _unheard():
                for one in islice(left, workers * _AHEAD - len(waiting)):
                    waiting.add(pool.submit(call, job, one))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise CollectError(
            "A process that made episodes ended, perhaps for lack of memory: use fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def make(job: Job, seed: int) -> Attempt:
    """Make one episode, in a worker process."""
    maker, pilots = maker_of(job)
    drive = maker.begin(Folder(job.folder).name_of(job.made, seed), seed)
    try:
        if piloted(drive, pilots(drive.robot, job.made.task)):
            return maker.keep(drive)
        return dataclasses.replace(maker.attempt(drive), lost="discarded by its driver")
    finally:
        drive.abandon()


@lru_cache(maxsize=1)
def maker_of(job: Job) -> tuple[Maker, PilotMaker]:
    """Return what makes a worker's episodes: its world is built once."""
    folder, made = Folder(job.folder), job.made
    world = make_world(made.robot, made.task)
    world.connect()
    who = parties(folder.keys, made.task, job.wallet)
    pilots = load(job.policy, job.checkpoint) if job.policy else pilot.expert
    return Maker(world, who, folder, made, replay=job.replay, after=job.after), pilots


@contextmanager
def _unheard() -> Iterator[None]:
    """Start processes that hear of no Ctrl-C, not even while they import: it comes to all that a terminal runs."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it."""
    for one in _ENDS:
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    end_with_parent()
