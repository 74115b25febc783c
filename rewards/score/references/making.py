"""From drives to a reference set: what is usual among them, and how far each is from all the others.

Exports `made`. Making a set decides no score: the set is data, and has a digest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.facts import EpisodeFacts
from rewards.score.fixed import Array
from rewards.score.references.store import ACTIONS, ReferenceSet, quantile
from rewards.score.teaching.control import strained_share
from rewards.score.teaching.course import Course, course_of
from rewards.score.teaching.flow import idle_s
from rewards.score.teaching.grips import grip_of
from rewards.score.teaching.holds import Hold, holds_of
from rewards.score.teaching.information import mean_information
from rewards.score.teaching.nearest import columns_of, kth, nearness, squared_distances
from rewards.score.teaching.object_path import NEIGHBOURS
from rewards.score.teaching.order import FALL_M, SLIP_M, undone_at
from rewards.score.teaching.pace import moving_s
from rewards.score.teaching.picks import Picks, picked
from rewards.score.teaching.states import names_of, states_of

POINTS: Final = 48
"""How many samples of a drive a set keeps."""
USUAL_PERCENT: Final = 95
SLIGHTEST: Final = {"m": 0.01, "": 0.25}
"""The least spread of a feature: a centimetre of one that is in metres, else a quarter."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a set takes from one drive."""

    course: Course
    holds: tuple[Hold, ...]
    picks: Picks
    values: Array


def made(number: int, groups: Sequence[Sequence[EpisodeFacts]]) -> ReferenceSet:
    """Return the set of this number of successful drives of one task, those of each robot in a group of its own.

    Drives with a mistake are left out, by the measure of the same robot's.
    """
    taken = [one for drives in groups for one in _faultless([_take(facts) for facts in drives])]
    first = groups[0][0]
    features = names_of(len(first.hands))
    values = np.concatenate([one.values for one in taken])
    stage = np.concatenate([one.picks.stage for one in taken]).astype(np.int16)
    drive = np.concatenate([np.full(len(one.values), index) for index, one in enumerate(taken)]).astype(np.int16)
    centre = np.mean(values, axis=0)
    scale = np.maximum(np.std(values, axis=0), [_slightest(name) for name in features])
    steps = np.clip(np.floor((values - centre) / scale * 16 + 0.5), -127, 127).astype(np.int8)
    stages, movable = taken[0].course.stages, taken[0].course.movable
    ordinary = [one.course.active for one in taken]
    courses = [one.course for one in taken]
    held = {name: _counts(sum(hold.thing == name for hold in one.holds) for one in taken) for name in movable}
    return ReferenceSet(
        number=number,
        task=first.task,
        task_version=first.task_version,
        features=features,
        centre=centre,
        scale=scale,
        points=steps,
        stage=stage,
        drive=drive,
        usual=np.array([_usual(steps[stage == one].astype(np.int32), drive[stage == one]) for one in range(stages)]),
        share=_share([one.picks.work_m for one in taken]),
        moving_s=np.array([moving_s(*both) for both in zip(courses, ordinary, strict=True)], dtype=np.float32),
        idle_s=np.array([idle_s(*both) for both in zip(courses, ordinary, strict=True)], dtype=np.float32),
        strained=np.array([strained_share(*both) for both in zip(courses, ordinary, strict=True)], dtype=np.float32),
        undone=_counts(len(undone_at(course)) for course in courses),
        slip_m=np.array([_worst(one, "slip_m") for one in taken], dtype=np.float32),
        fall_m=np.array([_worst(one, "fall_m") for one in taken], dtype=np.float32),
        holds=held,
        information=_information(steps, stage, drive, features),
        columns=columns_of(steps, stage),
    )


def _take(facts: EpisodeFacts) -> _Taken:
    course = course_of(facts)
    holds, picks = holds_of(course), picked(course, course.active, POINTS)
    return _Taken(course, holds, picks, states_of(course, holds, picks.at).values)


def _faultless(taken: list[_Taken]) -> list[_Taken]:
    """Return the drives that hold no thing more often, and undo no stage more often, than half of them do.

    And in which nothing slips or falls much farther than in half of them.
    """
    things = taken[0].course.movable
    held = np.array([[sum(hold.thing == name for hold in one.holds) for name in things] for one in taken])
    undone = np.array([len(undone_at(one.course)) for one in taken])
    slip, fall = (np.array([_worst(one, name) for one in taken]) for name in ("slip_m", "fall_m"))
    good = np.all(held <= np.median(held, axis=0), axis=1) & (undone <= np.median(undone))
    good &= (slip <= 2.0 * np.median(slip) + SLIP_M) & (fall <= 2.0 * np.median(fall) + 4.0 * FALL_M)
    return [one for one, keep in zip(taken, good, strict=True) if keep]


def _worst(taken: _Taken, name: str) -> float:
    return max((float(getattr(grip_of(taken.course, hold), name)) for hold in taken.holds), default=0.0)


def _counts(counts: Iterable[int]) -> NDArray[np.int16]:
    return np.array(list(counts), dtype=np.int16)


def _slightest(name: str) -> float:
    return SLIGHTEST["m"] if "_m" in name else SLIGHTEST[""]


def _usual(points: NDArray[np.int32], drive: NDArray[np.int16]) -> float:
    """Return how far 95 of 100 samples are at most from the samples of other drives."""
    if not len(points):
        return 1.0
    away = [
        kth(squared_distances(points[drive == one], points[drive != one].T), NEIGHBOURS) for one in np.unique(drive)
    ]
    return max(quantile(np.concatenate(away), USUAL_PERCENT), 1.0)


def _information(
    points: NDArray[np.int8], stage: NDArray[np.int16], drive: NDArray[np.int16], features: tuple[str, ...]
) -> Array:
    """Return mean and spread of the drives' mutual information, each among the other drives."""
    states = sum(not name.startswith(ACTIONS) for name in features)
    whole, means = points.astype(np.int32), []
    for one in np.unique(drive):
        mine, others = drive == one, drive != one
        theirs = columns_of(points[others], stage[others])
        near = nearness(whole[mine], stage[mine].astype(np.int64), theirs, states)
        mean = mean_information(near)
        means += [] if mean is None else [mean]
    return np.array([np.mean(means), np.std(means)])


def _share(work_m: Sequence[tuple[float, ...]]) -> Array:
    middle = np.median(np.array(work_m), axis=0)
    share: Array = middle / max(math.fsum(middle), 1e-9)
    return share
