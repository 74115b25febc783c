"""The researcher's commands: verify, replay, render, episodes, fetch, download, export."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from armshare.cli.options import (
    HUB,
    AsJson,
    Ca,
    DaskUrl,
    Folders,
    HubUrl,
    Sources,
    err,
    hub_url,
    named_set,
    out,
    size_of,
)
from armshare.cli.words import option_of, searching
from armshare.client import As, client_of, config_of
from sim.words import listed

if TYPE_CHECKING:
    from armshare.researcher.downloading import Got
    from rewards.datasets.exporting import Order

cli = typer.Typer()
Key = Annotated[
    Path | None, typer.Option(help="The wallet's key file, for private episodes that it may read (docs/privacy.md).")
]
Purpose = Annotated[str, typer.Option(help="What for, in a few words: their operators and owners are told.")]
_SHOWN: Final = TextColumn("drawing {task.description}"), TimeElapsedColumn()


@cli.command()
def verify(
    bundles: Folders,
    pins: Annotated[
        Path | None, typer.Option(help="A saved /api/config, which says whose receipts to trust; works offline.")
    ] = None,
    hub: Annotated[str, typer.Option(help="Ask this hub for /api/config instead.", callback=hub_url)] = "",
    _ca: Ca = None,
    replay: Annotated[bool, typer.Option(help="Re-simulate simulated episodes, bit for bit.")] = True,
    score: Annotated[bool, typer.Option(help="Recompute the score too, and compare it with score.json.")] = False,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Check episodes, gate by gate; the first gate that refuses is named.

    Exit code 1 if any is refused, or if its score.json lies; 2 if one cannot be checked here, which says nothing
    against it, as an imported one, which nobody signed.
    """
    from armshare.researcher import checks
    from armshare.researcher.sealed import opened_folder

    config = checks.pins(pins) if pins else _config(hub) if hub else None
    reports = []
    with ExitStack() as open_:
        client = open_.enter_context(client_of(hub, _signed(key, ""))) if hub and key else None
        for bundle in bundles:
            with opened_folder(bundle, client) as whole:
                found = checks.check(whole, config, replay=replay, score=score)
            reports.append({**found, "bundle": str(bundle)})
    if as_json:
        print(json.dumps(reports))
    else:
        for line in (line for report in reports for line in checks.lines(report)):
            out.print(line, highlight=False, soft_wrap=True)
    if any(checks.refused(report) for report in reports):
        raise typer.Exit(1)
    if any(report["unable"] for report in reports):
        raise typer.Exit(2)


@cli.command()
def replay(episodes: Folders, as_json: AsJson = False) -> None:
    """Re-simulate episodes and compare every state bit for bit. Exit code 1 if one differs, 2 if one cannot run."""
    from armshare.researcher import checks

    found = [checks.replay(folder) for folder in episodes]
    if as_json:
        print(json.dumps(found))
    else:
        for one in found:
            out.print(checks.replay_line(one), highlight=False, soft_wrap=True)
    if not all(one["identical"] for one in found):
        raise typer.Exit(1 if any(checks.differs(one) for one in found) else 2)


@cli.command()
def render(
    episode: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="An episode's folder.")],
    target: Annotated[Path, typer.Option("--to", "-o", help="The folder to write.")],
    camera: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A camera's name; may be repeated. By default front.")
    ] = None,
    size: Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Width and height in pixels.")] = "640x480",
    depth: Annotated[bool, typer.Option("--depth", help="Also write depth, as 16-bit PNG in millimetres.")] = False,
    mask: Annotated[
        bool, typer.Option("--mask", help="Also write which thing each pixel shows, as 16-bit PNG.")
    ] = False,
    light: Annotated[
        str,
        typer.Option(
            metavar="NAME|X,Y,Z", help="room (the episode's own), bright or dim, or the direction in which it shines."
        ),
    ] = "room",
) -> None:
    """Draw what cameras saw in a simulated episode: a video of each, and its geometry as JSON.

    What was drawn before, for an export or a data set too, is taken from where it is kept (ARMSHARE_PICTURES).
    """
    from armshare.researcher.pictures import render_episode
    from recorder.pictures.drawn import View

    width, height = size_of(size)
    said = _light(light)
    with Progress(*_SHOWN, console=err, transient=True) as progress:
        for name in camera or ["front"]:
            progress.add_task(name, total=None)
            render_episode(episode, View(name, width, height, said), target, depth=depth, mask=mask)
    out.print(f"{', '.join(camera or ['front'])}, in {target}")


