"""Options that several commands share, and the consoles that they print to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sim.places import DATA

out, err = Console(emoji=False), Console(stderr=True, emoji=False)
ARM: Final = 10**18


def progress_bar() -> Progress:
    """Return a bar of how many of the seeds are done."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=err)


def kept_in(data: Path) -> Path:
    """Let this process and its children find the robots that were added there."""
    os.environ[DATA] = str(data.absolute())
    return data


Data = Annotated[Path, typer.Option(help="The folder that everything is kept in.", envvar=DATA, callback=kept_in)]


def _files_in(given: str) -> str:
    """Let this process and its children keep files there."""
    if given:
        os.environ["ARMSHARE_STORE"] = given
    return given


StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="s3://BUCKET/PREFIX",
        help="The bucket to keep episodes' files in, with its endpoint and keys in AWS_...; by default, below --data.",
        envvar="ARMSHARE_STORE",
        callback=_files_in,
    ),
]


def _database_of_all(url: str) -> str:
    """Let the hub that this process starts find its database; a URL with a password is no argument of a process."""
    if url:
        os.environ["ARMSHARE_DATABASE"] = url
    return url


DatabaseUrl = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        help="A PostgreSQL database, postgresql://...; by default a file in --data.",
        envvar="ARMSHARE_DATABASE",
        callback=_database_of_all,
    ),
]


def _drawn_by_all(url: str) -> str:
    if url:
        os.environ["ARMSHARE_DASK"] = url
    return url


DaskUrl = Annotated[
    str,
    typer.Option(
        "--dask",
        metavar="tcp://SCHEDULER:8786",
        help="A Dask scheduler whose workers draw pictures; by default this machine does.",
        envvar="ARMSHARE_DASK",
        callback=_drawn_by_all,
    ),
]


def _workers_of_all(count: int | None) -> int | None:
    if count is not None:
        os.environ["ARMSHARE_WORKERS"] = str(count)
    return count


WorkerCount = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        max=256,
        help="How many processes verify and score; by default half as many as there are processors.",
        envvar="ARMSHARE_WORKERS",
        callback=_workers_of_all,
    ),
]
HubName = Annotated[
    str,
    typer.Option(help="What this hub is called among several that share a database.", envvar="ARMSHARE_HUB_NAME"),
]
NatsUrl = Annotated[
    str,
    typer.Option("--nats", metavar="URL", help="The bus of several hubs, nats://...", envvar="ARMSHARE_NATS"),
]
PeerUrl = Annotated[
    str,
    typer.Option(help="Where the other hubs reach this one, http://10.0.0.5:8000.", envvar="ARMSHARE_PEER_URL"),
]
Shared = Annotated[
    Path | None,
    typer.Option(help="A folder that several hubs have in common; their keys are in it.", envvar="ARMSHARE_SHARED"),
]
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="The hub's port; 0 takes a free one.", envvar="ARMSHARE_PORT")
]


def hub_url(given: str) -> str:
    try:
        parts = urlsplit(given)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is not a number, as in http://::1:8000, or brackets that do not fit
        good = False
    if given and not good:
        example = f"such as {HUB}, https://example.org/arms or http://[::1]:8000"
        raise typer.BadParameter(f"{given!r} is not the address of a hub: write it with http:// or https://, {example}")
    return given.rstrip("/")


HUB: Final = "http://127.0.0.1:8000"
HubUrl = Annotated[str, typer.Option(help="The hub's URL.", callback=hub_url, envvar="ARMSHARE_HUB")]


def _trusted(given: Path | None) -> Path | None:
    from teleop.dialing import AuthorityError, trust  # here, so that commands without a hub load no TLS

    if given is not None:
        try:
            trust(given)
        except AuthorityError as error:
            raise typer.BadParameter(str(error)) from error
    return given


Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        help="A file of certificate authorities (PEM) to trust too, for a hub with a private one.",
        envvar="ARMSHARE_CA",
        callback=_trusted,
        exists=True,
        dir_okay=False,
    ),
]


def _episodes(folders: list[Path]) -> list[Path]:
    """Return the folders that were named; raise BadParameter for what is no folder."""
    for folder in folders:
        if not folder.exists() and {"*", "?"} & set(str(folder)):
            raise typer.BadParameter(f"nothing matches {folder}: `armshare fetch FOLDER` downloads episodes")
        if not folder.exists():
            raise typer.BadParameter(f"{folder} does not exist: name the folders of episodes, such as episodes/*")
        if not folder.is_dir():
            raise typer.BadParameter(f"{folder} is a file, and an episode is a folder: name that")
    return folders


Folders = Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of episodes.", callback=_episodes)]
_SET: Final = re.compile(r"[a-z0-9_-]{1,60}/[a-z0-9_-]{1,60}(@[0-9]{1,9})?")


def named_set(given: list[Path]) -> str | None:
    """Return the data set that is named instead of folders; None if folders are. A folder that is there is one."""
    return str(given[0]) if len(given) == 1 and _SET.fullmatch(str(given[0])) and not given[0].exists() else None


def _sources(given: list[Path]) -> list[Path]:
    return given if named_set(given) is not None else _episodes(given)


Sources = Annotated[
    list[Path],
    typer.Argument(metavar="FOLDER...|SET", help="Folders of episodes, or a hub's data set.", callback=_sources),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, and nothing else.")]
IsChild = Annotated[bool, typer.Option("--child", hidden=True)]


Checkpoint = Annotated[
    Path | None,
    typer.Option(exists=True, help="The policy's own file: NAME is called with its path, and returns the policy."),
]


def of_policy(checkpoint: Path | None, policy: str) -> Path | None:
    """Return where a policy's checkpoint is, from anywhere; raise BadParameter if it is nobody's."""
    if checkpoint is not None and not policy:
        raise typer.BadParameter("a checkpoint is a policy's: name that with --policy", param_hint="--checkpoint")
    return checkpoint and checkpoint.resolve()


@contextmanager
def interruptible() -> Iterator[None]:
    """End silently on Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        return


def size_of(given: str, cameras: Sequence[str] | None = ("any",)) -> tuple[int, int]:
    """Return the width and the height of `320x240`, or, of an empty text, 640 and 480; raise BadParameter.

    A size is of pictures that are drawn, and without a camera none are.
    """
    if not given:
        return 640, 480
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", given)
    if found is None:
        raise typer.BadParameter(f"{given!r} is not a size: write WIDTHxHEIGHT, such as 640x480", param_hint="--size")
    if not cameras:
        raise typer.BadParameter(
            "no camera is named, so nothing is drawn: add --camera front, or leave --size out", param_hint="--size"
        )
    return int(found[1]), int(found[2])
