"""What a study says of numbers: AUROC, rank correlation, and intervals by a bootstrap over its independent parts.

Intervals are percentiles at 95 % of a bootstrap that draws whole cells (one of the study's seeds each), then what is in
them (A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). With five cells they
are rather too narrow than too wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL: Final = 0.95
RESAMPLES: Final = 1000
_SEED: Final = 20_260_605


class Estimate(msgspec.Struct, frozen=True):
    """A value and its interval at `LEVEL`; None if there is nothing to say it of."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def auroc(better: Array, worse: Array, among: Array | None = None) -> float | None:
    """Return how often one of `better` (N,) is above one of `worse` (M,), ties half: 1 found, 0.5 chance, 0 inverted.

    The area under the receiver operating characteristic is this (D. Bamber, 1975). `among` (N, M) is 1 for each pair
    that is compared; by default all are. None if there is no pair.
    """
    counted = np.ones((len(better), len(worse))) if among is None else among
    return float((above(better, worse) * counted).sum() / counted.sum()) if counted.sum() else None


def above(better: Array, worse: Array) -> Array:
    """Return (N, M): 1 if one of `better` is above one of `worse`, 0.5 if they are the same."""
    difference = better[:, None] - worse
    found: Array = (difference > 0.0) + 0.5 * (difference == 0.0)
    return found


def ranks(values: Array) -> Array:
    """Return the ranks of `values` (N,), from 1; equal ones share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - 0.5 * (counts - 1))[inverse]
    return found


def spearman(one: Array, other: Array) -> float | None:
    """Return the rank correlation of two lists (N,); None if either says nothing: fewer than three, or all the same."""
    if len(one) < 3 or np.ptp(one) == 0.0 or np.ptp(other) == 0.0:
        return None
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def drawn(sizes: Sequence[Sequence[int]], *, resamples: int = RESAMPLES, salt: int = 0) -> list[Array]:
    """Return how often each thing is drawn in each resample: an array (R, sum of sizes) for each list of sizes.

    Each list has the number of things in each cell; what is drawn are cells, the same for all lists, then things.
    Another `salt` draws others: for what is independent.
    """
    rng, cells = np.random.default_rng((_SEED, salt)), len(sizes[0])
    times = rng.multinomial(cells, np.full(cells, 1.0 / cells), size=resamples)
    found = []
    for each in sizes:
        parts = [_within(rng, size, times[:, cell]) for cell, size in enumerate(each)]
        found.append(np.concatenate(parts, axis=1).astype(np.float64))
    return found


def _within(rng: np.random.Generator, size: int, times: NDArray[np.int64]) -> NDArray[np.int64]:
    if not size:
        return np.zeros((len(times), 0), np.int64)
    made: NDArray[np.int64] = rng.multinomial(times * size, np.full(size, 1.0 / size))
    return made


def estimated_auroc(better: Array, worse: Array, up: Array, down: Array, among: Array | None = None) -> Estimate:
    """Return the AUROC with its interval; `up` (R, N) and `down` (R, M) are what was drawn of the two."""
    value = auroc(better, worse, among)
    if value is None:
        return Estimate()
    counted = np.ones((len(better), len(worse))) if among is None else among
    won = ((up @ (above(better, worse) * counted)) * down).sum(1)
    of = ((up @ counted) * down).sum(1)
    return Estimate(value, *interval(shares(won, of)))


def estimated_spearman(one: Array, other: Array, rows: Array) -> Estimate:
    """Return the rank correlation with its interval; `rows` (R, N) is what was drawn."""
    value = spearman(one, other)
    if value is None:
        return Estimate()
    again = (np.repeat(np.arange(len(one)), each.astype(np.intp)) for each in rows)
    found = [spearman(one[some], other[some]) for some in again]
    return Estimate(value, *interval(np.array([np.nan if one is None else one for one in found])))


def shares(part: Array, whole: Array) -> Array:
    """Return part / whole, not a number if that is nothing of nothing."""
    found: Array = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole != 0.0)
    return found


def interval(found: Array) -> tuple[float | None, float | None]:
    """Return the middle `LEVEL` of what a bootstrap found; what is not a number does not count."""
    kept = found[~np.isnan(found)]
    if not len(kept):
        return None, None
    half = 0.5 * (1.0 - LEVEL)
    low, high = np.quantile(kept, [half, 1.0 - half])
    return float(low), float(high)
