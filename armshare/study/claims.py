"""What is claimed of the score, one by one: what was found, how sure that is, what was aimed at, whether it holds.

What cannot be tested neither holds nor fails, and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from armshare.study.arms import Arm
from armshare.study.detection import Detection, Following
from armshare.study.measures import SCORE
from armshare.study.plan import Group, possible
from armshare.study.policies import BOTH, Contrast, Pay, Recovered
from armshare.study.statistics import Estimate
from sim.demonstrators.defects import Kind

FOUND_AIM: Final = 0.95
FOLLOWS_AIM: Final = 0.8
RECOVERED_AIM: Final = {Group.SUBTLE: 0.8, Group.WRONG: 0.6}
_SAID: Final = {Group.SUBTLE: "subtle defects", Group.WRONG: "wrong actions"}


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One claim. It holds if the value reaches the aim; it is sure if all of its interval does.

    One that cannot be tested is neither.
    """

    id: str
    says: str
    value: float | None
    low: float | None
    high: float | None
    aim: float
    holds: bool
    sure: bool
    beside: dict[str, Estimate] = {}
    """The same, found in another way."""
    note: str = ""
    untested: str = ""
    """Why it cannot be tested here; empty if it was."""


def claim(
    id_: str,
    says: str,
    found: Estimate,
    aim: float,
    *,
    beats: bool = False,
    beside: dict[str, Estimate] | None = None,
    note: str = "",
    untested: str = "",
) -> Claim:
    """Return a claim; one that something `beats` something holds only if that is sure: the aim is left out then."""
    tested = found.value is not None and not untested
    reaches = tested and found.value is not None and (found.value > aim if beats else found.value >= aim)
    sure = reaches and found.low is not None and (found.low > aim if beats else found.low >= aim)
    return Claim(
        id=id_,
        says=says,
        value=found.value,
        low=found.low,
        high=found.high,
        aim=aim,
        holds=sure if beats else reaches,
        sure=sure,
        beside=beside or {},
        note=note,
        untested=untested or ("" if tested else "there is nothing to say it of"),
    )


def could_be_tested(claims: Sequence[Claim]) -> list[Claim]:
    """Return those that could be tested."""
    return [one for one in claims if not one.untested]


def of_detection(found: Sequence[Detection]) -> Iterator[Claim]:
    """Yield (a): the score tells each defect that still ends in success."""
    scores = {(one.task, one.defect, one.way): one for one in found if one.measure == SCORE}
    for (task, kind, way), one in scores.items():
        if way != "equal":
            continue
        beside = {
            other: scores[task, kind, other].auroc
            for other in ("as_driven", "matched")
            if (task, kind, other) in scores
        }
        says = f"At {task}, the score tells {kind.replace('_', ' ')} from clean drives, at equal length (AUROC)."
        untested = _untested(task, kind, one.defective, beside["as_driven"])
        yield claim(f"a.{task}.{kind}", says, one.auroc, FOUND_AIM, beside=beside, untested=untested)


def _untested(task: str, kind: Kind, defective: int, as_driven: Estimate) -> str:
    """Return why it cannot be tested whether a defect is told at equal length; empty if it can."""
    if not possible(task, kind):
        return f"this defect cannot be at {task}"
    if not defective:
        return "not one drive with this defect ended in success"
    if kind is Kind.SLOW:
        found = "" if as_driven.value is None else f"; as driven it is told with {as_driven.value:.2f}"
        return f"at equal length a slow drive is a clean one{found}"
    return ""


def of_policies(contrasts: Sequence[Contrast], recovered: Sequence[Recovered]) -> Iterator[Claim]:
    """Yield (b): the top half teaches more, and recovers most of what clean drives teach."""
    for one in contrasts:
        if one.arm is Arm.TOP and one.over in (Arm.BOTTOM, Arm.RANDOM):
            says = f"With {_SAID[one.mix]}, at {one.task}, the top half by score teaches more than {_half(one.over)}."
            id_ = f"b.{one.mix}.{_id(one.task)}.beats-{_short(one.over)}"
            yield claim(id_, says, one.difference, 0.0, beats=True)
    older = {(one.task, one.mix, one.arm): one.part for one in recovered if one.arm is not Arm.TOP}
    for each in recovered:
        if each.arm is not Arm.TOP:
            continue
        says = f"With {_SAID[each.mix]}, at {each.task}, the top half by score recovers the gap to clean drives."
        beside = {"gap": each.gap}
        beside |= {arm: part for (task, mix, arm), part in older.items() if (task, mix) == (each.task, each.mix)}
        unsure = each.gap.low is None or each.gap.low <= 0.0
        note = "That there is a gap at all is not sure: its interval has zero in it." if unsure else ""
        id_ = f"b.{each.mix}.{_id(each.task)}.recovered"
        yield claim(id_, says, each.part, RECOVERED_AIM[each.mix], beside=beside, note=note)


def of_skill(found: Sequence[Following]) -> Iterator[Claim]:
    """Yield (c): the score follows skill."""
    scores = {(one.task, one.among, one.way): one.correlation for one in found if one.measure == SCORE}
    for (task, among, way), correlation in scores.items():
        if way == "equal":
            of = "all drives" if among == "all" else "drives that ended in success"
            says = f"At {task}, the score follows skill among {of}, at equal length (rank correlation)."
            beside = {"as_driven": scores[task, among, "as_driven"]}
            yield claim(f"c.{task}.{among}", says, correlation, FOLLOWS_AIM, beside=beside)


def of_pay(found: Sequence[Pay]) -> Iterator[Claim]:
    """Yield (d): honest slow and recovering drives are not paid less than they teach."""
    for one in found:
        says = (
            f"At {one.task}, {one.kind} drives are paid at least what they teach: pay less teaching, both as parts of "
            "a clean drive's, from as many steps."
        )
        beside = {"paid": one.paid, "taught": one.taught}
        yield claim(f"d.{_id(one.task)}.{one.kind}", says, one.over, 0.0, beside=beside)


def _id(task: str) -> str:
    return "all" if task == BOTH else task


def _short(arm: Arm) -> str:
    return arm.partition(" ")[0]


def _half(arm: Arm) -> str:
    return "the bottom half" if arm is Arm.BOTTOM else "a random half"
