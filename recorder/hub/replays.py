"""What shows a verified episode once more: its observations, at most 20 a second, and when each was."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.hub.showing.clock import seconds
from recorder.hub.showing.opened import shown

RATE_HZ: Final = 20
ROWS_MAX: Final = 6000
"""Of a longer episode (over five minutes), fewer a second are shown."""
VALUES_MAX: Final = 400_000
"""Of a robot that says more of itself, fewer rows are shown: two megabytes in base64."""
_OBSERVED: Final = "observation/"
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
    with shown(file) as found:
        t_s = seconds(found)
        width = sum(math.prod(one.shape) for one in found.meta.spec.observation)
        kept = _thinned(t_s, max(2, min(ROWS_MAX, VALUES_MAX // max(width, 1))))
        observed = [_kept(found.datasets[_OBSERVED + one.name], kept) for one in found.meta.spec.observation]
        progress = _kept(found.datasets[_PROGRESS], kept)[:, 0]
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
