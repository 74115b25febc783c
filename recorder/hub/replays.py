"""What shows a verified episode once more: its observations, at most 20 a second, and when each was."""

from __future__ import annotations

import base64
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import inspect, open_episode, opened, read_into
from recorder.file.meta import Meta

RATE_HZ: Final = 20
ROWS_MAX: Final = 6000
"""Of a longer episode (over five minutes), fewer a second are shown."""
_OBSERVED: Final = "observation/"
_SEEN_NS: Final = "time/t_observed_mono_ns"
_PROGRESS: Final = "progress"


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


def replay_of(file: Path) -> ReplayAnswer:
    """Read what is drawn of an episode's file, and nothing else of it; raise an EpisodeError if it is not one."""
    descriptor = open_episode(file)
    try:
        with opened(descriptor, file.name) as read:
            found = inspect(read)
            wanted = [place for place in found.places if _is_shown(place.path)]
            arrays = {place.path: np.empty(place.shape, place.dtype) for place in wanted}
            for path, array in arrays.items():
                read_into(found.datasets[path], array)
    finally:
        os.close(descriptor)
    return _answer(found.meta, arrays)


def _is_shown(path: str) -> bool:
    return path.startswith(_OBSERVED) or path in (_SEEN_NS, _PROGRESS)


def _answer(meta: Meta, arrays: dict[str, NDArray[Any]]) -> ReplayAnswer:
    observed = [(one, arrays[_OBSERVED + one.name]) for one in meta.spec.observation]
    t_s = _t_s(meta, arrays[_SEEN_NS])
    kept = _thinned(t_s)
    rows = np.hstack([array[kept].reshape(len(kept), -1) for _, array in observed]).astype("<f4")
    return ReplayAnswer(
        episode=meta.episode,
        task=meta.task.name,
        model=meta.robot.model,
        arrays=[ReplayArray(one.name, list(one.shape)) for one, _ in observed],
        t_s=[round(float(t), 4) for t in t_s[kept]],
        progress=[float(one) if math.isfinite(one) else None for one in arrays[_PROGRESS][kept]],
        stages=list(meta.task.stages),
        values=base64.b64encode(rows.tobytes()).decode(),
    )


def _t_s(meta: Meta, seen_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return when each observation was, (N+1,): of a simulated robot in its simulation's time, else by its host."""
    if meta.robot.simulated:
        counted: NDArray[np.float64] = np.arange(len(seen_ns)) / meta.spec.control_hz
        return counted
    measured: NDArray[np.float64] = (seen_ns - seen_ns[0]) / 1e9
    return measured


def _thinned(t_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which observations to show: evenly, the first and the last among them."""
    length_s = float(t_s[-1])
    most = min(len(t_s), ROWS_MAX, max(2, math.ceil(length_s * RATE_HZ) + 1))
    wanted_s = np.linspace(0.0, length_s, most)
    return np.unique(np.minimum(np.searchsorted(t_s, wanted_s - 1e-9), len(t_s) - 1))