def _light(said: str) -> str | tuple[float, float, float]:
    """Return a light's name as it is, and a direction as numbers; a light that does not exist is refused later."""
    if "," not in said:
        return said
    try:
        x, y, z = (float(part) for part in said.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"{said!r} is not a direction: write X,Y,Z, such as 0.4,0,-1", param_hint="--light"
        ) from error
    return x, y, z


@cli.command()
@searching
def episodes(
    hub: HubUrl = HUB,
    limit: Annotated[int, typer.Option(min=1, help="The most episodes to list.")] = 50,
    mine: Annotated[bool, typer.Option("--mine", help="Those that your own wallet drove.")] = False,
    withdrawn: Annotated[
        bool, typer.Option("--withdrawn", help="With --mine: those that you have withdrawn, which no search finds.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option(help="With --mine: the wallet's key file; by default the one in your data folder.")
    ] = None,
    _ca: Ca = None,
    as_json: AsJson = False,
    *,
    words: dict[str, str],
) -> None:
    """List a hub's episodes: all, or those that the words find; the newest first, unless --order says otherwise."""
    from armshare.cli import mine as own
    from armshare.researcher import finding

    if withdrawn:
        own.show_withdrawn(hub, key, limit, mine=mine, as_json=as_json, words=words)
        return
    if mine:
        words = own.of_operator(words, own.wallet_of(key).address)
    elif key is not None:
        raise typer.BadParameter("a key says whose episodes: add --mine", param_hint="--key")
    with client_of(hub) as client:
        config_of(client)
        found = finding.find(client, words, limit)
        own.print_found(found, finding.said(client, words, found), as_json=as_json)


@cli.command()
@searching
def fetch(
    target: Annotated[Path, typer.Argument(help="The folder to write to; each episode gets a folder in it.")],
    hub: HubUrl = HUB,
    episode: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="This episode, whatever else there is; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most episodes to download.")] = 1000,
    key: Key = None,
    purpose: Purpose = "",
    _ca: Ca = None,
    *,
    words: dict[str, str],
) -> None:
    """Download verified episodes: all, those that the words find, or those that are named.

    With --key, the private ones that you may read, too.
    """
    from armshare.researcher import fetching

    if episode and words:
        said = f"these are named, so nothing is searched for: leave {listed(map(option_of, words))} out"
        raise typer.BadParameter(said, param_hint="--episode")
    private: list[str] = []
    signed = _signed(key, purpose)
    if episode:
        found = fetching.fetch_named(hub, target, episode, signed)
    else:
        found = fetching.fetch(hub, target, words, limit, signed, private.append)
    got = list(_shown(found))
    for line in fetching.fetched_lines(hub, target, got):
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    if private:
        many = "1 private episode was" if len(private) == 1 else f"{len(private):,} private episodes were"
        err.print(f"{many} left out: --key names a wallet that may read them", highlight=False, soft_wrap=True)
    if not got and not private:
        err.print(fetching.nothing_line(hub, words), highlight=False, soft_wrap=True, markup=False)
    _say_trouble(got)


