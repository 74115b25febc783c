"""One end effector's commanded pose, kept within its workspace and away from singularities, and its joints."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim import rotation
from sim.motion.kinematics import IkOptions, Kinematics, moved_within
from sim.motion.limits import (
    EE_ROTATION_MAX_RAD_S,
    EE_SPEED_MAX_M_S,
    OVERSHOOT_M,
    SINGULAR_SLOW,
    SINGULAR_STOP,
    Limit,
    Note,
)
from sim.robot import EndEffector, RobotSpec, Vector, clipped

_LEAD_M: Final = 0.04
_LEAD_RAD: Final = 0.2
"""How far the commanded pose may lead the commanded joints, which follow it smoothly."""
_ONE_STEP: Final = IkOptions(iterations=1)
"""The commanded pose is kept, so that whatever one step leaves over is made up in the next period."""


class Hand:
    """One end effector's commanded pose, and the joints that follow it."""

    def __init__(self, spec: RobotSpec, index: int) -> None:
        """Start at home. Raises a UrdfError."""
        self._index = index
        self._end: EndEffector = spec.end_effectors[index]
        self._kinematics = Kinematics.of(spec, index)
        self._period_s = spec.period_s
        self.joints = np.array([spec.joint_names.index(name) for name in self._end.joint_names], dtype=np.intp)
        lower_m, upper_m = self._end.workspace_lower_m, self._end.workspace_upper_m
        self._corners = {over: (lower_m - over, upper_m + over) for over in (0.0, OVERSHOOT_M)}
        self.settle(spec.home_rad)

    def settle(self, joints: Vector) -> None:
        """Take the joints' pose as the commanded one."""
        self._posture = self._kinematics.at(joints[self.joints])
        self._pose = self._posture.pose

    def bounds(self, joints: Vector, overshoot_m: float) -> tuple[Vector, Vector]:
        """Return the lower and upper corners (3,) of where the hand may go from where `joints` (J,) put it."""
        return self._bounds(self._kinematics.forward(joints[self.joints])[:3], overshoot_m)

    def stays(self, joints: Vector, bounds: tuple[Vector, Vector], note: Note) -> bool:
        """Whether `joints` (J,) put the hand within `bounds`."""
        there = self._kinematics.forward(joints[self.joints])[:3]
        inside = clipped(there, *bounds)
        for axis in range(3):
            note(Limit.WORKSPACE, 3 * self._index + axis, there[axis], inside[axis])
        return bool((there == inside).all())

    def inside(self, path: Vector, overshoot_m: float) -> bool:
        """Whether joints (J,) on a path (N, J) all put the hand inside its workspace plus 0 or `OVERSHOOT_M`."""
        return self._kinematics.within(path[:, self.joints], *self._corners[overshoot_m])

    def _bounds(self, here: Vector, overshoot_m: float = 0.0) -> tuple[Vector, Vector]:
        # An arm that starts outside its workspace may come back in, and is never forced in at once.
        lower, upper = self._end.workspace_lower_m - overshoot_m, self._end.workspace_upper_m + overshoot_m
        return np.minimum(lower, here), np.maximum(upper, here)

    def towards(self, pose: Vector) -> Vector:
        """Return the twist (6,) that reaches `pose` within one period."""
        linear = pose[:3] - self._pose[:3]
        turn = rotation.difference(rotation.normalized(pose[3:]), self._pose[3:])
        return np.concatenate([linear, turn]) / self._period_s

    def follow(self, twist: Vector, note: Note) -> Vector:
        """Move the commanded pose by one period of `twist`; return this hand's joints (Jh,) for it."""
        linear = _capped(twist[:3], EE_SPEED_MAX_M_S, Limit.EE_VELOCITY, self._index, note)
        angular = _capped(twist[3:], EE_ROTATION_MAX_RAD_S, Limit.EE_ROTATION, self._index, note)
        before, here = self._pose, self._posture
        self._pose = self._moved(before, linear, angular, note)
        there = self._kinematics.approach(here.q, self._pose, _ONE_STEP).posture
        if there.condition > SINGULAR_SLOW and there.condition > here.condition:
            scale = max((SINGULAR_STOP - there.condition) / (SINGULAR_STOP - SINGULAR_SLOW), 0.0)
            note(Limit.SINGULARITY, self._index, there.condition, max(SINGULAR_SLOW, here.condition))
            self._pose = self._moved(before, linear * scale, angular * scale, note)
            there = self._kinematics.approach(here.q, self._pose, _ONE_STEP).posture
        self._posture = there
        return there.q

    def _moved(self, pose: Vector, linear: Vector, angular: Vector, note: Note) -> Vector:
        way, end = linear * self._period_s, self._end
        there, held = moved_within(pose, way, angular * self._period_s, end.workspace_lower_m, end.workspace_upper_m)
        if held:
            for axis in range(3):
                note(Limit.WORKSPACE, 3 * self._index + axis, pose[axis] + way[axis], there[axis])
        return there

    def keep_near(self, joints: Vector, *, free: bool) -> None:
        """Forget a commanded pose that the joints cannot follow, or (`free`) that nobody asked for."""
        if free or self._leads_too_far(joints[self.joints]):
            self._posture = self._kinematics.at(joints[self.joints])
            self._pose = self._posture.pose

    def _leads_too_far(self, joints: Vector) -> bool:
        """Whether the commanded pose is far from that of `joints`."""
        away_m, turn_rad = self._kinematics.away(joints, self._pose)
        return away_m > _LEAD_M or turn_rad > _LEAD_RAD


def _capped(vector: Vector, most: float, rule: Limit, index: int, note: Note) -> Vector:
    x, y, z = vector.tolist()
    size = math.sqrt(x * x + y * y + z * z)
    if size <= most * (1.0 + 1e-6):  # float32 on the wire
        return vector
    note(rule, index, size, most)
    return vector * (most / size)
