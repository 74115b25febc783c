"""What shows a verified episode once more: its observations, at most 20 a second, and when each was.

A worker process reads the file, one at a time, so that no file keeps the hub from answering, or takes it down.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
from collections import OrderedDict
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.file.apart import ReaderLostError
from recorder.file.episode import Inspected, inspect, open_episode, opened
from recorder.hub.store import StoredFile

RATE_HZ: Final = 20
ROWS_MAX: Final = 6000
"""Of a longer episode (over five minutes), fewer a second are shown."""
VALUES_MAX: Final = 400_000
"""Of a robot that says more of itself, fewer rows are shown: two megabytes in base64."""
KEPT: Final = 16
"""A replay of a minute takes a quarter of a megabyte."""
WAITING_MAX: Final = 32
"""How many episodes may wait to be read; however many ask for one of them, it is read once."""
_LOST: Final = (ReaderLostError, BrokenExecutor, MemoryError, OSError)
"""What keeps a worker from reading a file, and says nothing of it."""
_OBSERVED: Final = "observation/"
_SEEN_NS: Final = "time/t_observed_mono_ns"
_PROGRESS: Final = "progress"


class ReplayBusyError(Exception):
    """Too many episodes wait to be read."""


class ReplayUnreadError(Exception):
    """A file could not be read here and now, which says nothing about it."""


@dataclass(frozen=True, slots=True)
class ReplayArray:
    """One of the observation's arrays, by the name and the shape that the robot's descriptor has."""

    name: str
    shape: list[int]


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What is drawn of an episode: a row of values for each moment."""

    episode: str
    task: str
    model: str
    arrays: list[ReplayArray]
    """In the order of a row."""
    t_s: list[float]
    """When each row was seen, s from the first, on the clock that the episode's motion is scored on."""
    progress: list[float | None]
    """How far the task was at each, in [0, 1]; None if the robot cannot know."""
    stages: list[str]
    """The task's, which progress counts."""
    values: str
    """The rows, one after another: base64 of little-endian float32."""


class Replays:
    """Those that were asked for lately. Anyone may ask: one file is read at a time, and a crowd has it read once."""

    def __init__(self, executor: Executor | None = None) -> None:
        """`executor` reads (None: threads)."""
        self._executor = executor
        self._turn = asyncio.Lock()  # whoever waits for it holds no thread, and no worker
        self._reading: dict[str, asyncio.Task[ReplayAnswer]] = {}
        self._kept: OrderedDict[str, ReplayAnswer] = OrderedDict()

    async def of(self, episode: str, file: StoredFile) -> ReplayAnswer:
        """Return what shows a verified episode once more.

        Raises an EpisodeError if its file is not one any more, ReplayBusyError if too many wait, or ReplayUnreadError.
        """
        if (kept := self._kept.get(episode)) is not None:
            self._kept.move_to_end(episode)
            return kept
        reading = self._reading.get(episode)
        if reading is None:
            if len(self._reading) >= WAITING_MAX:
                raise ReplayBusyError(f"{WAITING_MAX} other episodes wait to be shown; try again in a few seconds")
            reading = self._reading[episode] = asyncio.create_task(self._read(episode, file), name=f"replay {episode}")
            reading.add_done_callback(_heard)
        return await asyncio.shield(reading)  # whoever leaves must not take it from the others

    async def _read(self, episode: str, file: StoredFile) -> ReplayAnswer:
        try:
            async with self._turn:
                found = await asyncio.get_running_loop().run_in_executor(self._executor, _replay_of, file)
        except _LOST as error:
            said = f"{episode} cannot be read at the moment, which says nothing against it; try again in a few seconds"
            raise ReplayUnreadError(said) from error
        finally:
            del self._reading[episode]
        self._kept[episode] = found
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found


def _heard(reading: asyncio.Task[ReplayAnswer]) -> None:
    """Take note of what a reading raised: everyone who asked for it may have left."""
    if not reading.cancelled():
        reading.exception()


def _replay_of(file: StoredFile) -> ReplayAnswer:
    with file.local() as path:
        return replay_of(path)


def replay_of(file: Path) -> ReplayAnswer:
    """Read what is drawn of an episode's file, and nothing else of it; raise an EpisodeError if it is not one."""
    descriptor = open_episode(file)
    try:
        with opened(descriptor, file.name) as read:
            found = inspect(read)
            t_s = _t_s(found)
            width = sum(math.prod(one.shape) for one in found.meta.spec.observation)
            kept = _thinned(t_s, max(2, min(ROWS_MAX, VALUES_MAX // max(width, 1))))
            observed = [_kept(found.datasets[_OBSERVED + one.name], kept) for one in found.meta.spec.observation]
            progress = _kept(found.datasets[_PROGRESS], kept)[:, 0]
    finally:
        os.close(descriptor)
    return ReplayAnswer(
        episode=found.meta.episode,
        task=found.meta.task.name,
        model=found.meta.robot.model,
        arrays=[ReplayArray(one.name, list(one.shape)) for one in found.meta.spec.observation],
        t_s=[round(float(t), 4) for t in t_s[kept]],
        progress=[float(one) if math.isfinite(one) else None for one in progress],
        stages=list(found.meta.task.stages),
        values=base64.b64encode(np.hstack(observed).astype("<f4").tobytes()).decode(),
    )


def _t_s(found: Inspected) -> NDArray[np.float64]:
    """Return when each observation was, (N+1,): of a simulated robot in its simulation's time, else by its host."""
    if found.meta.robot.simulated:
        counted: NDArray[np.float64] = np.arange(found.end.steps + 1) / found.meta.spec.control_hz
        return counted
    seen_ns = found.datasets[_SEEN_NS][:]
    measured: NDArray[np.float64] = (seen_ns - seen_ns[0]) / 1e9
    return measured


def _thinned(t_s: NDArray[np.float64], rows: int) -> NDArray[np.intp]:
    """Return which observations to show: one of so many, and the last."""
    most = min(rows - 1, max(1, math.ceil(float(t_s[-1]) * RATE_HZ)))
    stride = -(-(len(t_s) - 1) // most)
    return np.unique(np.append(np.arange(0, len(t_s), stride), len(t_s) - 1))


def _kept(dataset: h5py.Dataset, kept: NDArray[np.intp]) -> NDArray[np.float64]:
    """Read these rows of a dataset, each flat: what is not shown of a long episode is not read into memory."""
    evenly = dataset[:: int(kept[1] - kept[0])].reshape(-1, math.prod(dataset.shape[1:]))
    rows: NDArray[np.float64] = np.vstack([evenly[: len(kept) - 1], dataset[-1].reshape(1, -1)])
    return rows
