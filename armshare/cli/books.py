"""Commands for a platform's books, with its admin token: settle, rescore."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from armshare.cli.options import ARM, HUB, AsJson, Ca, Data, HubUrl, err, out
from armshare.client import client_of, config_of, message_of
from armshare.failures import PlatformError

cli = typer.Typer()
_LOOK_EVERY_S: Final = 1.0


@cli.command()
def settle(data: Data = Path("data"), hub: HubUrl = HUB, _ca: Ca = None) -> None:
    """Settle everything earned in a new root now, with the platform's admin token (keys/admin.token below --data)."""
    admin = _admin(data)
    with client_of(hub) as client:
        config_of(client)
        print(json.dumps(_answered(client.post("/api/settle", headers=admin))))


@cli.command()
def rescore(
    rules: Annotated[str, typer.Option(metavar="VERSION", help="The version of the rules to score by.")],
    task: Annotated[str, typer.Option(metavar="NAME", help="Only the episodes of this task.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait for the end.")] = True,
    data: Data = Path("data"),
    hub: HubUrl = HUB,
    as_json: AsJson = False,
    _ca: Ca = None,
) -> None:
    """Score every verified episode by another version of the rules too, with the platform's admin token.

    The new scores stand beside the old ones. A higher one pays the difference, at the price of the day of the drive; a
    lower one takes nothing. The hub does it, and goes on after a restart and without this command.
    """
    admin = _admin(data)
    with client_of(hub) as client:
        config_of(client)
        job = _answered(client.post("/api/rescore", json={"rules": rules, "task": task}, headers=admin))
        if wait:
            job = _waited(client, admin, job)
    if as_json:
        print(json.dumps(job))
    else:
        out.print(_said(job), highlight=False, soft_wrap=True)


def _waited(client: httpx.Client, admin: dict[str, str], job: dict[str, Any]) -> dict[str, Any]:
    """Return a job once it is done, or as it is when Ctrl-C comes."""
    columns = TextColumn("scoring"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=err, transient=True) as progress:
        shown = progress.add_task("", total=job["episodes"])
        try:
            while job["state"] != "done":
                time.sleep(_LOOK_EVERY_S)
                jobs = _answered(client.get("/api/rescore", headers=admin))
                job = next((one for one in jobs if one["id"] == job["id"]), job)
                progress.update(shown, completed=job["seen"])
        except KeyboardInterrupt:
            err.print("the hub goes on with it")
    return job


def _said(job: dict[str, Any]) -> str:
    pay = f"{int(job['pay']) / ARM:.4f} ARM more for {job['added']}"
    failed = f", {job['failed']} could not be scored (the hub's log says why)" if job["failed"] else ""
    ahead = "" if job["state"] == "done" else "; the hub goes on with it"
    return f"{job['seen']} of {job['episodes']} scored by version {job['rules']}: {pay}{failed}{ahead}"


def _admin(data: Path) -> dict[str, str]:
    """Return the header of whoever runs the platform; raise PlatformError if they do not."""
    token = data / "keys" / "admin.token"
    if not token.is_file():
        raise PlatformError(
            f"{data} is not a hub's data folder: it has no keys/admin.token. Name the hub's with --data."
        )
    return {"Authorization": f"Bearer {token.read_text().strip()}"}


def _answered(answer: httpx.Response) -> Any:
    if answer.is_error:
        raise PlatformError(message_of(answer))
    return answer.json()
