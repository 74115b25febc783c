"""The commands of data sets: create, list, show, append, withdraw, merge, describe, card."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from armshare.cli.options import HUB, AsJson, Ca, HubUrl, err, hub_url, out, size_of
from armshare.client import As

if TYPE_CHECKING:
    from armshare.researcher.cards import Checked

cli = typer.Typer(no_args_is_help=True, help="Data sets: immutable, versioned lists of verified episodes.")

Name = Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The data set.")]
NameAt = Annotated[str, typer.Argument(metavar="NAMESPACE/NAME[@N]", help="The data set, and which version.")]
Episodes = Annotated[list[str] | None, typer.Argument(metavar="[EPISODE]...", help="Ids of episodes.")]
Search = Annotated[
    list[str] | None,
    typer.Option(
        metavar="WORDS", help='All that a search finds, such as "task=lift score_min=0.8"; docs/datasets.md has all.'
    ),
]
Practice = Annotated[bool, typer.Option("--practice", help="Take practice drives too.")]
Reason = Annotated[str, typer.Option(help="Why, in a sentence.")]
Title = Annotated[str, typer.Option(help="What it is, in one line.")]
Description = Annotated[
    str, typer.Option(metavar="TEXT|@FILE", help="What it is, at length; @FILE reads it from a file.")
]
Licence = Annotated[str, typer.Option(help="What the data is given under, by SPDX, such as CC-BY-4.0.")]
Key = Annotated[
    Path | None, typer.Option(help="The wallet's key file, made if missing; by default one in your own data folder.")
]


@cli.command()
def create(
    name: Name,
    episodes: Episodes = None,
    title: Title = "",
    licence: Licence = "",
    description: Description = "",
    search: Search = None,
    practice: Practice = False,
    splits: Annotated[
        str,
        typer.Option(
            metavar="TRAIN,VALIDATION,TEST", help="Shares that add up to 1; a group of like starts stays together."
        ),
    ] = "1,0,0",
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Make a data set of verified episodes."""
    from armshare.operator import sets

    body = {
        "name": name,
        "title": title,
        "description": _text(description),
        "licence": licence,
        "episodes": episodes or [],
        "search": sets.words(search or []),
        "practice": practice,
        "splits": sets.shares(splits),
    }
    _change(hub, key, "/api/sets", body, as_json)


