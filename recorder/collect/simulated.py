"""Simulated time: a clock that one robot's control periods move, and nothing else.

Part of recorder; exports `SimulatedTime` and `Paced`. What is driven by it takes as long in the file as it takes in the
simulation, however fast it was made.
"""

from __future__ import annotations

import time
from typing import Final

from sim.robot import Action, Observation, Robot, RobotSpec, UnstableWorldError
from teleop.clock import Clock

_NS: Final = 1_000_000_000


class SimulatedTime:
    """How many control periods have passed, as time on a monotonic clock that began at 0."""

    def __init__(self, control_hz: float) -> None:
        self._control_hz, self._periods = control_hz, 0

    def monotonic_ns(self) -> int:
        """Return k / control_hz after k periods, ns."""
        return round(self._periods * _NS / self._control_hz)

    def pass_period(self) -> None:
        """Let one period pass."""
        self._periods += 1

    @property
    def clock(self) -> Clock:
        """The clocks of a host that lives in this time; its wall clock is the real one, which only dates."""
        return Clock(self.monotonic_ns, time.time_ns)


class Paced:
    """A simulated robot each of whose actions takes exactly one control period of a simulated time."""

    def __init__(self, world: Robot, passing: SimulatedTime) -> None:
        self._world, self._passing = world, passing
        self.burst: UnstableWorldError | None = None
        """Why the world cannot go on, if it cannot."""

    @property
    def spec(self) -> RobotSpec:
        """The robot's own."""
        return self._world.spec

    def connect(self) -> None:
        """Open the robot."""
        self._world.connect()

    def reset(self, seed: int) -> Observation:
        """Rebuild the scene, in no time."""
        self.burst = None
        return self._world.reset(seed)

    def observe(self) -> Observation:
        """Return the current observation, in no time."""
        return self._world.observe()

    def send_action(self, action: Action) -> Action:
        """Do one control period, which then has passed."""
        try:
            applied = self._world.send_action(action)
        except UnstableWorldError as error:
            self.burst = error
            raise
        self._passing.pass_period()
        return applied

    def disconnect(self) -> None:
        """Let go of the robot."""
        self._world.disconnect()
