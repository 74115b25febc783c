"""For how long nothing moved between the first motion and the end of the work.

Part of version 3 of the rules; exports `Flow` and `flow`.

*Formula.* i is the time, s, for which nothing moved (`metrics.idle` has the thresholds), or no hand got 5 mm, 0.05 rad
or a twentieth of an opening farther in half a second, so that a hand that trembles on the spot waits too; after the
first motion and until the task was done, in ordinary driving. Against q, which 75 of 100 reference drives need at most
(a gripper closes, a goal is held), and u, which the task usually takes, flow = 1 - (i - q) / u, in [0, 1].

*Source.* Static-frame tests of public checkers (lerobot#3429); arXiv 2606.05588, whose subtle defects are pauses. In
our own trial policies from nine drives with pauses reached 1 to 5 of 20 goals, from nine clean ones 14.

*Limits.* Creeping counts as rest until it has gone 2 cm, then as motion, however slow. Reading the task before the
first motion and the message after the last one costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.references.store import ReferenceSet, quantile
from rewards.score.series import RATE_HZ, Mask, runs
from rewards.score.teaching.course import Course

WORST: Final = 1.0
"""A drive that pauses for this share of the usual time has no flow."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How a drive went on."""

    part: float
    idle_s: float
    longest: tuple[int, int] | None
    """First and last sample of the longest pause."""


def idle_of(course: Course, ordinary: Mask) -> Mask:
    """Return in which samples (M,) of ordinary driving nothing moved."""
    return course.still & ordinary


def idle_s(course: Course, ordinary: Mask) -> float:
    """Return for how long nothing moved in ordinary driving, s."""
    return int(np.count_nonzero(idle_of(course, ordinary))) / RATE_HZ


def flow(course: Course, ordinary: Mask, reference: ReferenceSet) -> Flow:
    """Return the flow of a drive."""
    paused_s = idle_s(course, ordinary)
    excess_s = max(paused_s - quantile(reference.idle_s, 75), 0.0)
    longest = max(runs(idle_of(course, ordinary)), key=lambda run: run[1] - run[0], default=None)
    usual_s = max(reference.usual_s, 1.0 / RATE_HZ)
    return Flow(max(1.0 - excess_s / (WORST * usual_s), 0.0), paused_s, longest)
