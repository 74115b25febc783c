"""Robots of your own: add one from its URDF, list them, check one again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from armshare.cli.options import AsJson, Data, err, out

if TYPE_CHECKING:
    from armshare.added import Added

cli = typer.Typer(no_args_is_help=True, help=__doc__)


@cli.command()
def add(
    path: Annotated[Path, typer.Argument(help="A URDF, a xacro, or the folder of a ROS package that has one.")],
    name: Annotated[str, typer.Option(help="What it is called here; by default the name in the URDF.")] = "",
    gripper: Annotated[
        list[str] | None, typer.Option(help="A joint of the gripper, if it is not found; may be repeated.")
    ] = None,
    hand: Annotated[str, typer.Option(help="The link between the fingertips, if it is not found.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a robot of that name.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Keep it even if it breaks the contract.")] = False,
    as_json: AsJson = False,
    data: Data = Path("data"),
) -> None:
    """Add a robot: convert its meshes, say what was assumed, draw it, run the contract. Exit code 1 if it breaks it."""
    from armshare.added import add as bring
    from sim.bring.add import Wishes

    def tell(stage: str) -> None:
        err.print(f"{escape(stage)} ...", highlight=False, soft_wrap=True)

    added = bring(path, Wishes(name, tuple(gripper or ()), hand), replace=replace, anyway=anyway, tell=tell)
    _say(added, as_json)
    if added.kept and not as_json:
        tasks = added.robot.tasks
        out.print(f"\n  drive it:  armshare run --robot {added.name}:{tasks[0]}   (tasks: {', '.join(tasks)})")
        out.print(
            f"  change it: edit {added.folder}/robot.json, then armshare robot check {added.name}", soft_wrap=True
        )
    if added.broken:
        raise typer.Exit(1)


@cli.command("list")
def list_robots(as_json: AsJson = False, data: Data = Path("data")) -> None:
    """List the robots that were added, and the tasks that each is offered for."""
    from sim import own

    found: dict[str, tuple[str, ...]] = {}
    for name in own.names():
        try:
            found[name] = own.read(own.own_robots() / name).tasks
        except own.OwnRobotError as error:
            err.print(f"{name} cannot be used: {escape(str(error))}", highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps([{"robot": name, "tasks": tasks} for name, tasks in found.items()]))
        return
    for name, tasks in found.items():
        out.print(f"{name}: {', '.join(tasks)}")
    if not own.names():
        out.print(f"no robot was added to {own.own_robots()} yet: armshare robot add PATH", soft_wrap=True)


@cli.command()
def check(
    name: Annotated[str, typer.Argument(help="The robot's name.")],
    as_json: AsJson = False,
    data: Data = Path("data"),
) -> None:
    """Draw an added robot again and run the contract, after a change of its files. Exit code 1 if it is broken."""
    from armshare.added import check as again

    added = again(name)
    _say(added, as_json)
    if added.broken:
        raise typer.Exit(1)


def _say(added: Added, as_json: bool) -> None:
    """Print what was assumed, what is drawn and what the contract says."""
    if as_json:
        said = {
            "robot": added.name,
            "folder": str(added.folder),
            "picture": str(added.picture),
            "drawn": added.drawn,
            "assumed": added.robot.assumed,
            "broken": dict(added.broken),
            "tasks": added.robot.tasks,
            "kept": added.kept,
        }
        print(json.dumps(said))
        return
    for sentence in added.robot.assumed:
        out.print(f"  assumed: {escape(sentence)}", highlight=False, soft_wrap=True)
    out.print(f"  drawn:   {added.picture}", highlight=False, soft_wrap=True)
    for promise, how in added.broken.items():
        out.print(f"  [red]broken[/red]:  {escape(promise)}: {escape(how)}", highlight=False, soft_wrap=True)
    verdict = "it keeps the contract of every robot" if not added.broken else f"it breaks {len(added.broken)} promises"
    kept = f"kept in {added.folder}" if added.kept else f"not added; what was made is in {added.folder}"
    out.print(f"  {verdict}; {kept}", highlight=False, soft_wrap=True)
