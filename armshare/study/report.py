"""A study's report: every claim with its figure, every table, and a page that says it in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, get_args

import msgspec

from armshare.study import claims
from armshare.study.arms import Alone, Arm
from armshare.study.claims import Claim
from armshare.study.curating import curating
from armshare.study.detection import DEFECTS, Detection, Following, Way, detections, followings
from armshare.study.evidence import Evidence
from armshare.study.measures import JUDGED
from armshare.study.plan import MIXES, Group, Plan
from armshare.study.policies import (
    Contrast,
    Judged,
    Pay,
    Recovered,
    Success,
    contrasts,
    pays,
    recovered,
    successes,
)
from armshare.study.statistics import LEVEL, RESAMPLES, Estimate

ENOUGH: Final = 5
"""Of fewer seeds nothing is concluded."""
COMMAND: Final = "armshare study quality --to docs/evidence"


class Made(msgspec.Struct, frozen=True):
    """How many drives of a group there are, and how they ended."""

    task: str
    group: Group
    defect: str
    drives: int
    succeeded: int
    happened: int
    """In how many what was to go wrong did."""
    median_steps: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a study says."""

    rules: str
    """The version that is judged."""
    rules_sha256: str
    demonstrators_sha256: str
    plan: Plan
    method: dict[str, float]
    claims: list[Claim]
    drives: list[Made]
    detections: list[Detection]
    followings: list[Following]
    successes: list[Success]
    contrasts: list[Contrast]
    recovered: list[Recovered]
    pays: list[Pay]


def reported(evidence: Evidence) -> Report:
    """Return what follows from a study's evidence."""
    judged = Judged(evidence)
    found, follows = list(detections(evidence)), list(followings(evidence))
    over, back, paid = list(contrasts(judged)), list(recovered(judged)), list(pays(evidence))
    concluded = [
        *claims.of_detection(found),
        *claims.of_policies(over, back),
        *claims.of_skill(follows),
        *claims.of_pay(paid),
    ]
    return Report(
        rules=JUDGED,
        rules_sha256=evidence.rules,
        demonstrators_sha256=evidence.demonstrators,
        plan=evidence.plan,
        method={"level": LEVEL, "resamples": RESAMPLES},
        claims=concluded,
        drives=list(_made(evidence)),
        detections=found,
        followings=follows,
        successes=list(successes(judged)),
        contrasts=over,
        recovered=back,
        pays=paid,
    )


def page(report: Report) -> str:
    """Return the report as a page in Markdown."""
    parts = [_head(report)]
    parts.append(_table(("claim", "found", "aim", "holds"), (_row(one) for one in report.claims)))
    parts += ["## What this means for who curates", curating(report)]
    parts += ["## How well each measure tells each defect", _DETECTION, *_detection_tables(report)]
    parts += ["## What policies learnt", _LEARNT, _success_table(report), _recovered_table(report)]
    parts += ["## Score and skill", "![Score against skill](skill.svg)", _following_table(report)]
    parts += ["## What slow and recovering drives are paid, and what they teach", _PAY, _pay_table(report)]
    parts += ["## The drives", _made_table(report)]
    return "\n\n".join(parts) + "\n"


_DETECTION: Final = """\
AUROC: how often a clean drive is above a defective one; 0.5 is chance, below it the measure is inverted. Only drives
that ended in success. First at equal length (each motion spread over as many steps as the median clean drive), then as
driven, then among drives of a like length (within a tenth; clean drives at other paces are among these).

![AUROC of each measure for each defect](detection.svg)"""
_LEARNT: Final = """\
Policies clone behaviour: eight actions at once from where things are (`armshare/study/learner.py`). All halves have
as many steps; a cell's policies begin with the same weights and are judged in the same scenes. *Shortest half* is the
null: it knows length and nothing else.

![Success of each arm](policies.svg)"""
_PAY: Final = """\
Both as parts of a clean drive's: what is paid on average, and how often a policy does the task that has learnt from as
many steps of this kind alone, given as much time as the task gives.

![What is paid and what is taught](pay.svg)"""


