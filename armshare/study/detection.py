"""Which measures tell a defective drive from a clean one, and which follow skill: tables, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, Literal, get_args

import msgspec
import numpy as np

from armshare.study.drives import Drive
from armshare.study.evidence import Cells, Evidence
from armshare.study.measures import BEFORE, LENGTH, SCORE, SPARC
from armshare.study.plan import CLEAN_GROUPS, SUBTLE, WRONG, Group
from armshare.study.statistics import (
    Array,
    Estimate,
    drawn,
    estimated_auroc,
    estimated_spearman,
)
from sim.demonstrators.defects import Kind

Among = Literal["all", "successes"]
Way = Literal["equal", "as_driven", "matched"]
"""At equal length by spreading each motion over as many steps; as driven; as driven, among drives of a like length."""
DEFECTS: Final = (*SUBTLE, *WRONG, Kind.SLOW)
_DEFECTIVE: Final = (Group.SUBTLE, Group.WRONG, Group.SLOW, Group.RECOVERING)
_LIKE: Final = 0.1
"""Lengths are like each other if neither is more than this part longer."""


class Detection(msgspec.Struct, frozen=True):
    """How well one measure tells one defect, among drives that ended in success."""

    task: str
    defect: Kind
    measure: str
    way: Way
    clean: int
    defective: int
    auroc: Estimate


class Following(msgspec.Struct, frozen=True):
    """How well one measure follows skill."""

    task: str
    among: Among
    measure: str
    way: Way
    drives: int
    correlation: Estimate


def detections(evidence: Evidence) -> Iterator[Detection]:
    """Yield the AUROC of every measure for every defect."""
    for task in evidence.plan.tasks:
        clean = evidence.cells(task, CLEAN_GROUPS)
        paced = evidence.cells(task, (*CLEAN_GROUPS, Group.PACED))
        for kind in DEFECTS:
            worse = evidence.cells(task, _DEFECTIVE, partial(_shows, kind))
            yield from _of(evidence, task, kind, clean, worse, "equal")
            yield from _of(evidence, task, kind, clean, worse, "as_driven")
            if kind is not Kind.SLOW:
                yield from _of(evidence, task, kind, paced, worse, "matched")


def _shows(kind: Kind, drive: Drive) -> bool:
    return drive.success and drive.happened and drive.wanted.kind is kind


def _of(evidence: Evidence, task: str, kind: Kind, clean: Cells, worse: Cells, way: Way) -> Iterator[Detection]:
    up, down = drawn([clean.sizes, worse.sizes])
    among = _alike(clean.steps, worse.steps) if way == "matched" else None
    better_is, worse_is = len(clean.drives), len(worse.drives)
    if among is not None:
        better_is, worse_is = int(among.any(1).sum()), int(among.any(0).sum())
    for measure in evidence.measures:
        values = [
            evidence.values(cells, measure, "equal" if way == "equal" else "as_driven") for cells in (clean, worse)
        ]
        found = estimated_auroc(values[0], values[1], up, down, among)
        yield Detection(task, kind, measure, way, better_is, worse_is, found)


def followings(evidence: Evidence) -> Iterator[Following]:
    """Yield the rank correlation with skill of the measures that a study compares."""
    for task in evidence.plan.tasks:
        for among in get_args(Among):
            graded = evidence.cells(task, (Group.GRADED,), partial(_among, among))
            skill = np.array([drive.wanted.skill for drive in graded.drives])
            [rows] = drawn([graded.sizes])
            for measure in (SCORE, BEFORE, LENGTH, SPARC):
                for way in ("equal", "as_driven"):
                    found = estimated_spearman(evidence.values(graded, measure, way), skill, rows)
                    yield Following(task, among, measure, way, len(skill), found)


def _among(among: Among, drive: Drive) -> bool:
    return drive.success or among == "all"


def _alike(clean: Array, worse: Array) -> Array:
    """Return (N, M): 1 for each pair of drives of a like length."""
    found: Array = (np.abs(np.log(clean[:, None] / worse)) <= np.log1p(_LIKE)).astype(np.float64)
    return found
