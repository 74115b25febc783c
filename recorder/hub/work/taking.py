"""The worker's side of the board: takes as many jobs as it has hands, beats for them, and says what came of each.

It goes on by itself after the board was away. A job whose process is lost waits for somebody else, and is given up
after `TRIES_MAX`; what a hub is told then is that, and nothing of the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from recorder.hub.work.board import BEATS, LOOK_EVERY_S, LOST_AFTER_S, TRIES_MAX, Board, BoardLostError, Job, Taken
from recorder.hub.work.named import GivenUpError, Kind, Told, UnknownCallError, WorkFaultError, raised
from teleop.clock import within

AGAIN_S: Final = 1.0
"""How long after the board was away it is asked again."""
TELL_EVERY_S: Final = 0.5
_T = TypeVar("_T")
_log = structlog.get_logger()

Doing = Callable[[Job, Told], Awaitable[bytes]]
"""Does a job on this machine and returns its outcome; raises ProcessLostError if the process that did it was lost."""


class ProcessLostError(Exception):
    """The process that did a job ended in the middle."""


class Taker:
    """One worker's, for one event loop."""

    def __init__(
        self,
        board: Board,
        do: Doing,
        kinds: Collection[Kind],
        count: int,
        lost_after_s: float = LOST_AFTER_S,
    ) -> None:
        self._board, self._do, self._kinds, self._lost_after_s = board, do, frozenset(kinds), lost_after_s
        self._hands = asyncio.Semaphore(count)
        self._held: dict[str, Taken] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    @property
    def held(self) -> int:
        """How many jobs it has in hand."""
        return len(self._held)

    async def run(self) -> None:
        """Take what there is, until cancelled; then let go of what is in hand, which others do."""
        async with self._board.heard(self._hear):
            beating = asyncio.create_task(self._beat())
            try:
                await self._take_on()
            finally:
                beating.cancel()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(beating, *self._tasks, return_exceptions=True)
                await self._let_go()
                await self._board.close()

    def _hear(self, key: str) -> None:
        if not key:
            self._news.set()

    async def _take_on(self) -> None:
        while True:
            await self._hands.acquire()
            taken = await self._next()
            self._held[taken.job.key] = taken
            task = asyncio.create_task(self._work(taken), name=f"{taken.job.kind} {taken.job.key[:8]}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _next(self) -> Taken:
        """Wait for a job, however long the board is away."""
        while True:
            self._news.clear()
            taken = await self._persist(partial(self._board.take, self._kinds, self._lost_after_s))
            if taken is None:
                await within(self._news, min(LOOK_EVERY_S, self._lost_after_s))
            elif taken.job.key not in self._held:  # else the board was away for longer than a beat, and gave it to us
                return taken

    async def _work(self, taken: Taken) -> None:
        try:
            await self._over(taken, await self._outcome(taken))
        except Exception:  # noqa: BLE001  a supervisor: it beats for it no more, so another takes it
            _log.exception("what came of a job was not kept", call=taken.job.call, key=taken.job.key)
            self._held.pop(taken.job.key, None)
        finally:
            self._hands.release()

    async def _outcome(self, taken: Taken) -> bytes | None:
        """Do it; None if it is to wait for another try."""
        job = taken.job
        if taken.tries > TRIES_MAX:
            return _given_up(job)
        try:
            return await self._do(job, self._telling(taken))
        except UnknownCallError as error:
            _log.error("a job was not understood", kind=job.kind, call=job.call, error=str(error))
            return raised(WorkFaultError(str(error)))
        except ProcessLostError as error:
            _log.warning("the process of a job was lost", call=job.call, tries=taken.tries, error=str(error))
            return _given_up(job) if taken.tries >= TRIES_MAX else None
        except Exception as error:  # noqa: BLE001  a supervisor: it is reported here, and to the hub
            _log.exception("a job broke", kind=job.kind, call=job.call)
            return raised(WorkFaultError(f"{type(error).__name__}: {error}"))

    async def _over(self, taken: Taken, outcome: bytes | None) -> None:
        if outcome is None:
            await self._persist(partial(self._board.release, taken, AGAIN_S, counts=True))
        elif not await self._persist(partial(self._board.finish, taken, outcome)):
            _log.warning("a job was done by another worker meanwhile", call=taken.job.call, key=taken.job.key)
        self._held.pop(taken.job.key, None)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._lost_after_s / BEATS)
            try:
                if self._held:
                    await self._board.beat(list(self._held.values()))
            except BoardLostError:
                continue  # whoever finishes a job waits for the board

    async def _let_go(self) -> None:
        for taken in list(self._held.values()):
            try:
                await self._board.release(taken, 0.0, counts=False)
            except BoardLostError:
                return  # it is lost, then, after a while

    async def _persist(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        away = False
        while True:
            try:
                found = await ask()
            except BoardLostError as error:
                if not away:
                    _log.warning("the board of jobs does not answer; it is asked again", error=str(error))
                away = True
                await asyncio.sleep(AGAIN_S)
            else:
                if away:
                    _log.info("the board of jobs answers again")
                return found

    def _telling(self, taken: Taken) -> Told:
        """Return what a thread calls to say how far a job is."""
        loop = asyncio.get_running_loop()
        last_s, last = 0.0, ""

        def told(what: str, done: int, total: int) -> None:
            nonlocal last_s, last
            if what == last and loop.time() - last_s < TELL_EVERY_S:
                return
            last_s, last = loop.time(), what
            asyncio.run_coroutine_threadsafe(self._tell(taken, what, done, total), loop)

        return told

    async def _tell(self, *said: Any) -> None:
        try:
            await self._board.tell(*said)
        except BoardLostError:
            return  # it is said again


def _given_up(job: Job) -> bytes:
    said = f"{TRIES_MAX} workers began it, and each was lost before it was done"
    _log.error("a job is given up", kind=job.kind, call=job.call, key=job.key, reason=said)
    return raised(GivenUpError(said))
