"""From what a driver asks to where the joints should go, never beyond a limit, and reporting each clamp.

One `Controller` serves simulated and real robots, people and policies alike. Twists and poses go through inverse
kinematics with a slow-down near singularities; the result moves jerk-limited from the last commanded target (Ruckig)
and keeps the commanded pose so that a twist does not drift. Every clamp is a `LimitEvent`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.motion.base import Base
from sim.motion.hand import Hand
from sim.motion.limits import (
    EE_ROTATION_MAX_RAD_S,
    EE_SPEED_MAX_M_S,
    GRIPPER_SPEED_MAX_1_S,
    OVERSHOOT_M,
    SHAPING,
    SINGULAR_SLOW,
    SINGULAR_STOP,
    TRACKING_MAX_RAD,
    Limit,
    LimitEvent,
    Note,
    unnoted,
)
from sim.motion.smooth import Smoother
from sim.robot import Action, Observation, RobotSpec, Vector, clipped

__all__ = [
    "EE_ROTATION_MAX_RAD_S",
    "EE_SPEED_MAX_M_S",
    "GRIPPER_SPEED_MAX_1_S",
    "OVERSHOOT_M",
    "SHAPING",
    "SINGULAR_SLOW",
    "SINGULAR_STOP",
    "TRACKING_MAX_RAD",
    "Controller",
    "Directive",
    "Joints",
    "Limit",
    "LimitEvent",
    "Pose",
    "Setpoint",
    "Twist",
]

_AHEAD_RAD: Final = 1.0
"""How far ahead of a joint motion the workspaces are checked; farther than any joint needs to brake."""
_LOOK_RAD: Final = 0.1
"""The spacing of the places that are checked."""
_HALVINGS: Final = 6
_EPSILON: Final = 1e-9
_ROUNDED: Final = 1.0 + 1e-9
"""How far rounding may take a speed beyond its limit."""


@dataclass(frozen=True, slots=True)
class Twist:
    """Move the end effectors at these speeds for one control period."""

    twist: Vector
    """(K, 6) float64: m/s, then rad/s, each in its end effector's base frame."""
    gripper: Vector
    """(K,) float64: openings in [0, 1]."""
    base: Vector | None = None
    """(2,) float64: forward m/s, and turning left rad/s; None if there is no mobile base, or if it should not move."""


@dataclass(frozen=True, slots=True)
class Pose:
    """Bring the end effectors there, as fast as the limits allow."""

    pose: Vector
    """(K, 7) float64: m and quaternion, each in its end effector's base frame."""
    gripper: Vector
    """(K,) float64: openings in [0, 1]."""
    base: Vector | None = None
    """As in `Twist`."""


@dataclass(frozen=True, slots=True)
class Joints:
    """Move the joints there, as fast as the limits allow."""

    position: Vector
    """(J,) float64, rad."""
    gripper: Vector
    """(K,) float64: openings in [0, 1]."""


Setpoint = Twist | Pose | Joints


@dataclass(frozen=True, slots=True)
class Directive:
    """What one control period should do."""

    action: Action
    limits: tuple[LimitEvent, ...]


