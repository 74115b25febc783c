"""Drops, slips, work that had to be undone, and things that nobody should take: mistakes, and how they were mended.

Part of version 3 of the rules; exports `Mistake`, `mistakes_of` and `order`.

*Formula.* The reference set says how often each thing is held in a drive (95 of 100 drives at most so often), and how
often a stage is undone. What goes beyond is a mistake:

- `drop`: a thing was held once more than that. The mistake is from half a second before it was let go until it rested;
- `wrong`: a thing was held that no reference drive holds. The mistake is all of it, from the end of the hold before it;
- `slip`: a held thing slipped within a second by more than in the reference drives (95 of 100) and 4 mm; or by more
  than 4 mm in a grip that was loosened and closed again, however far things slip in a robot's tight fingers;
- `fall`: a thing was let go from higher than there (95 of 100) by more than 1 cm, and not taken again;
- `undone`: a stage that was done was not any more, for half a second or longer, and no other mistake says why.

From a mistake's end to where the task stood before it is the *recovery*, for at most three times as long as the whole
task usually takes; no metric counts it. order = 1 - sum of the
mistakes' costs (drop 0.3, wrong 0.5, undone 0.2, fall 0.15, slip 0.1) - the mistakes' share of the task's usual time,
at least 0.

*Source.* arXiv 2606.05588 finds wrong actions by the state of objects and not by smoothness; arXiv 2509.07953 finds
recoveries worth ten times ordinary data.

*Limits.* A mistake that moves no thing by 1.5 cm and undoes no stage is not seen here; `object_path` may see it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np

from rewards.score.references.store import ReferenceSet
from rewards.score.series import RATE_HZ, Mask, runs
from rewards.score.teaching.course import Course
from rewards.score.teaching.grips import grip_of
from rewards.score.teaching.holds import Hold

BEFORE_S: Final = 0.5
"""How long before a thing is let go the mistake begins."""
UNDONE_S: Final = 0.5
RECOVERY: Final = 3.0
"""So many times the usual time of the whole task, and what follows a mistake is ordinary driving again: nobody can buy
the right to dawdle with a mistake."""


class MistakeKind(StrEnum):
    """What went wrong."""

    DROP = "drop"
    WRONG = "wrong"
    UNDONE = "undone"
    SLIP = "slip"
    FALL = "fall"


COST: Final = {
    MistakeKind.DROP: 0.3,
    MistakeKind.WRONG: 0.5,
    MistakeKind.UNDONE: 0.2,
    MistakeKind.SLIP: 0.1,
    MistakeKind.FALL: 0.15,
}
SLIP_M: Final = 0.004
"""A thing that slips by less is held."""
FALL_M: Final = 0.01
"""How much higher than others a thing may be let go."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake; sample numbers, each the first that no longer belongs to it."""

    kind: MistakeKind
    thing: str
    begun: int
    ended: int
    recovered: int
    """When the task stood again where it had before."""


def mistakes_of(course: Course, holds: tuple[Hold, ...], reference: ReferenceSet) -> tuple[Mistake, ...]:
    """Return the mistakes of a drive before the task was done, in order of time."""
    found = [*_of_holds(course, holds, reference)]
    found += _undone(course, found, reference.undone_usual)
    longest = round(RECOVERY * reference.usual_s * RATE_HZ)
    within = [replace(one, recovered=min(one.recovered, one.ended + longest)) for one in found]
    return tuple(sorted(within, key=lambda one: (one.begun, one.ended)))


def stretches(course: Course, mistakes: tuple[Mistake, ...]) -> tuple[Mask, Mask]:
    """Return which samples (M,) are of mistakes, and which of recoveries."""
    wrong, mended = np.zeros(course.samples, dtype=np.bool_), np.zeros(course.samples, dtype=np.bool_)
    for one in mistakes:
        mended[one.ended : one.recovered] = True
    for one in mistakes:
        wrong[one.begun : one.ended] = True
    return wrong & course.active, mended & ~wrong & course.active


