"""Scripted operators: a task's script moves puppets (hands, a base) each period, by twists, as people do.

A script is a generator that yields once each control period, after it has set what each puppet does during it:

    def script(operator: Operator) -> Script:
        hand = operator.hands[0]
        yield from hand.grasp("cube_pose")
        yield from hand.rise(0.2)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Final, TypedDict

import numpy as np

from sim import rotation
from sim.description import RobotDescription
from sim.motion.control import Twist
from sim.robot import MobileBase, Vector

Script = Generator[None, None, None]
Values = Mapping[str, Vector]

SPEED_M_S: Final = 0.25
TURN_RAD_S: Final = 1.2
GAIN_1_S: Final = 4.0
HOVER_M: Final = 0.09
CLOSE_PERIODS: Final = 12
_NEAR_M: Final = 0.008
_ALIGNED_RAD: Final = 0.08
_RAD_M: Final = 0.1
_NEARER_M: Final = 0.001
_STALL_PERIODS: Final = 25


class Operator:
    """Runs one script through one episode; when it has ended, the robot stays still."""

    def __init__(self, robot: RobotDescription, script: Callable[[Operator], Script]) -> None:
        self.robot = robot
        self.scale = robot.field.scale
        self.values: Values = {}
        self.hands = [Puppet(self, index) for index in range(len(robot.hands))]
        self.base = None if robot.base is None else Wheels(self, robot.base)
        self._script = script(self)

    def act(self, values: Values) -> Twist:
        """Return what to ask for next."""
        self.values = values
        for hand in self.hands:
            hand.twist = np.zeros(6)
        if self.base is not None:
            self.base.speeds = np.zeros(2)
        next(self._script, None)
        twists = np.array([hand.in_base(hand.twist) for hand in self.hands])
        openings = np.array([hand.opening for hand in self.hands])
        return Twist(twists, openings, None if self.base is None else self.base.speeds)

    def at(self, name: str, row: int | None = None) -> Vector:
        """Return the pose (7,) in an array, or in one row of it."""
        value = self.values[name]
        return value if row is None else value[row]


class Grasp(TypedDict, total=False):
    """How to take a thing from above, as `Puppet.grasp` says."""

    period_rad: float
    opening: float
    hover_m: float
    deep_m: float


class Puppet:
    """One hand, as a script moves it. Everything is in the room's frame."""

    def __init__(self, operator: Operator, index: int) -> None:
        self._operator = operator
        self._hand = operator.robot.hands[index]
        self._pose = operator.robot.pose_name(self._hand)
        self.twist = np.zeros(6)
        self.opening = 1.0

    @property
    def pose(self) -> Vector:
        """Where it is, (7,)."""
        return self._operator.values[self._pose]

    def in_base(self, twist: Vector) -> Vector:
        """Return a twist of the room's frame in the hand's base frame, which a mobile base turns with it."""
        base = self._operator.base
        if base is None or self._hand.base_link is None:
            return twist
        heading = -base.heading
        cosine, sine = np.cos(heading), np.sin(heading)
        turn = np.array(((cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0)))
        return np.concatenate([turn @ twist[:3], turn @ twist[3:]])

    def head(self, position: Vector, orientation: Vector, speed_m_s: float = SPEED_M_S) -> tuple[float, float]:
        """Head there for this period. Return how far it is, m and rad."""
        away = position - self.pose[:3]
        turn = rotation.difference(orientation, self.pose[3:])
        self.twist = np.concatenate([_capped(GAIN_1_S * away, speed_m_s), _capped(GAIN_1_S * turn, TURN_RAD_S)])
        return float(np.linalg.norm(away)), float(np.linalg.norm(turn))

    def to(
        self,
        goal: Callable[[], tuple[Vector, Vector]],
        *,
        near_m: float = _NEAR_M,
        near_rad: float = _ALIGNED_RAD,
        speed_m_s: float = SPEED_M_S,
        periods: int = 200,
    ) -> Script:
        """Go to `goal()` (position, orientation), asked again each period, until near or no longer getting nearer."""
        nearest, since = np.inf, 0
        for period in range(periods):
            away, turn = self.head(*goal(), speed_m_s)
            left = away + _RAD_M * turn
            if left < nearest - _NEARER_M:
                nearest, since = left, period
            if (away < near_m and turn < near_rad) or period - since > _STALL_PERIODS:
                return
            yield

    def stay(self, periods: int) -> Script:
        """Wait."""
        for _ in range(periods):
            yield

    def grip(self, opening: float) -> Script:
        """Open or close, and wait long enough for it."""
        self.opening = opening
        yield from self.stay(CLOSE_PERIODS)

    def rise(self, height_m: float, *, near_m: float = 0.01, speed_m_s: float = SPEED_M_S) -> Script:
        """Go straight up to that height above the floor without turning."""
        start = self.pose.copy()
        start[2] = height_m
        yield from self.to(lambda: (start[:3], start[3:]), near_m=near_m, near_rad=np.inf, speed_m_s=speed_m_s)

    def grasp(
        self,
        name: str,
        *,
        row: int | None = None,
        offset: Vector | None = None,
        period_rad: float = 0.5 * np.pi,
        opening: float = 1.0,
        hover_m: float = HOVER_M,
        deep_m: float = 0.0,
    ) -> Script:
        """Take a thing from above: hover, line the fingers up with it, come down, close.

        `offset` (3,) m is where to grip it, in the thing's frame; `period_rad` is the turn after which it looks the
        same: a quarter for a cube, a half for a bar whose x axis the fingers should close across; `deep_m` is how far
        below its middle the fingertips go.
        """
        operator = self._operator

        def above(height_m: float) -> tuple[Vector, Vector]:
            thing = operator.at(name, row)
            place = thing[:3] if offset is None else thing[:3] + rotation.rotate(thing[3:], offset)
            wanted = yaw(thing[3:], ACROSS)
            here = yaw(self.pose[3:], ACROSS)
            turned = here + nearest(wanted - here, period_rad)
            return place + np.array((0.0, 0.0, height_m)), down(turned)

        hover = hover_m * operator.scale
        self.opening = opening
        yield from self.to(lambda: above(hover), near_m=_NEAR_M * 1.5)
        yield from self.to(lambda: above(-deep_m), near_m=0.006, near_rad=np.inf, periods=60)
        yield from self.grip(0.0)

    def place(self, goal: Callable[[], Vector], *, high_m: float, low_m: float) -> Script:
        """Carry the held object over `goal()` (3,), `high_m` above it, come down to `low_m`, let go, and rise."""
        turned = down(yaw(self.pose[3:], ACROSS))
        up = np.array((0.0, 0.0, 1.0))
        yield from self.to(lambda: (goal() + high_m * up, turned), near_rad=np.inf)
        yield from self.to(lambda: (goal() + low_m * up, turned), near_rad=np.inf, near_m=0.005, periods=80)
        yield from self.grip(1.0)
        yield from self.rise(float(self.pose[2]) + high_m, near_m=0.02)


