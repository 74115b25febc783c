"""Kinematics in NumPy: what `sim.motion.kinematics`, whose arithmetic is C, is tested against.

Written apart from it: LAPACK and `np.matmul` in place of loops, cofactors and `eigh` in place of rotations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim import rotation
from sim.model.urdf import Urdf, read_urdf
from sim.motion.kinematics import IkOptions, _basis, _folded
from sim.robot import RobotSpec

Vector = NDArray[np.float64]

_NEXT: Final = np.array((1, 2, 0))
_LAST: Final = np.array((2, 0, 1))
_ZERO: Final = 1e-8
"""A squared singular value below this is none."""


class Posture:
    """Joint positions of one `Oracle`, and what follows from them, each computed once, when it is asked for."""

    def __init__(self, kinematics: Oracle, q: Vector) -> None:
        self._kinematics = kinematics
        self.q = q
        """(J,) float64, rad."""

    @cached_property
    def _frames(self) -> Vector:
        return self._kinematics._frames(self.q)

    @cached_property
    def pose(self) -> Vector:
        """Where the end effector is, (7,)."""
        return _pose(self._frames[-1])

    @cached_property
    def jacobian(self) -> Vector:
        """The geometric Jacobian (6, J): m/rad above, rad/rad below, in the base frame."""
        return self._kinematics._jacobian(self._frames)

    @cached_property
    def condition(self) -> float:
        """The condition number of the Jacobian, of its translation alone with fewer than six joints."""
        jacobian = self.jacobian if len(self.q) >= 6 else self.jacobian[:3]
        values = np.linalg.svd(jacobian, compute_uv=False)
        return float(values[0] / max(values[-1], _ZERO))


class Solution(NamedTuple):
    """Joint positions near the start, and how far their pose is from the target."""

    posture: Posture
    position_error_m: float
    rotation_error_rad: float

    @property
    def q(self) -> Vector:
        """(J,) float64, rad, within the limits."""
        return self.posture.q


class Oracle:
    """The chain from a base link to an end effector, with every fixed transform folded into constants.

    Safe to share between threads: a call keeps nothing. With the joint's frame C before it turns, its
    transform is C (A0 + sin q A1 + (1 - cos q) A2 + q A3) (Rodrigues' formula; A3 is a prismatic joint's),
    so that all joints' transforms are one product of precomputed matrices with (1, sin q, 1 - cos q, q).
    """

    def __init__(
        self,
        urdf: Path | Urdf,
        joint_names: Sequence[str],
        ee_link: str,
        *,
        base_link: str | None = None,
        constants: Mapping[str, float] | None = None,
        lower: Vector | None = None,
        upper: Vector | None = None,
        home: Vector | None = None,
    ) -> None:
        """Fold the chain. Joints on it that are not driven stand at `constants` (0 where not named).

        Limits default to the URDF's, `home` to their middle. Raises a UrdfError.
        """
        read = urdf if isinstance(urdf, Urdf) else read_urdf(urdf)
        joints = [read.joint(name) for name in joint_names]
        chain = read.chain(base_link or read.base_link, ee_link)
        driven = [joint for joint in chain if joint.name in joint_names]
        self.joint_names = tuple(joint_names)
        self.lower = np.array([joint.lower for joint in joints] if lower is None else lower)
        self.upper = np.array([joint.upper for joint in joints] if upper is None else upper)
        self.home = 0.5 * (self.lower + self.upper) if home is None else np.array(home, dtype=np.float64)
        self._order = np.array([self.joint_names.index(joint.name) for joint in driven], dtype=np.intp)
        self._axes = np.array([joint.axis for joint in driven]).reshape(-1, 3, 1)
        self._rotates = np.array([joint.rotates for joint in driven]).reshape(-1, 1)
        befores, self._tip = _folded(chain, driven, dict(constants or {}))
        bases = [_basis(joint) for joint in driven]
        self._basis = np.array([(c @ b).reshape(4, 16) for c, b in zip(befores, bases, strict=True)])

    @classmethod
    def of(cls, spec: RobotSpec, hand: int = 0) -> Oracle:
        """Return how a twist moves the end effector number `hand`: its own joints, in the frame of its base link.

        Limits and home are the spec's. Raises a UrdfError.
        """
        end = spec.end_effectors[hand]
        return cls._within(spec, read_urdf(spec.model.urdf_path), end.joint_names, end.link, end.base_link)

    @classmethod
    def _within(
        cls, spec: RobotSpec, urdf: Urdf, joint_names: Sequence[str], link: str, base_link: str | None
    ) -> Oracle:
        at = [spec.joint_names.index(name) for name in joint_names]
        return cls(
            urdf,
            joint_names,
            link,
            base_link=base_link,
            lower=spec.joint_lower_rad[at],
            upper=spec.joint_upper_rad[at],
            home=spec.home_rad[at],
        )

    @property
    def joints(self) -> int:
        """J, the number of driven joints."""
        return len(self.joint_names)

    def at(self, q: Vector) -> Posture:
        """Return the posture at joint positions `q` (J,) rad."""
        return Posture(self, q)

    def forward(self, q: Vector) -> Vector:
        """Return the end effector's pose (7,) at joint positions `q` (J,) rad."""
        return self.at(q).pose

    def jacobian(self, q: Vector) -> Vector:
        """Return the geometric Jacobian (6, J) at `q`: m/rad above, rad/rad below, in the base frame."""
        return self.at(q).jacobian

    def solve(self, q_start: Vector, target: Vector, options: IkOptions | None = None) -> Solution:
        """Return joint positions near `q_start` (J,) whose pose approaches `target` (7,).

        Each step is damped least squares with task priority: first the position, then as much of the rotation
        as the position leaves free, then (with more than six joints) a little of the way home. Damping acts
        only on directions that are close to singular, so elsewhere it costs no accuracy. A start that is
        already there is returned unmoved. A joint at its limit is left out while it would push outward.

        Y. Nakamura and H. Hanafusa, "Inverse kinematic solutions with singularity robustness for robot
        manipulator control", J. Dynamic Systems, Measurement and Control 108(3), 1986.
        B. Siciliano and J.-J. E. Slotine, "A general framework for managing multiple tasks in highly
        redundant robotic systems", ICAR 1991.
        """
        q = np.minimum(np.maximum(q_start, self.lower), self.upper)
        return self.approach(Posture(self, q), target, options)

    def approach(self, start: Posture, target: Vector, options: IkOptions | None = None) -> Solution:
        """Do as `solve` does, from a posture within the limits."""
        o, posture = options or _DEFAULT, start
        turn = rotation.normalized(target[3:])
        bias: Vector | None = o.home_gain * (self.home - start.q) if self.joints > 6 else None
        for iteration in range(o.iterations + 1):
            away = target[:3] - posture.pose[:3]
            twist = rotation.difference(turn, posture.pose[3:])
            position_error_m, rotation_error_rad = math.sqrt(away @ away), math.sqrt(twist @ twist)
            there = position_error_m < o.tolerance_m and (
                rotation_error_rad < o.tolerance_rad or o.rotation_weight == 0.0
            )
            if there or iteration == o.iterations:
                break
            q = posture.q + self._unblocked_step(posture, away, twist, bias, o)
            posture = Posture(self, np.minimum(np.maximum(q, self.lower), self.upper))
            bias = None
        return Solution(posture, position_error_m, rotation_error_rad)

    def _unblocked_step(
        self, posture: Posture, away: Vector, twist: Vector, bias: Vector | None, o: IkOptions
    ) -> Vector:
        """Return a step that leaves out the joints that it would push through limits at which they stand."""
        q, jacobian = posture.q, posture.jacobian
        step = _step(jacobian, away, twist, bias, o)
        for _ in range(2):
            blocked = ((q >= self.upper) & (step > 0.0)) | ((q <= self.lower) & (step < 0.0))
            if not blocked.any():
                break
            jacobian = np.where(blocked, 0.0, jacobian)
            step = _step(jacobian, away, twist, bias, o)
        largest = float(np.abs(step).max())
        return step if largest <= o.step_max_rad else step * (o.step_max_rad / largest)

    def _frames(self, q: Vector) -> Vector:
        """Return (J + 1, 4, 4): each driven joint's frame after it has turned, then the end effector's."""
        count = self.joints
        q = q[self._order]
        terms = np.empty((count, 1, 4))
        terms[:, 0, 0] = 1.0
        np.sin(q, out=terms[:, 0, 1])
        np.subtract(1.0, np.cos(q), out=terms[:, 0, 2])
        terms[:, 0, 3] = q
        frames = np.empty((count + 1, 4, 4))
        np.matmul(terms, self._basis, out=frames[:count].reshape(count, 1, 16))
        for index in range(1, count):
            frames[index] = frames[index - 1].dot(frames[index])
        frames[count] = frames[count - 1].dot(self._tip)
        return frames

    def _jacobian(self, frames: Vector) -> Vector:
        axes = np.matmul(frames[:-1, :3, :3], self._axes)[:, :, 0]
        arms = frames[-1, :3, 3] - frames[:-1, :3, 3]
        across = axes[:, _NEXT] * arms[:, _LAST] - axes[:, _LAST] * arms[:, _NEXT]
        jacobian = np.empty((6, self.joints))
        jacobian[:3, self._order] = np.where(self._rotates, across, axes).T
        jacobian[3:, self._order] = np.where(self._rotates, axes, 0.0).T
        return jacobian


