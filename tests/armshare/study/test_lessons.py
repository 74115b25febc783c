"""Policies of a study are judged in the same scenes, however many, so that arms can be compared."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from armshare.study.drives import Drive, Measured
from armshare.study.lessons import Pupil, pupils
from armshare.study.measures import BEFORE, LENGTH, SCORE, SPARC
from armshare.study.plan import Plan, wanted

VALUES = dict.fromkeys((SCORE, BEFORE, LENGTH, SPARC), 1.0)


def of(plan: Plan) -> list[Pupil]:
    drives = [Drive(one, 60, True, True) for one in wanted(plan)]
    return list(pupils(plan, drives, {drive.wanted.name: Measured(VALUES, VALUES) for drive in drives}))


def test_who_is_judged_in_fewer_scenes_is_judged_in_the_first_of_the_same_ones():
    plan = Plan(judged={"lift": 25, "stack": 25})
    for many, few in zip(of(plan), of(msgspec.structs.replace(plan, judged={"lift": 15, "stack": 3})), strict=True):
        assert few.lesson.scenes[0] == many.lesson.scenes[0]
        assert few.lesson.scenes[1] - few.lesson.scenes[0] == (15 if few.task == "lift" else 3)


def test_all_arms_of_one_number_are_judged_in_the_same_scenes_and_no_other_number_is():
    scenes: dict[tuple[str, int, int], set[tuple[int, int]]] = {}
    for one in of(Plan(judged={"lift": 40, "stack": 15})):
        scenes.setdefault((one.task, one.cell, one.number), set()).add(one.lesson.scenes)
    assert all(len(found) == 1 for found in scenes.values())
    for task in ("lift", "stack"):
        spans = sorted(next(iter(found)) for which, found in scenes.items() if which[0] == task)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
