"""A mobile base's motion: it drives forward and backward and turns, on its ramps, and never slides sideways."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from sim.motion.limits import Limit, Note
from sim.robot import MobileBase, RobotSpec, Vector

_ARRIVED_M: Final = 0.01
"""Within this distance of its goal, a base does not turn away from its heading to get nearer."""
_AIMED_RAD: Final = 0.35
"""A base whose goal is this far off its heading turns before it drives."""
_FLOAT32: Final = 1.0 + 1e-6
"""How far beyond a limit a speed may appear to be, after its rounding on the wire."""
_STILL: Final = 1e-12

Place = tuple[float, float, float]
"""x and y, m, and the heading, rad."""


class Base:
    """The commanded speeds of one base, moved towards what is asked by one control period per call.

    It keeps within its joints' limits the way `Controller` keeps hands in their workspaces: it takes speeds only if
    the stop that could follow ends within, and stops if not.
    """

    def __init__(self, spec: RobotSpec, base: MobileBase) -> None:
        self._base, self._period_s = base, spec.period_s
        self.joints = np.array([spec.joint_names.index(name) for name in base.joint_names], dtype=np.intp)
        self._lower = spec.joint_lower_rad[self.joints].tolist()
        self._upper = spec.joint_upper_rad[self.joints].tolist()
        self._step_m_s = base.acceleration_max_m_s2 * spec.period_s
        self._step_rad_s = base.turn_acceleration_max_rad_s2 * spec.period_s
        self.stop()

    def stop(self) -> None:
        """Forget the speeds."""
        self._ahead_m_s = self._turning_rad_s = 0.0

    def drive(self, asked: Vector, joints: Vector, note: Note) -> Vector:
        """Return x, y and heading (3,) after one period of `asked`, (forward m/s, left rad/s), from `joints` (J,)."""
        wanted = []
        for axis, most in enumerate((self._base.speed_max_m_s, self._base.turn_max_rad_s)):
            speed = float(asked[axis])
            wanted.append(min(max(speed, -most), most))
            if abs(speed) > most * _FLOAT32:
                note(Limit.BASE_VELOCITY, axis, speed, wanted[axis])
        return self._towards(wanted[0], wanted[1], joints)

    def steer(self, goal: Vector, joints: Vector) -> Vector:
        """Return x, y and heading (3,) after one period on the way from `joints` to `goal`, both (J,).

        It turns towards the place, drives there, forward or backward, and turns to the heading.
        """
        x, y, heading = joints[self.joints].tolist()
        to_x, to_y, to_heading = goal[self.joints].tolist()
        east, north = to_x - x, to_y - y
        away_m = math.sqrt(east * east + north * north)
        if away_m > _ARRIVED_M:
            off_rad = math.remainder(math.atan2(north, east) - heading, 2.0 * math.pi)
            sense = 1.0
            if abs(off_rad) > 0.5 * math.pi:
                off_rad, sense = off_rad - math.copysign(math.pi, off_rad), -1.0
            ahead_m = sense * away_m * max(1.0 - abs(off_rad) / _AIMED_RAD, 0.0)
            turn_rad = off_rad
        else:
            ahead_m = east * math.cos(heading) + north * math.sin(heading)
            turn_rad = to_heading - heading
        return self._towards(
            self._braked(ahead_m, self._base.speed_max_m_s, self._step_m_s),
            self._braked(turn_rad, self._base.turn_max_rad_s, self._step_rad_s),
            joints,
        )

    def _braked(self, away: float, most: float, step: float) -> float:
        """Return the highest speed from which steps of `step` per period bring it to rest within `away`.

        At speeds n step, ..., 2 step, step it goes n (n + 1) / 2 times as far as in one period at `step`.
        """
        least = step * self._period_s
        periods = math.sqrt(0.25 + 2.0 * abs(away) / least) - 0.5
        speed = min(periods * step, abs(away) / self._period_s, most)
        return math.copysign(speed, away)

    def _towards(self, ahead_m_s: float, turning_rad_s: float, joints: Vector) -> Vector:
        here: Place = tuple(joints[self.joints].tolist())
        asked = self._ramped(ahead_m_s, turning_rad_s)
        if not self._may_go(here, asked):
            asked = self._ramped(0.0, 0.0)
        self._ahead_m_s, self._turning_rad_s = asked
        return np.array(self._moved(here, asked))

    def _ramped(self, ahead_m_s: float, turning_rad_s: float) -> tuple[float, float]:
        speeds = self._ahead_m_s, self._turning_rad_s
        return _slowed(speeds, (ahead_m_s, turning_rad_s), (self._step_m_s, self._step_rad_s))

    def _may_go(self, here: Place, speeds: tuple[float, float]) -> bool:
        """Whether these speeds, and the stop after them, keep the joints within their limits."""
        place, steps = here, (self._step_m_s, self._step_rad_s)
        lower, upper = self._lower, self._upper
        ahead_m, turn_rad = (
            abs(v) * (abs(v) / step + 1.0) * self._period_s for v, step in zip(speeds, steps, strict=True)
        )
        if all(
            low + far < value < high - far
            for value, low, high, far in zip(here, lower, upper, (ahead_m, ahead_m, turn_rad), strict=True)
        ):
            return True
        while True:
            before, place = place, self._moved(place, speeds)
            if any(
                (value < low and value < was) or (value > high and value > was)
                for value, was, low, high in zip(place, before, lower, upper, strict=True)
            ):
                return False
            if abs(speeds[0]) < _STILL and abs(speeds[1]) < _STILL:
                return True
            speeds = _slowed(speeds, (0.0, 0.0), steps)

    def _moved(self, place: Place, speeds: tuple[float, float]) -> Place:
        x, y, heading = place
        ahead, turn = speeds[0] * self._period_s, speeds[1] * self._period_s
        middle = heading + 0.5 * turn
        return x + ahead * math.cos(middle), y + ahead * math.sin(middle), heading + turn


def _slowed(
    speeds: tuple[float, float], wanted: tuple[float, float], steps: tuple[float, float]
) -> tuple[float, float]:
    """Return `speeds`, each moved at most one step towards what is wanted."""
    ahead, turning = (
        speed + min(max(to - speed, -step), step) for speed, to, step in zip(speeds, wanted, steps, strict=True)
    )
    return ahead, turning
