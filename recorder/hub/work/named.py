"""Calls that have a name, so that a worker on another machine can make them: what travels is values, never code.

Each part of a hub calls its function by any executor. One that keeps its work in a table looks the function up here,
and writes the name and the arguments, which name files by what they hold. A worker looks the name up again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from recorder.hub.store.bucket import FileInBucket
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.store.store import StoredFile

Told = Callable[[str, int, int], None]
"""Is told what is being done, and of how many it is done."""


class Kind(StrEnum):
    """What kinds of work there are; a worker may do some of them only."""

    VERIFY = "verify"
    RENDER = "render"
    SCORE = "score"
    EXPORT = "export"


PRIORITY: Final = {Kind.VERIFY: 3, Kind.RENDER: 2, Kind.SCORE: 1, Kind.EXPORT: 0}
"""Whoever drives waits for the first, whoever looks for the second."""


class UnknownCallError(LookupError):
    """This worker knows no such call: it is of another version than the hub."""


class GivenUpError(BrokenExecutor):
    """Every worker that began it was lost before it was done, so it is not begun again by itself."""


class WorkFaultError(Exception):
    """Something broke that says nothing of the work; the worker has logged it."""


class NamedFile(msgspec.Struct, frozen=True):
    """A file, by what it holds and where it is in the bucket."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Files:
    """How a worker reads what is named, and where it puts what it makes."""

    objects: Objects
    cache: Cache

    def file(self, named: NamedFile) -> StoredFile:
        """Return a file of the bucket."""
        return FileInBucket(self.objects, self.cache, named.key, named.size, named.sha256)


def file_named(file: StoredFile) -> NamedFile | None:
    """Return how a worker elsewhere finds a file; None if it is on this machine only."""
    if isinstance(file, FileInBucket):
        return NamedFile(file.key, file.size, file.sha256)
    return None


@dataclass(frozen=True, slots=True)
class Named:
    """A call that any worker can make."""

    name: str
    kind: Kind
    call: Callable[..., Any]
    """What a hub calls."""
    say: Callable[..., Any | None]
    """Takes the same arguments, and returns them as a value of `asked`; None if they are of this machine only."""
    asked: Any
    do: Callable[[Any, Files, Told], Any]
    """Does in a worker what `call` does."""
    gives: Any
    raises: tuple[type[Exception], ...]
    """What it may raise, with all that is derived from these; anything else is a WorkFaultError."""
    heard: Callable[[Any], Any] = lambda made: made
    """Makes of what it gives what `call` returns."""

    def encoded(self, *arguments: Any, **named: Any) -> bytes | None:
        """Return the arguments of a call as bytes; None if they cannot travel."""
        try:
            asked = self.say(*arguments, **named)
            return None if asked is None else _ENCODER.encode(asked)
        except (TypeError, OverflowError):  # such as an integer of more than 64 bits in what a stranger described
            return None

    def result(self, outcome: bytes) -> Any:
        """Return what a worker made, or raise what it raised."""
        found = _OUTCOME.decode(outcome)
        if isinstance(found, Made):
            return self.heard(msgspec.msgpack.decode(found.data, type=self.gives))
        raise _error(found, (*self.raises, GivenUpError, WorkFaultError))


class Made(msgspec.Struct, frozen=True, tag="made"):
    """What came of it."""

    data: bytes


class Raised(msgspec.Struct, frozen=True, tag="raised"):
    """What it raised instead: the error's name, its arguments, and what else it says."""

    error: str
    arguments: list[str | int | float | None]
    said: dict[str, str | int | float | None]


_ENCODER: Final = msgspec.msgpack.Encoder()
_OUTCOME: Final = msgspec.msgpack.Decoder(Made | Raised)
_PLAIN: Final = (str, int, float, type(None))


def key_of(name: str, asked: bytes) -> str:
    """Return the key of a job: the same call with the same arguments is the same job."""
    return hashlib.sha256(name.encode() + b"\0" + asked).hexdigest()


def performed(calls: Mapping[str, Named], name: str, asked: bytes, files: Files, told: Told) -> bytes:
    """Do in a worker what is asked, and return the outcome; raise only what says nothing of the work.

    Raises UnknownCallError if this worker knows no such call, or not with such arguments.
    """
    named = calls.get(name)
    if named is None:
        raise UnknownCallError(f"this worker knows no call {name[:80]!r}: it must be of the hub's own version")
    try:
        arguments = msgspec.msgpack.decode(asked, type=named.asked)
    except msgspec.DecodeError as error:
        raise UnknownCallError(f"this worker takes other arguments of {name} ({error}): it must be updated") from error
    try:
        made = named.do(arguments, files, told)
    except named.raises as error:
        return raised(error)
    return _ENCODER.encode(Made(_ENCODER.encode(made)))


def raised(error: Exception) -> bytes:
    """Return the outcome of a call that raised this."""
    plain = {name: value for name, value in vars(error).items() if isinstance(value, _PLAIN)}
    arguments = [one if isinstance(one, _PLAIN) else str(one) for one in error.args]
    return _ENCODER.encode(Raised(type(error).__name__, arguments, plain))


def _error(found: Raised, known: tuple[type[Exception], ...]) -> Exception:
    kind = next((one for top in known for one in _derived(top) if one.__name__ == found.error), None)
    if kind is None:
        return WorkFaultError(f"{found.error}: {', '.join(map(str, found.arguments))}")
    error: Exception = kind.__new__(kind, *found.arguments)
    if isinstance(error, OSError):
        OSError.__init__(error, *found.arguments)  # its own may take what the arguments were made of
    error.args = tuple(found.arguments)
    vars(error).update(found.said)
    return error


def _derived(top: type[Exception]) -> list[type[Exception]]:
    return [top, *(one for below in top.__subclasses__() for one in _derived(below))]
