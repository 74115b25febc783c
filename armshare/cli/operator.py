"""The operator's commands: drive, robots."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from armshare.cli.options import HUB, AsJson, Ca, Checkpoint, HubUrl, err, interruptible, of_policy, out
from armshare.client import client_of, config_of
from sim.words import listed

if TYPE_CHECKING:
    from armshare.operator.handing import Episode

cli = typer.Typer()


@cli.command()
def drive(
    hub: HubUrl = HUB,
    robot: Annotated[
        str, typer.Option(help="The robot's name or address; by default the one with the shortest wait.")
    ] = "",
    task: Annotated[
        str, typer.Option(help="The task; by default that of the --episode, or the first one that the robot offers.")
    ] = "",
    episodes: Annotated[int, typer.Option(min=1, help="How many episodes to drive.")] = 1,
    policy: Annotated[str, typer.Option(help="Drive by a policy, module:name; see docs/driving.md.")] = "",
    checkpoint: Checkpoint = None,
    expert: Annotated[bool, typer.Option("--expert", help="Drive by the task's scripted operator.")] = False,
    episode: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Repeat the motion of a recorded episode; its folder."),
    ] = None,
    gamepad: Annotated[
        Path | None,
        typer.Option(help="Drive by a gamepad, such as /dev/input/js0; beside --policy, to take over from it."),
    ] = None,
    first_drive: Annotated[
        bool, typer.Option("--first-drive", help="Pass the checks that a new wallet must pass once before it is paid.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(help="The wallet's key file, made if missing; by default one in your own data folder."),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Drive nothing: list what this wallet drove and has not signed yet.")
    ] = False,
    sign: Annotated[
        list[str] | None,
        typer.Option(help="Drive nothing: sign an episode that was driven earlier, or `all`; may be repeated."),
    ] = None,
    discard: Annotated[
        list[str] | None,
        typer.Option(help="Drive nothing: discard an episode that was driven earlier, or `all`; may be repeated."),
    ] = None,
    another_look: Annotated[
        list[str] | None,
        typer.Option(help="Drive nothing: have an episode that was rejected checked once more; may be repeated."),
    ] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(help="Drive nothing: end your consent to a verified episode that you drove; may be repeated."),
    ] = None,
    reason: Annotated[str, typer.Option(help="With --withdraw: why, for those who used it.")] = "",
    done: Annotated[
        bool | None,
        typer.Option(
            "--done/--not-done",
            help="Of a real robot: say at the end that the task was done, or not. By default you are asked.",
        ),
    ] = None,
    _ca: Ca = None,
    as_json: AsJson = False,
) -> None:
    """Drive as an operator, without a browser. Exit code 1 if not all episodes were accepted, 2 if it could not go on.

    An episode that the hub cannot check yet is named, and the next is driven: it counts as not accepted until then.

    A first drive need not do the task: it exits with 0 if the wallet has passed the checks.

    Ctrl-C lets go and gives the robot back. The episode that is being driven is then kept as invalid, never scored.
    """
    from armshare.operator import crews
    from armshare.operator import drive as driving
    from armshare.operator.word import word_of

    given = {"--policy": policy, "--expert": expert, "--episode": episode, "--gamepad": gamepad}
    given["--first-drive"] = first_drive
    named = [name for name, value in given.items() if value]
    if unsigned or sign or discard or another_look or withdraw:
        if named:
            nothing = "--unsigned, --sign, --discard, --another-look and --withdraw drive nothing"
            raise typer.BadParameter(f"{nothing}: leave out {listed(named)}")
        _decide(hub, key, sign or [], discard or [], another_look or [], withdraw or [], reason, as_json)
        return
    if not named:
        raise typer.BadParameter(f"say who drives: {listed(given, 'or')}")
    if len(programs := [name for name in named if name != "--gamepad"]) > 1:
        told = f"{listed(programs)} would all drive: choose one of {listed(given, 'or')}"
        raise typer.BadParameter(f"{told}. --gamepad may stand beside one of the others, to take over from it")
    file = of_policy(checkpoint, policy)
    wallet = driving.wallet_in(key or driving.own_key_file())
    asked = task or crews.task_of(episode)
    outcome = driving.Outcome(wallet.address, robot, asked, episodes, qualifying=first_drive)

    def scored(one: Episode) -> None:
        if not as_json:
            _print(driving.lines_of(outcome, one))

    crewed = crews.crewed(
        policy=policy, expert=expert, episode=episode, gamepad=gamepad, first_drive=first_drive, checkpoint=file
    )
    with crewed as crew:
        try:
            driving.run(driving.drive(hub, wallet, outcome, crew, _say, scored, word_of(done)))
        finally:
            if as_json:
                print(json.dumps(outcome.as_dict()))
            else:
                _print(driving.lines_of_others(outcome))
    if not outcome.complete:
        raise typer.Exit(1)


@cli.command()
def robots(hub: HubUrl = HUB, as_json: AsJson = False, _ca: Ca = None) -> None:
    """List the robots, how they are, and the tasks that each of them offers."""
    with client_of(hub) as client:
        config = config_of(client)
        found = client.get("/api/robots").raise_for_status().json()
    if as_json:
        print(json.dumps(found))
        return
    table = Table("robot", "is", "task", "asks for", f"pays at most ({config['token_symbol']})")
    for one in found:
        state = f"{one['state']}, {one['queue_length']} waiting" if one["queue_length"] else one["state"]
        for at, task in enumerate(one["tasks"] or [{"name": "", "instruction": "", "price": "0"}]):
            pay = f"{int(task['price']) / 10 ** config['token_decimals']:g}" if task["name"] else ""
            head = (one["name"], state) if at == 0 else ("", "")
            table.add_row(*(_plain(cell) for cell in (*head, task["name"], task["instruction"], pay)))
    out.print(table)


def _plain(text: str) -> str:
    """Return what a stranger wrote as text that does nothing to a terminal."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))


def _decide(
    hub: str,
    key: Path | None,
    sign: list[str],
    discard: list[str],
    look: list[str],
    withdraw: list[str],
    reason: str,
    as_json: bool,
) -> None:
    from armshare.operator import drive as driving
    from armshare.operator import unsigned as deciding

    wallet = driving.wallet_in(key or driving.own_key_file())
    decided = deciding.Decided(wallet.address)
    try:
        with interruptible():
            asyncio.run(deciding.decide(hub, wallet, decided, sign, discard, _say, look, withdraw, reason))
    finally:
        if as_json:
            print(json.dumps(asdict(decided)))
        else:
            _print(deciding.lines(decided))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    err.print(escape(text), highlight=False, soft_wrap=True)
