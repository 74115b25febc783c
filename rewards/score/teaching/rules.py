"""Version 3 of the rules: from the facts of a drive to its score, what cost it, and the stretches it consists of.

docs/scoring.md states the rules for people. Pure, and the same integer on every machine: the parts are rounded to four
decimals before they are weighed, and weighed in integers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from rewards.score.facts import EpisodeFacts
from rewards.score.metrics import movement_sparc, path_efficiency, stages
from rewards.score.references.store import ReferenceSet
from rewards.score.series import RATE_HZ, Mask, joined, runs
from rewards.score.teaching import words
from rewards.score.teaching.control import Control, control
from rewards.score.teaching.course import Course, course_of
from rewards.score.teaching.flow import Flow, flow, idle_of
from rewards.score.teaching.holds import holds_of
from rewards.score.teaching.information import information
from rewards.score.teaching.integrity import Refusal, refusals, unmeasurable
from rewards.score.teaching.nearest import nearness
from rewards.score.teaching.object_path import Way, object_path
from rewards.score.teaching.order import Mistake, cost_of, mistakes_of, order, stretches
from rewards.score.teaching.pace import Pace, pace
from rewards.score.teaching.picks import Picks, picked
from rewards.score.teaching.states import states_of
from rewards.score.verdict import ONE_PPM, Cost, Score, Segment, SegmentKind

REFERENCE_SET: Final = 1
PACE: Final = "pace"
WEIGHTS_PERCENT: Final[Mapping[str, int]] = {"object_path": 40, "order": 20, "flow": 33, "control": 7}
"""Of the parts that are added up. Success and pace multiply them: who learns from drives that were too slow learns
nothing, however neat they were."""
PARTS: Final = ("object_path", "order", PACE, "flow", "control")
UNDONE_PERCENT: Final = 50
"""What a drive that did not succeed can have at most, if it had nearly got there."""
SHOWN_FROM_PPM: Final = 2_000
"""A cost below this is not worth a sentence."""
SLOW: Final = 1.5
"""A stage that takes so many times the usual time is marked as slow."""
SPARSE: Final = 4
"""Path efficiency looks at one sample of so many."""
PADDING: Final = 4
"""A fourth of version 2's: it moves SPARC by less than 0.1, and is four times as fast."""
SEGMENT_S: Final = 0.5
"""A pause, a strain or a tail shorter than this is not marked."""


@dataclass(frozen=True, slots=True)
class Found:
    """All that version 3 finds in a measurable drive."""

    facts: EpisodeFacts
    reference: ReferenceSet
    course: Course
    mistakes: tuple[Mistake, ...]
    wrong: Mask
    mended: Mask
    ordinary: Mask
    picks: Picks
    way: Way
    order: float
    pace: Pace
    flow: Flow
    control: Control
    information: float | None


def teaching_score(facts: EpisodeFacts) -> Score:
    """Return the score of `facts` by version 3. Never raises: what cannot be measured is refused, with the reason."""
    reference = unmeasurable(facts, REFERENCE_SET)
    if isinstance(reference, Refusal):
        nothing = {"success": 0.0, **dict.fromkeys(PARTS, 0.0)}
        return Score(facts.version, 0, False, nothing, (reference.sentence,), refused=(reference.gate.value,))
    found, refused = look(facts, reference), refusals(facts)
    vector = parts_of(found)
    costs = costs_of(found, vector)
    return Score(
        version=facts.version,
        score_ppm=weigh(vector),
        accepted=not refused,
        vector={name: part / ONE_PPM for name, part in vector.items()},
        reasons=(*(one.sentence for one in refused), *(one.sentence for one in costs)),
        costs=costs,
        shown=shown_of(found),
        segments=segments_of(found),
        refused=tuple(one.gate.value for one in refused),
    )


def look(facts: EpisodeFacts, reference: ReferenceSet) -> Found:
    """Measure a drive."""
    course = course_of(facts)
    holds = holds_of(course)
    mistakes = mistakes_of(course, holds, reference)
    wrong, mended = stretches(course, mistakes)
    ordinary = course.active & ~wrong & ~mended
    picks = picked(course, ordinary)
    if not len(picks.at):  # all of it was a mistake or mended one
        picks = picked(course, mended)
    whole = reference.whole(states_of(course, holds, picks.at).values)
    near = nearness(whole, picks.stage, reference.columns, reference.states)
    return Found(
        facts=facts,
        reference=reference,
        course=course,
        mistakes=mistakes,
        wrong=wrong,
        mended=mended,
        ordinary=ordinary,
        picks=picks,
        way=object_path(whole, near, reference),
        order=order(course, mistakes, max(reference.usual_s, 1.0 / RATE_HZ)),
        pace=pace(course, ordinary, reference),
        flow=flow(course, ordinary, reference),
        control=control(course, ordinary, reference),
        information=information(near, reference),
    )


def parts_of(found: Found) -> dict[str, int]:
    """Return the vector, in ppm: `success`, by which all is multiplied, and the weighed parts."""
    done = found.facts.success is True
    success = 1.0 if done else UNDONE_PERCENT / 100 * float(np.max(found.course.progress))
    parts = {
        "success": success,
        "object_path": found.way.part,
        "order": found.order,
        "pace": found.pace.part,
        "flow": found.flow.part,
        "control": found.control.part,
    }
    return {name: rounded_ppm(part) for name, part in parts.items()}


def rounded_ppm(part: float) -> int:
    """Return a part in [0, 1] in ppm, in steps of 100, halves up."""
    return math.floor(min(max(part, 0.0), 1.0) * 10_000 + 0.5) * 100


