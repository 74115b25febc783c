"""The hub's side of the board: an executor that puts what it is asked for there, and waits for what comes of it.

Whoever submits does not know where it is done. What cannot travel is done by an executor of this machine.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import structlog

from recorder.hub.work.board import LOOK_EVERY_S, LOST_AFTER_S, SWEEP_EVERY_S, Board, BoardLostError, Job, Seen
from recorder.hub.work.named import Named, Told, key_of
from teleop.clock import within

PATIENCE_S: Final = 600.0
"""How long a job waits if no worker at all takes jobs of its kind; whoever asked is told then, and may ask again."""
_log = structlog.get_logger()


class WorkersAwayError(BrokenExecutor):
    """No worker takes such jobs, or each that did was lost: it says nothing of the work."""


@dataclass(slots=True)
class _Waiting:
    """What is waited for."""

    named: Named
    job: Job
    since_s: float
    futures: list[tuple[Future[Any], Told]] = field(default_factory=list)
    put: bool = False


class Table:
    """Use it as `with table:`. Call its methods from any thread: it waits in one of its own."""

    def __init__(self, board: Callable[[], Board], calls: Mapping[str, Named], patience_s: float = PATIENCE_S) -> None:
        """`board` makes one for the thread that is to use it."""
        self._board, self._calls, self._patience_s = board, {one.call: one for one in calls.values()}, patience_s
        self._waiting: dict[str, _Waiting] = {}
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="work", daemon=True)
        self._ended = asyncio.Event()

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Let go: what was put there stays, is done, and is found again by the next hub that asks for the same."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def beside(self, here: Executor) -> Executor:
        """Return an executor that has done here what cannot travel."""
        return Posting(self, here)

    def named(self, call: Callable[..., Any]) -> Named | None:
        """Return the name of a call, if it has one."""
        return self._calls.get(call)

    def post(self, named: Named, asked: bytes, told: Told = lambda *_: None) -> Future[Any]:
        """Have it done by whoever takes it. The future raises what the call raises, or BrokenExecutor."""
        future: Future[Any] = Future()
        job = Job(key_of(named.name, asked), named.kind, named.name, asked)
        self._loop.call_soon_threadsafe(self._add, named, job, future, told)
        return future

    def _add(self, named: Named, job: Job, future: Future[Any], told: Told) -> None:
        waiting = self._waiting.setdefault(job.key, _Waiting(named, job, time.monotonic()))
        waiting.futures.append((future, told))
        self._news.set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            for waiting in self._waiting.values():
                _settle(waiting, lambda future: future.set_exception(BrokenExecutor("the hub is ending")))
            self._loop.close()

    async def _serve(self) -> None:
        ending = asyncio.create_task(self._ended.wait())
        going = asyncio.create_task(self._go())
        await asyncio.wait({ending, going}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ending, going):
            task.cancel()
        await asyncio.gather(ending, going, return_exceptions=True)

    async def _go(self) -> None:
        board = self._board()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(board.close)
            await stack.enter_async_context(board.heard(self._hear))
            swept_s = -SWEEP_EVERY_S
            while True:
                self._news.clear()
                try:
                    await self._turn(board)
                    if time.monotonic() - swept_s >= SWEEP_EVERY_S:
                        await board.sweep()
                        swept_s = time.monotonic()
                except BoardLostError as error:
                    _log.warning(
                        "the board of jobs does not answer; what is waited for goes on later", error=str(error)
                    )
                except Exception:  # noqa: BLE001  a supervisor: it is reported, and the next turn comes
                    _log.exception("the board of jobs was not read; it is tried again")
                await within(self._news, LOOK_EVERY_S)

    def _hear(self, key: str) -> None:
        if not key or key in self._waiting:
            self._news.set()

    async def _turn(self, board: Board) -> None:
        """Put what is new, and hand on what has come."""
        for key, waiting in list(self._waiting.items()):
            if all(future.cancelled() for future, _ in waiting.futures):
                del self._waiting[key]
            elif not waiting.put:
                await board.put(waiting.job)
                waiting.put = True
        found = {seen.key: seen for seen in await board.look(list(self._waiting))} if self._waiting else {}
        over = []
        for key, waiting in list(self._waiting.items()):
            seen = found.get(key)
            if seen is None:
                waiting.put = False  # another hub has read what came of it: it is asked for once more
            elif seen.outcome is not None:
                del self._waiting[key]
                over.append(key)
                _answer(waiting, seen.outcome)
            else:
                await self._wait_on(board, waiting, seen)
        if over:
            await board.drop(over)
        if any(not waiting.put for waiting in self._waiting.values()):
            self._news.set()

    async def _wait_on(self, board: Board, waiting: _Waiting, seen: Seen) -> None:
        if seen.begun:
            waiting.since_s = time.monotonic()
            for _, told in waiting.futures:
                if seen.what:
                    told(seen.what, seen.done, seen.total)
        elif time.monotonic() - waiting.since_s > self._patience_s:
            if await board.busy(waiting.job.kind, LOST_AFTER_S):
                waiting.since_s = time.monotonic()
                return
            del self._waiting[waiting.job.key]
            said = f"no worker takes jobs of the kind {waiting.job.kind}: start one with `armshare worker`"
            _settle(waiting, lambda future: future.set_exception(WorkersAwayError(said)))


class Posting(Executor):
    """Puts what has a name on the table, and has the rest done here."""

    def __init__(self, table: Table, here: Executor) -> None:
        """Whoever made `here` closes it."""
        self._table, self._here = table, here

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Have it done."""
        found = self._table.named(call)
        asked = None if found is None else found.encoded(*arguments, **named)
        if found is None or asked is None:
            return self._here.submit(call, *arguments, **named)
        return self._table.post(found, asked)


def _answer(waiting: _Waiting, outcome: bytes) -> None:
    try:
        result = waiting.named.result(outcome)
    except Exception as error:  # noqa: BLE001  it is raised again, by whoever asked
        raised = error
        _settle(waiting, lambda future: future.set_exception(raised))
    else:
        _settle(waiting, lambda future: future.set_result(result))


def _settle(waiting: _Waiting, settle: Callable[[Future[Any]], None]) -> None:
    for future, _ in waiting.futures:
        if future.set_running_or_notify_cancel():
            settle(future)
