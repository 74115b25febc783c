"""Kinematics: where an end effector is, how it moves, which joint positions put it somewhere. The arithmetic is in C.

Exports `Kinematics`, used by the driver of every robot (simulated or real), by safety and by readers of episodes. A
pose is (7,) float64: x y z in metres and the quaternion x y z w, in the base link's frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.model.urdf import Joint, UnknownJointError, Urdf, UrdfError, read_urdf, urdf_files
from sim.robot import RobotError, RobotSpec, clipped
from sim.rotation import product

try:
    from sim.motion._native import Chain, moved
except ImportError as error:
    raise ImportError(
        "sim.motion._native, which is compiled from sim/motion/_native.c, is missing here or was built for another "
        "Python; build it: make setup, or python -c 'import setuptools; setuptools.setup()' build_ext --inplace"
    ) from error

__all__ = ["Hands", "IkOptions", "Kinematics", "KinematicsInputError", "Solution", "UrdfError", "urdf_files"]

Vector = NDArray[np.float64]


class KinematicsInputError(RobotError):
    """Joint positions or a pose have the wrong shape or are not finite."""


class Posture:
    """Joint positions of one `Kinematics`, and what follows from them."""

    __slots__ = ("_chain", "_condition", "jacobian", "pose", "q")

    def __init__(self, chain: Chain, q: Vector, pose: Vector, jacobian: Vector) -> None:
        self._chain = chain
        self._condition: float | None = None
        self.q = q
        """(J,) float64, rad."""
        self.pose = pose
        """Where the end effector is, (7,)."""
        self.jacobian = jacobian
        """The geometric Jacobian (6, J): m/rad above, rad/rad below, in the base frame."""

    @property
    def condition(self) -> float:
        """The condition number of the Jacobian, or of its translation alone if there are fewer than six joints."""
        if self._condition is None:
            self._condition = self._chain.condition(self.jacobian)
        return self._condition


class Solution(NamedTuple):
    """Joint positions near the start, and how far their pose is from the target."""

    posture: Posture
    position_error_m: float
    rotation_error_rad: float

    @property
    def q(self) -> Vector:
        """(J,) float64, rad, within the limits."""
        return self.posture.q


@dataclass(frozen=True, slots=True)
class IkOptions:
    """How `Kinematics.solve` works; the defaults suit a control loop that solves again each period."""

    iterations: int = 4
    """The most steps to take; use 50 to 100 for a target that is far away."""
    rotation_weight: float = 1.0
    """In [0, 1]: the fraction of the rotation error that one step removes; 0 ignores rotation."""
    home_gain: float = 0.02
    """The fraction of the way home that one `solve` goes in the null space, with more than six joints."""
    step_max_rad: float = 0.3
    """The most that one joint turns in one step."""
    singular_m: float = 0.03
    """A direction of translation is damped if a unit of joint speed moves it by less than this, m/rad."""
    singular_rad: float = 0.2
    """The same for rotation, rad/rad."""
    tolerance_m: float = 1e-6
    tolerance_rad: float = 1e-5

    @property
    def values(self) -> tuple[int, float, float, float, float, float, float, float]:
        """All of them, in the order of their declaration."""
        return (
            self.iterations,
            self.rotation_weight,
            self.home_gain,
            self.step_max_rad,
            self.singular_m,
            self.singular_rad,
            self.tolerance_m,
            self.tolerance_rad,
        )


class Kinematics:
    """The chain from a base link to an end effector, with every fixed transform folded into constants.

    Safe to share between threads: a call keeps no state. With the joint's frame C before it turns, its
    transform is C (A0 + sin q A1 + (1 - cos q) A2 + q A3) (Rodrigues' formula; A3 is a prismatic joint's).
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
        """Fold the chain. Joints on it that are not driven stay at `constants` (0 if not named).

        Limits default to the URDF's, `home` to their middle. Raises a UrdfError.
        """
        read = urdf if isinstance(urdf, Urdf) else read_urdf(urdf)
        joints = [read.joint(name) for name in joint_names]
        chain = read.chain(base_link or read.base_link, ee_link)
        driven = [joint for joint in chain if joint.name in joint_names]
        _check_driven(joints, driven, ee_link, read.path)
        self.joint_names = tuple(joint_names)
        self.lower = _limits([joint.lower for joint in joints], lower)
        self.upper = _limits([joint.upper for joint in joints], upper)
        self.home = _middle(self.lower, self.upper) if home is None else np.array(home, dtype=np.float64)
        befores, tip = _folded(chain, driven, dict(constants or {}))
        bases = [[product(c, part) for part in _basis(joint)] for c, joint in zip(befores, driven, strict=True)]
        basis = np.array(bases)
        self._chain = Chain(
            tuple(self.joint_names.index(joint.name) for joint in driven),
            tuple(joint.rotates for joint in driven),
            np.array([joint.axis for joint in driven], dtype=np.float64),
            np.ascontiguousarray(basis[:, :, :3]),
            np.ascontiguousarray(tip[:3]),
            self.lower,
            self.upper,
            self.home,
        )

    @classmethod
    def of(cls, spec: RobotSpec, hand: int = 0) -> Kinematics:
        """Return the kinematics by which a twist moves end effector `hand`: its own joints, in its base link's frame.

        Limits and home are the spec's. Raises a UrdfError.
        """
        end = spec.end_effectors[hand]
        return cls._within(spec, read_urdf(spec.model.urdf_path), end.joint_names, end.link, end.base_link)

    @classmethod
    def _within(
        cls, spec: RobotSpec, urdf: Urdf, joint_names: Sequence[str], link: str, base_link: str | None
    ) -> Kinematics:
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
        q = self._checked(q)
        pose, jacobian = np.empty(7), np.empty((6, len(q)))
        self._chain.place(q, pose, jacobian)
        return Posture(self._chain, q, pose, jacobian)

    def forward(self, q: Vector) -> Vector:
        """Return the end effector's pose (7,) at joint positions `q` (J,) rad."""
        return self.at(q).pose

    def jacobian(self, q: Vector) -> Vector:
        """Return the geometric Jacobian (6, J) at `q`: m/rad above, rad/rad below, in the base frame."""
        return self.at(q).jacobian

    def within(self, path: Vector, lower_m: Vector, upper_m: Vector) -> bool:
        """Return whether all joint positions (N, J) put the end effector between two corners (3,), m."""
        return self._chain.within(np.ascontiguousarray(path), lower_m, upper_m)

    def away(self, q: Vector, target: Vector) -> tuple[float, float]:
        """Return how far the pose at `q` (J,) is from `target` (7,), whose quaternion has unit length: m and rad."""
        return self._chain.away(np.ascontiguousarray(q), target)

    def solve(self, q_start: Vector, target: Vector, options: IkOptions | None = None) -> Solution:
        """Return joint positions near `q_start` (J,) whose pose approaches `target` (7,).

        Each step is damped least squares with task priority: first the position, then as much of the rotation
        as the position leaves free, then (with more than six joints) a little of the way home. Damping acts
        only on directions that are close to singular, so elsewhere it costs no accuracy. A start that is
        already there is returned unchanged. A joint at its limit is left out while it would push outward.

        Y. Nakamura and H. Hanafusa, "Inverse kinematic solutions with singularity robustness for robot
        manipulator control", J. Dynamic Systems, Measurement and Control 108(3), 1986.
        B. Siciliano and J.-J. E. Slotine, "A general framework for managing multiple tasks in highly
        redundant robotic systems", ICAR 1991.
        """
        return self.approach(clipped(self._checked(q_start), self.lower, self.upper), target, options)

    def approach(self, start: Vector, target: Vector, options: IkOptions | None = None) -> Solution:
        """Do what `solve` does, from joint positions (J,) within the limits."""
        o = options or _DEFAULT
        q, pose, jacobian = np.empty(len(start)), np.empty(7), np.empty((6, len(start)))
        position_error_m, rotation_error_rad = self._chain.approach(
            self._checked(start), _checked_pose(target), o.values, q, pose, jacobian
        )
        return Solution(Posture(self._chain, q, pose, jacobian), position_error_m, rotation_error_rad)

    def _checked(self, q: Vector) -> Vector:
        q = np.ascontiguousarray(q, dtype=np.float64)
        if q.shape != (self.joints,) or not all(map(math.isfinite, q.tolist())):
            raise KinematicsInputError(f"expected {self.joints} finite joint positions, got {q.tolist()}")
        return q


