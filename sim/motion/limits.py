"""The rules that may change what a driver asks for, and the event that reports each change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

EE_SPEED_MAX_M_S: Final = 0.30
EE_ROTATION_MAX_RAD_S: Final = 1.5
GRIPPER_SPEED_MAX_1_S: Final = 2.5
TRACKING_MAX_RAD: Final = 0.25
"""How far a joint's target may lead its measured position, so that a blocked arm does not wind up."""
SINGULAR_SLOW: Final = 17.0
SINGULAR_STOP: Final = 30.0
"""Condition numbers of the Jacobian at which a hand starts to slow down, and goes no nearer to a singularity."""
OVERSHOOT_M: Final = 0.005
"""How far beyond its workspace a hand may be: while it follows a pose within it, as its joints cut corners, or in
passing, as they brake. Nothing takes it farther out, see `sim.motion.control.Controller`."""


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
    JOINT_ACCELERATION = "joint_acceleration"
    SINGULARITY = "singularity"
    BASE_VELOCITY = "base_velocity"


SHAPING: Final = frozenset({Limit.GRIPPER_VELOCITY, Limit.JOINT_ACCELERATION})
"""Rules that only smooth what was asked for: it happens a little later, and is nobody's mistake."""


@dataclass(frozen=True, slots=True)
class LimitEvent:
    """One clamp: what was asked, what was let through (both in the rule's unit), and which rule did it.

    `axis` counts joints or end effectors (for a workspace 3 k + axis), depending on the rule.
    """

    rule: Limit
    axis: int
    requested: float
    applied: float


Note = Callable[[Limit, int, float, float], None]
"""Records a rule, its axis, what was asked and what was let through."""


def unnoted(rule: Limit, axis: int, requested: float, applied: float) -> None:
    """Record nothing."""
