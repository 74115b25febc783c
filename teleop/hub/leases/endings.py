"""The ends of leases, and what was heard of their episodes, on their way to the database: in order, each tried again
until it is written.

A lease is over for everyone at the moment it ends; only its row waits here. What a hub could
not write before it stopped, it writes when it starts again (`Registry.close_left_open`). So if a lease's end is in the
table, and not as `hub_lost`, so is everything that the hub heard before that end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from teleop.hub.leases.hearing import Heard

_log = structlog.get_logger()
PAUSES_S: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
"""The pauses between tries; the last one repeats."""
CLOSING_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Ending:
    """A lease that is over: why, and since when."""

    lease: str
    reason: str
    ended_ms: int


class Endings:
    """What is still to be written. All methods belong to one event loop."""

    def __init__(
        self,
        write: Callable[[Ending | Heard], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`write` may be called again with something that it wrote already."""
        self._write, self._pause = write, pause
        self._waiting: deque[Ending | Heard] = deque()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many are not written yet."""
        return len(self._waiting)

    def put(self, note: Ending | Heard) -> None:
        """Write an ending, or what was heard, after those that wait."""
        self._waiting.append(note)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write_all(), name="endings")

    async def close(self) -> None:
        """Write what waits now, with a few tries; what is left then is logged, and found at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write_all(CLOSING_TRIES)
        for note in self._waiting:
            _log.error("a lease's end is not written; the hub's next start closes it", **_names(note))

    async def _write_all(self, tries: int | None = None) -> None:
        failures = 0
        while self._waiting:
            note = self._waiting[0]
            try:
                await self._write(note)
            except Exception as error:  # noqa: BLE001  whatever a database raises is reported and retried
                failures += 1
                _log.warning("a lease's end is not written yet", **_names(note), tries=failures, error=str(error))
                if failures == tries:
                    return
                await self._pause(PAUSES_S[min(failures, len(PAUSES_S)) - 1])
            else:
                self._waiting.popleft()
                failures = 0


def _names(note: Ending | Heard) -> dict[str, str]:
    return {"lease": note.lease} if isinstance(note, Ending) else {"episode": note.episode}
