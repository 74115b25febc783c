"""The first drive by a script: along each axis and back, the gripper closed and opened, let go, driven on, finished.

It shows what a wallet must show before its episodes are paid (`docs/scoring.md`). What it asks for follows the robot's
own periods, so that a connection that stalls leaves nothing out.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.motion.control import Twist
from teleop.operator.pilot import Answer, Ask, Descriptor, Values
from teleop.wire.messages import State

SPEED_M_S: Final = 0.1
_AXES: Final = {"x": 0, "y": 1, "z": 2}
_LEGS: Final = (
    *((f"{axis}{sign}", 1.0) for axis in "zyx" for sign in "+-"),
    ("close", 1.5),
    ("open", 1.5),
    ("let go", 1.0),
    ("z+", 0.5),
)
"""What to do, and for how many seconds; up comes first, away from anything that lies there."""
_STALL_S: Final = 0.2
"""The most time that one state may count for."""


class FirstDrive:
    """A pilot for one practice episode."""

    def __init__(self, robot: Descriptor, _task: str) -> None:
        self._hands = len(robot["end_effectors"])
        self._hz = float(robot["control_hz"])
        self._last_seq: int | None = None
        self._at_s = 0.0

    def act(self, state: State, _values: Values) -> Answer:
        """Return what the current leg asks for."""
        if self._last_seq is not None:
            self._at_s += min((state.seq - self._last_seq) / self._hz, _STALL_S)
        self._last_seq = state.seq
        until_s = 0.0
        for leg, seconds in _LEGS:
            until_s += seconds
            if self._at_s < until_s:
                return Ask.HOLD if leg == "let go" else self._moving(leg)
        return Ask.FINISH

    def _moving(self, leg: str) -> Twist:
        """Return the twist of the first hand; the others stay, and all grippers do the same."""
        twist = np.zeros((self._hands, 6))
        if leg[0] in _AXES:
            twist[0, _AXES[leg[0]]] = SPEED_M_S if leg[1] == "+" else -SPEED_M_S
        return Twist(twist, np.full(self._hands, 0.0 if leg == "close" else 1.0))
