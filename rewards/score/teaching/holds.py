"""Which thing was moved by a hand, from when until when it was let go, and where it came to rest.

Part of version 3 of the rules; exports `Hold` and `holds_of`. A thing that moves along with a hand is held: carried,
pushed or pulled alike, so that no task needs rules of its own.

*Formula.* A thing moves while its speed over 0.2 s is at least 2 cm/s. One movement belongs to the hold of the one
before it if its nearest hand did not get more than 2.5 cm farther from it in between. A hold counts if it displaced the
thing by at least 1.5 cm; less is a nudge. It ends when the nearest hand is 2.5 cm farther away than when it began.

*Limits.* What is thrown and what rolls on counts until it rests. A thing without a pose of its own (the balls of
`pour`) is not seen, nor is one moved by less than 1.5 cm at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.fixed import Array
from rewards.score.series import RATE_HZ, joined, norms, runs, speed
from rewards.score.teaching.course import Course

MOVING_M_S: Final = 0.02
LEFT_M: Final = 0.025
"""How much farther away a hand is that has left a thing."""
NUDGE_M: Final = 0.015
"""A thing displaced by less has not been handled."""
_GAP_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Hold:
    """One time that a thing was moved by a hand; sample numbers."""

    thing: str
    begun: int
    let_go: int
    """When the hand had left it; the last sample if it never did."""
    rested: int
    """When it came to rest after that."""


def holds_of(course: Course) -> tuple[Hold, ...]:
    """Return every hold until the task was done, in order of time."""
    found = [hold for name in course.movable if name in course.things for hold in _of(course, name)]
    return tuple(sorted(found, key=lambda hold: (hold.begun, hold.thing)))


def _of(course: Course, name: str) -> list[Hold]:
    place = course.things[name][:, :3]
    until = min(course.done + 1, course.samples)
    moving = speed(place, RATE_HZ)[:until] >= MOVING_M_S
    away_m = np.min(np.stack([norms(hand[:, :3] - place) for hand in course.hands]), axis=0)
    groups = _grouped(joined(runs(moving), _GAP_S * RATE_HZ), away_m)
    return [hold for group in groups if (hold := _hold(name, group, place, away_m, until)) is not None]


def _grouped(movements: list[tuple[int, int]], away_m: Array) -> list[tuple[int, int]]:
    """Join movements between which no hand left the thing."""
    groups: list[tuple[int, int]] = []
    for first, last in movements:
        if groups:
            begun, ended = groups[-1]
            if float(np.max(away_m[begun : first + 1])) <= float(away_m[begun]) + LEFT_M:
                groups[-1] = begun, last
                continue
            del ended
        groups.append((first, last))
    return groups


def _hold(name: str, group: tuple[int, int], place: Array, away_m: Array, until: int) -> Hold | None:
    begun, rested = group
    if float(np.max(norms(place[begun : rested + 1] - place[begun]))) < NUDGE_M:
        return None
    left = np.flatnonzero(away_m[begun:until] > away_m[begun] + LEFT_M)
    let_go = begun + int(left[0]) if len(left) else until - 1
    return Hold(name, begun, let_go, max(rested, let_go))
