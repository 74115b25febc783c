"""One episode as a source has it, before it becomes ours: its arrays under its own names, its clock, what it says."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import VALUES_BYTES_MAX
from recorder.file.meta import SpecMeta, TaskMeta
from recorder.importing.errors import (
    LengthsDisagreeError,
    NoRateError,
    NotFiniteError,
    OutsideError,
    TooMuchError,
    TooShortError,
)
from recorder.importing.footage import Camera, Spool
from sim.robot import Vector
from teleop.files import NotRegularError, open_regular

SOURCE_ACTION: Final = "source"
"""What an action is called whose meaning only the source knows."""
FRAMES_MIN: Final = 2
HZ_MIN, HZ_MAX = 0.001, 10_000.0
_SAID_MAX: Final = 500
"""Characters of one thing that a source says of an episode."""
_SAYINGS_MAX: Final = 64


Format = Literal["lerobot", "robomimic"]


class Origin(msgspec.Struct, frozen=True):
    """What our own exports say of the robot and the task, so that their episodes come back as they went."""

    spec: SpecMeta
    task: TaskMeta
    model: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What was done, as the source has it."""

    values: Vector
    """(N, A), in the source's own units."""
    names: tuple[str, ...]
    name: str = SOURCE_ACTION


@dataclass(frozen=True, slots=True)
class Times:
    """When each observation was made."""

    kind: Literal["clock", "timestamps", "rate"]
    t_ns: NDArray[np.int64]
    """(N,)"""

    def at(self, hz: float) -> NDArray[np.int64]:
        """Return (N+1,): the same, and that of the final observation, one period after the last."""
        return np.append(self.t_ns, self.t_ns[-1] + max(round(1e9 / hz), 1))


@dataclass(frozen=True, slots=True)
class Taken:
    """One episode of a source: N frames."""

    name: str
    hz: float
    observations: Mapping[str, Vector]
    """The source's name -> (N, ...), or (N+1, ...) if `final`."""
    final: bool
    action: Action
    times: Times
    instruction: str = ""
    success: bool | None = None
    known: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Dataset of ours (FORMAT.md) -> values: what an export of ours wrote, and comes back."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Dataset of ours -> what in the source it is from, for those of `known`."""
    says: Mapping[str, str | float | bool] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    origin: Origin | None = None
    cameras: Mapping[str, Camera] = field(default_factory=dict)
    """By the name that each has in the episode."""

    @property
    def frames(self) -> int:
        """N."""
        return len(self.action.values)


class Source(Protocol):
    """A data set of another format."""

    path: Path
    version: str

    @property
    def format(self) -> Format:
        """Which format it has."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it calls its episodes, in their order."""

    def take(self, index: int, spool: Spool) -> Taken:
        """Read one episode, which is sound, its pictures into `spool`; raise a BrokenEpisodeError."""


def digest_of(path: Path, watch: Callable[[int], None] = lambda done: None) -> str:
    """Return the SHA-256 of a data set's only file, or of a list of its files with theirs; raise OutsideError."""
    if not path.is_dir():
        return _sha256(path)
    total = hashlib.sha256()
    for done, file in enumerate(_files_of(path)):
        watch(done)
        total.update(f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n".encode())
    return total.hexdigest()


def _files_of(path: Path) -> Iterator[Path]:
    """Yield the files of a LeRobot set, by name; raise OutsideError for a link."""
    for part in ("meta", "data", "videos"):
        for folder, folders, files in os.walk(path / part):
            folders.sort()
            here = Path(folder)
            if links := [one for one in folders if (here / one).is_symlink()]:
                raise OutsideError(f"{here / links[0]} is a link: only the data set's own files are read")
            yield from (here / one for one in sorted(files))


def _sha256(path: Path) -> str:
    with os.fdopen(descriptor_of(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def descriptor_of(path: Path) -> int:
    """Return a descriptor that reads a regular file, following no link; raise OutsideError or FileNotFoundError."""
    try:
        return open_regular(path)
    except NotRegularError as error:
        raise OutsideError(f"{path} is a link, or no regular file: only the data set's own files are read") from error


def rate_of(path: Path, *said: Any) -> float:
    """Return the first that is a number of steps a second; raise NoRateError if there is none."""
    for one in said:
        if isinstance(one, int | float | np.number) and HZ_MIN <= float(one) <= HZ_MAX:
            return float(one)
    raise NoRateError(f"{path} does not say how many steps it takes in a second: give --hz.")


def require_bytes(what: str, size: int, most: int = VALUES_BYTES_MAX) -> None:
    """Raise TooMuchError for more than `most`, by default what an episode may have; before anything is read."""
    if size > most:
        raise TooMuchError(f"{what} declares {size} bytes, and at most {most} are read")


def require_sound(one: Taken) -> None:
    """Raise TooShortError, LengthsDisagreeError or NotFiniteError."""
    count = one.frames
    if count < FRAMES_MIN:
        raise TooShortError(f"{one.name} has {count} frame{'s' * (count != 1)}: an episode needs {FRAMES_MIN}")
    for name, array in {**one.observations, "actions": one.action.values}.items():
        expected = count if name == "actions" else count + one.final
        if len(array) != expected:
            raise LengthsDisagreeError(f"{one.name}: {name} has {len(array)} rows, and the actions ask for {expected}")
        if len(bad := np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))):
            raise NotFiniteError(f"{one.name}: {name} holds a value that is not finite, first in row {bad[0]}")
    if len(one.times.t_ns) != count:
        raise LengthsDisagreeError(f"{one.name}: there are {len(one.times.t_ns)} times for {count} frames")
    if (np.diff(one.times.t_ns) <= 0).any():
        raise LengthsDisagreeError(f"{one.name}: its times do not rise from each frame to the next")


def nominal(frames: int, hz: float) -> Times:
    """Return the times that a rate gives: nobody measured them."""
    return Times("rate", np.round(np.arange(frames) * (1e9 / hz)).astype(np.int64))


def sayings(found: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """Return what a source says of an episode, bounded: texts, finite numbers and truth values."""
    said: dict[str, str | float | bool] = {}
    for name, value in list(found.items())[:_SAYINGS_MAX]:
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, bool) or (isinstance(plain, int | float) and abs(plain) <= 2**53):
            said[name[:_SAID_MAX]] = plain if isinstance(plain, bool) else float(plain)
        elif isinstance(plain, str):
            said[name[:_SAID_MAX]] = printable(plain)
    return said


def printable(text: str, most: int = _SAID_MAX) -> str:
    """Return a text of a stranger on one line, without control characters, and not longer than `most`."""
    return re.sub(r"\s+", " ", "".join(one if one.isprintable() else " " for one in text)).strip()[:most]
