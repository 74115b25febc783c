"""A folder that appears at its place only once all of it has been written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorder.export.errors import TargetError


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write to, which becomes `target` at the end, or is removed; raise TargetError.

    `target` must not exist yet, or be an empty folder: nothing is ever written over.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise TargetError(f"{target} already exists: give a new folder (--to), or remove it.")
    if not target.absolute().parent.is_dir():
        raise TargetError(f"{target} cannot be written: there is no folder {target.absolute().parent}.")
    beside = target.with_name(target.name + ".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        yield beside
        if target.exists():
            target.rmdir()
        beside.rename(target)
    except OSError as error:
        raise TargetError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