def moved_within(
    pose: Vector, way_m: Vector, turn_rad: Vector, lower_m: Vector, upper_m: Vector
) -> tuple[Vector, bool]:
    """Return a pose (7,) moved by `way_m` (3,) and then turned by `turn_rad` (3,), and whether the box held it back.

    It does not leave the box between two corners (3,), or, if it is already outside, goes no farther out.
    """
    there = np.empty(7)
    held = moved(pose, way_m, turn_rad, lower_m, upper_m, there)
    return there, held


class Hands:
    """Where every end effector of a robot is, from all of its joints in the order of the spec."""

    def __init__(self, spec: RobotSpec) -> None:
        """Fold each chain from the URDF's base. Raises a UrdfError."""
        urdf = read_urdf(spec.model.urdf_path)
        self._chains: list[tuple[NDArray[np.intp], Kinematics]] = []
        for end in spec.end_effectors:
            on_chain = {joint.name for joint in urdf.chain(urdf.base_link, end.link)}
            names = [name for name in spec.joint_names if name in on_chain]
            at = np.array([spec.joint_names.index(name) for name in names], dtype=np.intp)
            self._chains.append((at, Kinematics._within(spec, urdf, names, end.link, None)))

    def poses(self, q: Vector) -> Vector:
        """Return (K, 7) at joint positions `q` (J,), in the URDF's base frame."""
        return np.array([chain.forward(q[at]) for at, chain in self._chains])


