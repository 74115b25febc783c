"""What a study means for somebody who chooses what to learn from, in one paragraph whose words follow its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from armshare.study.arms import Arm
from armshare.study.plan import Group
from armshare.study.policies import BOTH, Contrast
from armshare.study.statistics import Estimate

if TYPE_CHECKING:
    from armshare.study.report import Report

_WITH: Final = {Group.SUBTLE: "subtle defects", Group.WRONG: "wrong actions"}


def curating(report: Report) -> str:
    """Return the paragraph."""
    sentences = [
        "Length is a strong null here, and the score has to be read beside it: most of these defects take time, so "
        "whoever keeps the shortest drives leaves them out, and knows nothing else.",
        *_each(report, Arm.SHORT, "the shortest half"),
        "All of the mix has twice as many steps as any half, defects included.",
        *_each(report, Arm.ALL, "all of it"),
        "So if you can afford to learn from everything, try that before you leave anything out. The score is for those "
        "who have to choose: which drives to pay for, which to ask for again, what to keep if not all can be kept. "
        "Length can choose too among such drives, but it cannot say what is wrong with one, and at equal length it "
        "tells no defect from a clean drive; the score does.",
    ]
    return " ".join(sentences)


def _each(report: Report, other: Arm, called: str) -> Iterator[str]:
    """Say for each mix how the top half by score did beside another arm."""
    where = BOTH if len(report.plan.tasks) > 1 else report.plan.tasks[0]
    rates = {(one.mix, one.arm): one.rate.value for one in report.successes if one.task == where}
    for one in report.contrasts:
        if (one.task, one.arm, one.over) == (where, Arm.TOP, other):
            top, than = rates[one.mix, Arm.TOP], rates[one.mix, other]
            yield (
                f"With {_WITH[one.mix]}, the top half by score taught {_share(top)} and {called} {_share(than)}: "
                f"{_verdict(one)}."
            )


def _verdict(one: Contrast) -> str:
    found = one.difference
    if found.value is None or found.low is None or found.high is None:
        return "nothing can be said of the difference"
    by = f"by {abs(found.value):.2f}, {_interval(found)}"
    if found.low > 0.0:
        return f"the score is better, {by}"
    if found.high < 0.0:
        return f"the score is worse, {by}"
    return f"no difference that is sure ({found.value:+.2f}, {_interval(found)})"


def _interval(found: Estimate) -> str:
    return f"{found.low:+.2f} to {found.high:+.2f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
