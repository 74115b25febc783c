"""How often a limit cut what the operator asked for, or the arm could not follow.

Part of version 3 of the rules; exports `Control` and `control`.

*Formula.* s is the share of the samples of ordinary driving that are strained: a counted limit event (those that only
smooth are not counted), or a joint over 0.1 rad from where the step sent it. q is what 90 of 100 reference drives have
at most. control = 1 - 2 (s - q), in [0, 1].

*Source.* Saturation and tracking as score_lerobot_episodes has them; theirs takes joints in degrees.

*Limits.* Pushing against something looks like lag. The gripper is left out: a grasp is meant to stop it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.references.store import ReferenceSet, quantile
from rewards.score.series import Mask
from rewards.score.teaching.course import Course

WORST: Final = 0.5
"""A drive that is strained for this share of its time has no control."""


@dataclass(frozen=True, slots=True)
class Control:
    """How well the arm could do what was asked."""

    part: float
    strained: float
    """The share of samples."""


def strained_share(course: Course, ordinary: Mask) -> float:
    """Return the share of the samples of ordinary driving that are strained; 0 if there are none."""
    of = int(np.count_nonzero(ordinary))
    return int(np.count_nonzero(course.strained & ordinary)) / of if of else 0.0


def control(course: Course, ordinary: Mask, reference: ReferenceSet) -> Control:
    """Return the control of a drive."""
    share = strained_share(course, ordinary)
    excess = max(share - quantile(reference.strained, 90), 0.0)
    return Control(max(1.0 - excess / WORST, 0.0), share)
