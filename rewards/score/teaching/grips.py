"""How firmly a thing was held, whether the grip was loosened, and from how high the thing was let go.

Part of version 3 of the rules; exports `Grip` and `grip_of`.

*Formula.* d is how far the thing is from its nearest hand. It was released at the last sample before it was let go at
which d was within 3 mm of what it was half a second before that. The slip is the largest change of d within one second
until then, m; the fall is how much lower the thing rested than it was when it was released, m. A grip is loosened while
the opening that was sent is by 0.05 wider than it was sent before in this hold, and than it is sent again before the
release: it opened and closed again. The loose slip is the largest slip within a second in which the grip was loosened.

*Limits.* A thing that turns in the fingers about its middle does not slip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.fixed import Array
from rewards.score.series import RATE_HZ, Mask, norms
from rewards.score.teaching.course import Course
from rewards.score.teaching.holds import Hold

RELEASED_M: Final = 0.003
LOOSENED: Final = 0.05
"""By so much of its opening a gripper opens and closes again whose operator has let go and thought better of it."""
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
    loose_m: float
    """The worst slip of a grip that was loosened; 0 if it never was."""
    loosened: int
    """When that began."""
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
    loose = np.where(_loosened(course, hold, begun, released, lag), slips, 0.0)
    height = course.things[hold.thing][:, 2]
    low = min(hold.rested + _RESTS, course.samples - 1)
    fall = float(height[released] - height[low]) if hold.let_go < hold.rested + _RESTS else 0.0
    worst, loosest = int(np.argmax(slips)), int(np.argmax(loose))
    return Grip(
        slip_m=float(slips[worst]),
        slipped=begun + worst,
        loose_m=float(loose[loosest]),
        loosened=begun + loosest,
        fall_m=max(fall, 0.0),
        released=released,
    )


def _loosened(course: Course, hold: Hold, begun: int, released: int, lag: int) -> Mask:
    """Return whether the grip was loosened in each window of `lag` samples from `begun` until `released`."""
    place = course.things[hold.thing][hold.begun, :3]
    hand = int(np.argmin(norms(np.stack([one[hold.begun, :3] for one in course.hands]) - place)))
    sent = course.sent[begun : released + 1, hand]
    opened = sent - np.minimum.accumulate(sent)
    closes = sent - np.minimum.accumulate(sent[::-1])[::-1]
    loose = np.minimum(opened, closes) >= LOOSENED
    counted = np.concatenate([[0], np.add.accumulate(loose.astype(np.int64))])
    within: Mask = counted[lag + 1 :] > counted[: len(counted) - lag - 1]
    return within
