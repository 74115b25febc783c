"""The command line, `armshare`: run, hub, host, robots, drive, demo, verify, fetch, export, settle, sim and more."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.markup import escape

from armshare import logs
from armshare.cli import evaluate, operator, owner, platform, record, researcher, robot, simulation
from armshare.cli.options import err
from armshare.failures import PlatformError, actionable, words
from armshare.logs import FORMAT_VARIABLE, LogFormat
from armshare.platform import processes

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for one in (platform, operator, record, evaluate, researcher, owner):
    cli.add_typer(one.cli)
cli.add_typer(simulation.cli, name="sim")
cli.add_typer(robot.cli, name="robot")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"armshare {version('armshare')}")
        raise typer.Exit


@cli.callback()
def prepare(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.", envvar=FORMAT_VARIABLE)] = LogFormat.TEXT,
) -> None:
    """Robots that anyone can drive, demonstrations that anyone can verify, pay that anyone can recompute."""
    logs.configure(log_format)
    processes.require_own_names()
    processes.interrupt_on_signals()


def main() -> None:
    """Run the command line; an error that a person can act on is one line, and exit code 2."""
    try:
        cli()
    except Exception as error:
        found = actionable(error) or _of_a_file(error)
        if not found:
            raise
        for one in found:
            err.print(f"[red]error[/red]: {escape(words(one))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _of_a_file(error: Exception) -> list[Exception]:
    """Return the error for a named file or folder that cannot be read or written."""
    if not isinstance(error, OSError) or error.filename is None:
        return []
    if isinstance(error, FileExistsError | NotADirectoryError):
        return [PlatformError(f"{error.filename} is a file, and a folder is needed. Name another.")]
    return [PlatformError(f"{error.filename} cannot be used: {error.strerror}.")]
