"""The command line, `armshare`: run, hub, host, drive, demo, verify, fetch, export, clear, settle, sim and more."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
import typer
import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from sim.catalogue import require_pair
from teleop import serving
from teleop.doors import processes, simulation
from teleop.doors.failures import PlatformError, actionable
from teleop.doors.processes import client_of
from teleop.settings import Settings

cli = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
out, err = Console(emoji=False), Console(stderr=True, emoji=False)
cli.add_typer(simulation.cli, name="sim")
_SHOWN = TextColumn("{task.description}"), TextColumn("{task.completed} frames"), TimeElapsedColumn()
ARM = 10**18

Data = Annotated[
    Path, typer.Option(help="Everything that must not be lost lives below this folder.", envvar="ARMSHARE_DATA")
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="The hub's port; 0 takes a free one.", envvar="ARMSHARE_PORT")
]


def _hub_url(given: str) -> str:
    parts = urlsplit(given)
    if given and not (parts.scheme in ("http", "https") and parts.hostname):
        raise typer.BadParameter(f"expected http:// or https:// and a host, such as {HUB}, got {given!r}")
    return given.rstrip("/")


HUB = "http://127.0.0.1:8000"
HubUrl = Annotated[str, typer.Option(help="The hub's URL.", callback=_hub_url)]
Folders = Annotated[list[Path], typer.Argument(help="Folders of episodes.", exists=True, file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line.")]
IsChild = Annotated[bool, typer.Option("--child", hidden=True)]


@cli.callback()
def prepare() -> None:
    """Robots that anyone can drive, demonstrations that anyone can verify, pay that anyone can recompute."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    processes.require_own_names()
    processes.interrupt_on_signals()