def weigh(vector: Mapping[str, int]) -> int:
    """Return floor(success * pace * sum of weight * part), in ppm."""
    return vector["success"] * vector[PACE] * _added(vector) // (100 * ONE_PPM * ONE_PPM)


def _added(vector: Mapping[str, int]) -> int:
    """Return the sum of weight * part, in hundredths of a ppm."""
    return sum(weight * vector[name] for name, weight in WEIGHTS_PERCENT.items())


def costs_of(found: Found, vector: Mapping[str, int]) -> tuple[Cost, ...]:
    """Return what each part cost of the price of a perfect drive, the largest first.

    Pace costs its share of what the other parts left over, so that all costs add up to what the score lacks.
    """
    said = {"object_path": _path, "order": _order, "pace": _pace, "flow": _flow, "control": _control}
    costs = []
    for name, say in said.items():
        most_ppm = _added(vector) // 100 if name == PACE else WEIGHTS_PERCENT[name] * ONE_PPM // 100
        ppm = most_ppm * (ONE_PPM - vector[name]) // ONE_PPM
        if ppm >= SHOWN_FROM_PPM:
            sentence, stretch = say(found)
            from_s, until_s = (None, None) if stretch is None else (stretch[0] / RATE_HZ, stretch[1] / RATE_HZ)
            costs.append(Cost(name, ppm, sentence, from_s, until_s))
    return tuple(sorted(costs, key=lambda cost: -cost.ppm))


Said = tuple[str, tuple[int, int] | None]
"""A sentence, and the stretch that it is about: first sample, and the one after the last."""


def _path(found: Found) -> Said:
    excess, at = found.way.excess, found.picks.at
    far = runs(excess > 0.0)
    if not far:
        return "The hand went another way than in drives that teach well.", None
    first, last = max(far, key=lambda run: math.fsum(excess[run[0] : run[1] + 1].tolist()))
    worst = first + int(np.argmax(excess[first : last + 1]))
    stage = found.facts.stages[int(found.picks.stage[worst])]
    feature = found.reference.features[int(found.way.feature[worst])].rstrip("0123456789").rstrip("_")
    begin, end = int(min(at[first], at[last])), int(max(at[first], at[last])) + 1
    return words.of_path(stage, begin, feature), (begin, end)


def _order(found: Found) -> Said:
    worst = max(found.mistakes, key=lambda one: cost_of(one, found.reference.usual_s))
    return words.of_mistake(worst), (worst.begun, worst.ended)


def _pace(found: Found) -> Said:
    over = [took - usual for took, usual in zip(found.pace.moving_s, found.pace.usual_s, strict=True)]
    worst = over.index(max(over))
    samples = np.flatnonzero(found.ordinary & (found.course.stage == worst))
    return words.of_pace(found.facts.stages[worst], found.pace, worst), (int(samples[0]), int(samples[-1]) + 1)


def _flow(found: Found) -> Said:
    longest = found.flow.longest
    return words.of_flow(found.flow), None if longest is None else (longest[0], longest[1] + 1)


def _control(found: Found) -> Said:
    strained = runs(found.course.strained & found.ordinary)
    first, last = max(strained, key=lambda run: run[1] - run[0])
    return words.of_control(found.control, first), (first, last + 1)


def shown_of(found: Found) -> dict[str, float]:
    """Return what helps an operator and is not paid by.

    Path efficiency is that of version 2 on every fourth sample, so that a tremor of more than 2.5 Hz is no way.
    """
    course, facts = found.course, found.facts
    hand_m = np.hstack([hand[:, :3] for hand in course.hands])[: max(min(course.done + 1, course.samples), 2)]
    sparc = movement_sparc(hand_m, padding=PADDING)
    ends = [end // SPARSE for end in stages(facts.t_s, facts.applied_gripper)]
    shown = {
        "duration_s": float(facts.t_s[-1] - facts.t_s[0]),
        "progress": 1.0 if facts.success else float(np.max(course.progress)),
        "recoveries": float(len([one for one in found.mistakes if one.recovered > one.ended])),
        "path_efficiency": path_efficiency(hand_m[::SPARSE], ends),
    }
    shown |= {} if sparc is None else {"smoothness": sparc}
    shown |= {} if found.information is None else {"mutual_information": found.information}
    return shown


def segments_of(found: Found) -> tuple[Segment, ...]:
    """Return the stretches of the drive that are not ordinary, in order of time; they may overlap."""
    course = found.course
    marked = [
        (SegmentKind.MISTAKE, found.wrong, 1),
        (SegmentKind.RECOVERY, found.mended, 1),
        (SegmentKind.IDLE, idle_of(course, found.ordinary), round(SEGMENT_S * RATE_HZ)),
        (SegmentKind.LIMITED, course.strained & found.ordinary, round(SEGMENT_S * RATE_HZ)),
        (SegmentKind.SLOW, _slow(found), 1),
        (SegmentKind.TAIL, np.arange(course.samples) >= course.done, round(SEGMENT_S * RATE_HZ)),
    ]
    segments = [
        Segment(kind, first / RATE_HZ, (last + 1) / RATE_HZ)
        for kind, mask, least in marked
        for first, last in joined(runs(mask), SEGMENT_S * RATE_HZ if kind is SegmentKind.SLOW else 0.0)
        if last - first + 1 >= least
    ]
    return tuple(sorted(segments, key=lambda one: (one.from_s, one.until_s, one.kind)))


def _slow(found: Found) -> Mask:
    slow = np.zeros(found.course.samples, dtype=np.bool_)
    for stage, (took, usual) in enumerate(zip(found.pace.moving_s, found.pace.usual_s, strict=True)):
        if took > SLOW * max(usual, 1.0 / RATE_HZ):
            slow |= (found.course.stage == stage) & found.ordinary & ~found.course.still
    return slow
