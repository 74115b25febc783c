"""Commands for who works for a hub on another machine: worker, jobs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from armshare.cli.options import AsJson, DaskUrl, DatabaseUrl, IsChild, StoreUrl, err, interruptible, kept_in, out
from armshare.cli.platform import settings_of
from armshare.failures import PlatformError
from armshare.platform import processes
from sim.words import listed

cli = typer.Typer()
_KINDS: Final = ("verify", "render", "score", "export")


def _kinds(given: str) -> str:
    wrong = [one for one in given.split(",") if one not in _KINDS]
    if wrong:
        raise typer.BadParameter(f"there is no kind {wrong[0]!r}: there are {listed(_KINDS)}, with commas between them")
    return given


@cli.command()
def worker(
    database: DatabaseUrl = "",
    store: StoreUrl = "",
    count: Annotated[
        int, typer.Option(min=1, max=256, help="How many jobs at a time; by default one for each processor.")
    ] = os.cpu_count() or 1,
    kinds: Annotated[str, typer.Option(help="Which kinds of jobs, with commas between them.", callback=_kinds)] = (
        ",".join(_KINDS)
    ),
    data: Annotated[
        Path, typer.Option(help="The folder for downloads and for what is being made.", callback=kept_in)
    ] = Path("worker"),
    _dask: DaskUrl = "",
    lost_after: Annotated[float, typer.Option(hidden=True, min=0.0, help="For tests.")] = 0.0,
    child: IsChild = False,
) -> None:
    """Do a hub's work on this machine: what waits in its PostgreSQL, with files from its bucket."""
    from armshare.platform.table import work

    if child:
        processes.end_with_parent()
    settings = settings_of(data=data, database=database, store=store)
    if not settings.shares_work:
        missing = "--database postgresql://..." if not settings.database else "--store s3://BUCKET/PREFIX"
        raise PlatformError(f"A worker needs both the hub's database and its bucket: give {missing}.")
    wanted = kinds.split(",")
    with interruptible(), processes.locked(data, "worker"):
        err.print(f"{count} at a time: {listed(wanted)}, from {settings.database_named}   (Ctrl-C ends it)")
        work(settings, wanted, count, lost_after)


@cli.command()
def jobs(database: DatabaseUrl = "", as_json: AsJson = False) -> None:
    """Say how many jobs wait for a worker, and how many are in hand, of each kind."""
    from armshare.platform.waiting import waiting

    settings = settings_of(database=database)
    if not settings.database:
        raise PlatformError("Only a hub with a database has its jobs in a table: give --database postgresql://...")
    found = waiting(settings)
    if as_json:
        print(json.dumps({one.kind: {"waiting": one.waiting, "running": one.running} for one in found}))
        return
    table = Table("kind", "waiting", "in hand", "the oldest waits for")
    for one in found:
        table.add_row(one.kind, str(one.waiting), str(one.running), f"{one.oldest_s:.0f} s" if one.waiting else "")
    out.print(table)