@cli.command()
def run(
    data: Data = Path("data"),
    port: Port = 8000,
    robot: Annotated[list[str] | None, typer.Option(help="Robots to simulate, such as panda:lift.")] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Start chain, hub and a host with simulated robots, two Pandas where none is named; Ctrl-C ends all of it."""
    wanted = robot or ["panda:lift", "panda:lift"]
    for one in wanted:
        kind, _, task = one.partition(":")
        require_pair(kind, task or "lift")
    err.print(f"starting the chain, the hub and {', '.join(wanted)} ...")
    with processes.platform(data, port, wanted) as (url, children):
        out.print(f"\n  armshare is at [bold]{url}[/bold]   (Ctrl-C ends it; everything is kept in {data})\n")
        if open_page and _has_screen():
            webbrowser.open(url)
        try:
            while not any(child.wait(0.5) for child in children):
                pass
        except KeyboardInterrupt:
            err.print("\nending: host, hub, chain ...")
            return
        for child in children:
            child.require_alive()


def _has_screen() -> bool:
    """Whether a browser could open a window here; without one, Python would start a browser of the terminal."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@cli.command()
def hub(
    data: Data = Path("data"),
    host: Annotated[str, typer.Option(help="The address to listen on.", envvar="ARMSHARE_HOST")] = "127.0.0.1",
    port: Port = 8000,
    chain_url: Annotated[
        str, typer.Option(help="An EVM chain's JSON-RPC; without it the embedded one.", envvar="ARMSHARE_CHAIN_URL")
    ] = "",
    child: IsChild = False,
    listener: Annotated[int | None, typer.Option(hidden=True, help="The listening socket that was inherited.")] = None,
) -> None:
    """Start a hub, with the embedded chain unless --chain-url names another."""
    from teleop.doors.hub import make_app, opened_chain
    from teleop.doors.workers import opened_workers

    if child:
        processes.end_with_parent()
    settings = _settings(data=data, host=host, port=port, chain_url=chain_url)
    with _interruptible(), processes.locked(data, "hub"), opened_workers() as workers:
        listening = processes.listening(host, port) if listener is None else socket.socket(fileno=listener)
        settings = settings.model_copy(update={"port": listening.getsockname()[1]})
        with opened_chain(settings) as (chain, deployment):
            app = make_app(settings, chain, deployment, workers)
            if not child:
                out.print(f"\n  the hub is at [bold]{settings.url}[/bold]   (Ctrl-C ends it)\n", highlight=False)
            uvicorn.Server(serving.config(app)).run([listening])


@cli.command()
def host(
    robot: Annotated[
        list[str], typer.Option(help="A simulated robot and its task, such as panda:lift; with --port, a real so101.")
    ],
    hub: HubUrl = HUB,
    port: Annotated[str, typer.Option(help="The real arm's serial device.")] = "",
    task: Annotated[str, typer.Option(help="What to do, where --robot does not say.")] = "",
    instruction: Annotated[str, typer.Option(help="A real arm's task, in words.")] = "",
    name: Annotated[str, typer.Option(help="What operators see; a number is added for several.")] = "",
    calibration: Annotated[Path | None, typer.Option(help="The real arm's calibration file.")] = None,
    camera: Annotated[
        list[str] | None, typer.Option(help="A camera beside it: NAME=DEVICE, or NAME=DEVICE@640x480; may be repeated.")
    ] = None,
    data: Data = Path("data"),
    child: IsChild = False,
) -> None:
    """Bring robots online. This process runs beside the robot and dials out to the hub."""
    from teleop.camera_spec import camera_of
    from teleop.doors.host import Wanted
    from teleop.doors.robots import serve

    cameras = tuple(camera_of(one) for one in camera) if camera else None
    if (cameras or port) and len(robot) > 1:
        raise PlatformError("expected one --robot where there is a --port or a --camera; start a host for each")
    if child:
        processes.end_with_parent()
    parts = [one.partition(":") for one in robot]
    called = [name or kind for kind, _, _ in parts]
    wanted = [
        Wanted(
            kind=kind,
            name=name if name and len(robot) == 1 else f"{called[at]}-{called[: at + 1].count(called[at])}",
            task=said or task or ("free" if port else "lift"),
            port=port,
            calibration=calibration,
            instruction=instruction,
            cameras=cameras,
        )
        for at, (kind, _, said) in enumerate(parts)
    ]
    with _interruptible():
        asyncio.run(serve(hub, data, wanted))


@cli.command()
def drive(
    hub: HubUrl = HUB,
    robot: Annotated[str, typer.Option(help="Its name or address; else the one where the wait is shortest.")] = "",
    task: Annotated[str, typer.Option(help="What to do; else the first that the robot offers.")] = "",
    episodes: Annotated[int, typer.Option(min=1, help="How many to drive.")] = 1,
    policy: Annotated[str, typer.Option(help="Drive by module:function; see docs/driving.md.")] = "",
    expert: Annotated[bool, typer.Option("--expert", help="Drive by the task's scripted operator.")] = False,
    episode: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="Drive as in this recorded episode's folder.")
    ] = None,
    gamepad: Annotated[Path | None, typer.Option(help="Drive by a gamepad, such as /dev/input/js0.")] = None,
    first_drive: Annotated[
        bool, typer.Option("--first-drive", help="Show all that a wallet must show once before it is paid.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option(help="The wallet's key file, made if missing; else one in your own data folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Drive as an operator, without a browser. Exit code 1 where not all episodes were accepted, 2 where it broke off.

    Ctrl-C lets go and gives the robot back; the episode that is being driven is then kept as invalid, never scored.
    """
    from teleop.doors import drive as driving

    given = {"--policy": policy, "--expert": expert, "--episode": episode, "--gamepad": gamepad}
    given["--first-drive"] = first_drive
    if sum(bool(value) for value in given.values()) != 1:
        named = ", ".join(name for name, value in given.items() if value) or "none"
        raise typer.BadParameter(f"expected one of {', '.join(given)}, got {named}")
    wallet = driving.wallet_in(key or driving.own_key_file())
    outcome = driving.Outcome(wallet.address, robot, task, episodes)
    with driving.pilots(policy=policy, episode=episode, gamepad=gamepad, first_drive=first_drive) as make:
        try:
            driving.run(driving.drive(hub, wallet, outcome, make, _say))
        finally:
            for line in driving.lines(outcome):
                out.print(line, highlight=False, soft_wrap=True)
            if as_json:
                print(json.dumps(outcome.as_dict()))
    if not outcome.complete:
        raise typer.Exit(1)


def _say(text: str) -> None:
    err.print(escape(text), highlight=False, soft_wrap=True)


@cli.command()
def demo(
    episodes: Annotated[int, typer.Option(min=1, help="How many to drive.")] = 3,
    as_json: AsJson = False,
    data: Annotated[Path | None, typer.Option(help="A folder to keep; a new temporary one without it.")] = None,
) -> None:
    """Drive, record, prove, score, settle, claim and export without a person, on free ports."""
    from teleop.doors.demo import Outcome
    from teleop.doors.demo import demo as go

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
    out.print(_table(outcome.as_dict()))
    if as_json:
        print(json.dumps(outcome.as_dict()))


def _table(outcome: dict[str, Any]) -> Table:
    table = Table(title="driven, proven, scored, paid", caption=_caption(outcome), caption_justify="left")
    for title in ("episode", "steps", "success", "score", "receipt", "pay (ARM)", "digest"):
        table.add_column(title, no_wrap=True)
    for one in outcome["episodes"]:
        pay = f"{int(one['pay']) / ARM:.4f}"
        cells = (one["episode"][:12], one["steps"], one["success"], f"{one['score']:.3f}", one["receipt_index"], pay)
        table.add_row(*(str(cell) for cell in cells), one["digest"][:18] + "…")
    return table


def _caption(outcome: dict[str, Any]) -> str:
    return (
        f"root {outcome['root']}\nclaim {outcome['claim_transaction']}\n"
        f"balance {int(outcome['balance']) / ARM:.4f} ARM, read back from the chain\nexport {outcome['export']}"
    )


@cli.command()
def verify(
    bundles: Folders,
    pins: Annotated[Path | None, typer.Option(help="A saved /api/config: whose receipts to trust. Offline.")] = None,
    hub: Annotated[str, typer.Option(help="Ask this hub for /api/config instead.", callback=_hub_url)] = "",
    replay: Annotated[bool, typer.Option(help="Re-simulate simulated episodes, bit for bit.")] = True,
    score: Annotated[bool, typer.Option(help="Recompute the score too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check episodes, gate by gate; the first gate that refuses is named. Exit code 1 where one is refused."""
    from teleop.doors import researcher

    config = researcher.pins(pins) if pins else _config(hub) if hub else None
    reports = [researcher.check(bundle, config, replay=replay, score=score) for bundle in bundles]
    for report in reports:
        for line in researcher.lines(report):
            out.print(line, highlight=False)
    if as_json:
        print(json.dumps(reports))
    if any(report["refused"] for report in reports):
        raise typer.Exit(1)


@cli.command()
def replay(episodes: Folders, as_json: AsJson = False) -> None:
    """Re-simulate episodes and compare every state bit for bit. Exit code 1 where one differs, 2 where it cannot be."""
    from teleop.doors import researcher

    found = [researcher.replay(folder) for folder in episodes]
    for one in found:
        out.print(researcher.replay_line(one), highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(found))
    if not all(one["identical"] for one in found):
        raise typer.Exit(1 if any(researcher.differs(one) for one in found) else 2)


@cli.command()
def render(
    episode: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="An episode's folder.")],
    target: Annotated[Path, typer.Option("--to", "-o", help="The folder to write.")],
    camera: Annotated[list[str] | None, typer.Option(help="A camera's name, several times.")] = None,
    size: Annotated[str, typer.Option(help="Width and height, pixels.")] = "640x480",
    depth: Annotated[bool, typer.Option("--depth", help="Depth too, as 16-bit PNG in millimetres.")] = False,
    mask: Annotated[bool, typer.Option("--mask", help="Which thing is seen, too, as 16-bit PNG.")] = False,
) -> None:
    """Draw what cameras saw in a simulated episode: a video of each, and its geometry as JSON."""
    from sim.render import workers
    from teleop.doors.pictures import render_episode

    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if found is None:
        raise typer.BadParameter(f"expected WIDTHxHEIGHT, such as 640x480, got {size!r}", param_hint="--size")
    wanted = {"width": int(found[1]), "height": int(found[2]), "depth": depth, "mask": mask}
    with workers() as pool, Progress(*_SHOWN, console=err) as progress:
        for name in camera or ["front"]:
            shown = progress.add_task(name, total=None)
            for _ in render_episode(episode, {"camera": name, **wanted}, target, pool):
                progress.advance(shown)
    out.print(f"{', '.join(camera or ['front'])}, in {target}")


