"""A motion as a path: where it leads, whatever time it takes. Pure.

FORMAT.md section 6.2 is this module in words: a path is walked in strides of one length, evened out, and cut into
pieces of equal length. Pauses and another pace change nothing of that, another rate and a tremor that is shorter than a
stride change little.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import Final

import numpy as np

from sim.robot import Vector

POINTS: Final = 16
"""How many points of a path are compared, both ends included."""
LEVER_M: Final = 0.1
"""How far from a pose's origin the two points are that show how it is turned: 0.1 rad move them by 1 cm."""
STRIDES_MIN: Final = 20
"""How long a path must be to be compared: ways of a few centimetres are alike, whoever goes them."""
_STRIDES_MAX: Final = 1 << 16
"""How long a path may be: 327 m at strides of 5 mm, an hour at 9 cm/s. What follows is not compared."""
_FARTHEST: Final = 1e6
"""Farther away than this everything is the same, so that no square overflows."""
_EVENED: Final = 8
"""How often each point is replaced by the mean of itself (twice) and its neighbours."""
_BLOCK: Final = 64


def path(samples: Vector, stride: float) -> Vector | None:
    """Return (POINTS, D) float64 along the way that (N, D) `samples` take; None if that is too short."""
    strides = _walked(np.clip(samples, -_FARTHEST, _FARTHEST), stride)
    return None if len(strides) < STRIDES_MIN else _divided(_evened(strides))


def pose_points(poses: Vector) -> Vector:
    """Return (N, 9) m from (N, 7) poses: the origin, and the two points beside it that show how it is turned."""
    origin = poses[:, :3]
    along_x, along_z = _axes(poses[:, 3:])
    return np.concatenate([origin, origin + LEVER_M * along_x, origin + LEVER_M * along_z], axis=1)


def dots(one: Vector, other: Vector) -> Vector:
    """Return (N,): the product of each row of two (N, D), added up in the order of the columns, the same everywhere."""
    total: Vector = one[:, 0] * other[:, 0]
    for column in range(1, one.shape[1]):
        total = total + one[:, column] * other[:, column]
    return total


def _axes(quaternions: Vector) -> tuple[Vector, Vector]:
    """Return the x and the z axis, each (N, 3), of (N, 4) quaternions (x, y, z, w) of any length."""
    length = np.sqrt(dots(quaternions, quaternions))[:, np.newaxis]
    x, y, z, w = (quaternions / np.where(length > 0.0, length, 1.0)).T
    along_x = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)], axis=1)
    along_z = np.stack([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)], axis=1)
    return along_x, along_z


def _walked(samples: Vector, stride: float) -> Vector:
    """Return the points (M, D) at which one walks the polyline in strides, each the first so far away, and its end."""
    at = begin = samples[0]
    points, index = [at], 0
    while len(points) < _STRIDES_MAX:
        beyond = _first_beyond(samples, index + 1, at, stride)
        if beyond is None:
            break
        begin = samples[beyond - 1] if beyond - 1 > index else begin
        at = begin = _crossing(begin, samples[beyond], at, stride)
        index = beyond - 1
        points.append(at)
    return np.array([*points, samples[-1]])


def _first_beyond(samples: Vector, start: int, center: Vector, radius: float) -> int | None:
    """Return the index of the first sample from `start` on that is at least `radius` from `center`."""
    block = _BLOCK
    while start < len(samples):
        away = samples[start : start + block] - center
        beyond = np.flatnonzero(dots(away, away) >= radius * radius)
        if len(beyond):
            return start + int(beyond[0])
        start, block = start + block, 2 * block
    return None


def _crossing(begin: Vector, end: Vector, center: Vector, radius: float) -> Vector:
    """Return where the way from `begin`, which is within `radius` of `center`, to `end`, which is not, leaves it."""
    way, away = end - begin, begin - center
    rows = np.stack([way, way, away]), np.stack([way, away, away])
    a, b, c = dots(*rows).tolist()
    c -= radius * radius
    if a == 0.0:
        return end
    share = min(1.0, max(0.0, (np.sqrt(max(0.0, b * b - a * c)) - b) / a))
    found: Vector = begin + share * way
    return found


def _evened(points: Vector) -> Vector:
    even = points.copy()
    for _ in range(_EVENED):
        even[1:-1] = (even[:-2] + 2 * even[1:-1] + even[2:]) / 4
    return even


def _divided(points: Vector) -> Vector:
    """Return POINTS points at equal lengths along a polyline."""
    pieces = points[1:] - points[:-1]
    lengths = list(accumulate(np.sqrt(dots(pieces, pieces)).tolist(), initial=0.0))
    found = [points[0]]
    for number in range(1, POINTS - 1):
        at = lengths[-1] * number / (POINTS - 1)
        piece = min(bisect_right(lengths, at), len(pieces)) - 1
        length = lengths[piece + 1] - lengths[piece]
        found.append(points[piece] + ((at - lengths[piece]) / length if length else 0.0) * pieces[piece])
    return np.array([*found, points[-1]])
