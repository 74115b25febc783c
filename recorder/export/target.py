"""Where an export goes: a file or a folder that is there whole or not at all.

It is written beside its place under another name, synced, and renamed once nothing is missing. If something fails on
the way (a full disk, an episode that cannot be read after all), what was written so far is removed.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recorder.export.errors import TargetError
from teleop.files import sync_file, sync_folder


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write to, which then takes the place of the file `target`; raise TargetError."""
    with _or_nothing(target) as beside:
        if target.is_dir() or not target.parent.is_dir():
            raise TargetError(f"{target} cannot be written: give a file (--to), in a folder that exists.")
        yield beside
        sync_file(beside)
        beside.replace(target)
        _keep(target)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder to write to, which then becomes `target`; raise TargetError if that exists already."""
    with _or_nothing(target) as beside:
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise TargetError(f"{target} exists already: name a new folder (--to), or remove it.")
        if not target.parent.is_dir():
            raise TargetError(f"{target} cannot be written: give a folder (--to) in one that exists.")
        beside.mkdir()
        yield beside
        for path in sorted(beside.rglob("*")):
            sync_folder(path) if path.is_dir() else sync_file(path)
        sync_folder(beside)
        beside.replace(target)
        _keep(target)


def _keep(target: Path) -> None:
    """Make its new name durable, or remove it."""
    try:
        sync_folder(target.parent)
    except OSError:
        _remove(target)
        raise


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


@contextmanager
def _or_nothing(target: Path) -> Iterator[Path]:
    """Give a name beside `target`, and remove what has it in the end; raise TargetError for what the disk refuses."""
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield beside
    except OSError as error:
        raise TargetError(f"{target} cannot be written: {_reason(error)}. Nothing was.") from error
    finally:
        _remove(beside)


def _reason(error: OSError) -> str:
    """Return the system's words: a library may say more, such as where it was built."""
    number = error.errno or int((re.search(r"os error (\d+)", str(error)) or ["", "0"])[1])
    return os.strerror(number) if number else str(error).partition("\n")[0]
