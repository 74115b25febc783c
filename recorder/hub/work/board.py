"""What a hub and its workers share: a board of jobs. One is in PostgreSQL; `tests` have another, in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from recorder.hub.work.named import Kind

TRIES_MAX: Final = 3
"""How often a job is begun. One that has made so many workers die is given up, and says so."""
LOST_AFTER_S: Final = 20.0
"""How long after its last beat a worker counts as lost, and another takes what it had. The same for all."""
BEATS: Final = 4
"""How often it beats in that time."""
KEPT_S: Final = 24 * 3600.0
SWEEP_EVERY_S: Final = 3600.0
LOOK_EVERY_S: Final = 5.0
"""How often is looked, whatever was heard."""


class BoardLostError(Exception):
    """The board does not answer at the moment."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as it is put there."""

    key: str
    kind: Kind
    call: str
    asked: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """A job in a worker's hands."""

    id: int
    """This turn at it."""
    job: Job
    tries: int
    """How often it was begun, with this time."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a job is."""

    key: str
    outcome: bytes | None
    begun: bool
    what: str
    done: int
    total: int


class Board(Protocol):
    """Every method raises BoardLostError if it does not answer, and may be called again then: nothing happens twice."""

    async def put(self, job: Job) -> None:
        """Put a job there, unless it is."""

    async def look(self, keys: Sequence[str]) -> list[Seen]:
        """Return how far these jobs are; one that is not there is missing."""

    async def drop(self, keys: Sequence[str]) -> None:
        """Remove jobs whose outcomes have been read."""

    async def busy(self, kind: Kind, lost_after_s: float) -> bool:
        """Whether a worker works at this kind."""

    async def take(self, kinds: Collection[Kind], lost_after_s: float) -> Taken | None:
        """Take a job that waits, or that a lost worker had; None if there is none."""

    async def beat(self, taken: Sequence[Taken]) -> None:
        """Say that these are still in hand."""

    async def tell(self, taken: Taken, what: str, done: int, total: int) -> None:
        """Say how far one is."""

    async def finish(self, taken: Taken, outcome: bytes) -> bool:
        """Keep an outcome; return False if somebody else has kept one meanwhile."""

    async def release(self, taken: Taken, after_s: float, *, counts: bool) -> None:
        """Let go of a job, which waits again; whether it counts as a try."""

    async def sweep(self) -> None:
        """Remove outcomes that nobody has read within `KEPT_S`, and what is noted of jobs that ended before that."""

    def heard(self, call: Callable[[str], None]) -> AbstractAsyncContextManager[None]:
        """Call this with the key of a job that has changed, or with nothing if any may have, until the block ends."""

    async def close(self) -> None:
        """Let go of what it holds."""
