"""Workers in threads of a test's process, which share a board in memory with a hub."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from recorder.hub.work.board import Job
from recorder.hub.work.named import Files, Kind, Named, Told, performed
from recorder.hub.work.table import Table
from recorder.hub.work.taking import Taker
from tests.recorder.hub.work.memory import MemoryBoard, Shared

Do = Callable[[Job, Told], Awaitable[bytes]]
LOST_AFTER_S: Final = 0.4


class Doubled(msgspec.Struct, frozen=True):
    """A number to double."""

    number: int


class OddError(ValueError):
    """What a call of these tests raises."""


def double(number: int) -> int:
    """Double a number here; these tests never have it called."""
    raise AssertionError(f"{number} was to be doubled by a worker")


def _double(asked: Doubled, _files: Files, _told: Told) -> int:
    if asked.number == 13:
        raise OddError("thirteen")
    return 2 * asked.number


DOUBLE: Final = Named(
    name="double",
    kind=Kind.SCORE,
    call=double,
    say=lambda number: Doubled(number) if number >= 0 else None,
    asked=Doubled,
    do=_double,
    gives=int,
    raises=(OddError,),
)
CALLS: Final = {"double": DOUBLE}
NO_FILES: Final[Any] = None


async def at_once(job: Job, told: Told) -> bytes:
    """Do a job in this thread."""
    return performed(CALLS, job.call, job.asked, NO_FILES, told)


class Crew:
    """One worker, in a thread of its own."""

    def __init__(self, shared: Shared, do: Do = at_once, kinds: tuple[Kind, ...] = tuple(Kind), count: int = 1) -> None:
        self.begun: list[Job] = []
        self._loop = asyncio.new_event_loop()

        async def noting(job: Job, told: Told) -> bytes:
            self.begun.append(job)
            return await do(job, told)

        self._taker = Taker(MemoryBoard(shared), noting, kinds, count, LOST_AFTER_S)
        self._task: asyncio.Task[None] = self._loop.create_task(self._taker.run())
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(asyncio.wait({self._task}),))

    def start(self) -> None:
        """Take jobs from now on."""
        self._thread.start()

    def end(self) -> None:
        """End as Ctrl-C ends a worker."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join()
            self._loop.close()

    def freeze(self) -> Callable[[], None]:
        """Stand still, as a machine does that has lost its network; return what lets it go on."""
        go_on = threading.Event()
        self._loop.call_soon_threadsafe(go_on.wait)
        return go_on.set


@contextmanager
def crew(shared: Shared, do: Do = at_once, **options: Any) -> Iterator[Crew]:
    """Have a worker until the block ends."""
    made = Crew(shared, do, **options)
    made.start()
    try:
        yield made
    finally:
        made.end()


def table(shared: Shared, **options: Any) -> Table:
    """Return a hub's side of the board."""
    return Table(lambda: MemoryBoard(shared), CALLS, **options)