_DEFAULT: Final = IkOptions()


def _step(jacobian: Vector, away: Vector, twist: Vector, bias: Vector | None, o: IkOptions) -> Vector:
    """Return the change (J,) rad: position, then rotation in its null space, then `bias` in what is left."""
    moving, turning = jacobian[:3], jacobian[3:]
    inverse, used = _inverse(moving, o.singular_m)
    step: Vector = inverse.dot(away)
    free = np.eye(jacobian.shape[1]) - used
    if o.rotation_weight > 0.0:
        inverse, used = _inverse(turning.dot(free), o.singular_rad)
        step = step + inverse.dot(o.rotation_weight * twist - turning.dot(step))
        free = free - used
    if bias is not None:
        step = step + free.dot(bias)
    return step


def _inverse(matrix: Vector, singular: float) -> tuple[Vector, Vector]:
    """Return the damped pseudo-inverse (J, 3) of (3, J), and the projector (J, J) onto the joints' motions it uses.

    A direction is damped where its singular value is below `singular`. The damping rises as Nakamura and Hanafusa's
    (1986, eq. 22) does, with the singular value in manipulability's place: lambda^2 = singular^2 (1 - s / singular)^2.
    The projector is not damped, so that a task of lower priority never works against this one.
    """
    square = matrix.dot(matrix.T)
    exact = _inverse_of_regular(square, singular * singular)
    if exact is not None:
        inverse: Vector = matrix.T.dot(exact)
        return inverse, inverse.dot(matrix)
    squares, directions = np.linalg.eigh(square)
    squares = np.maximum(squares, 0.0)
    lacking = np.maximum(singular - np.sqrt(squares), 0.0)
    rows = matrix.T.dot(directions)
    inverse = (rows / (squares + lacking * lacking)).dot(directions.T)
    used: Vector = (rows / np.where(squares > _ZERO, squares, np.inf)).dot(rows.T)
    return inverse, used


def _inverse_of_regular(square: Vector, least: float) -> Vector | None:
    """Return the inverse of a positive symmetric matrix (3, 3) whose eigenvalues are surely above `least`, else None.

    The two larger eigenvalues' product is at most the square of half the trace, so that the smallest is at least
    4 det / trace^2. By cofactors, which for so few numbers is several times faster than LAPACK.
    """
    (a, b, c), (_, e, f), (_, _, i) = square.tolist()
    ca, cb, cc = e * i - f * f, c * f - b * i, b * f - c * e
    determinant, trace = a * ca + b * cb + c * cc, a + e + i
    if not 4.0 * determinant > least * trace * trace:
        return None
    ce, cf, ci = a * i - c * c, b * c - a * f, a * e - b * b
    inverse: Vector = np.array(((ca, cb, cc), (cb, ce, cf), (cc, cf, ci))) / determinant
    return inverse


def _pose(frame: Vector) -> Vector:
    pose = np.empty(7)
    pose[:3] = frame[:3, 3]
    pose[3:] = rotation.from_matrix(frame[:3, :3])
    return pose
