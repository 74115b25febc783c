"""The command that says what an episode is worth, and why: score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from armshare.cli.options import AsJson, err, out

cli = typer.Typer()


@cli.command()
def score(
    episodes: Annotated[
        list[Path],
        typer.Argument(metavar="EPISODE...", help="Folders of episodes, or their episode.h5 files."),
    ],
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what each fault cost and when, and how to drive better.")
    ] = False,
    rules: Annotated[
        str, typer.Option(metavar="VERSION", help="Score by this version of the rules instead of the one that pays.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Score episodes from their files alone, as a hub does, and say why. Nothing is sent anywhere.

    One that cannot be scored here is named, and the others are scored.

    Exit codes: 0 all are accepted; 1 at least one is not; 2 at least one could not be scored.
    """
    from armshare.researcher import scoring

    version = scoring.require_rules(rules) if rules else ""
    reports = []
    for episode in episodes:
        found = scoring.report_or_why_not(episode, version)
        reports.append(found)
        if found["unable"]:
            err.print(f"[red]error[/red]: {escape(found['message'])}", highlight=False, soft_wrap=True)
        elif not as_json:
            for line in scoring.lines(found, explain=explain):
                out.print(line, highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(reports))
    if any(one["unable"] for one in reports):
        raise typer.Exit(2)
    if not all(one["accepted"] for one in reports):
        raise typer.Exit(1)
