"""Finds out which format a data set has, and opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from recorder.importing.errors import NotADataSetError
from recorder.importing.taken import Source
from sim.words import listed


def _lerobot(path: Path, hz: float | None) -> Source:
    from recorder.importing.lerobot import LeRobotSet  # here, since it needs pyarrow, which not everyone has

    return LeRobotSet(path, hz)


def _robomimic(path: Path, hz: float | None) -> Source:
    from recorder.importing.robomimic import RobomimicSet

    return RobomimicSet(path, hz)


FORMATS: Final[dict[str, Callable[[Path, float | None], Source]]] = {"lerobot": _lerobot, "robomimic": _robomimic}


def open_set(path: Path, form: str = "", hz: float | None = None) -> Source:
    """Open a data set of the format `form`, or, without it, of the one that a file or a folder tells.

    Raises an ImportSetError.
    """
    if form and form not in FORMATS:
        raise NotADataSetError(f"There is no format {form!r}. There are {listed(FORMATS)}.")
    if not path.exists():
        raise NotADataSetError(f"{path} does not exist: name a LeRobot folder, or a robomimic file.")
    if not form and path.is_dir() and not (path / "meta").is_dir():
        raise NotADataSetError(f"{path} is no data set: a LeRobot one is a folder with meta/info.json in it.")
    chosen = form or ("lerobot" if path.is_dir() else "robomimic")
    return FORMATS[chosen](path, hz)