_DEFAULT: Final = IkOptions()


def _checked_pose(pose: Vector) -> Vector:
    pose = np.ascontiguousarray(pose, dtype=np.float64)
    if pose.shape != (7,) or not all(map(math.isfinite, pose.tolist())):
        raise KinematicsInputError(f"expected a finite pose (x, y, z, qx, qy, qz, qw), got {pose.tolist()}")
    return pose


def _check_driven(joints: Sequence[Joint], driven: Sequence[Joint], ee_link: str, path: Path) -> None:
    wrong = [joint.name for joint in joints if not joint.moves or joint not in driven]
    if wrong or not joints:
        names = [joint.name for joint in joints]
        raise UnknownJointError(f"{path}: expected joints that move {ee_link!r}, got {wrong} among {names}")


def _limits(from_urdf: list[float], given: Vector | None) -> Vector:
    return np.array(from_urdf if given is None else given, dtype=np.float64)


def _middle(lower: Vector, upper: Vector) -> Vector:
    bounded = np.isfinite(lower) & np.isfinite(upper)
    return np.where(bounded, 0.5 * (np.where(bounded, lower, 0.0) + np.where(bounded, upper, 0.0)), 0.0)


def _folded(
    chain: Sequence[Joint], driven: Sequence[Joint], constants: dict[str, float]
) -> tuple[list[Vector], Vector]:
    """Return the constant transform before each driven joint, since the last one, and the one after all."""
    befores: list[Vector] = []
    since = np.eye(4)
    for joint in chain:
        since = product(since, joint.origin)
        if joint in driven:
            befores.append(since)
            since = np.eye(4)
        elif joint.moves:
            since = product(since, _moved(joint, constants.get(joint.name, 0.0)))
    return befores, since


def _basis(joint: Joint) -> Vector:
    """Return (4, 4, 4): the matrices that 1, sin q, 1 - cos q and q multiply."""
    basis = np.zeros((4, 4, 4))
    basis[0] = np.eye(4)
    if joint.rotates:
        x, y, z = joint.axis
        cross = np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))
        basis[1, :3, :3] = cross
        basis[2, :3, :3] = product(cross, cross)
    else:
        basis[3, :3, 3] = joint.axis
    return basis


def _moved(joint: Joint, q: float) -> Vector:
    still, sine, rest, slid = _basis(joint)
    moved: Vector = still + math.sin(q) * sine + (1.0 - math.cos(q)) * rest + q * slid
    return moved
