"""What a study has found, before anything is concluded from it: drives, what was measured of them, how policies did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from armshare.study.drives import Drive, Measured
from armshare.study.lessons import Learnt, Pupil
from armshare.study.plan import Group, Plan
from armshare.study.statistics import Array

View = Literal["equal", "as_driven"]
LOWEST: Final = -1e300
"""What stands for a measure that cannot be taken of a drive: below all that can."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Drives of one task, cell by cell: those of the first of the study's seeds, those of the second, and so on."""

    parts: tuple[tuple[Drive, ...], ...]

    @property
    def drives(self) -> tuple[Drive, ...]:
        """All of them, in order of their cells."""
        return tuple(drive for part in self.parts for drive in part)

    @property
    def sizes(self) -> list[int]:
        """How many each cell has."""
        return [len(part) for part in self.parts]

    @property
    def steps(self) -> Array:
        """How long each is."""
        return np.array([drive.steps for drive in self.drives], np.float64)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it."""

    plan: Plan
    rules: str
    """The SHA-256 of the rules that scored."""
    demonstrators: str
    """That of who drove."""
    drives: tuple[Drive, ...]
    found: Mapping[str, Measured]
    """By the drive's name."""
    learnt: tuple[tuple[Pupil, Learnt], ...]

    def cells(
        self, task: str, groups: Collection[Group], also: Callable[[Drive], bool] = lambda drive: drive.success
    ) -> Cells:
        """Return a task's drives of some groups; by default those that ended in success."""
        kept = [one for one in self.drives if one.wanted.task == task and one.wanted.group in groups and not one.lost]
        return Cells(
            tuple(
                tuple(one for one in kept if one.wanted.cell == cell and also(one)) for cell in range(self.plan.cells)
            )
        )

    def values(self, cells: Cells, measure: str, view: View) -> Array:
        """Return a measure of each drive."""
        found = (self.found[drive.wanted.name] for drive in cells.drives)
        return np.array([(one.equal if view == "equal" else one.as_driven).get(measure, LOWEST) for one in found])

    @property
    def measures(self) -> list[str]:
        """Return the names of all measures, in the order in which they are taken."""
        names = (name for one in self.found.values() for name in one.as_driven)
        return list(dict.fromkeys(names))

    def successes(self, task: str, mix: Group | None, arm: str) -> Array:
        """Return how often each of an arm's policies did a task, cell by cell, and in each by number."""
        rates = {
            (pupil.cell, pupil.number): float(np.mean(learnt.successes))
            for pupil, learnt in self.learnt
            if (pupil.task, pupil.mix, pupil.arm) == (task, mix, arm)
        }
        return np.array([rates[which] for which in sorted(rates)])
