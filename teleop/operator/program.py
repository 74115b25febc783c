"""What a program that drives says of itself: its name, and the SHA-256 of its file."""

from __future__ import annotations

import inspect
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from sim.strangers import sha256_of
from teleop.wire.driver import NAME_MAX, Driver, DriverKind


def program(kind: DriverKind, name: str, file: Path) -> Driver:
    """Return what is said of a program; raise OSError if its file cannot be read."""
    return Driver(kind, name[:NAME_MAX], sha256_of(file))


def script(drives: type[Any], method: str = "") -> Driver:
    """Return what is said of a script of ours, a class or a method of it: its name, and its module's file."""
    name = ".".join(filter(None, (drives.__qualname__, method)))
    return program(DriverKind.SCRIPT, f"{drives.__module__}:{name}", Path(inspect.getfile(drives)))


@lru_cache(maxsize=1)
def this_program() -> Driver:
    """Return what is said if nobody says who drives: the program that runs, a script; if it has no file, Python."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    file = Path(main or sys.executable)
    return program(DriverKind.SCRIPT, file.name, file)
