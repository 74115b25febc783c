"""A study's report as pictures: SVG files that are the same for the same report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from armshare.study.arms import Arm
from armshare.study.detection import DEFECTS
from armshare.study.measures import BEFORE, LENGTH, SCORE, SPARC
from armshare.study.plan import MIXES

if TYPE_CHECKING:
    from armshare.study.report import Report
    from armshare.study.statistics import Estimate

_COLOURS: Final = {SCORE: "#1f6feb", BEFORE: "#8c959f", LENGTH: "#d29922", SPARC: "#bf3989"}
_STYLE: Final[Any] = {
    "svg.hashsalt": "armshare",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(report: Report, folder: Path) -> list[Path]:
    """Write the report's pictures into a folder; return their files."""
    made = []
    with mpl.rc_context(_STYLE):
        for name, drawn in (("detection", _detection), ("policies", _policies), ("skill", _skill), ("pay", _pay)):
            file = folder / f"{name}.svg"
            drawn(report).savefig(file, metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            made.append(file)
    return made


def _detection(report: Report) -> Figure:
    """Each task's measures by defects, at equal length: blue told, white chance, red inverted."""
    figure, axes = _panels(len(report.plan.tasks), (6.4, 0.28 * len({one.measure for one in report.detections}) + 1.6))
    for axis, task in zip(axes, report.plan.tasks, strict=True):
        found = {(d.measure, d.defect): d for d in report.detections if d.task == task and d.way == "equal"}
        measures = list(dict.fromkeys(measure for measure, _ in found))
        values = np.array([[_value(found[measure, kind].auroc) for kind in DEFECTS] for measure in measures])
        axis.imshow(values, cmap="RdBu", vmin=0.0, vmax=1.0, aspect="auto")
        axis.set_xticks(range(len(DEFECTS)), [kind.replace("_", "\n") for kind in DEFECTS], fontsize=7)
        axis.set_yticks(range(len(measures)), measures)
        axis.set_title(f"{task}: AUROC at equal length")
        for row, column in np.ndindex(*values.shape):
            value = values[row, column]
            dark = abs(value - 0.5) > 0.3
            said = "–" if np.isnan(value) else f"{value:.2f}"
            axis.text(column, row, said, ha="center", va="center", color="white" if dark else "black", fontsize=7)
    return figure


def _policies(report: Report) -> Figure:
    """Each arm's success, with its interval."""
    figure, axes = _panels(len(MIXES) * len(report.plan.tasks), (3.6, 3.0), across=len(MIXES))
    panels = [(task, mix) for task in report.plan.tasks for mix in MIXES]
    for axis, (task, mix) in zip(axes, panels, strict=True):
        rates = {one.arm: one.rate for one in report.successes if (one.task, one.mix) == (task, mix)}
        _bars(axis, list(Arm), [rates[arm] for arm in Arm], [_colour(arm) for arm in Arm])
        axis.set_title(f"{task}, {mix} defects")
        axis.set_xlim(0.0, 1.0)
        axis.set_xlabel("success of policies")
    return figure


def _skill(report: Report) -> Figure:
    """The rank correlation of four measures with skill."""
    figure, axes = _panels(len(report.plan.tasks), (3.6, 2.4))
    for axis, task in zip(axes, report.plan.tasks, strict=True):
        found = [one for one in report.followings if one.task == task and one.way == "equal"]
        labels = [f"{one.measure}, {one.among}" for one in found]
        _bars(axis, labels, [one.correlation for one in found], [_COLOURS[one.measure] for one in found])
        axis.axvline(0.8, color="black", linewidth=0.6, linestyle=":")
        axis.set_title(f"{task}: follows skill")
        axis.set_xlabel("rank correlation, at equal length")
    return figure


def _pay(report: Report) -> Figure:
    """What slow and recovering drives are paid, beside what they teach."""
    figure, axes = _panels(1, (4.6, 0.5 * len(report.pays) + 1.0))
    labels, estimates, colours = [], [], []
    for one in report.pays:
        labels += [f"{one.kind}, {one.task}: paid", f"{one.kind}, {one.task}: taught"]
        estimates += [one.paid, one.taught]
        colours += [_COLOURS[SCORE], _COLOURS[BEFORE]]
    _bars(axes[0], labels, estimates, colours)
    axes[0].axvline(1.0, color="black", linewidth=0.6, linestyle=":")
    axes[0].set_xlabel("as a part of a clean drive's")
    return figure


def _panels(count: int, size: tuple[float, float], across: int = 1) -> tuple[Figure, list[Any]]:
    down = -(-count // across)
    figure = Figure(figsize=(size[0] * across, size[1] * down), layout="constrained")
    return figure, figure.subplots(down, across, squeeze=False).ravel().tolist()


def _bars(axis: Any, labels: Sequence[str], found: Sequence[Estimate], colours: Sequence[str]) -> None:
    rows = np.arange(len(labels))[::-1]
    values = np.array([_value(one) for one in found])
    low, high = (np.array([_or(getattr(one, side), one.value) for one in found]) for side in ("low", "high"))
    apart = np.clip(np.nan_to_num(np.array([values - low, high - values])), 0.0, None)
    axis.barh(rows, np.nan_to_num(values), color=colours, height=0.7)
    axis.errorbar(np.nan_to_num(values), rows, xerr=apart, fmt="none", ecolor="black", elinewidth=0.8, capsize=2)
    axis.set_yticks(rows, labels)


def _colour(arm: Arm) -> str:
    shades = {Arm.TOP: SCORE, Arm.BOTTOM: SCORE, Arm.BEFORE: BEFORE, Arm.SHORT: LENGTH, Arm.SMOOTH: SPARC}
    return _COLOURS[shades[arm]] if arm in shades else "#57ab5a" if arm is Arm.CLEAN else "#c8c8c8"


def _value(found: Estimate) -> float:
    return _or(found.value, None)


def _or(value: float | None, other: float | None) -> float:
    return value if value is not None else other if other is not None else float("nan")
