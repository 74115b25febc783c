"""Rotations as pure functions of quaternions, for any package.

A quaternion is (4,) float64, (x, y, z, w), of unit length unless said otherwise; q and -q are the same
rotation. A rotation vector is (3,) float64, rad: the axis, scaled by the angle. The functions work on
Python floats inside, which for so few numbers is several times faster than NumPy's broadcasting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Triple = tuple[float, float, float]
Quadruple = tuple[float, float, float, float]

IDENTITY: Final[Quadruple] = (0.0, 0.0, 0.0, 1.0)
_TINY: Final = 1e-12


def multiply(a: Vector, b: Vector) -> Vector:
    """Return a b: first turn by b, then by a."""
    ax, ay, az, aw = a.tolist()
    bx, by, bz, bw = b.tolist()
    return np.array(
        (
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        )
    )


def conjugate(q: Vector) -> Vector:
    """Return the inverse of a unit quaternion."""
    x, y, z, w = q.tolist()
    return np.array((-x, -y, -z, w))


def normalized(q: Vector) -> Vector:
    """Return `q` at unit length; the identity if its length is zero."""
    x, y, z, w = q.tolist()
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if length < _TINY:
        return np.array(IDENTITY)
    return q / length


def from_rotvec(rotvec: Vector) -> Vector:
    """Return the quaternion of a rotation vector (3,) rad."""
    x, y, z = rotvec.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    scale = 0.5 if angle < _TINY else math.sin(0.5 * angle) / angle
    return np.array((x * scale, y * scale, z * scale, math.cos(0.5 * angle)))


def to_rotvec(q: Vector) -> Vector:
    """Return the rotation vector (3,) rad of the shorter way round, of length at most pi."""
    x, y, z, w = q.tolist()
    if w < 0.0:
        x, y, z, w = -x, -y, -z, -w
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 if sine < _TINY else 2.0 * math.atan2(sine, w) / sine
    return np.array((x * scale, y * scale, z * scale))


def difference(to: Vector, start: Vector) -> Vector:
    """Return the rotation vector (3,) rad, in the common frame, that turns `start` into `to`."""
    return to_rotvec(multiply(to, conjugate(start)))


def angle_between(a: Vector, b: Vector) -> float:
    """Return the angle in [0, pi] rad between two rotations."""
    return _length(*difference(a, b).tolist())


def rotate(q: Vector, v: Vector) -> Vector:
    """Return `v` (3,) turned by `q`."""
    x, y, z, w = q.tolist()
    a, b, c = v.tolist()
    tx, ty, tz = 2.0 * (y * c - z * b), 2.0 * (z * a - x * c), 2.0 * (x * b - y * a)
    return np.array((a + w * tx + y * tz - z * ty, b + w * ty + z * tx - x * tz, c + w * tz + x * ty - y * tx))


def to_matrix(q: Vector) -> Vector:
    """Return the rotation matrix (3, 3) of a unit quaternion."""
    x, y, z, w = q.tolist()
    return np.array(
        (
            (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)),
            (2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)),
            (2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)),
        )
    )


def from_matrix(matrix: Vector) -> Vector:
    """Return the quaternion of a rotation matrix (3, 3), by the largest of its four components.

    That component is positive, so the sign does not flicker near half a turn (a gripper that points
    straight down). S. W. Shepperd, "Quaternion from rotation matrix", J. Guidance and Control 1(3), 1978.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    squares = (1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i, 1.0 + a + e + i)
    largest = max(range(4), key=squares.__getitem__)
    rows = (
        (squares[0], b + d, c + g, h - f),
        (b + d, squares[1], f + h, c - g),
        (c + g, f + h, squares[2], d - b),
        (h - f, c - g, d - b, squares[3]),
    )
    scale = 0.5 / math.sqrt(squares[largest])
    x, y, z, w = rows[largest]
    return np.array((x * scale, y * scale, z * scale, w * scale))


def rpy_matrix(roll: float, pitch: float, yaw: float) -> Vector:
    """Return the rotation matrix (3, 3) of URDF's rpy, rad: about fixed x, then fixed y, then fixed z."""
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    return np.array(
        (
            (cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr),
            (sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr),
            (-sp, cp * sr, cp * cr),
        )
    )


def looking(position: Sequence[float], target: Sequence[float], up: Sequence[float] = (0.0, 0.0, 1.0)) -> Quadruple:
    """Return the orientation of a camera at `position` (3,) with `target` (3,) in its centre and `up` (3,) above.

    The camera's frame is OpenCV's: x right, y down, z forward. `up` must not be parallel to the view.
    """
    forward = _unit(*(to - at for to, at in zip(target, position, strict=True)))
    right = _unit(*_cross(forward, (up[0], up[1], up[2])))
    columns = right, _cross(forward, right), forward
    x, y, z, w = from_matrix(np.array(columns).T).tolist()
    return (x, y, z, w)


def product(a: Vector, b: Vector) -> Vector:
    """Return the matrix product of (N, M) and (M, K), each sum in order: BLAS chooses the order by the processor."""
    columns = list(zip(*b.tolist(), strict=True))
    return np.array([[_dot(row, column) for column in columns] for row in a.tolist()])


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    found = 0.0
    for one, other in zip(a, b, strict=True):
        found += one * other
    return found


def _length(x: float, y: float, z: float) -> float:
    return math.sqrt(x * x + y * y + z * z)


def _unit(x: float, y: float, z: float) -> Triple:
    length = _length(x, y, z)
    return x / length, y / length, z / length


def _cross(a: Triple, b: Triple) -> Triple:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