@cli.command("list")
def list_sets(
    query: Annotated[str, typer.Option(help="Only with these words in their name, title or description.")] = "",
    task: Annotated[str, typer.Option(help="Only with episodes of this task.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """List data sets, the newest first."""
    from armshare.operator import sets

    found = sets.page(hub, query=query, task=task, limit=limit)
    _print([line for one in found for line in sets.lines(one)] or ["no data sets found"], found, as_json)


@cli.command()
def show(
    name: NameAt,
    target: Annotated[
        Path | None, typer.Option("--to", "-o", help="Also write version.json and card.json into this folder.")
    ] = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Show a version of a data set, by default the newest."""
    from armshare.operator import sets

    said = sets.version(hub, name)
    if target is not None:
        _write(hub, said, target)
    _print(sets.lines(said), said, as_json)


@cli.command()
def append(
    name: Name,
    episodes: Episodes = None,
    search: Search = None,
    practice: Practice = False,
    reason: Reason = "",
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Add episodes, in a new version."""
    from armshare.operator import sets

    body = {"episodes": episodes or [], "search": sets.words(search or []), "practice": practice, "reason": reason}
    _change(hub, key, _path(name, "append"), body, as_json)


@cli.command()
def withdraw(
    name: Name,
    episodes: Annotated[list[str], typer.Argument(metavar="EPISODE...", help="Ids of episodes.")],
    reason: Reason = "",
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Take episodes out of your data set, in a new version.

    `armshare drive --withdraw` ends your consent to one that you drove, in all data sets.
    """
    _change(hub, key, _path(name, "withdraw"), {"episodes": episodes, "reason": reason}, as_json)


@cli.command()
def merge(
    name: Name,
    other: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME[@N]", help="The data set whose episodes come.")],
    practice: Practice = False,
    reason: Reason = "",
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Add what another data set has, with its splits, in a new version."""
    body = {"with": other, "practice": practice, "reason": reason}
    _change(hub, key, _path(name, "merge"), body, as_json)


@cli.command()
def describe(
    name: Name,
    title: Title = "",
    description: Description = "",
    licence: Licence = "",
    reason: Reason = "",
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Change the title, the description or the licence, in a new version; what is left out stays."""
    said = {"title": title, "description": _text(description), "licence": licence}
    given = {field: value for field, value in said.items() if value}
    _change(hub, key, _path(name, "describe"), {**given, "reason": reason}, as_json)


@cli.command()
def release(
    name: NameAt,
    action: Annotated[
        str, typer.Option(help="ee_twist (what was commanded), ee_pose, ee_delta, joint_position or joint_delta.")
    ] = "ee_twist",
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A camera; may be repeated. By default all that recorded, and a simulation's front."
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Of pictures that are drawn; by default 640x480.")
    ] = "",
    language: Annotated[
        bool, typer.Option(help="The columns of language, with which LeRobot 0.6's own visualizer cannot open it.")
    ] = False,
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Release a version, by default the newest: anyone can then load it from the hub with LeRobot, once and for all."""
    from armshare.operator import drive, orders, sets
    from rewards.datasets.exporting import Order

    order = Order(action, tuple(camera) if camera else None, size_of(size, camera or ("front",)), language=language)
    wallet = drive.wallet_in(key or drive.own_key_file())
    said = sets.version(hub, name)
    path = f"/api/sets/{said['name']}/versions/{said['version']}/release"
    columns = TextColumn("{task.description}"), TextColumn("{task.completed} of {task.total} episodes")
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as progress:
        bar = progress.add_task("asking", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        job = orders.ended(hub, asyncio.run(sets.change(hub, wallet, path, orders.body(order))), tell, As(wallet))
    result = job["result"]
    lines = [
        f"{result['name']}@{result['version']} is released: {result['written']}, {result['bytes'] / 1e6:.1f} MB",
        f"Load it with HF_ENDPOINT={hub} and LeRobotDataset({result['name']!r})",
    ]
    _print(lines, job, as_json)


@cli.command()
def readers(
    name: Name,
    reader: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="A wallet that may read its private episodes; may be repeated."),
    ] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Let nobody read them any more.")] = False,
    key: Key = None,
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Say who may read a data set's private episodes, as its owner: those who are named, and no others from then on.

    Without --reader and --nobody, show who may. What somebody has been given cannot be taken back.
    """
    from armshare.operator import drive, sets

    if reader and nobody:
        raise typer.BadParameter("name readers, or --nobody")
    wallet = drive.wallet_in(key or drive.own_key_file())
    path, method = _path(name, "readers"), "PUT" if reader or nobody else "GET"
    said = asyncio.run(sets.change(hub, wallet, path, {"readers": reader or []}, method))
    _print([f"{said['name']} is read by {one}" for one in said["readers"]] or [f"{name}: no readers"], said, as_json)


@cli.command()
def card(
    name: Annotated[
        str, typer.Argument(metavar="NAMESPACE/NAME[@N]|FOLDER", help="The data set, or a folder with its card.")
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Make the card again from the episodes' files, and say what differs.")
    ] = False,
    episodes: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="The folder of its episodes; others are downloaded to check."),
    ] = None,
    hub: Annotated[str, typer.Option(help="The hub's URL.", callback=hub_url, envvar="ARMSHARE_HUB")] = "",
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Show a version's card. With --check, exit code 1 if it contradicts its episodes."""
    from armshare.operator import sets
    from armshare.researcher import cards

    if (folder := Path(name)).is_dir():
        version, data = cards.of_folder(folder)
        episodes = episodes or folder
    else:
        hub = hub or HUB
        said = sets.version(hub, name)
        if said["card"] is None:
            raise cards.CardError(f"The card of {said['name']}@{said['version']} is not made yet: ask again later.")
        version, data = sets.document(hub, said), json.dumps(said["card"]).encode()
    found = cards.read_card(data)
    if not check:
        _print(sets.card_lines(json.loads(data)), json.loads(data), as_json)
        return
    shown = TextColumn("checking {task.description}"), TextColumn("{task.completed} of {task.total}")
    with Progress(*shown, TimeElapsedColumn(), console=err, transient=True) as progress:
        bar = progress.add_task("", total=found.episodes)

        def watch(what: str, done: int) -> None:
            progress.update(bar, description=what, completed=done)

        checked = cards.check(version, found, episodes or Path("nowhere"), hub, watch)
    _print(_told(checked), _plain(checked), as_json)
    if checked.wrong:
        raise typer.Exit(1)


def _told(checked: Checked) -> Iterable[str]:
    yield from (f"wrong  {line}" for line in checked.wrong)
    yield from (f"not compared  {line}" for line in checked.unsaid)
    if not checked.wrong:
        yield f"The card of {checked.dataset} says what its {checked.episodes} episodes say."


def _plain(checked: Checked) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(checked)


def _path(name: str, change: str) -> str:
    from armshare.operator import sets

    return f"/api/sets/{sets.named(name)[0]}/{change}"


def _text(given: str) -> str:
    return Path(given[1:]).read_text() if given.startswith("@") else given


def _change(hub: str, key: Path | None, path: str, body: Mapping[str, Any], as_json: bool) -> None:
    from armshare.operator import drive, sets

    wallet = drive.wallet_in(key or drive.own_key_file())
    said = asyncio.run(sets.change(hub, wallet, path, body))
    _print(sets.lines(said), said, as_json)


def _write(hub: str, said: Mapping[str, Any], target: Path) -> None:
    from armshare.operator import sets
    from armshare.researcher.cards import CARD_FILE, VERSION_FILE

    target.mkdir(parents=True, exist_ok=True)
    (target / VERSION_FILE).write_bytes(sets.document(hub, said))
    if said["card"] is not None:
        (target / CARD_FILE).write_bytes(json.dumps(said["card"]).encode())


def _print(lines: Iterable[str], said: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(said))
        return
    for line in lines:
        out.print(
            "".join(one if one.isprintable() else " " for one in line), markup=False, highlight=False, soft_wrap=True
        )