@cli.command()
def download(
    name: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME[@N]", help="The data set, and which version.")],
    target: Annotated[
        Path | None, typer.Argument(help="The folder to write to; by default, one that is called as the data set.")
    ] = None,
    digest: Annotated[str, typer.Option(help="Refuse a version whose digest is another.")] = "",
    key: Key = None,
    purpose: Purpose = "",
    hub: HubUrl = HUB,
    _ca: Ca = None,
) -> None:
    """Download a data set, or check and repair one that is here: every file is compared with what its version says.

    Exit code 1 if an episode could not be downloaded.
    """
    from armshare.researcher import fetching

    with client_of(hub, _signed(key, purpose)) as client:
        config_of(client)
        folder = target or Path(name.partition("@")[0].rpartition("/")[2] or name)
        found = fetching.release(client, name, folder, digest)
        got = list(_shown(fetching.download(client, found, folder), len(found.version.episodes)))
    for line in fetching.released_lines(found, folder, got):
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    _say_trouble(got)


def _shown(got: Iterable[Got], total: int | None = None) -> Iterator[Got]:
    """Show how many episodes have come, as they come."""
    columns = TextColumn("{task.completed} episodes" if total is None else "{task.completed} of {task.total} episodes")
    with Progress(columns, TimeElapsedColumn(), console=err, transient=True) as progress:
        bar = progress.add_task("", total=total)
        for one in got:
            progress.advance(bar)
            yield one


def _say_trouble(got: Sequence[Got]) -> None:
    from armshare.researcher import fetching
    from armshare.researcher.downloading import Outcome

    for line in fetching.trouble_lines(got):
        err.print(line, highlight=False, soft_wrap=True, markup=False)
    if any(one.outcome is Outcome.FAILED for one in got):
        raise typer.Exit(1)


@cli.command()
def export(
    bundles: Sources,
    target: Annotated[Path, typer.Option("--to", "-o", help="The file or folder to write.")],
    form: Annotated[
        str,
        typer.Option(
            "--format", help="robomimic, lerobot, act, mcap or lance; a target that ends in .hdf5 is robomimic."
        ),
    ] = "",
    action: Annotated[
        str,
        typer.Option(
            help="ee_twist (what was commanded), ee_pose, ee_delta, joint_position or joint_delta; source for imported "
            "episodes: what their set has."
        ),
    ] = "ee_twist",
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A camera; may be repeated. By default all that recorded; NAME_depth draws depth.",
        ),
    ] = None,
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Of pictures that are drawn; by default 640x480.")
    ] = "",
    all_steps: Annotated[
        bool, typer.Option("--all-steps", help="Keep steps in which nobody drove; else they are left out.")
    ] = False,
    _dask: DaskUrl = "",
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Take episodes that no hub has verified as they are.")
    ] = False,
    pins: Annotated[Path | None, typer.Option(help="A saved /api/config, which says whose receipts to trust.")] = None,
    hub: Annotated[
        str, typer.Option(help="Trust this hub's receipts, and ask it what it still gives out.", callback=hub_url)
    ] = "",
    language: Annotated[
        bool, typer.Option(help="For lerobot: the columns of language, which versions before 0.6 cannot read.")
    ] = True,
    length: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="For act: the steps that each episode gets; shorter ones stand still at their end, longer ones are "
            "cut. 0 keeps the length of each, which the original ACT does not read.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="For a data set: the wallet's key file, made if missing; by default one of your own."),
    ] = None,
    _ca: Ca = None,
) -> None:
    """Write verified episodes in a format that training code reads: folders of them, or a data set of a hub.

    A data set, as NAMESPACE/NAME or NAMESPACE/NAME@N, is written by the hub (--hub), and downloaded from there.
    """
    from armshare.researcher import checks, exports
    from recorder.export.formats import format_of
    from recorder.proof.named import trust_in
    from rewards.datasets.exporting import Order, write

    chosen = format_of(form, target)
    order = Order(action, exports.cameras_of(camera), size_of(size, camera), all_steps, language, length)
    if (named := named_set(bundles)) is not None:
        _export_set(named, target, chosen.name, order, hub, key, apart=unverified or pins is not None)
        return
    shown = TextColumn("{task.description}"), TextColumn("{task.completed} of {task.total} episodes")
    with ExitStack() as open_, Progress(*shown, TimeElapsedColumn(), console=err, transient=True) as progress:
        bar = progress.add_task("checking", total=len(bundles))
        client = open_.enter_context(client_of(hub)) if hub else None
        config = checks.pins(pins) if pins else config_of(client) if client else None
        said, found = write(
            bundles,
            target,
            chosen,
            order,
            trust=trust_in(config) if config else None,
            unverified=unverified,
            gone=exports.gone_at(client) if client else None,
            watch=lambda what, done: progress.update(bar, description=what, completed=done),
        )
    for line in said.lines(target):
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    if config is None and found.hubs:
        whose = f"Receipts are by {listed(sorted(found.hubs))}"
        err.print(f"{whose}; --pins or --hub says whose to trust.", highlight=False, soft_wrap=True)


