"""The command that says what an episode is worth, and why: score."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from armshare.cli.options import AsJson, out

cli = typer.Typer()


@cli.command()
def score(
    episodes: Annotated[
        list[Path],
        typer.Argument(metavar="EPISODE...", help="Folders of episodes, or their episode.h5 files.", exists=True),
    ],
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what cost what and when, and how to drive better.")
    ] = False,
    rules: Annotated[
        str, typer.Option(metavar="VERSION", help="By these rules; by default by those that pay for the episode.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Score episodes from their files alone, as a hub does, and say why. Nothing is sent anywhere.

    Exit code 1 if one is not accepted, 2 if one cannot be scored here.
    """
    from armshare.researcher import scoring

    version = scoring.require_rules(rules) if rules else ""
    reports = []
    for episode in episodes:
        reports.append(scoring.report(episode, version))
        if not as_json:
            for line in scoring.lines(reports[-1], explain=explain):
                out.print(line, highlight=False, soft_wrap=True)
    if as_json:
        print(json.dumps(reports))
    if not all(one["accepted"] for one in reports):
        raise typer.Exit(1)
