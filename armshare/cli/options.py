"""Options that several commands share, and the consoles that they print to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from rich.console import Console

from sim.own import DATA

out, err = Console(emoji=False), Console(stderr=True, emoji=False)
ARM: Final = 10**18


def _kept_in(data: Path) -> Path:
    """Let this process and its children find the robots that were added there."""
    os.environ[DATA] = str(data.absolute())
    return data


Data = Annotated[Path, typer.Option(help="The folder that everything is kept in.", envvar=DATA, callback=_kept_in)]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="The hub's port; 0 takes a free one.", envvar="ARMSHARE_PORT")
]


def hub_url(given: str) -> str:
    parts = urlsplit(given)
    if given and not (parts.scheme in ("http", "https") and parts.hostname):
        raise typer.BadParameter(f"expected http:// or https:// and a host, such as {HUB}, got {given!r}")
    return given.rstrip("/")


HUB: Final = "http://127.0.0.1:8000"
HubUrl = Annotated[str, typer.Option(help="The hub's URL.", callback=hub_url, envvar="ARMSHARE_HUB")]
Folders = Annotated[list[Path], typer.Argument(help="Folders of episodes.", exists=True, file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and nothing else.")]
IsChild = Annotated[bool, typer.Option("--child", hidden=True)]


@contextmanager
def interruptible() -> Iterator[None]:
    """End silently on Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        return
