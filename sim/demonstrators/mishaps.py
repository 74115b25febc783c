"""What happens to a hand on its way: it stops, goes round, drops what it holds, or nearly does. Each once."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.demonstrators.defects import Kind, Page
from sim.demonstrators.person import Goal, Leg, Person
from sim.demonstrators.skill import PERIOD_S
from sim.robot import Vector
from sim.tasks.parts.expert import Script

_ASIDE_M: Final = 0.02
_FALLS_M: Final = 0.008
"""An object that goes down by this much when it is let go falls."""
_FALLS_PERIODS: Final = 24
_LOOSE: Final = 0.045
"""A grip that is tighter than the held thing by this much of the opening holds it loosely."""
_LOOSENS_PERIODS: Final = 5
_WIDER: Final = 0.015
"""How much wider than the held thing the fingers open at the first try to let it slip."""
_LOOSER: Final = 0.004
"""How much wider at each try than at the one before."""
_TRIES: Final = 18
_SAVES_PERIODS: Final = 10
_SLIPPED_M: Final = 0.003
_SHORT_M: Final = 0.02

Happening = Generator[None, None, bool]


@dataclass(frozen=True, slots=True)
class Midway:
    """On the first leg of its kind that is long enough, once a part of it has been gone."""

    leg: Leg
    part: float
    """In [0, 1)."""

    def due(self, _hand: Person, whole_m: float, left_m: float) -> bool:
        """Whether the hand has come that far."""
        return whole_m > _SHORT_M and 1.0 - left_m / whole_m >= self.part


@dataclass(frozen=True, slots=True)
class Holding(Midway):
    """As `Midway`, with the object in the hand."""

    def due(self, hand: Person, whole_m: float, left_m: float) -> bool:
        """Whether the hand has come that far, and holds what it should."""
        return hand.in_hand() and Midway.due(self, hand, whole_m, left_m)


@dataclass(frozen=True, slots=True)
class Hesitation(Midway):
    """The hand stops, and goes on."""

    seconds: float

    def happen(self, hand: Person, goal: Goal) -> Happening:
        """Wait."""
        page = hand.diary.begin(Kind.HESITATION)
        page.happened = True
        yield from hand.stay(max(round(self.seconds / PERIOD_S), 1))
        page.close()
        return True


@dataclass(frozen=True, slots=True)
class Detour(Midway):
    """The hand goes round by a place to the side."""

    aside_m: float
    """How far to the side, with its sign."""

    def happen(self, hand: Person, goal: Goal) -> Happening:
        """Go there first."""
        page = hand.diary.begin(Kind.DETOUR)
        begun, turned = hand.pose[:3].copy(), hand.pose[3:].copy()
        by = self._by(hand, goal()[0])
        for _ in hand.follow(lambda: (by, turned), _ASIDE_M, np.inf, 0.25, 200):
            page.happened = page.happened or float(np.linalg.norm(hand.pose[:3] - begun)) > _ASIDE_M
            yield
        page.close()
        return True

    def _by(self, hand: Person, goal: Vector) -> Vector:
        """Return the place (3,) to go round by: on the side of the field's middle, and not lower."""
        here, middle = hand.pose[:3], np.array((*hand.operator.robot.field.center_m, 0.0))
        ahead = (goal - here) * np.array((1.0, 1.0, 0.0))
        far = float(np.linalg.norm(ahead))
        ahead = ahead / far if far > _SHORT_M else np.array((1.0, 0.0, 0.0))
        side = np.array((-ahead[1], ahead[0], 0.0))
        side = side if float(side @ (middle - here)) >= 0.0 else -side
        by: Vector = here + self.aside_m * side + 0.3 * self.aside_m * np.array((0.0, 0.0, 1.0))
        return by


@dataclass(frozen=True, slots=True)
class Drop(Holding):
    """The object falls out of the hand, and is taken again."""

    def happen(self, hand: Person, goal: Goal) -> Happening:
        """Open, see it fall, and take it again."""
        page = hand.diary.begin(Kind.DROP_AND_REGRASP)
        yield from fall(hand, page, goal)
        page.turn()
        yield from hand.regrasp()
        page.close()
        return True


@dataclass(frozen=True, slots=True)
class EarlyRelease(Holding):
    """The hand lets go where it should still hold. What is wrong then, the task's script puts right."""

    left_m: float = math.inf
    """How much of the leg may still be left."""

    def due(self, hand: Person, whole_m: float, left_m: float) -> bool:
        """Whether the hand has come that far."""
        return left_m <= self.left_m and Holding.due(self, hand, whole_m, left_m)

    def happen(self, hand: Person, goal: Goal) -> Happening:
        """Open, and see it fall; the leg is over."""
        page = hand.diary.begin(Kind.EARLY_RELEASE)
        yield from fall(hand, page)
        page.close()
        hand.undone, hand.let_go = page, True
        return False


@dataclass(frozen=True, slots=True)
class NearFailure(Holding):
    """The object slips in a hand that holds it too loosely, and is held again before it is lost."""

    slip_m: float

    def happen(self, hand: Person, goal: Goal) -> Happening:
        """Loosen the grip until it slips, then close at once. If it is lost nevertheless, it was a drop."""
        page = hand.diary.begin(Kind.NEAR_FAILURE)
        held, scale = hand.object_m() - hand.pose[:3], hand.operator.scale
        wide = hand.open_now()
        yield from _at(hand, wide - _LOOSE, _LOOSENS_PERIODS)
        for tried in range(_TRIES):
            yield from _at(hand, wide + _WIDER + tried * _LOOSER, 1)
            yield from _at(hand, wide - _LOOSE, 1)
            page.happened = page.happened or hand.slipped_m(held) > _SLIPPED_M * scale
            if hand.slipped_m(held) >= self.slip_m * scale:
                break
        page.turn()
        yield from _at(hand, 0.0, _SAVES_PERIODS)
        if not hand.in_hand():
            page.kind = Kind.DROP_AND_REGRASP
            page.turn()
            hand.opening = 1.0
            yield from hand.regrasp()
        page.close()
        return True


def _at(hand: Person, opening: float, periods: int) -> Script:
    hand.opening = min(max(opening, 0.0), 1.0)
    yield from hand.stay(periods)


def fall(hand: Person, page: Page, goal: Goal | None = None) -> Script:
    """Open the hand until the object has left it and lies still; if it falls, that has happened.

    The hand goes on to `goal` until then, or stays if there is none.
    """
    held = hand.object_m() - hand.pose[:3]
    hand.opening, hand.gripped = 1.0, False
    for _ in range(_FALLS_PERIODS):
        if goal is not None and not page.happened:
            hand.head(*goal())
        yield
        page.happened = page.happened or hand.slipped_m(held) > _FALLS_M * hand.operator.scale
