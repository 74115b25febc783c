"""The command line, `armshare`: run, hub, host, robots, drive, score, demo, verify, fetch, export, sim and more."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Final

import typer
from rich.markup import escape

from armshare import logs
from armshare.cli.options import err
from armshare.extras import command_for
from armshare.failures import PlatformError, actionable, words
from armshare.logs import FORMAT_VARIABLE, LogFormat
from armshare.platform import processes
from sim.words import listed

_GROUPS: Final = {
    "platform": None,
    "worker": None,
    "books": None,
    "operator": None,
    "record": None,
    "evaluate": None,
    "study": "study",
    "researcher": None,
    "datasets": "dataset",
    "scoring": None,
    "owner": None,
    "simulation": "sim",
    "robot": "robot",
}
"""Modules of commands, and the word before those commands."""

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _add_commands() -> list[str]:
    """Add the commands that this installation has; return the libraries that others lack."""
    missing = []
    for module, group in _GROUPS.items():
        try:
            found = import_module(f"armshare.cli.{module}").cli
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] in processes.ROOMS:
                raise
            if error.name not in missing:
                missing.append(error.name)
        else:
            cli.add_typer(found, name=group)
    return missing


ABSENT: Final = _add_commands()
"""Libraries that this installation was made without."""


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
    except SystemExit as end:
        if end.code == 2 and ABSENT:
            lacking = f"This installation has no {listed(ABSENT)}, which other commands need"
            err.print(f"{lacking}: {command_for(ABSENT)}", markup=False, highlight=False, soft_wrap=True)
        raise
    except Exception as error:
        found = actionable(error) or _of_a_file(error) or _of_an_extra(error)
        if not found:
            raise
        for one in found:
            err.print(f"[red]error[/red]: {escape(words(one))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _of_an_extra(error: Exception) -> list[Exception]:
    """Return the error for a library that this installation was made without."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return []
    if error.name.partition(".")[0] in processes.ROOMS:
        return []
    return [PlatformError(f"This needs {error.name}, which is not installed: {command_for([error.name])}")]


def _of_a_file(error: Exception) -> list[Exception]:
    """Return the error for a named file or folder that cannot be read or written."""
    if not isinstance(error, OSError) or error.filename is None:
        return []
    if isinstance(error, FileExistsError | NotADirectoryError):
        return [PlatformError(f"{error.filename} is a file, and a folder is needed. Name another.")]
    return [PlatformError(f"{error.filename} cannot be used: {error.strerror}.")]