def order(course: Course, mistakes: tuple[Mistake, ...], usual_s: float) -> float:
    """Return the part in [0, 1]; `usual_s` is how long the task usually takes."""
    cost = 0.0
    for one in mistakes:
        cost += cost_of(one, usual_s)
    return max(1.0 - cost, 0.0)


def cost_of(mistake: Mistake, usual_s: float) -> float:
    """Return what a mistake takes from the part."""
    return COST[mistake.kind] + (mistake.ended - mistake.begun) / RATE_HZ / usual_s


def _of_holds(course: Course, holds: tuple[Hold, ...], reference: ReferenceSet) -> list[Mistake]:
    found = []
    for name in course.movable:
        mine = [hold for hold in holds if hold.thing == name]
        usual = reference.holds_usual.get(name, 0)
        for hold in mine[: max(len(mine) - usual, 0)]:
            kind = MistakeKind.DROP if usual else MistakeKind.WRONG
            found.append(_mistake(course, kind, hold, holds))
        for hold in mine[max(len(mine) - usual, 0) :]:
            found += _loose(course, hold, reference)
    return found


def _loose(course: Course, hold: Hold, reference: ReferenceSet) -> list[Mistake]:
    """Return whether a thing that was held as often as it should be slipped, or was let go too high."""
    grip, found, around = grip_of(course, hold), [], round(BEFORE_S * RATE_HZ)
    slipped = grip.slipped if grip.slip_m > reference.slip_usual_m + SLIP_M else None
    if slipped is None and grip.loose_m > SLIP_M:
        slipped = grip.loosened
    if slipped is not None:
        ended = min(slipped + round(RATE_HZ), grip.released + 1, course.done)
        found.append(Mistake(MistakeKind.SLIP, hold.thing, min(slipped, ended), ended, ended))
    if grip.fall_m > reference.fall_usual_m + FALL_M:
        ended = min(hold.rested + 1, course.done)
        begun = min(max(grip.released - around, hold.begun), ended)
        found.append(Mistake(MistakeKind.FALL, hold.thing, begun, ended, ended))
    return found


def _mistake(course: Course, kind: MistakeKind, hold: Hold, holds: tuple[Hold, ...]) -> Mistake:
    before = max((other.let_go for other in holds if other.let_go <= hold.begun), default=course.first)
    begun = before if kind is MistakeKind.WRONG else max(hold.let_go - round(BEFORE_S * RATE_HZ), hold.begun)
    ended = min(hold.rested + 1, course.done)
    following = min((other.begun for other in holds if other.begun >= hold.let_go), default=course.done)
    best = float(np.max(course.progress[: hold.let_go + 1]))
    again = np.flatnonzero(course.progress[ended:] >= best)
    regained = ended + int(again[0]) if len(again) else course.done
    return Mistake(kind, hold.thing, begun, ended, min(max(regained, following, ended), course.done))


def _undone(course: Course, known: list[Mistake], usual: int) -> list[Mistake]:
    """Return the falls of the stage that no other mistake explains, beyond those that are usual."""
    explained = np.zeros(course.samples, dtype=np.bool_)
    for one in known:
        explained[one.begun : one.recovered + 1] = True
    falls = undone_at(course)
    new = [(first, last) for first, last in falls if not explained[first]]
    found = []
    for first, last in new[: max(len(new) - usual, 0)]:
        begun = max(first - round(BEFORE_S * RATE_HZ), course.first)
        found.append(Mistake(MistakeKind.UNDONE, "", begun, first, min(last + 1, course.done)))
    return found


def undone_at(course: Course) -> list[tuple[int, int]]:
    """Return first and last sample of each time that fewer stages were done than before, for half a second or more."""
    most = np.maximum.accumulate(course.stage)
    below = (course.stage < most) & course.active
    return [(first, last) for first, last in runs(below) if last - first + 1 >= UNDONE_S * RATE_HZ]
