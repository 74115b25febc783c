"""What happens to a hand on its way: it stops, goes round, drops what it holds, or nearly does. Each once."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.demonstrators.defects import Kind
from sim.demonstrators.person import Goal, Leg, Person
from sim.demonstrators.skill import PERIOD_S
from sim.robot import Vector

_FALLEN_M: Final = 0.02
"""An object this far out of the hand is not held any more."""
_ASIDE_M: Final = 0.02
_OPENS_PERIODS: Final = 12
_SHORT_M: Final = 0.02

Happening = Generator[None, None, bool]


@dataclass(frozen=True, slots=True)
class Midway:
    """On the first leg of its kind that is long enough, once a part of it has been gone."""

    leg: Leg
    part: float
    """In [0, 1)."""
    strength: float

    def due(self, _hand: Person, whole_m: float, left_m: float) -> bool:
        """Whether the hand has come that far."""
        return whole_m > _SHORT_M and 1.0 - left_m / whole_m >= self.part


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
class Drop(Midway):
    """The object falls out of the hand, and is taken again."""

    def happen(self, hand: Person, goal: Goal) -> Happening:
        """Open, see it fall, and take it again."""
        page = hand.diary.begin(Kind.DROP_AND_REGRASP)
        page.happened = yield from fall(hand, goal)
        page.turn()
        yield from hand.regrasp()
        page.close()
        return True


def fall(hand: Person, goal: Goal) -> Happening:
    """Open the hand, which goes on, until the object has left it and lies still; return whether it fell."""
    held = hand.object_m() - hand.pose[:3]
    hand.opening, hand.gripped = 1.0, False
    fell = False
    for _ in range(2 * _OPENS_PERIODS):
        if not fell:
            hand.head(*goal())
        yield
        fell = fell or hand.slipped_m(held) > _FALLEN_M * hand.operator.scale
    return fell
