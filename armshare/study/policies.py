"""How policies did that learnt from halves of a mix, or from one kind of drive; what was recovered, what was paid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from armshare.study.arms import Alone, Arm
from armshare.study.evidence import Cells, Evidence
from armshare.study.measures import SCORE
from armshare.study.plan import CLEAN_GROUPS, MIXES, Group
from armshare.study.statistics import Array, Estimate, drawn, interval, shares

BOTH: Final = "all tasks"
"""What stands for a task's name in what is said of all of them together, each counting the same."""
_PAID: Final[Mapping[Alone, tuple[Group, ...]]] = {
    Alone.SLOW: (Group.SLOW,),
    Alone.RECOVERING: (Group.RECOVERING,),
}


class Success(msgspec.Struct, frozen=True):
    """How often an arm's policies did the task."""

    task: str
    mix: Group | None
    arm: str
    policies: int
    rate: Estimate


class Contrast(msgspec.Struct, frozen=True):
    """By how much one arm does better than another, in the same scenes."""

    task: str
    mix: Group
    arm: Arm
    over: Arm
    difference: Estimate


class Recovered(msgspec.Struct, frozen=True):
    """How much of what clean drives teach beyond a random half of the mix is taught by a half that was chosen."""

    task: str
    mix: Group
    arm: Arm
    gap: Estimate
    """Clean over random, in success."""
    part: Estimate
    """1: all of it. None if there is no gap."""


class Pay(msgspec.Struct, frozen=True):
    """What one kind of honest drive is paid, and what it teaches, both as a part of what a clean one is and does."""

    task: str
    kind: Alone
    drives: int
    paid: Estimate
    taught: Estimate
    over: Estimate
    """Paid less taught."""


@dataclass(frozen=True, slots=True)
class Rates:
    """A success rate, and what a bootstrap found in its place."""

    value: float
    again: Array

    def estimate(self) -> Estimate:
        """Return it with its interval."""
        return Estimate(None if np.isnan(self.value) else self.value, *interval(self.again))

    def __sub__(self, other: Rates) -> Rates:
        return Rates(self.value - other.value, self.again - other.again)


def mean(rates: Sequence[Rates]) -> Rates:
    """Return the mean of several tasks' rates."""
    return Rates(float(np.mean([one.value for one in rates])), np.mean([one.again for one in rates], axis=0))


class Judged:
    """The success rates of every arm, resampled together: the same cells and policies' numbers for all of a task."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, plan = evidence, evidence.plan
        self.tasks = plan.tasks
        sizes = [plan.policies] * plan.cells
        self._drawn = {name: drawn([sizes], salt=number)[0] for number, name in enumerate(plan.tasks)}

    def rate(self, task: str, mix: Group | None, arm: str) -> Rates:
        """Return how often an arm's policies did a task, or, with `BOTH`, all tasks."""
        if task == BOTH:
            return mean([self.rate(name, mix, arm) for name in self.tasks])
        done, weights = self.evidence.successes(task, mix, arm), self._drawn[task]
        return Rates(float(done.mean()), weights @ done / weights.sum(1))

    def where(self) -> tuple[str, ...]:
        """Return the tasks, and all of them together if they are several."""
        return (*self.tasks, BOTH) if len(self.tasks) > 1 else self.tasks


def successes(judged: Judged) -> Iterator[Success]:
    """Yield the success rate of every arm."""
    for task in judged.where():
        plan = judged.evidence.plan
        count = plan.cells * plan.policies * (len(judged.tasks) if task == BOTH else 1)
        for mix in MIXES:
            for arm in Arm:
                yield Success(task, mix, arm, count, judged.rate(task, mix, arm).estimate())
        for kind in Alone:
            yield Success(task, None, kind, count, judged.rate(task, None, kind).estimate())


def contrasts(judged: Judged) -> Iterator[Contrast]:
    """Yield by how much the top half beats each other arm, and a null or an older score a random half."""
    pairs = [(Arm.TOP, other) for other in Arm if other is not Arm.TOP]
    pairs += [(arm, Arm.RANDOM) for arm in (Arm.CLEAN, Arm.BEFORE, Arm.SHORT, Arm.SMOOTH)]
    for task in judged.where():
        for mix in MIXES:
            for arm, over in pairs:
                found = judged.rate(task, mix, arm) - judged.rate(task, mix, over)
                yield Contrast(task, mix, arm, over, found.estimate())


def recovered(judged: Judged) -> Iterator[Recovered]:
    """Yield how much of the gap between a random half and clean drives each way of choosing recovers."""
    for task in judged.where():
        for mix in MIXES:
            random = judged.rate(task, mix, Arm.RANDOM)
            gap = judged.rate(task, mix, Arm.CLEAN) - random
            for arm in (Arm.TOP, Arm.BEFORE, Arm.SHORT, Arm.SMOOTH):
                part = _part(judged.rate(task, mix, arm) - random, gap)
                yield Recovered(task, mix, arm, gap.estimate(), part)


def _part(won: Rates, gap: Rates) -> Estimate:
    """Return won / gap; a resample without a gap says nothing of what part of it was won."""
    if gap.value <= 0.0:
        return Estimate()
    there = gap.again > 0.0
    again = np.divide(won.again, gap.again, out=np.full_like(gap.again, np.nan), where=there)
    return Estimate(won.value / gap.value, *interval(again))


def pays(evidence: Evidence) -> Iterator[Pay]:
    """Yield what slow and recovering drives are paid and teach, beside clean ones, from as many steps."""
    tasks = evidence.plan.tasks
    for kind, groups in _PAID.items():
        found = [_pay(evidence, task, kind, groups, number) for number, task in enumerate(tasks)]
        for task, (count, paid, taught) in zip(tasks, found, strict=True):
            yield _paid(task, kind, count, paid, taught)
        if len(tasks) > 1:
            paid, taught = mean([one[1] for one in found]), mean([one[2] for one in found])
            yield _paid(BOTH, kind, sum(one[0] for one in found), paid, taught)


def _paid(task: str, kind: Alone, count: int, paid: Rates, taught: Rates) -> Pay:
    return Pay(task, kind, count, paid.estimate(), taught.estimate(), (paid - taught).estimate())


def _pay(evidence: Evidence, task: str, kind: Alone, groups: Sequence[Group], salt: int) -> tuple[int, Rates, Rates]:
    """Return how many drives of a kind succeeded, what they are paid, and what they teach, as parts of clean ones'."""
    of, clean = evidence.cells(task, groups), evidence.cells(task, CLEAN_GROUPS)
    plan = evidence.plan
    these, those, numbers = drawn([of.sizes, clean.sizes, [plan.policies] * plan.cells], salt=salt)
    paid = _ratio(_scores(evidence, of), _scores(evidence, clean), these, those)
    done, cleanly = (evidence.successes(task, None, one) for one in (kind, Alone.CLEAN))
    taught = _ratio(done, cleanly, numbers, numbers)
    return len(of.drives), paid, taught


def _scores(evidence: Evidence, cells: Cells) -> Array:
    return evidence.values(cells, SCORE, "as_driven")


def _ratio(one: Array, other: Array, these: Array, those: Array) -> Rates:
    """Return the mean of one over the mean of the other."""
    again = shares(shares(these @ one, these.sum(1)), shares(those @ other, those.sum(1)))
    whole = float(other.mean()) if len(other) else 0.0
    value = float(one.mean()) / whole if len(one) and whole else float("nan")
    return Rates(value, again)