def _export_set(named: str, target: Path, form: str, order: Order, hub: str, key: Path | None, *, apart: bool) -> None:
    """Let a hub export a data set, and bring what it made."""
    from armshare.operator import drive, orders, sets

    if not hub:
        raise typer.BadParameter(f"say which hub has {named}, such as {HUB}", param_hint="--hub")
    if apart:
        raise typer.BadParameter("--pins and --unverified are for folders: a hub exports what it has verified itself")
    if form == "mcap" and target.suffix:
        raise typer.BadParameter(f"a data set's MCAP is a folder: name one instead of {target}", param_hint="--to")
    wallet = drive.wallet_in(key or drive.own_key_file())
    asked = {"set": named, "format": form, **orders.body(order)}
    columns = TextColumn("{task.description}"), TextColumn("{task.completed} of {task.total}"), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("asking", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total)

        signed = As(wallet)
        job = orders.ended(hub, asyncio.run(sets.change(hub, wallet, "/api/exports", asked)), tell, signed)
        said = orders.bring(hub, job, target, tell, signed)
    for line in said.lines(target):
        out.print(line, highlight=False, soft_wrap=True, markup=False)


@cli.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A LeRobot folder (v3.0 or v2.1), or a robomimic file (HDF5).")],
    target: Annotated[Path, typer.Option("--to", "-o", help="The folder for the episodes; each gets one in it.")],
    form: Annotated[
        str, typer.Option("--format", help="lerobot or robomimic; by default, what the source looks like.")
    ] = "",
    hz: Annotated[
        float | None, typer.Option("--hz", min=0.001, max=10_000, help="Steps a second, if the source does not say it.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Whether what its cameras saw comes in too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Bring a data set of another format in, as episodes that nobody signed and that say so.

    They can be looked at, scored as far as they say enough, compared, and exported beside your own (--unverified); no
    hub takes them. An episode that is broken is named, and the others are imported. Run it again to go on: what is
    there is left alone. Exit code 1 if one is broken.
    """
    from armshare.researcher import imports

    with ExitStack() as open_:
        progress = open_.enter_context(
            Progress(
                TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(), console=err, transient=True
            )
        )
        bar = progress.add_task("looking at it", total=None)
        report = imports.run(
            source,
            target,
            form=form,
            hz=hz,
            pictures=pictures,
            watch=lambda what, done, of: progress.update(bar, description=what, completed=done, total=of),
        )
    if as_json:
        print(json.dumps(report))
    else:
        for line in imports.lines(report):
            out.print(line, highlight=False, soft_wrap=True, markup=False)
    if report["broken"]:
        raise typer.Exit(1)


def _signed(key: Path | None, purpose: str) -> As | None:
    """Return whom to be signed in as; None if no key was named."""
    from armshare.operator import drive

    if key is None:
        if purpose:
            raise typer.BadParameter("--purpose is told of private episodes: name a wallet with --key too")
        return None
    if not key.is_file():
        raise typer.BadParameter(f"there is no key in {key}", param_hint="--key")
    return As(drive.wallet_in(key), purpose)


def _config(hub: str) -> dict[str, Any]:
    with client_of(hub) as client:
        return config_of(client)