@cli.command()
def fetch(
    target: Annotated[Path, typer.Argument(help="Where to put the bundles, a folder for each episode.")],
    hub: HubUrl = HUB,
    task: Annotated[str, typer.Option(help="Only this task's.")] = "",
    operator: Annotated[str, typer.Option(help="Only this operator's.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
) -> None:
    """Download verified episodes."""
    from teleop.doors import researcher

    with Progress(TextColumn("{task.completed} episodes"), TimeElapsedColumn(), console=err) as progress:
        shown = progress.add_task("", total=None)
        for _ in researcher.fetch(hub, target, task=task, operator=operator, limit=limit):
            progress.advance(shown)
    if not progress.tasks[0].completed:
        asked = [f"{name} {value}" for name, value in (("task", task), ("operator", operator)) if value]
        err.print(f"no verified episode there{' of ' if asked else ''}{' and '.join(asked)}", highlight=False)


@cli.command()
def export(
    bundles: Folders,
    target: Annotated[Path, typer.Option("--to", "-o", help="The file to write.")],
) -> None:
    """Write episodes as one robomimic HDF5 file."""
    from recorder.export.robomimic import export as export_robomimic

    done = export_robomimic(bundles, target)
    out.print(f"{done.demos} demonstrations, {done.samples} samples, in {done.path}")


@cli.command()
def clear(
    robot: Annotated[str, typer.Argument(help="The robot's address or name.")],
    hub: HubUrl = HUB,
    data: Data = Path("data"),
) -> None:
    """Release a robot's e-stop, as its owner (keys/owner.key below --data)."""
    from teleop.doors.owner import clear as release

    asyncio.run(release(hub, data, robot))
    out.print(f"{robot} is released")


@cli.command()
def remove(
    robot: Annotated[str, typer.Argument(help="The robot's address or name.")],
    hub: HubUrl = HUB,
    data: Data = Path("data"),
) -> None:
    """Take a robot that is away for good from the hub's list, as its owner; its episodes stay."""
    from teleop.doors.owner import remove as take_away

    asyncio.run(take_away(hub, data, robot))
    out.print(f"{robot} is no longer listed; its host brings it back")


@cli.command()
def settle(data: Data = Path("data"), hub: HubUrl = HUB) -> None:
    """Settle all that is earned in a new root now, as the platform's operator."""
    if not (data / "keys" / "admin.token").is_file():
        raise PlatformError(f"expected the hub's data folder, with keys/admin.token, got {data}; name it with --data")
    token = (data / "keys" / "admin.token").read_text().strip()
    with client_of(hub) as client:
        answer = client.post("/api/settle", headers={"Authorization": f"Bearer {token}"})
    if answer.is_error:
        raise PlatformError(answer.json()["error"]["message"])
    print(json.dumps(answer.json()))


def _settings(**given: Any) -> Settings:
    try:
        return Settings(**given)
    except SettingsError as error:
        said = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        raise PlatformError(f"a setting is not what docs/operating.md says: {said}") from error
    except ValidationError as error:
        said = "; ".join(f"ARMSHARE_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())
        raise PlatformError(f"a setting is not what docs/operating.md says: {said}") from error


def _config(hub: str) -> dict[str, Any]:
    with client_of(hub) as client:
        found: dict[str, Any] = client.get("/api/config").raise_for_status().json()
    return found


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        return


def main() -> None:
    """Run the command line; an error that a person can act on is one line, and exit code 2."""
    try:
        cli()
    except Exception as error:
        found = actionable(error) or _of_a_file(error)
        if not found:
            raise
        for one in found:
            err.print(f"[red]{type(one).__name__}[/red]: {escape(str(one))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _of_a_file(error: Exception) -> list[Exception]:
    """What a person named that cannot be read or written."""
    if not isinstance(error, OSError) or error.filename is None:
        return []
    if isinstance(error, FileExistsError | NotADirectoryError):
        return [PlatformError(f"expected a folder, a file is there: {error.filename}")]
    return [PlatformError(f"cannot use {error.filename}: {error.strerror}")]


if __name__ == "__main__":
    main()
