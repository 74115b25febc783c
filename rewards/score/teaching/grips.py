"""How firmly a thing was held, and from how high it was let go.

Part of version 3 of the rules; exports `Grip` and `grip_of`.

*Formula.* d is how far the thing is from its nearest hand. It was released at the last sample before it was let go at
which d was within 3 mm of what it was half a second before that. The slip is the largest change of d within one second
until then, m; the fall is how much lower the thing rested than it was when it was released, m.

*Limits.* A thing that turns in the fingers about its middle does not slip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.fixed import Array
from rewards.score.series import RATE_HZ, norms
from rewards.score.teaching.course import Course
from rewards.score.teaching.holds import Hold

RELEASED_M: Final = 0.003
_SECOND: Final = round(RATE_HZ)
_HALF_SECOND: Final = round(0.5 * RATE_HZ)
_SETTLED: Final = 2
"""So many samples after it began to move, a thing lies in the hand as it will."""
_RESTS: Final = 3
"""So many samples after it rested, it lies where it stays."""


@dataclass(frozen=True, slots=True)
class Grip:
    """How one hold went; sample numbers."""

    slip_m: float
    slipped: int
    """When the worst slip began."""
    fall_m: float
    released: int


def away_of(course: Course, thing: str) -> Array:
    """Return how far a thing is from its nearest hand, (M,)."""
    place = course.things[thing][:, :3]
    nearest: Array = np.min(np.stack([norms(hand[:, :3] - place) for hand in course.hands]), axis=0)
    return nearest


def grip_of(course: Course, hold: Hold) -> Grip:
    """Return how a hold went."""
    away = away_of(course, hold.thing)
    begun = min(hold.begun + _SETTLED, hold.let_go)
    before = away[max(hold.let_go - _HALF_SECOND, begun) : hold.let_go + 1]
    near = np.flatnonzero(np.abs(before - before[0]) <= RELEASED_M)
    released = hold.let_go - len(before) + 1 + int(near[-1])
    held = away[begun : released + 1]
    lag = min(_SECOND, len(held) - 1)
    slips = np.abs(held[lag:] - held[: len(held) - lag]) if lag > 0 else np.zeros(1)
    height = course.things[hold.thing][:, 2]
    low = min(hold.rested + _RESTS, course.samples - 1)
    fall = float(height[released] - height[low]) if hold.let_go < hold.rested + _RESTS else 0.0
    worst = int(np.argmax(slips))
    return Grip(float(slips[worst]), begun + worst, max(fall, 0.0), released)
