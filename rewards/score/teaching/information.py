"""How much a drive's states say about its actions, in the light of accepted drives: shown, and not paid by.

Part of version 3 of the rules; exports `information`.

*Formula.* The estimator of Kraskov, Stoegbauer and Grassberger (2004), as arXiv 2502.08623 (DemInf) uses it for single
samples. Among the reference set's samples of the same stage, e is the distance of a picked sample to its k-th nearest,
the larger of that of the states and that of the actions; n_s and n_a say how many are nearer than e in states alone and
in actions alone. The sample has q = - mean over k = 5, 6, 7 of psi(n_s + 1) + psi(n_a + 1), psi the digamma function of
whole numbers. The drive has the mean of q over its samples, less the reference drives' own mean, over their spread.

*Units.* Spreads of the reference drives: 0 is an ordinary accepted drive, -2 is one whose actions follow from its
states far less than theirs.

*Limits.* The paper measures on a VAE's latents, within the data set to be curated; ours is on plain standardised
states (`states.py`) and against the reference set. That is our deviation, so the paper's results do not carry over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.references.store import ReferenceSet
from rewards.score.teaching.nearest import Near

NEIGHBOURS: Final = (5, 6, 7)
_EULER: Final = 0.5772156649015329


def information(near: Mapping[int, Near], reference: ReferenceSet) -> float | None:
    """Return the drive's mutual information in spreads of the reference's; None if it has no comparable sample."""
    mean = mean_information(near)
    if mean is None:
        return None
    middle, spread = (float(value) for value in reference.information)
    return (mean - middle) / spread if spread > 0.0 else 0.0


def mean_information(near: Mapping[int, Near]) -> float | None:
    """Return the mean of q over a drive's samples; None if no stage has enough others."""
    found: list[float] = []
    for one in near.values():
        if one.among.shape[1] > max(NEIGHBOURS):
            found += _of_samples(one).tolist()
    return math.fsum(found) / len(found) if found else None


def _of_samples(near: Near) -> NDArray[np.float64]:
    """Return q of each sample (Q,)."""
    nearest = np.partition(np.maximum(near.by_state, near.by_action), [k - 1 for k in NEIGHBOURS], axis=1)
    psi, total = _psi(near.among.shape[1] + 2), np.zeros(len(near.mine))
    for k in NEIGHBOURS:
        within = nearest[:, k - 1, np.newaxis]
        near_s = np.count_nonzero(near.by_state < within, axis=1)
        near_a = np.count_nonzero(near.by_action < within, axis=1)
        total = total - (psi[near_s + 1] + psi[near_a + 1])
    return total / len(NEIGHBOURS)


@cache
def _psi(count: int) -> NDArray[np.float64]:
    """Return the digamma function of the whole numbers below `count`: 1 + 1/2 + 1/3 ... less Euler's constant."""
    values, total = [0.0], -_EULER
    for whole in range(1, count):
        values.append(total)
        total += 1.0 / whole
    return np.array(values)
