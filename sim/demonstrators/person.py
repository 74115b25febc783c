"""A hand as a person moves it: a script's puppet that misses and corrects, waits, and has mishaps on its way."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from enum import Enum, auto
from typing import Final, Protocol, Unpack

import numpy as np

from sim import rotation
from sim.demonstrators.defects import Diary, Page
from sim.demonstrators.skill import PERIOD_S, Skill
from sim.draws import Draws
from sim.robot import Vector
from sim.tasks.parts.expert import (
    GAIN_1_S,
    SPEED_M_S,
    TURN_RAD_S,
    Grasp,
    Operator,
    Puppet,
    Script,
)

_RAD_M: Final = 0.1
_NEARER_M: Final = 0.001
_STALL_PERIODS: Final = 25
"""As a puppet: how a turn counts in metres, what is nearer, and how long it tries to get nearer."""
_TRAVEL_M: Final = 0.05
"""A motion shorter than this does not miss."""
_SMALL_MISS_M: Final = 0.006
"""A miss smaller than this is not made."""
_ARRIVED_M: Final = 0.012
_RISES_M: Final = 0.03
"""How far what was taken again is lifted, to see whether it is held."""
_IN_HAND_M: Final = 0.03
"""A thing that has moved farther than this in the hand is lost."""
_GRASPS: Final = 6

Goal = Callable[[], tuple[Vector, Vector]]
Thing = tuple[str, int | None]
"""The array of a pose, and the row if it has several."""


class Leg(Enum):
    """What a motion is for."""

    REACH = auto()
    DESCEND = auto()
    LIFT = auto()
    CARRY = auto()
    LOWER = auto()
    LEAVE = auto()


class Mishap(Protocol):
    """Something that happens to a hand on one kind of leg, once."""

    @property
    def leg(self) -> Leg:
        """On which kind of leg."""

    def due(self, hand: Person, whole_m: float, left_m: float) -> bool:
        """Whether it happens now, on a leg of this length with this much left."""

    def happen(self, hand: Person, goal: Goal) -> Generator[None, None, bool]:
        """Let it happen; return whether the leg goes on after it."""


class Person(Puppet):
    """A puppet with a person's skill. With full skill and no mishaps it moves exactly as a puppet does."""

    def __init__(self, operator: Operator, index: int, skill: Skill, rng: Draws, diary: Diary) -> None:
        super().__init__(operator, index)
        self.skill, self.diary, self.pace = skill, diary, skill.pace
        self.operator, self._index = operator, index
        self.mishaps: list[Mishap] = []
        """What may still happen."""
        self.before_grasp: Callable[[Thing], Script] | None = None
        """What is done before the first grasp."""
        self._rng = rng
        self._legs: Iterator[Leg] = iter(())
        self.thing: Thing | None = None
        """What was grasped last, or is being grasped."""
        self._regrasp: Callable[[], Script] | None = None
        self.gripped = False
        """Whether it should be holding something."""
        self._held: Vector | None = None
        """Where the thing was from the hand when that had closed."""
        self.astray = False
        """Whether it is busy with the wrong thing: then nothing else happens to it."""
        self.let_go = False
        """Whether it let go too early of what it was placing: there is nothing left to place."""
        self.undone: Page | None = None
        """What happened, and is put right by taking the thing again."""

    def head(self, position: Vector, orientation: Vector, speed_m_s: float = SPEED_M_S) -> tuple[float, float]:
        """Head there for this period, at this person's pace. Return how far it is, m and rad."""
        away = position - self.pose[:3]
        turn = rotation.difference(orientation, self.pose[3:])
        gain = GAIN_1_S * self.pace
        moved = capped(gain * away, speed_m_s * self.pace), capped(gain * turn, TURN_RAD_S * self.pace)
        self.twist = np.concatenate(moved)
        return float(np.linalg.norm(away)), float(np.linalg.norm(turn))

    def open_now(self) -> float:
        """How far its fingers are open, in [0, 1]."""
        return float(self.operator.values["gripper_position"][self._index])

    def still(self) -> None:
        """Do not move in this period."""
        self.twist = np.zeros(6)

    def to(
        self,
        goal: Goal,
        *,
        near_m: float = 0.008,
        near_rad: float = 0.08,
        speed_m_s: float = SPEED_M_S,
        periods: int = 200,
    ) -> Script:
        """Go to `goal()` as a person does: miss and correct, then arrive."""
        leg = next(self._legs, None)
        if leg in (Leg.REACH, Leg.LIFT, Leg.CARRY, Leg.LEAVE):
            yield from self._miss(goal, speed_m_s, periods, leg)
        yield from self.follow(goal, near_m, near_rad, speed_m_s, periods, leg)

    def follow(
        self, goal: Goal, near_m: float, near_rad: float, speed_m_s: float, periods: int, leg: Leg | None = None
    ) -> Script:
        """Go to `goal()` until near or no longer getting nearer, as a puppet does, with what happens on the way."""
        nearest, since, period, whole = np.inf, 0, 0, None
        while period < periods / self.pace:
            away, turn = self.head(*goal(), speed_m_s)
            whole = away if whole is None else whole
            mishap = self._due(leg, whole, away)
            if mishap is not None:
                self.still()
                if not (yield from mishap.happen(self, goal)):
                    return
                nearest, since = np.inf, period
                continue
            left = away + _RAD_M * turn
            if left < nearest - _NEARER_M:
                nearest, since = left, period
            if (away < near_m and turn < near_rad) or period - since > _STALL_PERIODS / self.pace:
                return
            yield
            period += 1

    def grip(self, opening: float) -> Script:
        """Open or close; who is unsure waits before closing."""
        if opening < self.opening and self.skill.wait_s > 0.0:
            yield from self.stay(round(self.skill.wait_s * self._rng.uniform(0.5, 1.5) / PERIOD_S))
        self.gripped = opening < 0.5
        yield from super().grip(opening)
        if self.gripped and self.thing is not None:
            self._held = self.object_m() - self.pose[:3]

    def rise(self, height_m: float, *, near_m: float = 0.01, speed_m_s: float = SPEED_M_S) -> Script:
        """Go straight up."""
        self._legs = iter((Leg.LIFT if self.gripped else Leg.LEAVE,))
        yield from super().rise(height_m, near_m=near_m, speed_m_s=speed_m_s)
        if self.undone is not None and self.gripped and self.in_hand():
            self.undone.close()
            self.undone = None

    def grasp(self, name: str, *, row: int | None = None, offset: Vector | None = None, **how: Unpack[Grasp]) -> Script:
        """Take a thing from above, a little beside its middle."""
        before, self.before_grasp = self.before_grasp, None
        if before is not None:
            yield from before((name, row))

        def again() -> Script:
            aimed = self._aimed(offset)
            self._legs = iter((Leg.REACH, Leg.DESCEND))
            yield from super(Person, self).grasp(name, row=row, offset=aimed, **how)

        self.thing, self._regrasp, self.gripped = (name, row), again, False
        if self.undone is not None:
            self.undone.turn()
        yield from again()

    def place(self, goal: Callable[[], Vector], *, high_m: float, low_m: float) -> Script:
        """Carry the held object over `goal()`, come down, let go, and rise."""
        self._legs, self.let_go = iter((Leg.CARRY, Leg.LOWER)), False
        for _ in super().place(goal, high_m=high_m, low_m=low_m):
            if self.let_go:
                yield from self.rise(float(self.pose[2]) + _RISES_M * self.operator.scale)
                return
            yield

    def regrasp(self) -> Script:
        """Take what was lost again, as often as that takes, and lift it a little; then go on as before."""
        legs, again = self._legs, self._regrasp
        assert again is not None  # only what was grasped is lost
        for _ in range(_GRASPS):
            yield from again()
            yield from self.rise(float(self.pose[2]) + _RISES_M * self.operator.scale)
            if self.in_hand():
                break
            self.opening = 1.0
        self._legs = legs

    def object_m(self) -> Vector:
        """Where the thing is that was grasped last, (3,)."""
        assert self.thing is not None
        return self.operator.at(*self.thing)[:3]

    def in_hand(self) -> bool:
        """Whether the hand still holds what it closed on."""
        if self._held is None or not self.gripped:
            return False
        moved = self.object_m() - self.pose[:3] - self._held
        return float(np.linalg.norm(moved)) < _IN_HAND_M * self.operator.scale

    def slipped_m(self, before: Vector) -> float:
        """How far the thing has moved down in the hand since it was `before` (3,) from it."""
        return float(before[2] - (self.object_m() - self.pose[:3])[2])

    def _due(self, leg: Leg | None, whole_m: float, left_m: float) -> Mishap | None:
        for mishap in () if self.astray else self.mishaps:
            if mishap.leg is leg and mishap.due(self, whole_m, left_m):
                self.mishaps.remove(mishap)
                return mishap
        return None

    def _miss(self, goal: Goal, speed_m_s: float, periods: int, leg: Leg) -> Script:
        """Make the motions that do not arrive: each goes beside its goal by a part of its length."""
        for _ in range(self.skill.corrections):
            ahead = goal()[0] - self.pose[:3]
            whole = float(np.linalg.norm(ahead))
            size = self.skill.miss * whole * self._rng.uniform(0.5, 1.5)
            aside = self._rng.uniform(-1.0, 1.0) * np.array((-ahead[1], ahead[0], 0.0))
            if whole < _TRAVEL_M or size < _SMALL_MISS_M:
                return
            error = size * (ahead + 0.5 * aside) / whole
            error[2] = max(error[2], 0.0)  # nobody goes into the floor
            yield from self.follow(_beside(goal, error), _ARRIVED_M, np.inf, speed_m_s, periods, leg)

    def _aimed(self, offset: Vector | None) -> Vector | None:
        if self.skill.aim_m == 0.0:
            return offset
        angle, size = self._rng.uniform(0.0, 2.0 * math.pi), self.skill.aim_m * self._rng.uniform(0.3, 1.0)
        error = size * self.operator.scale * np.array((math.cos(angle), math.sin(angle), 0.0))
        return error if offset is None else offset + error


def _beside(goal: Goal, error: Vector) -> Goal:
    def missed() -> tuple[Vector, Vector]:
        position, orientation = goal()
        return position + error, orientation

    return missed


def capped(vector: Vector, most: float) -> Vector:
    """Return `vector`, no longer than `most`."""
    size = float(np.linalg.norm(vector))
    return vector if size <= most else vector * (most / size)
