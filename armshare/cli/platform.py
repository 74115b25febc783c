"""Commands that run a platform: run, hub, host, demo."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from armshare.cli.options import (
    ARM,
    HUB,
    AsJson,
    Ca,
    DaskUrl,
    Data,
    DatabaseUrl,
    HubName,
    HubUrl,
    IsChild,
    NatsUrl,
    PeerUrl,
    Port,
    Shared,
    StoreUrl,
    WorkerCount,
    err,
    interruptible,
    out,
)
from armshare.failures import PlatformError
from armshare.logs import LogFile
from armshare.platform import processes
from armshare.platform.built import MISSING, is_built

if TYPE_CHECKING:
    from armshare.settings import Settings
    from teleop.cameras.spec import CameraSpec

if find_spec("uvicorn") is None:  # the other commands take less time to start if it is not loaded for them
    raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")

cli = typer.Typer()
log = structlog.get_logger()
SHOWN: Final = ("panda", "dual_panda", "husky")
"""The robots that `run` brings by itself: the fewest that offer every task between them."""


@cli.command()
def run(
    data: Data = Path("data"),
    port: Port = 8000,
    _database: DatabaseUrl = "",
    robot: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROBOT[:TASK,...]",
            help="A robot to simulate, with all of its tasks or some: panda:lift,stack; may be repeated.",
        ),
    ] = None,
    store: StoreUrl = "",
    _workers: WorkerCount = None,
    _dask: DaskUrl = "",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Start a chain, a hub and a host with simulated robots (three by default, for all tasks); Ctrl-C ends all."""
    from sim.catalogue import offer

    if store:
        settings_of(store=store)  # to say it at once if that is no bucket
    wanted = robot or [*SHOWN]
    for one in wanted:
        offer(one)
    if not is_built():
        err.print(f"[yellow]{MISSING}[/yellow]", highlight=False, soft_wrap=True)
    err.print(f"starting the chain, the hub and {', '.join(wanted)} ...")
    data.mkdir(parents=True, exist_ok=True)
    logs = LogFile(data / "logs" / "hub.log"), LogFile(data / "logs" / "host.log")
    with closing(logs[0]), closing(logs[1]), processes.platform(data, port, wanted, logs) as (url, children):
        try:
            out.print(f"\n  armshare is at [bold]{url}[/bold]   (Ctrl-C ends it)")
            kept = f"  Everything is kept in {escape(str(data))}; the logs are in {escape(str(data / 'logs'))}.\n"
            out.print(kept, highlight=False, soft_wrap=True)
            if open_page and _has_screen():
                webbrowser.open(url)
            while not any(child.wait(0.5) for child in children):
                _show_news(logs)
        except KeyboardInterrupt:
            err.print("\nending: host, hub, chain ...")
            return
        for child in children:
            child.require_alive()


def _show_news(logs: Iterable[LogFile]) -> None:
    """Print the warnings and errors that have been logged meanwhile."""
    for line in (line for log in logs for line in log.news()):
        err.print(escape(line), highlight=False, soft_wrap=True)


