"""Signals on a grid of one rate: interpolated, their speeds, and the runs of what holds; sums in a written order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.fixed import Array, interpolated

Mask = NDArray[np.bool_]

RATE_HZ: Final = 20.0
"""The rate of the common grid."""
SPEED_SAMPLES: Final = 2
"""Speeds for idleness are taken over this many samples to each side: 0.2 s, longer than an encoder's flicker."""


def resample(t_s: Array, values: Array, rate_hz: float = RATE_HZ) -> Array:
    """Return `values` (N, ...) at t_s[0] + k / rate_hz, linearly interpolated: (M, ...), M >= 1.

    Limits: what oscillates faster than half of `rate_hz` is lost; angles are taken as they are, without unwrapping.
    """
    count = math.floor((t_s[-1] - t_s[0]) * rate_hz) + 1
    grid = t_s[0] + np.arange(count, dtype=np.float64) / rate_hz
    flat = values.reshape(len(values), -1)
    columns = [interpolated(grid, t_s, flat[:, column]) for column in range(flat.shape[1])]
    return np.stack(columns, axis=1).reshape(count, *values.shape[1:])


def distance(a: Sequence[float] | Array, b: Sequence[float] | Array) -> float:
    """Return how far two points are apart."""
    if len(a) == 3:  # as below, in the same order, without the cost of a loop
        x, y, z = float(b[0] - a[0]), float(b[1] - a[1]), float(b[2] - a[2])
        return math.sqrt(x * x + y * y + z * z)
    total = 0.0
    for one, other in zip(a, b, strict=True):
        total += float((other - one) * (other - one))
    return math.sqrt(total)


def norms(rows: Array) -> Array:
    """Return the length of each row of (M, D)."""
    lengths: Array = np.sqrt(summed(rows * rows))
    return lengths


def summed(rows: Array) -> Array:
    """Return the sum of each row of (M, D), in a fixed order, so that every processor rounds the same way."""
    total: Array = np.zeros(len(rows))
    for column in range(rows.shape[1]):
        total = total + rows[:, column]
    return total


def speed(values: Array, rate_hz: float) -> Array:
    """Return ||dx/dt|| of (M, K) over `SPEED_SAMPLES` to each side (fewer at the ends): (M,), per s."""
    before, after = _around(len(values))
    speeds: Array = norms(values[after] - values[before]) * rate_hz / np.maximum(after - before, 1)
    return speeds


def rates(values: Array, rate_hz: float) -> Array:
    """Return |dx/dt| of each column of (M, K), as `speed` takes it: (M, K), per s."""
    before, after = _around(len(values))
    found: Array = np.abs(values[after] - values[before]) * rate_hz / np.maximum(after - before, 1)[:, np.newaxis]
    return found


def _around(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    index = np.arange(count)
    return np.maximum(index - SPEED_SAMPLES, 0), np.minimum(index + SPEED_SAMPLES, count - 1)


def runs(mask: Mask) -> list[tuple[int, int]]:
    """Return (first, last) of every run of True."""
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    return [
        (int(first), int(last) - 1)
        for first, last in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    ]


def joined(parts: list[tuple[int, int]], gap: float) -> list[tuple[int, int]]:
    """Return `parts`, joined wherever fewer than `gap` samples lie between two."""
    found: list[tuple[int, int]] = []
    for first, last in parts:
        begin = found.pop()[0] if found and first - found[-1][1] - 1 < gap else first
        found.append((begin, last))
    return found
