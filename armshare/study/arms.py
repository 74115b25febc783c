"""Who learns from what: halves of a mix by one measure or another, and one kind of drive alone, all of as many steps.

Half of a mix is half of its steps, not of its drives: who keeps short drives keeps more of them, and has no more to
learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import numpy as np

from armshare.study.drives import Drive, Measured
from armshare.study.measures import BEFORE, LENGTH, SCORE, SPARC
from armshare.study.plan import CLEAN_GROUPS, DEFECTIVE, Group

Found = Mapping[str, Measured]
"""What was measured of each drive, by its name."""
Part = tuple[str, int]
"""A drive's name, and how many of its first steps are learnt from."""


class Arm(StrEnum):
    """What a policy learns from."""

    TOP = "top half by score"
    BOTTOM = "bottom half by score"
    RANDOM = "random half"
    CLEAN = "clean drives only"
    ALL = "all of the mix"
    BEFORE = "top half by version 2"
    SHORT = "shortest half"
    SMOOTH = "smoothest half by SPARC"


class Alone(StrEnum):
    """One kind of drive that a policy learns from, and nothing else."""

    CLEAN = "clean"
    SLOW = "slow"
    RECOVERING = "recovering"


_RANKED: Final[Mapping[Arm, tuple[str, float]]] = {
    Arm.TOP: (SCORE, 1.0),
    Arm.BOTTOM: (SCORE, -1.0),
    Arm.BEFORE: (BEFORE, 1.0),
    Arm.SHORT: (LENGTH, 1.0),
    Arm.SMOOTH: (SPARC, 1.0),
}
"""Which measure an arm goes by, and whether more of it is taken first."""


def mixture(mix: Group, size: int, cell: Sequence[Drive]) -> list[Drive]:
    """Return the drives of a mix of so many; `cell` has all drives of a task from one of the study's seeds."""
    defective = round(DEFECTIVE * size)
    clean = [drive for drive in cell if drive.wanted.group is Group.CLEAN]
    return clean[: size - defective] + [drive for drive in cell if drive.wanted.group is mix][:defective]


def learnt_from(arm: Arm, whole: Sequence[Drive], cell: Sequence[Drive], found: Found, seed: int) -> tuple[Part, ...]:
    """Return what an arm learns from of a mix, `whole`, in a cell that has more clean drives than that."""
    budget = sum(drive.steps for drive in whole) // 2
    if arm is Arm.ALL:
        return tuple((drive.wanted.name, drive.steps) for drive in whole)
    if arm is Arm.CLEAN:
        return filled(shuffled([drive for drive in cell if drive.wanted.group in CLEAN_GROUPS], seed), budget)
    if arm is Arm.RANDOM:
        return filled(shuffled(whole, seed), budget)
    return filled(ranked(whole, *_RANKED[arm], found, seed), budget)


def alone(kind: Alone, most: int, cell: Sequence[Drive], seed: int) -> tuple[Part, ...]:
    """Return what is learnt from one kind of drive: `most` steps of each kind, or as many as the rarest has."""
    clean, slow, recovering = (
        shuffled([drive for drive in cell if drive.wanted.group in groups and drive.success], seed)
        for groups in (CLEAN_GROUPS, (Group.SLOW,), (Group.RECOVERING,))
    )
    budget = min(most, *(sum(drive.steps for drive in drives) for drives in (clean, slow, recovering)))
    match kind:
        case Alone.CLEAN:
            return filled(clean, budget)
        case Alone.SLOW:
            return filled(slow, budget)
        case Alone.RECOVERING:
            return filled(recovering, budget)


def ranked(drives: Sequence[Drive], measure: str, sign: float, found: Found, seed: int) -> list[Drive]:
    """Return drives by a measure, the best first; ties, and what the measure cannot be taken of, by chance."""
    lowest = -np.inf

    def of(drive: Drive) -> float:
        return sign * found[drive.wanted.name].as_driven.get(measure, lowest * sign)

    by: Callable[[Drive], float] = of
    return sorted(shuffled(drives, seed), key=by, reverse=True)


def shuffled(drives: Sequence[Drive], seed: int) -> list[Drive]:
    """Return drives in an order that follows from the seed alone."""
    order = np.random.default_rng(seed).permutation(len(drives))
    return [drives[number] for number in order]


def filled(drives: Sequence[Drive], budget: int) -> tuple[Part, ...]:
    """Return the first drives, as many as make exactly `budget` steps: the last one is cut. All, if they are fewer."""
    parts: list[Part] = []
    for drive in drives:
        left = budget - sum(steps for _, steps in parts)
        if left > 0:
            parts.append((drive.wanted.name, min(drive.steps, left)))
    return tuple(parts)
