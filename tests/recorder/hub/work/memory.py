"""A board in memory: what a hub and its workers share in one test."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from recorder.hub.work.board import BoardLostError, Job, Seen, Taken
from recorder.hub.work.named import PRIORITY, Kind


@dataclass
class Row:
    """A job, and whose it is."""

    job: Job
    outcome: bytes | None = None
    tries: int = 0
    told: tuple[str, int, int] = ("", 0, 0)
    id: int = 0
    of: object = None
    beat_s: float = 0.0
    after_s: float = 0.0


@dataclass
class Shared:
    """What the boards of one test have in common."""

    rows: dict[str, Row] = field(default_factory=dict)
    ears: list[Callable[[str], None]] = field(default_factory=list)
    ids: itertools.count[int] = field(default_factory=itertools.count)
    away: bool = False

    def say(self, key: str) -> None:
        for ear in list(self.ears):
            ear(key)


class MemoryBoard:
    """For one event loop; those of one `Shared` may have several."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    @property
    def _rows(self) -> dict[str, Row]:
        if self._shared.away:
            raise BoardLostError("it is away")
        return self._shared.rows

    async def put(self, job: Job) -> None:
        self._rows.setdefault(job.key, Row(job))
        self._shared.say("")

    async def look(self, keys: Sequence[str]) -> list[Seen]:
        rows = [self._rows[key] for key in keys if key in self._rows]
        return [Seen(row.job.key, row.outcome, row.of is not None, *row.told) for row in rows]

    async def drop(self, keys: Sequence[str]) -> None:
        for key in keys:
            if key in self._rows and self._rows[key].outcome is not None:
                del self._rows[key]

    async def busy(self, kind: Kind, lost_after_s: float) -> bool:
        return any(row.of is not None and row.outcome is None and row.job.kind is kind for row in self._rows.values())

    async def take(self, kinds: Collection[Kind], lost_after_s: float) -> Taken | None:
        now_s = time.monotonic()
        free = [
            row
            for row in self._rows.values()
            if row.outcome is None and row.job.kind in kinds and row.after_s <= now_s
            if row.of is None or row.beat_s < now_s - lost_after_s
        ]
        if not free:
            return None
        row = min(free, key=lambda one: -PRIORITY[one.job.kind])
        row.id, row.of, row.beat_s, row.tries = next(self._shared.ids), self, now_s, row.tries + 1
        return Taken(row.id, row.job, row.tries)

    async def beat(self, taken: Sequence[Taken]) -> None:
        for one in taken:
            if self._rows[one.job.key].of is self:
                self._rows[one.job.key].beat_s = time.monotonic()

    async def tell(self, taken: Taken, what: str, done: int, total: int) -> None:
        self._rows[taken.job.key].told = what, done, total
        self._shared.say(taken.job.key)

    async def finish(self, taken: Taken, outcome: bytes) -> bool:
        row = self._rows.get(taken.job.key)
        if row is None or row.outcome is not None:
            return False
        row.outcome = outcome
        self._shared.say(taken.job.key)
        return True

    async def release(self, taken: Taken, after_s: float, *, counts: bool) -> None:
        row = self._rows.get(taken.job.key)
        if row is not None and row.of is self:
            row.of, row.after_s, row.tries = None, time.monotonic() + after_s, row.tries - (not counts)
            self._shared.say("")

    async def sweep(self) -> None:
        """Nothing here is kept for long."""

    @asynccontextmanager
    async def heard(self, call: Callable[[str], None]) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def ear(key: str) -> None:
            loop.call_soon_threadsafe(call, key)

        self._shared.ears.append(ear)
        try:
            yield
        finally:
            self._shared.ears.remove(ear)

    async def close(self) -> None:
        """It holds nothing."""
