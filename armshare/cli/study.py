"""The researcher's command that judges the score itself: study quality."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from armshare.cli.options import AsJson, err, out
from armshare.failures import PlatformError

if TYPE_CHECKING:
    from armshare.study.claims import Claim
    from armshare.study.report import Report

cli = typer.Typer(no_args_is_help=True, help="Check whether scores tell what demonstrations teach.")


@cli.callback()
def prepare() -> None:
    """Check whether scores tell what demonstrations teach."""


@cli.command()
def quality(
    work: Annotated[
        Path, typer.Option("--work", file_okay=False, help="Where drives and policies are kept; run again to continue.")
    ] = Path("study"),
    target: Annotated[
        Path | None, typer.Option("--to", "-o", file_okay=False, help="Write a page and its pictures into this folder.")
    ] = None,
    small: Annotated[
        bool, typer.Option("--small", help="Make as little as possible, only to try the command.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=0, help="How many seeds of each task; 0 is 5, or 1 with --small.")] = 0,
    scenes: Annotated[
        int, typer.Option(min=0, help="In how many scenes each policy is judged; 0 is 25 at lift, 15 at stack.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="How many processes; 0 means one for each core, up to 8.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Judge the newest rules of scoring by drives of known quality, and by policies that learn from them.

    Scripted demonstrators of graded skill and with injected defects drive through the recorder; each drive is scored
    from its file. Policies learn from the halves that scores choose, and are judged in scenes that are in no drive. It
    takes about 50 minutes on two cores. If it is interrupted, the same command goes on where it was; after a change of
    the rules, only what depends on them is done again.

    Exit codes: 0 the study is done, whether or not its claims hold; 1 it was interrupted; 2 it could not go on.
    """
    from armshare.study.plan import SMALL, Plan
    from armshare.study.report import reported
    from armshare.study.study import study
    from sim.processes import WORKERS

    draw = None if target is None else _drawing()  # first: an hour is long to wait for a library that is not there
    plan = SMALL if small else Plan()
    judged = dict.fromkeys(plan.tasks, scenes) if scenes else plan.judged
    plan = msgspec.structs.replace(plan, cells=seeds or plan.cells, judged=judged)
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with _Bars() as bars:
        try:
            evidence = study(plan, work.resolve(), workers or WORKERS, bars)
        except KeyboardInterrupt:
            err.print("Interrupted. Run the same command again to continue.", highlight=False)
            raise typer.Exit(1) from None
    report = reported(evidence)
    if target is not None and draw is not None:
        try:
            _write(report, target)
            draw(report, target)
        except OSError as error:
            said = f"{target} cannot be written: {error.strerror}"
            raise PlatformError(f"{said}. Mend that, and run the same command again: what was made is kept.") from error
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        _tell(report, time.perf_counter() - begun)


def _drawing() -> Callable[[Report, Path], object]:
    """Return what draws the pictures; raise PlatformError if its library is not there."""
    try:
        from armshare.study.plots import draw
    except ModuleNotFoundError as error:
        said = f"The pictures need {error.name}, which is not installed: pip install 'armshare[platform,study]'"
        raise PlatformError(f"{said}. Without --to there are no pictures.") from error
    return draw


def _write(report: Report, folder: Path) -> None:
    from armshare.study.report import page

    (folder / "quality.md").write_text(page(report))
    (folder / "quality.json").write_bytes(msgspec.json.encode(report) + b"\n")


def _tell(report: Report, seconds: float) -> None:
    from armshare.study.claims import could_be_tested

    for one in report.claims:
        why = f" Cannot be tested here: {one.untested}." if one.untested else ""
        out.print(f"{_held(one):>4}  {_figure(one)}  {one.says}{why}", highlight=False, soft_wrap=True, markup=False)
    could = could_be_tested(report.claims)
    held = sum(one.holds for one in could)
    rest = len(report.claims) - len(could)
    out.print(f"{held} of {len(could)} claims hold; {rest} cannot be tested; {seconds:.0f} s", highlight=False)


def _held(one: Claim) -> str:
    return "–" if one.untested else "sure" if one.sure else "yes" if one.holds else "no"


def _figure(one: Claim) -> str:
    if one.value is None:
        return "  –   (no such drives)"
    interval = "" if one.low is None or one.high is None else f"({one.low:5.2f} to {one.high:5.2f})"
    return f"{one.value:5.2f} {interval}"


class _Bars(Progress):
    """How far each part of a study is, on the error stream."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        super().__init__(*columns, TimeRemainingColumn(), console=err)
        self._now = TaskID(0)

    def begin(self, what: str, total: int) -> None:
        """Something begins that has so many parts."""
        self._now = self.add_task(what, total=total)

    def done(self) -> None:
        """One more part is done."""
        self.advance(self._now)
