"""A drive cut into stages of equal length: the same number of samples of each, equally far apart along what was done.

Part of version 3 of the rules; exports `picked`. A pause adds no samples, and a drive at half the speed has the same
ones: whoever compares picks does not measure how long a drive took.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.series import Mask
from rewards.score.teaching.course import Course

PICKS: Final = 64
"""How many samples a whole drive is looked at in."""
_PICKS_OF_STAGE_MIN: Final = 8
LITTLE_M: Final = 0.005
"""A stage in which less was done has no path."""


@dataclass(frozen=True, slots=True)
class Picks:
    """P picked samples."""

    at: NDArray[np.int64]
    """(P,): which sample of the course."""
    stage: NDArray[np.int64]
    """(P,): of which stage it is."""
    work_m: tuple[float, ...]
    """(S,): how much was done in each stage."""


def picked(course: Course, ordinary: Mask, picks: int = PICKS) -> Picks:
    """Return the picks of a course, of its `ordinary` samples (M,) alone."""
    each = max(picks // course.stages, _PICKS_OF_STAGE_MIN)
    at, stage, work_m = [], [], []
    for number in range(course.stages):
        samples = np.flatnonzero(ordinary & (course.stage == number))
        done_m = _added(course.work_m[samples])
        total_m = float(done_m[-1]) if len(done_m) else 0.0
        work_m.append(total_m)
        if total_m >= LITTLE_M:
            wanted = (np.arange(each) + 0.5) / each * total_m
            at.append(samples[np.searchsorted(done_m, wanted)])
            stage.append(np.full(each, number, dtype=np.int64))
    empty = np.zeros(0, dtype=np.int64)
    return Picks(np.concatenate([empty, *at]), np.concatenate([empty, *stage]), tuple(work_m))


def _added(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the running sums of (N,), in whole micrometres, which add up alike everywhere."""
    whole = np.floor(values * 1e6 + 0.5).astype(np.int64)
    return np.add.accumulate(whole).astype(np.float64) / 1e6
