"""What can be simulated, how often its scripted operators succeed, and pictures of it."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from armshare.cli.options import AsJson, err, out
from sim.processes import WORKERS, end_with_parent

if TYPE_CHECKING:
    from sim.check import Drive

cli = typer.Typer(no_args_is_help=True, help=__doc__)

_ALL = "all"

Seeds = Annotated[int, typer.Option(min=1, max=100_000, help="How many seeds for each, from 0.")]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", metavar="NAME", help="A task's name, or all; may be repeated.")
]
Robots = Annotated[
    list[str] | None,
    typer.Option(
        "--robot",
        metavar="NAME",
        help="A robot's name, or all; may be repeated. By default the one that the task was made for.",
    ),
]


@cli.command("list")
def list_worlds(as_json: AsJson = False) -> None:
    """List every task, what it asks for, and the robots that can do it."""
    from sim.catalogue import TASKS, pairs, task
    from sim.registry import env_id

    if as_json:
        found = [{"robot": robot, "task": name, "gymnasium": env_id(robot, name)} for robot, name in pairs()]
        typer.echo(json.dumps(found))
        return
    table = Table("task", "instruction", "robots")
    for name in TASKS:
        table.add_row(name, task(name).spec.instruction, ", ".join(robot for robot, other in pairs() if other == name))
    out.print(table)


@cli.command()
def check(tasks: Tasks = None, robots: Robots = None, seeds: Seeds = 50, as_json: AsJson = False) -> None:
    """Let scripted operators do the tasks, and print how often they succeed. Exit code 1 if any is below 90 %."""
    from sim.check import check as check_experts
    from sim.check import rate

    wanted = _wanted(tasks, robots)
    drives: dict[tuple[str, str], list[Drive]] = {pair: [] for pair in wanted}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, fresh, end_with_parent) as workers, Progress(*columns, console=err) as progress:
        shown = progress.add_task("driving", total=len(wanted) * seeds)
        for pair, batch in check_experts(wanted, seeds, workers):
            drives[pair] += batch
            progress.update(shown, advance=len(batch), description=f"{pair[1]} with {pair[0]}")
    found = {pair: rate(done) for pair, done in drives.items()}
    table = Table("task", "robot", "success", "median", "failed seeds")
    for (robot, name), one in found.items():
        median = "" if one.median_seconds is None else f"{one.median_seconds:.1f} s"
        failed = ", ".join(map(str, one.failed_seeds[:10]))
        table.add_row(name, robot, f"{one.success_rate:.0%} of {one.seeds}", median, failed)
    if as_json:
        typer.echo(json.dumps(_report({pair: asdict(one) for pair, one in found.items()})))
    else:
        out.print(table)
    if min(one.success_rate for one in found.values()) < 0.9:
        raise typer.Exit(1)


@cli.command()
def gallery(
    target: Annotated[Path, typer.Option("--to", "-o", help="The folder to write.")] = Path("docs/gallery"),
) -> None:
    """Write one picture of each robot at each task."""
    from armshare.researcher.pictures import gallery as draw
    from sim.catalogue import pairs
    from sim.pictures.render import workers

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with workers() as pool, Progress(*columns, console=err) as progress:
        shown = progress.add_task("drawing", total=len(pairs()))
        for robot, name in draw(target, pool):
            progress.update(shown, advance=1, description=f"{name} with {robot}")
    out.print(f"{len(pairs())} pictures, in {target}")


@cli.command()
def films(
    target: Annotated[Path, typer.Option("--to", "-o", help="The folder to write.")] = Path("armshare/web/films"),
    tasks: Tasks = None,
    robots: Robots = None,
) -> None:
    """Write a film of each task, three seconds of a good drive, for the page's cards."""
    from armshare.researcher.films import films as draw
    from sim.pictures.render import workers

    wanted = _wanted(tasks, robots)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with workers() as pool, Progress(*columns, console=err) as progress:
        shown = progress.add_task("filming", total=len(wanted))
        for robot, name, size in draw(target, wanted, pool):
            progress.update(shown, advance=1, description=f"{name} with {robot}: {size // 1000} kB")
    out.print(f"{len(wanted)} films, in {target}")


def _report(found: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return, for each task, the rate of the first robot given for it, and every robot's below `robots`."""
    tasks: dict[str, Any] = {}
    for (robot, name), one in found.items():
        tasks.setdefault(name, {**one, "robot": robot, "robots": {}})["robots"][robot] = one
    return {"tasks": tasks}


def _wanted(tasks: list[str] | None, robots: list[str] | None) -> list[tuple[str, str]]:
    """Return the pairs asked for; raise UnknownTaskError or UnknownRobotError."""
    from sim.catalogue import TASKS, require_pair, task

    names = list(TASKS) if not tasks or _ALL in tasks else tasks
    if robots and _ALL not in robots:
        return [require_pair(robot, name) for name in names for robot in robots]
    if robots:
        return [(robot, name) for name in names for robot in task(name).robots]
    return [(task(name).robots[0], name) for name in names]
