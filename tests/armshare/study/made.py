"""Evidence that nobody drove: drives with chosen scores, and policies with chosen successes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import msgspec
import numpy as np

from armshare.study.arms import Alone, Arm
from armshare.study.drives import Drive, Measured
from armshare.study.evidence import Evidence
from armshare.study.lessons import Learnt, Lesson, Pupil
from armshare.study.measures import SCORE
from armshare.study.plan import MIXES, Group, Plan, Wanted, wanted

PLAN = msgspec.structs.replace(Plan(), tasks=("lift",), cells=5, judged={"lift": 40})
Scored = Callable[[Wanted, np.random.Generator], float]
Taught = Callable[[Group | None, str], float]


def evidence(
    scored: Scored, taught: Taught, plan: Plan = PLAN, succeeds: Callable[[Wanted], bool] = lambda _: True
) -> Evidence:
    """Return evidence in which each drive's score and success, and each arm's chance of success, are as told."""
    rng = np.random.default_rng(8)
    drives = tuple(Drive(one, 60, succeeds(one), True) for one in wanted(plan))
    found = {}
    for drive in drives:
        values = {SCORE: scored(drive.wanted, rng)}
        found[drive.wanted.name] = Measured(values, values)
    learnt = []
    for task in plan.tasks:
        for cell in range(plan.cells):
            arms = [(mix, arm) for mix in MIXES for arm in Arm] + [(None, kind) for kind in Alone]
            for number, (mix, arm) in product(range(plan.policies), arms):
                lesson = Lesson(task, "", "", (), 1, 1, number, (0, plan.judged[task]), None)
                done = tuple(bool(one) for one in rng.random(plan.judged[task]) < taught(mix, arm))
                learnt.append((Pupil(task, cell, number, mix, arm, lesson), Learnt(100, done)))
    return Evidence(plan, "0" * 64, "0" * 64, drives, found, tuple(learnt))
