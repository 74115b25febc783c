"""A policy for `armshare drive --policy docs.lift_policy:lift`: takes the cube from above and lifts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.motion.control import Twist

ABOVE_M = 0.09
GAIN_1_S = 3.0
SPEED_MAX_M_S = 0.2


def lift(values: Mapping[str, NDArray[np.float64]], robot: Mapping[str, Any]) -> Twist:
    """Return how the hand should move now. `values` is what the robot sees, `robot` its descriptor."""
    hand, cube = values["ee_pose"][:3], values["cube_pose"][:3]
    away = cube - hand
    if np.linalg.norm(away) < 0.025 and values["gripper_position"][0] < 0.85:
        return moving(np.array((0.0, 0.0, 0.1)), opening=0.0)
    if np.linalg.norm(away) < 0.012:
        return moving(np.zeros(3), opening=0.0)
    if np.hypot(*away[:2]) > 0.01:
        away[2] += ABOVE_M
    return moving(GAIN_1_S * away, opening=1.0)


def moving(velocity_m_s: NDArray[np.float64], opening: float) -> Twist:
    """Return a twist of one hand that does not turn, no faster than it may."""
    fast = float(np.linalg.norm(velocity_m_s)) / SPEED_MAX_M_S
    return Twist(np.concatenate([velocity_m_s / max(1.0, fast), np.zeros(3)]), [opening])
