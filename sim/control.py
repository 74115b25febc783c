"""From what a driver asks to where the joints shall go, never beyond a limit, and saying so each time.

One `Controller` serves simulated and real arms, people and policies alike. It slews from the last commanded target,
keeps the commanded pose so that a twist does not drift, and returns every clamp as a `LimitEvent`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from sim import rotation
from sim.kinematics import Kinematics
from sim.robot import Action, Observation, RobotSpec, Vector

EE_SPEED_MAX_M_S: Final = 0.30
EE_ROTATION_MAX_RAD_S: Final = 1.5
GRIPPER_SPEED_MAX_1_S: Final = 2.5
TRACKING_MAX_RAD: Final = 0.25
"""How far a joint's target may lead its measured position, so that a blocked arm does not wind up."""
_RESIDUAL_M: Final = 0.004
_RESIDUAL_RAD: Final = 0.05
_EPSILON: Final = 1e-9


class Limit(StrEnum):
    """The rule that changed what was asked for."""

    EE_VELOCITY = "ee_velocity"
    EE_ROTATION = "ee_rotation"
    WORKSPACE = "workspace"
    JOINT_POSITION = "joint_position"
    JOINT_VELOCITY = "joint_velocity"
    GRIPPER_VELOCITY = "gripper_velocity"
    TRACKING = "tracking"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class LimitEvent:
    """One clamp: what was asked, what was let through (both in the rule's unit), and which rule did it."""

    rule: Limit
    axis: int
    requested: float
    applied: float


@dataclass(frozen=True, slots=True)
class Twist:
    """Move the end effector so fast for one control period."""

    twist: Vector
    """(6,) float64: m/s, then rad/s, in the base frame."""
    gripper: float
    """Opening in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Joints:
    """Move the joints to there, as fast as the limits allow."""

    position: Vector
    """(J,) float64, rad."""
    gripper: float
    """Opening in [0, 1]."""


Setpoint = Twist | Joints


@dataclass(frozen=True, slots=True)
class Directive:
    """What one control period shall do."""

    action: Action
    limits: tuple[LimitEvent, ...]


class Controller:
    """Holds the last commanded target of one robot and moves it by one command a period."""

    def __init__(self, spec: RobotSpec, kinematics: Kinematics) -> None:
        self._spec = spec
        self._kinematics = kinematics
        self._action = Action(spec.home_rad.copy())
        self._pose = kinematics.forward(spec.home_rad)

    def start(self, seen: Observation) -> None:
        """Begin from where the robot is."""
        gripper = seen.values.get("gripper_position")
        self._action = Action(seen.values["joint_position"].copy(), 1.0 if gripper is None else float(gripper[0]))
        self._pose = self._kinematics.forward(self._action.joint_position)

    def hold(self) -> Directive:
        """Return the last target again."""
        return Directive(self._action, ())

    def step(self, setpoint: Setpoint, seen: Observation) -> Directive:
        """Move the target by one period of `setpoint`. One that does not fit the robot holds, and says so."""
        events: list[LimitEvent] = []

        def note(rule: Limit, axis: int, requested: float, applied: float) -> None:
            if abs(requested - applied) > _EPSILON:
                events.append(LimitEvent(rule, axis, float(requested), float(applied)))

        values, expected = _values(setpoint), self._expected(setpoint)
        if len(values) != expected:
            note(Limit.SHAPE, 0, len(values), expected)
            return Directive(self._action, tuple(events))
        wanted = self._follow(values, note) if isinstance(setpoint, Twist) else values
        joints = self._limited(wanted, seen.values["joint_position"], note)
        self._action = Action(joints, self._gripper(setpoint.gripper, note))
        self._keep_pose_near(self._kinematics.forward(joints), setpoint)
        return Directive(self._action, tuple(events))

    def _expected(self, setpoint: Setpoint) -> int:
        return 6 if isinstance(setpoint, Twist) else self._spec.joints

    def _follow(self, twist: Vector, note: Note) -> Vector:
        linear = _capped(twist[:3], EE_SPEED_MAX_M_S, Limit.EE_VELOCITY, note)
        angular = _capped(twist[3:], EE_ROTATION_MAX_RAD_S, Limit.EE_ROTATION, note)
        here = self._pose[:3]
        there = here + linear * self._spec.period_s
        # An arm that starts outside its workspace may come back in, and is never thrown there.
        inside = np.clip(
            there,
            np.minimum(self._spec.workspace_lower_m, here),
            np.maximum(self._spec.workspace_upper_m, here),
        )
        for axis in range(3):
            note(Limit.WORKSPACE, axis, there[axis], inside[axis])
        turned = rotation.multiply(rotation.from_rotvec(angular * self._spec.period_s), self._pose[3:])
        self._pose = np.concatenate([inside, rotation.normalized(turned)])
        return self._kinematics.solve(self._action.joint_position, self._pose).q

    def _limited(self, wanted: Vector, measured: Vector, note: Note) -> Vector:
        last = self._action.joint_position
        inside = np.clip(wanted, self._spec.joint_lower_rad, self._spec.joint_upper_rad)
        reach = self._spec.joint_velocity_max_rad_s * self._spec.period_s
        change = inside - last
        slewed = last + change * min(1.0, 1.0 / max(float(np.max(np.abs(change) / reach)), _EPSILON))
        # Never further from `measured` than the lead, yet never moved by this rule when the last target led already.
        low = np.minimum(measured - TRACKING_MAX_RAD, last)
        high = np.maximum(measured + TRACKING_MAX_RAD, last)
        led = np.clip(slewed, low, high)
        for axis in range(self._spec.joints):
            note(Limit.JOINT_POSITION, axis, wanted[axis], inside[axis])
            note(Limit.JOINT_VELOCITY, axis, inside[axis], slewed[axis])
            note(Limit.TRACKING, axis, slewed[axis], led[axis])
        return led

    def _gripper(self, wanted: float, note: Note) -> float:
        reach = GRIPPER_SPEED_MAX_1_S * self._spec.period_s
        last = self._action.gripper
        applied = float(np.clip(np.clip(wanted, 0.0, 1.0), last - reach, last + reach))
        note(Limit.GRIPPER_VELOCITY, 0, wanted, applied)
        return applied

    def _keep_pose_near(self, reached: Vector, setpoint: Setpoint) -> None:
        away = float(np.linalg.norm(reached[:3] - self._pose[:3]))
        turn = float(np.linalg.norm(rotation.difference(reached[3:], self._pose[3:])))
        if not isinstance(setpoint, Twist) or away > _RESIDUAL_M or turn > _RESIDUAL_RAD:
            self._pose = reached


def _values(setpoint: Setpoint) -> Vector:
    return setpoint.twist if isinstance(setpoint, Twist) else setpoint.position


Note = Callable[[Limit, int, float, float], None]


def _capped(vector: Vector, most: float, rule: Limit, note: Note) -> Vector:
    size = float(np.linalg.norm(vector))
    if size <= most * (1.0 + 1e-6):  # float32 on the wire
        return vector
    note(rule, 0, size, most)
    return vector * (most / size)