class Wheels:
    """A mobile base, as a script moves it."""

    def __init__(self, operator: Operator, base: MobileBase) -> None:
        self._operator, self._base = operator, base
        self._at = [operator.robot.joint_names.index(name) for name in base.joint_names]
        self.speeds = np.zeros(2)

    @property
    def place(self) -> Vector:
        """Where it is: x, y, m, and heading, rad."""
        return self._operator.values["joint_position"][self._at]

    @property
    def heading(self) -> float:
        """Which way it faces, rad from the room's x axis."""
        return float(self.place[2])

    def to(self, goal: Callable[[], Vector], *, near_m: float = 0.03, periods: int = 400) -> Script:
        """Turn towards `goal()` (2,) and drive there."""
        for _ in range(periods):
            away = goal() - self.place[:2]
            distance = float(np.hypot(*away))
            if distance < near_m:
                return
            turn = wrapped(float(np.arctan2(away[1], away[0])) - self.heading)
            ahead = min(1.5 * distance, self._base.speed_max_m_s) * max(np.cos(turn), 0.0) ** 3
            self.speeds = np.array((ahead, np.clip(2.5 * turn, -self._base.turn_max_rad_s, self._base.turn_max_rad_s)))
            yield

    def face(self, heading: Callable[[], float], *, near_rad: float = 0.03, periods: int = 200) -> Script:
        """Turn on the spot."""
        for _ in range(periods):
            turn = wrapped(heading() - self.heading)
            if abs(turn) < near_rad:
                return
            most = self._base.turn_max_rad_s
            self.speeds = np.array((0.0, np.clip(2.5 * turn, -most, most)))
            yield


ACROSS: Final = np.array((0.0, 1.0, 0.0))
"""The axis along which a hand's fingers close, in its frame."""
ALONG: Final = np.array((1.0, 0.0, 0.0))


def both(*scripts: Script) -> Script:
    """Run scripts side by side until the last has ended."""
    running = list(scripts)
    while running:
        running = [script for script in running if next(script, _ENDED) is not _ENDED]
        if running:
            yield


_ENDED: Final = object()


def down(yaw_rad: float) -> Vector:
    """Return the orientation (4,) of a hand that points straight down, its fingers closing along `yaw_rad`."""
    across = np.array((np.cos(yaw_rad), np.sin(yaw_rad), 0.0))
    approach = np.array((0.0, 0.0, -1.0))
    return rotation.from_matrix(np.column_stack([np.cross(across, approach), across, approach]))


def yaw(orientation: Vector, axis: Vector) -> float:
    """Return the direction of a body's `axis`, seen from above, rad."""
    turned = rotation.rotate(orientation, axis)
    return float(np.arctan2(turned[1], turned[0]))


def nearest(angle_rad: float, period_rad: float) -> float:
    """Return the smallest turn that equals the angle modulo `period_rad`."""
    return float((angle_rad + 0.5 * period_rad) % period_rad - 0.5 * period_rad)


def wrapped(angle_rad: float) -> float:
    """Return the angle in [-pi, pi)."""
    return nearest(angle_rad, 2.0 * np.pi)


def _capped(vector: Vector, most: float) -> Vector:
    size = float(np.linalg.norm(vector))
    return vector if size <= most else vector * (most / size)
