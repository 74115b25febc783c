"""A reference motion of a robot's controller, as its build computes it here: kinematics, smoothing, limits, ramps.

Like the reference fall of `fingerprint.py`, it tells in advance whether a replay can give the same bits: a controller
is compiled code (ours in C, and Ruckig), and takes `sin` and the like from the C library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.motion.control import Controller, Directive, Joints, Pose, Setpoint, Twist
from sim.motion.kinematics import Hands
from sim.physics.fingerprint import digest, roots
from sim.physics.stepping import CONTROL_HZ
from sim.robot import Observation, RobotSpec

_PERIODS: Final = 12
"""Of a motion by twists or poses, and twice those of one by joints, or of a hold."""
_LINEAR_M_S: Final = (0.21, -0.13, 0.17)
_ANGULAR_RAD_S: Final = (0.4, 0.9, -0.7)
_BASE: Final = (0.3, 0.5)
_AWAY_M: Final = (0.07, 0.11, -0.05)
_TURNED: Final = (0.1, -0.2, 0.3, 0.9)
"""A quaternion, not of unit length."""
_BENT_RAD: Final = 0.2


def control(robot: RobotDescription) -> str:
    """Return a digest of a motion by twists, poses, joints and holds, and of what it may need. Raises a UrdfError."""
    spec = robot.spec(robot.arrays, simulated=True, control_hz=float(CONTROL_HZ))
    ends = [
        (end.link, end.joint_names, end.base_link, end.workspace_lower_m.tolist(), end.workspace_upper_m.tolist())
        for end in spec.end_effectors
    ]
    limits = [getattr(spec, name).tolist() for name in _OF_JOINTS]
    name = digest([str(spec.model.urdf_path), spec.joint_names, limits, ends, spec.base, spec.control_hz])
    return _moved(_Named(name, spec))


@dataclass(frozen=True, slots=True)
class _Named:
    """A spec under a name that says all that the controller takes from it."""

    name: str
    spec: RobotSpec = field(compare=False)


_OF_JOINTS: Final = (
    "joint_lower_rad",
    "joint_upper_rad",
    "joint_velocity_max_rad_s",
    "joint_acceleration_max_rad_s2",
    "joint_jerk_max_rad_s3",
    "home_rad",
)


@lru_cache(maxsize=64)
def _moved(named: _Named) -> str:
    spec = named.spec
    controller, hands = Controller(spec), Hands(spec)
    seen = Observation({"joint_position": spec.home_rad, "gripper_position": np.ones(spec.hands)})
    controller.start(seen)
    found: list[object] = [roots()]
    for setpoint in _asked(spec, hands):
        directive = controller.hold() if setpoint is None else controller.step(setpoint, seen)
        found.append(_said(directive, hands))
        seen = Observation({"joint_position": directive.action.joint_position})
    return digest(found)


def _asked(spec: RobotSpec, hands: Hands) -> Iterator[Setpoint | None]:
    """Yield what each period asks for; None is a hold."""
    base = None if spec.base is None else np.array(_BASE)
    twist = np.array([[*_LINEAR_M_S, *_ANGULAR_RAD_S]] * spec.hands)
    yield from [Twist(twist, np.array([0.2] * spec.hands), base)] * _PERIODS
    yield from [None] * (_PERIODS // 2)
    there = [[*(pose[:3] + np.array(_AWAY_M)).tolist(), *_TURNED] for pose in hands.poses(spec.home_rad)]
    yield from [Pose(np.array(there), np.ones(spec.hands), base)] * _PERIODS
    bent = spec.home_rad + _BENT_RAD * np.array([(-1.0) ** joint for joint in range(spec.joints)])
    yield from [Joints(bent, np.zeros(spec.hands))] * (_PERIODS // 2)
    yield from [None] * (_PERIODS // 2)


def _said(directive: Directive, hands: Hands) -> list[object]:
    joints, gripper = directive.action.joint_position, directive.action.gripper
    events = [(str(event.rule), event.axis, event.requested, event.applied) for event in directive.limits]
    return [joints.tolist(), gripper.tolist(), hands.poses(joints).tolist(), events]
