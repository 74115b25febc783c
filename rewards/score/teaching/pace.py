"""How long each stage took, against the task's own distribution.

Part of version 3 of the rules; exports `Pace` and `pace`.

*Formula.* m is the time, s, for which something moved in a stage, in ordinary driving: pauses belong to `flow`, and
mistakes and recoveries to nobody. Against q, which 90 of 100 reference drives need at most, a stage has
g = 1 if m <= q, then falling evenly to 0 at m = 2 q. The part is the mean of g over the stages, weighed by how long
they usually take (the median). A stage of which less than half of that is left, because the rest was a mistake or its
recovery, is not weighed.

*Source.* Duration outliers by task: score_lerobot_episodes; q3 + 1.5 IQR there. Ours is graded, and multiplies:
policies learnt from drives at 0.73 of the speed most of what they learn from clean ones, at 0.54 a tenth of it or
nothing, and at 0.39 nothing (docs/scoring.md has the numbers).

*Limits.* A scene whose things lie far apart takes longer than one whose things lie near; the distribution is over both.
Being faster than everybody costs nothing: limits keep the arm from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.references.store import ReferenceSet, quantile
from rewards.score.series import RATE_HZ, Mask
from rewards.score.teaching.course import Course

SLOWEST: Final = 2.0
"""So many times the usual time, and a stage teaches no pace any more."""
SEEN: Final = 0.5
"""A stage of which less than this share of its usual time is left, beside mistakes and recoveries, has no pace. It must
not stand for a good one, or a mistake on purpose would hide that somebody is slow."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the stages took."""

    part: float
    moving_s: tuple[float, ...]
    """(S,)."""
    usual_s: tuple[float, ...]
    """(S,): which 90 of 100 reference drives need at most."""


def moving_s(course: Course, ordinary: Mask) -> tuple[float, ...]:
    """Return for how long something moved in each stage, s."""
    moving = ordinary & ~course.still
    return tuple(int(np.count_nonzero(moving & (course.stage == stage))) / RATE_HZ for stage in range(course.stages))


def pace(course: Course, ordinary: Mask, reference: ReferenceSet) -> Pace:
    """Return the pace of a drive."""
    took_s = moving_s(course, ordinary)
    usual_s = tuple(quantile(reference.moving_s[:, stage], 90) for stage in range(reference.stages))
    middle_s = [quantile(reference.moving_s[:, stage], 50) for stage in range(reference.stages)]
    weights = [
        0.0 if _hidden(course, ordinary, stage, took_s[stage], middle) else middle
        for stage, middle in enumerate(middle_s)
    ]
    goods = [
        weight * min(max((SLOWEST - taken / max(usual, 1.0 / RATE_HZ)) / (SLOWEST - 1.0), 0.0), 1.0)
        for weight, taken, usual in zip(weights, took_s, usual_s, strict=True)
    ]
    whole = math.fsum(weights)
    return Pace(math.fsum(goods) / whole if whole > 0.0 else 1.0, took_s, usual_s)


def _hidden(course: Course, ordinary: Mask, stage: int, taken_s: float, middle_s: float) -> bool:
    """Return whether a stage was for the most part a mistake or its recovery, so that it says nothing of the pace."""
    here = course.active & (course.stage == stage)
    return taken_s < SEEN * middle_s and bool(np.any(here & ~ordinary))
