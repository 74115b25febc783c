"""A hub's work in a table of PostgreSQL: the hub's own hands put it there, and any worker's take it."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog

from armshare.failures import PlatformError
from armshare.platform.hands import Hands, opened_hands
from armshare.platform.waiting import waiting
from armshare.platform.workers import prepare_all, prepare_scoring
from armshare.settings import Settings
from recorder.hub.store import StoreLostError
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.work.board import LOST_AFTER_S, Job
from recorder.hub.work.kinds import CALLS as OF_RECORDER
from recorder.hub.work.named import Files, Kind, Named, Told, performed
from recorder.hub.work.postgres import PostgresBoard
from recorder.hub.work.table import Table
from recorder.hub.work.taking import AGAIN_S, ProcessLostError, Taker
from recorder.pictures.painters import DrawingLostError
from rewards.hub.apart import Apart, WorkLostError
from rewards.hub.exports.travelling import EXPORT, FOLDER, Sent
from rewards.hub.kinds import CALLS as OF_REWARDS

_log = structlog.get_logger()
CALLS: Final[Mapping[str, Named]] = {one.name: one for one in (*OF_RECORDER, *OF_REWARDS, EXPORT)}
WAITING: Final = 32
"""How many of its own searches a hub waits for at once, if others do the work."""


def on_table(hands: Hands, url: str, files: Files, own: int) -> Hands:
    """Return hands that share their work with every worker of a database, and do `own` jobs at a time themselves."""
    table = Table(partial(PostgresBoard, url), CALLS)

    @contextmanager
    def working() -> Iterator[None]:
        with table, _taking(hands, url, files, own) if own else nullcontext():
            yield

    return Hands(
        long=table.beside(hands.long),
        here=hands.here,
        short=hands.short,
        drawing=table.beside(hands.drawing),
        count=WAITING,
        runner=lambda: Sent(table, files.objects),
        working=working,
    )


@contextmanager
def _taking(hands: Hands, url: str, files: Files, own: int) -> Iterator[None]:
    """Take jobs in a thread until the block ends."""
    loop = asyncio.new_event_loop()
    taking: asyncio.Task[None] = loop.create_task(take(hands, url, files, tuple(Kind), own))

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(asyncio.wait({taking}))
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="taking work")
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(taking.cancel)
        thread.join()


def work(settings: Settings, kinds: Sequence[str], count: int, lost_after_s: float = 0.0) -> None:
    """Be a worker until interrupted; raise PlatformError if the hub's database or its bucket cannot be used."""
    waiting(settings)  # to say it at once
    objects = Objects.at(settings.store)
    try:
        objects.require()
    except StoreLostError as error:
        raise PlatformError(f"{settings.store} cannot be used: {error}. Check its name, and AWS_...") from error
    cache = Cache(settings.store_cache.absolute(), settings.store_cache_bytes)
    shutil.rmtree(cache.folder.with_name(FOLDER), ignore_errors=True)  # of a worker that was killed
    wanted = [Kind(kind) for kind in kinds]
    long = {Kind.VERIFY, Kind.SCORE} & set(wanted)
    prepare = prepare_all if Kind.VERIFY in long else prepare_scoring  # which simulates nothing
    with opened_hands(count if long else 0, count, prepare) as hands:
        files = Files(objects, cache)
        asyncio.run(take(hands, settings.database, files, wanted, count, lost_after_s or LOST_AFTER_S))


async def take(
    hands: Hands, url: str, files: Files, kinds: Collection[Kind], count: int, lost_after_s: float = LOST_AFTER_S
) -> None:
    """Take jobs of these kinds, so many at a time, until cancelled."""
    with ThreadPoolExecutor(count, "exports") as exports:
        while True:
            try:
                await Taker(PostgresBoard(url), Doing(hands, files, exports), kinds, count, lost_after_s).run()
            except Exception:  # noqa: BLE001  the supervisor: whatever it was, the next try may pass
                _log.exception("jobs were not taken; that is tried again")
                await asyncio.sleep(AGAIN_S)


@dataclass(frozen=True, slots=True)
class Doing:
    """Does a job by this machine's processes."""

    hands: Hands
    files: Files
    exports: Executor

    async def __call__(self, job: Job, told: Told) -> bytes:
        """Return its outcome; raise ProcessLostError if its process ended in the middle."""
        loop = asyncio.get_running_loop()
        work = Perform(job.call, job.asked, self.files)
        try:
            if job.kind is not Kind.EXPORT:
                executor = self.hands.drawing if job.kind is Kind.RENDER else self.hands.here
                return await loop.run_in_executor(executor, work)
            process = Apart()
            try:
                made = await loop.run_in_executor(self.exports, process.run, work.telling, told)
            finally:
                process.stop()
            return bytes(made["outcome"])
        except (BrokenExecutor, DrawingLostError, WorkLostError) as error:
            raise ProcessLostError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Perform:
    """A job, for a process to do."""

    call: str
    asked: bytes
    files: Files

    def __call__(self) -> bytes:
        """Return its outcome."""
        return performed(CALLS, self.call, self.asked, self.files, lambda *_: None)

    def telling(self, told: Told) -> Mapping[str, Any]:
        """Return its outcome, and say how far it is meanwhile."""
        return {"outcome": performed(CALLS, self.call, self.asked, self.files, told)}