def _head(report: Report) -> str:
    plan, could = report.plan, claims.could_be_tested(report.claims)
    held, rest = sum(one.holds for one in could), len(report.claims) - len(could)
    scenes = " and ".join(f"{plan.judged[task]} of {task}" for task in plan.tasks)
    drives = sum(one.drives for one in report.drives)
    policies = plan.policies * plan.cells * len(plan.tasks) * (len(MIXES) * len(Arm) + len(Alone))
    small = plan.cells < ENOUGH or len(plan.tasks) < len(Plan().tasks)
    trial = "\n\nThis is a trial, of too few seeds to conclude anything from." if small else ""
    return f"""\
# What the score says of a demonstration

Made by `{COMMAND}`, which needs `pip install 'armshare[study]'`; do not edit. Version
{report.rules} of the rules (SHA-256 `{report.rules_sha256[:16]}`). {drives} drives through the recorder, each scored
from its file; {policies} policies, each judged in scenes ({scenes}); {plan.cells} seeds of each task, from drives
that no rule was fitted on. Intervals: {LEVEL:.0%}, percentiles of {RESAMPLES} resamples of seeds and what is in them.

**{held} of {len(could)} claims hold; {rest} more cannot be tested here.** A claim holds if its value reaches the aim;
*sure*, if all of its interval does. That one arm beats another holds only if it is sure. What does not hold stands here
too, and what cannot be tested says why; it counts on neither side.{trial}"""


def _row(one: Claim) -> tuple[str, ...]:
    says = one.says + (f" {one.note}" if one.note else "")
    holds = "sure" if one.sure else "yes" if one.holds else "**no**"
    if one.untested:
        holds = f"cannot be tested here: {one.untested}"
    return says, _said(Estimate(one.value, one.low, one.high)), f"{one.aim:g}", holds


def _detection_tables(report: Report) -> Iterator[str]:
    ways: tuple[Way, ...] = get_args(Way)
    found = {(one.task, one.defect, one.measure, one.way): one for one in report.detections}
    for task in report.plan.tasks:
        kinds = [kind for kind in DEFECTS if any(key[:2] == (task, kind) and found[key].defective for key in found)]
        rows = []
        for measure in dict.fromkeys(one.measure for one in report.detections):
            cells = [[found.get((task, kind, measure, way)) for way in ways] for kind in kinds]
            rows.append((measure, *(" / ".join(_short(one.auroc if one else None) for one in cell) for cell in cells)))
        yield f"### {task}"
        yield _table((task, *(kind.replace("_", " ") for kind in kinds)), rows)


def _success_table(report: Report) -> str:
    rows = [(one.task, one.mix or "one kind alone", one.arm, _said(one.rate)) for one in report.successes]
    return _table(("task", "mix", "learnt from", "success"), rows)


def _recovered_table(report: Report) -> str:
    rows = [(one.task, one.mix, one.arm, _said(one.gap), _said(one.part)) for one in report.recovered]
    return _table(("task", "mix", "chosen", "gap, clean over random", "recovered of it"), rows)


def _following_table(report: Report) -> str:
    rows = [
        (one.task, one.among, one.measure, one.way.replace("_", " "), str(one.drives), _said(one.correlation))
        for one in report.followings
    ]
    return _table(("task", "among", "measure", "length", "drives", "rank correlation with skill"), rows)


def _pay_table(report: Report) -> str:
    rows = [(one.task, one.kind, str(one.drives), *map(_said, (one.paid, one.taught, one.over))) for one in report.pays]
    return _table(("task", "drives", "how many", "paid", "taught", "paid less taught"), rows)


def _made_table(report: Report) -> str:
    rows = [
        (one.task, one.group, one.defect, *map(str, (one.drives, one.succeeded, one.happened, one.median_steps)))
        for one in report.drives
    ]
    return _table(("task", "group", "defect", "drives", "succeeded", "the defect happened", "median steps"), rows)


def _made(evidence: Evidence) -> Iterator[Made]:
    found: dict[tuple[str, Group, str], list[tuple[bool, bool, int]]] = {}
    for one in evidence.drives:
        key = one.wanted.task, one.wanted.group, (one.wanted.kind or "").replace("_", " ")
        found.setdefault(key, []).append((one.success, one.happened, one.steps))
    for key, rows in found.items():
        steps = sorted(row[2] for row in rows)
        done, happened = sum(row[0] for row in rows), sum(row[1] for row in rows)
        yield Made(*key, len(rows), done, happened, steps[len(steps) // 2])


def _said(found: Estimate) -> str:
    if found.value is None:
        return "–"
    interval = "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"
    return f"{found.value:.2f}{interval}"


def _short(found: Estimate | None) -> str:
    return "–" if found is None or found.value is None else f"{found.value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
