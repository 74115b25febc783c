"""How far the samples of a drive are from those of the reference set that are nearest, in whole numbers.

Part of version 3 of the rules; exports `Near`. Features are whole numbers (`ReferenceSet.whole`), so that squared
distances are too, and no order of adding up and no processor gives others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int32]


def squared_distances(one: Whole, other: Whole) -> Whole:
    """Return |a - b|^2 of every row a of (Q, D) and b of (P, D), whole numbers of at most 127: (Q, P)."""
    total: Whole = np.zeros((len(one), len(other)), dtype=np.int32)
    across = np.empty_like(total)
    for column in range(one.shape[1]):
        np.subtract(one[:, column, np.newaxis], other[np.newaxis, :, column], out=across)
        np.multiply(across, across, out=across)
        np.add(total, across, out=total)
    return total


def kth(squared: Whole, k: int) -> NDArray[np.float64]:
    """Return the distance to the k-th nearest of (Q, P), or the farthest if there are fewer than k: (Q,)."""
    rank = min(k, squared.shape[1]) - 1
    picked: NDArray[np.float64] = np.sqrt(np.partition(squared, rank, axis=1)[:, rank].astype(np.float64))
    return picked