class Controller:
    """Holds the last commanded target of one robot and moves it by one setpoint per period.

    Why no target ever takes a hand farther than `OVERSHOOT_M` out of its workspace, or farther out than the arm
    started: a target is sent only if it, and every target of the stop that could follow, is within (`_stays`). If the
    next one is not, a stop is sent instead. It is the rest of the stop that was checked a period ago, as braking in the
    least time is the same from anywhere along it, and so it is within as well. `hold` sends it too. A target that leads
    a blocked arm too far is cut joint by joint; if that takes the hand out, the last target stays.
    """

    def __init__(self, spec: RobotSpec) -> None:
        """Read the robot's kinematics. Raises a UrdfError."""
        self._spec = spec
        self._hands = [Hand(spec, index) for index in range(spec.hands)]
        self._base = None if spec.base is None else Base(spec, spec.base)
        self._smoother = Smoother(spec)
        self._action = Action(spec.home_rad.copy(), np.ones(spec.hands))
        self._wanted = spec.home_rad.copy()
        self._asked_rad_s = np.zeros(spec.joints)
        self._fastest_rad_s = spec.joint_velocity_max_rad_s.tolist()
        self._hardest_rad_s2 = spec.joint_acceleration_max_rad_s2.tolist()

    def start(self, seen: Observation) -> None:
        """Start from where the robot is, at rest."""
        joints = seen.values["joint_position"].copy()
        gripper = seen.values.get("gripper_position")
        self._action = Action(joints, np.ones(self._spec.hands) if gripper is None else gripper.copy())
        self._smoother.start(joints)
        self._settle(joints)
        if self._base is not None:
            self._base.stop()

    def stand(self) -> None:
        """Assume that the robot has come to rest at the last target, as when nothing was sent for a while."""
        self._smoother.start(self._action.joint_position)
        self._settle(self._action.joint_position)
        if self._base is not None:
            self._base.stop()

    def hold(self) -> Directive:
        """Come to rest within the limits of acceleration and jerk, and stay there."""
        goal = self._action.joint_position.copy()
        if self._base is not None:
            goal[self._base.joints] = self._base.drive(np.zeros(2), goal, unnoted)
        joints = clipped(self._smoother.stop(goal), self._spec.joint_lower_rad, self._spec.joint_upper_rad)
        self._action = Action(joints, self._action.gripper)
        self._settle(joints)
        return Directive(self._action, ())

    def step(self, setpoint: Setpoint, seen: Observation) -> Directive:
        """Move the target by one period of `setpoint`.

        If it does not fit the robot, or is not finite, the robot holds, and the event says how many finite numbers
        came and how many were expected.
        """
        events: list[LimitEvent] = []

        def note(rule: Limit, axis: int, requested: float, applied: float) -> None:
            if abs(requested - applied) > _EPSILON:
                events.append(LimitEvent(rule, axis, float(requested), float(applied)))

        found, expected = _counts(setpoint), self._counts(setpoint)
        if found != expected:
            misfit = LimitEvent(Limit.SHAPE, 0, float(sum(found)), float(sum(expected)))
            return Directive(self.hold().action, (misfit,))
        wanted = setpoint.position if isinstance(setpoint, Joints) else self._reach(setpoint, note)
        free = isinstance(setpoint, Joints)
        joints = self._limited(wanted, seen.values["joint_position"], note, free=free)
        self._action = Action(joints, self._gripped(setpoint.gripper, note))
        for hand in self._hands:
            hand.keep_near(joints, free=free)
        return Directive(self._action, tuple(events))

    def _counts(self, setpoint: Setpoint) -> tuple[int, ...]:
        hands = self._spec.hands
        if isinstance(setpoint, Joints):
            return self._spec.joints, hands
        moved = hands * (6 if isinstance(setpoint, Twist) else 7)
        return moved, hands, (2 if self._base is not None and setpoint.base is not None else 0)

    def _settle(self, joints: Vector) -> None:
        self._wanted, self._asked_rad_s = joints.copy(), np.zeros(self._spec.joints)
        for hand in self._hands:
            hand.settle(joints)

    def _reach(self, setpoint: Twist | Pose, note: Note) -> Vector:
        wanted = self._action.joint_position.copy()
        for index, hand in enumerate(self._hands):
            twist = setpoint.twist[index] if isinstance(setpoint, Twist) else hand.towards(setpoint.pose[index])
            wanted[hand.joints] = hand.follow(twist, note)
        if self._base is not None:
            asked = np.zeros(2) if setpoint.base is None else setpoint.base
            wanted[self._base.joints] = self._base.drive(asked, self._action.joint_position, note)
        return wanted

    def _limited(self, wanted: Vector, measured: Vector, note: Note, *, free: bool) -> Vector:
        spec, last = self._spec, self._action.joint_position
        inside = clipped(wanted, spec.joint_lower_rad, spec.joint_upper_rad)
        asked_rad_s = (inside - self._wanted) * spec.control_hz
        smooth = self._within_workspaces(inside, note) if free else self._smoother.towards(inside, self._may_go)
        smooth = clipped(smooth, spec.joint_lower_rad, spec.joint_upper_rad)
        # Never farther from `measured` than the lead, but this rule moves nothing if the last target led already.
        low = np.minimum(measured - TRACKING_MAX_RAD, last)
        high = np.maximum(measured + TRACKING_MAX_RAD, last)
        led = clipped(smooth, low, high)
        cut = bool((led != smooth).any())
        if cut:
            # Cutting single joints takes the hand off its path: if that leads out of a workspace, stay.
            led = led if self._stays(last)(led[np.newaxis]) else last.copy()
            self._smoother.start(led)
            if self._base is not None and (led != smooth)[self._base.joints].any():
                self._base.stop()
        self._note_joints(wanted, inside, asked_rad_s, note)
        if cut:
            for axis in np.flatnonzero(led != smooth):
                note(Limit.TRACKING, int(axis), smooth[axis], led[axis])
        self._wanted, self._asked_rad_s = inside, asked_rad_s
        return led

    def _within_workspaces(self, goal: Vector, note: Note) -> Vector:
        """Return the next joints (J,) towards `goal`, or towards where the straight path there leaves a workspace."""
        last = self._action.joint_position
        away = goal - last
        if self._base is not None:  # it carries its hands' workspaces along
            away[self._base.joints] = 0.0
        far = float(np.abs(away).max())
        stays = self._may_rest(last)
        looks = math.ceil(min(far, _AHEAD_RAD) / _LOOK_RAD)
        parts = [min(look * _LOOK_RAD / far, 1.0) for look in range(1, looks + 1)]
        beyond = next((part for part in parts if not stays((last + part * away)[np.newaxis])), None)
        if beyond is None:
            return self._smoother.towards(self._steered(last + away, goal), stays)
        self._stays(last, note, rest_m=0.0)((last + beyond * away)[np.newaxis])
        inside = max(beyond - _LOOK_RAD / far, 0.0)
        for _ in range(_HALVINGS):
            middle = 0.5 * (inside + beyond)
            inside, beyond = (middle, beyond) if stays((last + middle * away)[np.newaxis]) else (inside, middle)
        return self._smoother.towards(self._steered(last + inside * away, goal), stays)

    def _steered(self, arms: Vector, goal: Vector) -> Vector:
        """Return where the joints should go (J,): arms to `goal` (J,), a base one period on its way there."""
        if self._base is not None:
            arms[self._base.joints] = self._base.steer(goal, self._action.joint_position)
        return arms

    def _may_go(self, path: Vector) -> bool:
        """Whether joints that follow poses may go along `path` (N, J); most are inside, and need no closer look."""
        return self._inside(path, OVERSHOOT_M) or self._stays(self._action.joint_position)(path)

    def _may_rest(self, last: Vector) -> Callable[[Vector], bool]:
        """Return a check that joints may go from `last` (J,) along a path (N, J), and stay at its end."""
        stays = self._stays(last, rest_m=0.0)
        return lambda path: self._inside(path, 0.0) or stays(path)

    def _inside(self, path: Vector, overshoot_m: float) -> bool:
        """Whether joints on a path (N, J) are within their limits, with every hand well inside its workspace."""
        within = (path >= self._spec.joint_lower_rad).all() and (path <= self._spec.joint_upper_rad).all()
        return bool(within) and all(hand.inside(path, overshoot_m) for hand in self._hands)

    def _stays(self, last: Vector, note: Note = unnoted, *, rest_m: float = OVERSHOOT_M) -> Callable[[Vector], bool]:
        """Return a check that joints on a path (N, J) are within their limits, and every hand in its workspace.

        A hand may be beyond it by `rest_m` at the end of the path and by `OVERSHOOT_M` on the way. What is already
        outside at `last` (J,) may come back in, and goes no farther out.
        """
        lower = np.minimum(self._spec.joint_lower_rad, last) - _EPSILON
        upper = np.maximum(self._spec.joint_upper_rad, last) + _EPSILON
        passing = [hand.bounds(last, OVERSHOOT_M) for hand in self._hands]
        resting = [hand.bounds(last, rest_m) for hand in self._hands]

        def stays(path: Vector) -> bool:
            if (path < lower).any() or (path > upper).any():
                return False
            return all(
                all(hand.stays(joints, on_way, unnoted) for joints in path[:-1]) and hand.stays(path[-1], at_end, note)
                for hand, on_way, at_end in zip(self._hands, passing, resting, strict=True)
            )

        return stays

    def _note_joints(self, wanted: Vector, inside: Vector, asked_rad_s: Vector, note: Note) -> None:
        for axis, (to, kept) in enumerate(zip(wanted.tolist(), inside.tolist(), strict=True)):
            if to != kept:
                note(Limit.JOINT_POSITION, axis, to, kept)
        harder_rad_s2 = (asked_rad_s - self._asked_rad_s) * self._spec.control_hz
        for rule, asked, most in (
            (Limit.JOINT_VELOCITY, asked_rad_s, self._fastest_rad_s),
            (Limit.JOINT_ACCELERATION, harder_rad_s2, self._hardest_rad_s2),
        ):
            for axis, (value, limit) in enumerate(zip(asked.tolist(), most, strict=True)):
                if abs(value) > limit * _ROUNDED:
                    note(rule, axis, value, math.copysign(limit, value))

    def _gripped(self, wanted: Vector, note: Note) -> Vector:
        reach = GRIPPER_SPEED_MAX_1_S * self._spec.period_s
        applied = []
        for index, (asked, last) in enumerate(zip(wanted.tolist(), self._action.gripper.tolist(), strict=True)):
            opening = min(max(asked, 0.0), 1.0)
            applied.append(min(max(opening, last - reach), last + reach))
            note(Limit.GRIPPER_VELOCITY, index, asked, applied[index])
        return np.array(applied)


def _counts(setpoint: Setpoint) -> tuple[int, ...]:
    """Return how many finite numbers each part has."""
    if isinstance(setpoint, Joints):
        return _finite(setpoint.position), _finite(setpoint.gripper)
    moved = setpoint.twist if isinstance(setpoint, Twist) else setpoint.pose
    return _finite(moved), _finite(setpoint.gripper), 0 if setpoint.base is None else _finite(setpoint.base)


def _finite(values: Vector) -> int:
    return sum(map(math.isfinite, values.ravel().tolist()))
