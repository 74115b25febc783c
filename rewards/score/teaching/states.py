"""What hands and things look like to each other at one moment, as numbers that do not depend on where they are.

Part of version 3 of the rules; exports `states_of` and `NAMES`. Distances and heights, never places: a scene turned
about the robot's base gives the same numbers, and a robot that no reference set has seen can be compared.

*Features* of a sample, with the thing a that is (or will next be) moved and where it should go, g (the fixed thing
called after it, else the only fixed one, else the only other movable one, else the place where a was at first):

- state, of each hand: its distance to a along the floor, its height above a, its own height, how upright it is, and
  its opening;
- state, of a: its distance to g along the floor, its height above g, how upright it is; and how far the nearest other
  movable thing is from a hand;
- action, of each hand: the direction in which it goes, over 0.2 s (towards its aim along the floor, which is a, or g
  while a is held; aside; up), and the opening that it was sent.

*Limits.* How a hand is turned about the vertical is not looked at, nor is anything that has no pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.fixed import Array
from rewards.score.series import norms
from rewards.score.teaching.course import Course
from rewards.score.teaching.holds import Hold

SPAN: Final = 2
"""A direction is taken over so many samples to each side."""
SLIGHT_M: Final = 0.002
"""A hand that goes less far than this in that time has no direction."""
FAR_M: Final = 0.3
"""Other things are not looked at from farther away."""

PER_HAND: Final = ("along_m", "above_m", "height_m", "upright", "opening")
OF_THING: Final = ("to_goal_m", "over_goal_m", "thing_upright", "other_m")
ACTION: Final = ("towards", "aside", "up", "sent")


@dataclass(frozen=True, slots=True)
class States:
    """The features of picked samples, in the features' own units."""

    values: Array
    """(P, D): states first, then actions."""
    state: int
    """How many of the D are of the state."""


def names_of(hands: int) -> tuple[str, ...]:
    """Return the names of the D features of a robot with so many hands."""
    states = [f"{name}_{hand}" for hand in range(hands) for name in PER_HAND]
    actions = [f"{name}_{hand}" for hand in range(hands) for name in ACTION]
    return (*states, *OF_THING, *actions)


def states_of(course: Course, holds: tuple[Hold, ...], at: NDArray[np.int64]) -> States:
    """Return the features of the samples `at` (P,)."""
    handled, held = _handled(course, holds, at)
    thing, goal = _poses(course, handled, at)
    state, action = [], []
    for number, hand in enumerate(course.hands):
        here = hand[at]
        state += [_flat(here - thing), here[:, 2] - thing[:, 2], here[:, 2], _upright(here), course.gripper[at, number]]
        aim = np.where(held[:, np.newaxis], goal, thing)
        action += [*_direction(hand, at, aim), course.sent[at, number]]
    state += [_flat(thing - goal), thing[:, 2] - goal[:, 2], _upright(thing), _other_m(course, handled, at)]
    return States(np.stack([*state, *action], axis=1), len(state))


def _handled(course: Course, holds: tuple[Hold, ...], at: NDArray[np.int64]) -> tuple[list[str], NDArray[np.bool_]]:
    """Return which thing each sample is about, and whether a hand had it then."""
    names, held = [], np.zeros(len(at), dtype=np.bool_)
    nobody = course.movable[0] if course.movable else next(iter(course.things), "")
    turns = [(hold.let_go, hold.begun, hold.thing) for hold in holds]
    turn = 0
    for number, sample in enumerate(at.tolist()):
        while turn < len(turns) - 1 and turns[turn][0] < sample:
            turn += 1
        names.append(turns[turn][2] if turns else nobody)
        held[number] = bool(turns) and turns[turn][1] <= sample <= turns[turn][0]
    return names, held


def goal_of(course: Course, thing: str) -> str | None:
    """Return the name of the thing where `thing` should go; None if it has no such place."""
    own = [name for name in course.fixed if name.startswith(f"{thing}_")]
    others = [name for name in course.movable if name != thing]
    for among in (own, course.fixed, others):
        if len(among) == 1:
            return among[0]
    return None


def _poses(course: Course, handled: list[str], at: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the poses (P, 7) of the thing that each sample is about, and of its goal."""
    thing, goal = np.zeros((len(at), 7)), np.zeros((len(at), 7))
    for name in sorted({*handled} & {*course.things}):
        about = np.array([one == name for one in handled])
        thing[about] = course.things[name][at[about]]
        there = goal_of(course, name)
        goal[about] = course.things[name][0] if there is None else course.things[there][at[about]]
    return thing, goal


def _direction(hand: Array, at: NDArray[np.int64], aim: Array) -> tuple[Array, Array, Array]:
    """Return where a hand goes: towards its aim along the floor, aside, and up, as parts of its way; zeros at rest."""
    before, after = np.maximum(at - SPAN, 0), np.minimum(at + SPAN, len(hand) - 1)
    way = hand[after, :3] - hand[before, :3]
    size = np.maximum(norms(way), SLIGHT_M)
    line = aim[:, :2] - hand[at, :2]
    length = np.maximum(norms(line), SLIGHT_M)
    towards = (way[:, 0] * line[:, 0] + way[:, 1] * line[:, 1]) / length
    aside = np.abs(way[:, 0] * line[:, 1] - way[:, 1] * line[:, 0]) / length
    return towards / size, aside / size, way[:, 2] / size


def _other_m(course: Course, handled: list[str], at: NDArray[np.int64]) -> Array:
    """Return how far the nearest movable thing that a sample is not about is from a hand, at most `FAR_M`."""
    found: Array = np.full(len(at), FAR_M)
    for name in course.movable:
        other = np.array([one != name for one in handled], dtype=np.bool_)
        if name in course.things:
            for hand in course.hands:
                away = norms(hand[at, :3] - course.things[name][at, :3])
                found = np.where(other, np.minimum(found, away), found)
    return found


def _flat(away: Array) -> Array:
    return norms(away[:, :2])


def _upright(pose: Array) -> Array:
    """Return the vertical part of the z axis of poses (P, 7), in [-1, 1]."""
    return 1.0 - 2.0 * (pose[:, 3] * pose[:, 3] + pose[:, 4] * pose[:, 4])
