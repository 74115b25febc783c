"""Whether hands and things went the ways that they go in accepted drives, stage by stage, at equal length.

Part of version 3 of the rules; exports `Way` and `object_path`.

*Formula.* Of each stage the same number of samples is taken, equally far apart along what was done (`picks.py`), of
ordinary driving alone. Each is 13 numbers (22 of two hands; `states.py`), standardised. d is its distance to the K-th
nearest sample of the same stage in the reference set, K = 3; u is what 95 of 100 samples of the reference drives have
at most, each compared with the other drives. A sample's excess is (d / u - 1), from 0 to 1. A stage has 1 - mean
excess, and the part is their mean, each weighed by its usual share of what is done.

*Units.* Dimensionless; 1 if nothing was farther from accepted drives than they are from each other.

*Source.* Nearest neighbours with object state: arXiv 2606.05588 (wrong actions, AUROC 0.863). Ours has exact poses,
and compares at equal length, as arXiv 2606.10229 finds five of seven published metrics to measure length.

*Limits.* Another good way that nobody in the set went costs as much as a bad one, until a larger set has it. It knows
nothing of how long anything took, nor of the order in which samples come within a stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.fixed import Array
from rewards.score.references.store import ReferenceSet
from rewards.score.teaching.nearest import Near, Whole, kth

NEIGHBOURS: Final = 3


@dataclass(frozen=True, slots=True)
class Way:
    """How far each picked sample was from the way of accepted drives."""

    part: float
    excess: Array
    """(P,), in [0, 1]."""
    feature: NDArray[np.int64]
    """(P,): which feature differs most from the nearest sample's."""


def object_path(whole: Whole, near: Mapping[int, Near], reference: ReferenceSet) -> Way:
    """Return the way of the picked samples, given their features as whole numbers (P, D)."""
    excess, feature = np.zeros(len(whole)), np.zeros(len(whole), dtype=np.int64)
    parts, weights = [], []
    for stage, found in near.items():
        mine, squared = found.mine, found.squared
        excess[mine] = np.clip(kth(squared, NEIGHBOURS) / float(reference.usual[stage]) - 1.0, 0.0, 1.0)
        feature[mine] = np.argmax(np.abs(whole[mine] - found.among[:, np.argmin(squared, axis=1)].T), axis=1)
        weights.append(float(reference.share[stage]))
        parts.append(weights[-1] * math.fsum(excess[mine].tolist()) / len(mine))
    part = 1.0 - math.fsum(parts) / math.fsum(weights) if weights and math.fsum(weights) > 0.0 else 0.0
    return Way(part, excess, feature)