def _has_screen() -> bool:
    """Whether a browser could open a window here; without one, Python would start a browser in the terminal."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@cli.command()
def hub(
    data: Data = Path("data"),
    host: Annotated[str, typer.Option(help="The address to listen on.", envvar="ARMSHARE_HOST")] = "127.0.0.1",
    port: Port = 8000,
    public_url: Annotated[
        str,
        typer.Option(help="What browsers call this hub; by default http://HOST:PORT.", envvar="ARMSHARE_PUBLIC_URL"),
    ] = "",
    chain_url: Annotated[
        str,
        typer.Option(help="JSON-RPC URL of an EVM chain; by default the embedded one.", envvar="ARMSHARE_CHAIN_URL"),
    ] = "",
    store: StoreUrl = "",
    database: DatabaseUrl = "",
    _workers: WorkerCount = None,
    _dask: DaskUrl = "",
    hub_name: HubName = "",
    nats: NatsUrl = "",
    peer_url: PeerUrl = "",
    shared: Shared = None,
    child: IsChild = False,
    listener: Annotated[int | None, typer.Option(hidden=True, help="The listening socket that was inherited.")] = None,
) -> None:
    """Start a hub, with the embedded chain unless --chain-url names another."""
    import uvicorn

    from armshare.platform import hands
    from armshare.platform.cluster import placed
    from armshare.platform.hub import make_app, opened_chain, unusable
    from teleop.hub.server import serving

    if child:
        processes.end_with_parent()
    given = {"host": host, "port": port, "public_url": public_url, "chain_url": chain_url}
    among = {"hub_name": hub_name, "nats": nats, "peer_url": peer_url, "shared": shared}
    settings = settings_of(data=data, database=database, store=store, **given, **among)
    with interruptible(), processes.locked(data, "hub"), ExitStack() as stack:
        taken = processes.listening(host, port) if listener is None else socket.socket(fileno=listener)
        listening = stack.enter_context(taken)
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        place = stack.enter_context(placed(settings, partial(unusable, settings)))
        given_hands = stack.enter_context(hands.shared(settings))
        with place.alone("start"):  # what one of several hubs makes, the next finds
            chain, deployment = stack.enter_context(opened_chain(settings, place))
            app = make_app(settings, chain, deployment, given_hands, place)
        if not child:
            out.print(f"\n  the hub is at [bold]{settings.url}[/bold]   (Ctrl-C ends it)\n", highlight=False)
        uvicorn.Server(serving.config(app)).run([listening])


@cli.command()
def host(
    robot: Annotated[
        list[str],
        typer.Option(
            metavar="ROBOT[:TASK,...]",
            help="A simulated robot, with all of its tasks or some: panda:lift,stack; may be repeated. "
            "With --port, a real arm: so101, xarm6_gripper or ur5e_gripper.",
        ),
    ],
    hub: HubUrl = HUB,
    port: Annotated[str, typer.Option(help="Where the real arm is: its serial device, or its IP address.")] = "",
    task: Annotated[str, typer.Option(help="The task or tasks, if --robot names none.")] = "",
    instruction: Annotated[str, typer.Option(help="A real arm's task, in words.")] = "",
    length: Annotated[
        float, typer.Option(help="How long an episode of a real arm may be, in seconds, up to an hour.")
    ] = 60.0,
    name: Annotated[str, typer.Option(help="The name that operators see; several robots get a number each.")] = "",
    calibration: Annotated[Path | None, typer.Option(help="The real arm's calibration file.")] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DEVICE",
            help="A camera beside the robot: NAME=DEVICE, or NAME=DEVICE@640x480; may be repeated.",
        ),
    ] = None,
    camera_file: Annotated[
        Path | None, typer.Option(help="Cameras as JSON: how each records, and where it is (docs/hardware.md).")
    ] = None,
    data: Data = Path("data"),
    _ca: Ca = None,
    child: IsChild = False,
) -> None:
    """Bring robots online. This process runs beside the robot and dials out to the hub."""
    from armshare.platform.host import Wanted
    from armshare.platform.robots import serve
    from sim.catalogue import offer

    cameras = _cameras(camera or (), camera_file)
    if (cameras or port) and len(robot) > 1:
        raise PlatformError("A real arm (--port) or a camera belongs to one robot: start a host for each --robot.")
    if child:
        processes.end_with_parent()
    offers = [_real(one, task) if port else offer(f"{one}:{task}" if task and ":" not in one else one) for one in robot]
    called = [name or kind for kind, _ in offers]
    wanted = [
        Wanted(
            kind=kind,
            name=name if name and len(robot) == 1 else f"{called[at]}-{called[: at + 1].count(called[at])}",
            tasks=tasks,
            port=port,
            calibration=calibration,
            instruction=instruction,
            length_s=length,
            cameras=cameras,
        )
        for at, (kind, tasks) in enumerate(offers)
    ]
    with interruptible():
        asyncio.run(serve(hub, data, wanted))


def _cameras(said: Sequence[str], file: Path | None) -> tuple[CameraSpec, ...] | None:
    """Return the cameras that an owner has named; None if there are none."""
    from teleop.cameras.spec import camera_of, cameras_in, missing_device, require_together

    cameras = (*(camera_of(one) for one in said), *(cameras_in(file) if file else ()))
    require_together(cameras)
    for one in cameras:
        if missing := missing_device(one):
            log.warning(
                "no such camera: operators see nothing of it until it is there", camera=one.name, device=missing
            )
    return cameras or None


def _real(said: str, task: str) -> tuple[str, tuple[str, ...]]:
    """Return a real robot and its task, which is not among those that can be simulated."""
    kind, _, named = said.partition(":")
    if "," in (named or task):
        raise PlatformError(
            f"A real robot does one task at a time, and {named or task!r} is several. Start its host again for another."
        )
    return kind, (named or task or "free",)


@cli.command("rotate-key")
def rotate_key(
    data: Data = Path("data"), _database: DatabaseUrl = "", _store: StoreUrl = "", as_json: AsJson = False
) -> None:
    """Wrap the keys of private episodes by a new key (keys/episodes.key); the hub may go on meanwhile.

    The key before it stays there until the next time.
    """
    from armshare.platform.private import rotate

    wrapped = rotate(settings_of(data=data))
    if as_json:
        print(json.dumps({"wrapped": wrapped}))
        return
    out.print(f"{wrapped} keys are wrapped by a new one: back up {data / 'keys' / 'episodes.key'}", soft_wrap=True)


@cli.command()
def demo(
    episodes: Annotated[int, typer.Option(min=1, help="How many episodes to drive.")] = 3,
    as_json: AsJson = False,
    data: Annotated[Path | None, typer.Option(help="A folder to keep; by default a new temporary one.")] = None,
) -> None:
    """Drive, record, prove, score, settle, claim and export without a person, on free ports."""
    from armshare.platform.demo import Outcome
    from armshare.platform.demo import demo as go

    folder = data or Path(tempfile.mkdtemp(prefix="armshare-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with (folder / "demo.log").open("wb") as log, Progress(*columns, console=err) as progress:
        shown = progress.add_task("starting chain, hub and host")
        with processes.platform(folder, 0, ["panda"], log) as (url, _children):
            token = (folder / "keys" / "admin.token").read_text().strip()

            def tell(stage: str) -> None:
                progress.update(shown, description=stage)

            outcome = asyncio.run(go(url, token, episodes, folder / "researcher", tell))
        progress.update(shown, description="done: every stage held")
    if as_json:
        print(json.dumps(outcome.as_dict()))
        return
    out.print(_table(outcome.as_dict()))
    for line in _settled(outcome.as_dict()):
        out.print(line, highlight=False, soft_wrap=True)


def _table(outcome: dict[str, Any]) -> Table:
    """Return a row for each episode, no wider than 80 columns."""
    table = Table(title="driven, proven, scored, paid", title_justify="left")
    for title in ("episode", "steps", "success", "score", "receipt", "pay (ARM)"):
        table.add_column(title, no_wrap=True)
    for one in outcome["episodes"]:
        pay = f"{int(one['pay']) / ARM:.4f}"
        cells = (one["episode"][:12], one["steps"], one["success"], f"{one['score']:.3f}", one["receipt_index"], pay)
        table.add_row(*(str(cell) for cell in cells))
    return table


def _settled(outcome: dict[str, Any]) -> Iterator[str]:
    yield from (f"{one['episode']}  digest {one['digest']}" for one in outcome["episodes"])
    yield f"root     {outcome['root']}"
    yield f"claim    {outcome['claim_transaction']}"
    yield f"balance  {int(outcome['balance']) / ARM:.4f} ARM, read back from the chain"
    yield f"export   {outcome['export']}"


def settings_of(**given: Any) -> Settings:
    """Return the settings, with what was given on the command line; raise PlatformError for one that cannot be."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from armshare.settings import Settings

    try:
        return Settings(**given)
    except SettingsError as error:
        said = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        raise PlatformError(f"a setting is invalid (docs/operating.md lists them): {said}") from error
    except ValidationError as error:
        said = "; ".join(
            f"ARMSHARE_{'_'.join(map(str, one['loc'])).upper()}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()
        )
        raise PlatformError(f"a setting is invalid (docs/operating.md lists them): {said}") from error
