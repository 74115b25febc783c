"""How far the samples of a drive are from those of the reference set that are nearest, in whole numbers.

Part of version 3 of the rules; exports `Near` and `nearness`. Features are whole numbers (`ReferenceSet.whole`), so
that squared distances are too, and no order of adding up and no processor gives others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int32]


def squared_distances(one: Whole, other: Whole) -> Whole:
    """Return |a - b|^2 of every row a of (Q, D) and column b of (D, P), whole numbers of at most 127: (Q, P)."""
    total: Whole = np.zeros((len(one), other.shape[1]), dtype=np.int32)
    across = np.empty_like(total)
    for column in range(one.shape[1]):
        np.subtract(one[:, column, np.newaxis], other[np.newaxis, column], out=across)
        np.multiply(across, across, out=across)
        np.add(total, across, out=total)
    return total


@dataclass(frozen=True, slots=True)
class Near:
    """The picked samples of one stage and the reference set's, and how far they are from each other."""

    mine: NDArray[np.int64]
    """(Q,): which picks they are."""
    among: Whole
    """(D, P): the reference set's samples of the stage, a column each."""
    by_state: Whole
    """(Q, P): squared distances in states alone."""
    by_action: Whole
    """(Q, P): in actions alone."""

    @property
    def squared(self) -> Whole:
        """(Q, P): in both."""
        both: Whole = self.by_state + self.by_action
        return both


def nearness(whole: Whole, stage: NDArray[np.int64], theirs: Mapping[int, Whole], states: int) -> dict[int, Near]:
    """Return the stages of which there are samples on both sides; the first `states` of D features are of states."""
    found = {}
    for number, among in theirs.items():
        mine = np.flatnonzero(stage == number)
        if len(mine):
            asked = whole[mine]
            by_state = squared_distances(asked[:, :states], among[:states])
            by_action = squared_distances(asked[:, states:], among[states:])
            found[number] = Near(mine, among, by_state, by_action)
    return found


def columns_of(points: NDArray[np.int8], stage: NDArray[np.int16]) -> dict[int, Whole]:
    """Return the points (P, D) of each stage that has any, as columns (D, P) in one piece of memory each."""
    every = [int(number) for number in np.unique(stage)]
    return {number: np.ascontiguousarray(points[stage == number].T).astype(np.int32) for number in every}


def kth(squared: Whole, k: int) -> NDArray[np.float64]:
    """Return the distance to the k-th nearest of (Q, P), or the farthest if there are fewer than k: (Q,)."""
    rank = min(k, squared.shape[1]) - 1
    picked: NDArray[np.float64] = np.sqrt(np.partition(squared, rank, axis=1)[:, rank].astype(np.float64))
    return picked
