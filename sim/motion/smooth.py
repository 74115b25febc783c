"""Jerk-limited joint motion: the next target on the way to a goal, from the last one, by Ruckig.

L. Berscheid and T. Kroeger, "Jerk-limited real-time trajectory generation with arbitrary target states", RSS 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from ruckig import (
    ControlInterface,
    InputParameter,
    OutputParameter,
    Ruckig,
    RuckigError,
    Synchronization,
    Trajectory,
)

from sim.robot import RobotSpec, Vector, clipped

_MARGIN: Final = 1e-9


class Smoother:
    """The commanded position, velocity and acceleration of every joint, moved by one control period per call.

    A mobile base's joints go straight to their goal: its own ramp keeps it from sliding sideways.
    """

    def __init__(self, spec: RobotSpec) -> None:
        base = () if spec.base is None else spec.base.joint_names
        self._smooth = np.array([name not in base for name in spec.joint_names])
        count = int(np.count_nonzero(self._smooth))
        self._reach = spec.joint_velocity_max_rad_s * spec.period_s
        self._period_s = spec.period_s
        self._position = spec.home_rad.copy()
        self._ruckig = Ruckig(count, spec.period_s)
        self._in, self._out = InputParameter(count), OutputParameter(count)
        self._in.max_velocity = (spec.joint_velocity_max_rad_s[self._smooth] * (1.0 - _MARGIN)).tolist()
        self._in.max_acceleration = spec.joint_acceleration_max_rad_s2[self._smooth].tolist()
        self._in.max_jerk = spec.joint_jerk_max_rad_s3[self._smooth].tolist()
        self._still = [0.0] * count
        self._stopping = Trajectory(count)
        self.start(spec.home_rad)

    def start(self, position: Vector) -> None:
        """Start at rest at `position` (J,) rad, as if it had never moved: a replay of what follows has no past."""
        self._ruckig.reset()  # else it goes on along the last path, if that led to exactly here
        self._position = position.copy()
        self._in.current_position = self._in.target_position = position[self._smooth].tolist()
        self._in.current_velocity = self._still
        self._in.current_acceleration = self._still

    def towards(self, goal: Vector, may_go: Callable[[Vector], bool] | None = None) -> Vector:
        """Return the next position (J,) on the fastest way to rest at `goal` (J,).

        `may_go` is called with that position and those of the stop that could follow it, a period apart, (N, J), the
        last at rest. If it says no, the stop begins now. So a caller that passes it each time can always stop along
        positions that it agreed to: the stop that begins now is the rest of the one that was checked a period ago.
        """
        before = self._position, self._in.current_position, self._in.current_velocity, self._in.current_acceleration
        self._in.control_interface, self._in.synchronization = ControlInterface.Position, Synchronization.Time
        self._in.target_position = goal[self._smooth].tolist()
        self._in.target_velocity = self._still
        position = self._next(goal)
        if may_go is None or may_go(self._with_stop(position)):
            return position
        self._position, self._in.current_position, self._in.current_velocity, self._in.current_acceleration = before
        return self.stop(goal)

    def stop(self, goal: Vector) -> Vector:
        """Return the next position (J,) on the fastest way to rest; a base's joints go to their goal (J,)."""
        self._brake()
        return self._next(goal)

    def _brake(self) -> None:
        # Each joint as fast as it can: one that waited for the slowest would run on past its limit.
        self._in.control_interface, self._in.synchronization = ControlInterface.Velocity, Synchronization.No
        self._in.target_velocity = self._still

    def _with_stop(self, position: Vector) -> Vector:
        """Return `position` and those of the stop after it, (N, J), a period apart; a base does not move meanwhile."""
        self._brake()
        try:
            self._ruckig.calculate(self._in, self._stopping)
        except RuckigError:  # as in `_next`
            return position[np.newaxis]
        periods = math.ceil(self._stopping.duration / self._period_s)
        passed = [self._stopping.at_time(period * self._period_s)[0] for period in range(1, periods + 1)]
        path = np.empty((periods + 1, len(position)))
        path[:] = position
        if passed:
            path[1:, self._smooth] = passed
        return path

    def _next(self, goal: Vector) -> Vector:
        position = self._position + clipped(goal - self._position, -self._reach, self._reach)
        try:
            self._ruckig.update(self._in, self._out)
        except RuckigError:  # a state it cannot plan from, such as one almost at its goal: stay, at rest
            position[self._smooth] = self._position[self._smooth]
            self.start(position)
            return position
        self._out.pass_to_input(self._in)
        position[self._smooth] = self._out.new_position
        self._position = position
        return position.copy()
