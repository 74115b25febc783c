"""What a hub does beside everything else, for whoever asks: a line of jobs in a table, each in a process of its own.

The same request is the same job. Jobs that wait and those that were running when a hub ended begin again when it
starts; one whose process dies is tried again, and not for ever. Nothing that a job makes counts before its row says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from threading import Lock
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast

import structlog
from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from recorder.file.meta import canonical
from rewards.hub.apart import Apart, Runner, Work, WorkBrokenError, WorkError, WorkLostError
from rewards.ledger import ledger
from rewards.tables import JobRow
from teleop.clock import now_ms, within
from teleop.hub.db import Database

AT_ONCE: Final = 1
TRIES_MAX: Final = 5
"""How often a job is begun; one that takes its hub down with it is not begun for ever."""
LINE_MAX: Final = 100
"""How many jobs may wait, of all wallets: anyone can make another wallet."""
OPEN_MAX: Final = 3
DAY_MAX: Final = 30
"""How many jobs a wallet may have open, and ask for within a day."""
DAY_MS: Final = 24 * 3_600_000
LOOK_EVERY_S: Final = 30.0
_TOLD_EVERY_S: Final = 0.5
_FAULT: Final = "the hub could not do it, and has logged why; ask again later"
_log = structlog.get_logger()


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


_OPEN: Final = (JobState.QUEUED, JobState.RUNNING)


class UnknownJobError(LookupError):
    """There is no such job."""


class TooManyJobsError(Exception):
    """A wallet has asked for as much as it may."""


class JobsFullError(Exception):
    """As many jobs wait as may."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for."""

    kind: str
    request: Mapping[str, Any]
    """What JSON holds."""
    total: int
    """How many episodes it is about."""
    key: Mapping[str, Any] = field(default_factory=dict)
    """What makes it the same job as another; by default, the whole request."""

    @property
    def id(self) -> str:
        """The job's id."""
        return hashlib.sha256(canonical({"kind": self.kind, "of": dict(self.key or self.request)})).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as anyone may see it."""

    id: str
    kind: str
    request: Mapping[str, Any]
    state: JobState
    what: str
    done: int
    total: int
    error: str | None
    result: Mapping[str, Any] | None
    created_ms: int
    ended_ms: int | None


class Kind(Protocol):
    """What one kind of job is. Every method may block."""

    def work(self, job: str, request: Mapping[str, Any]) -> Work:
        """Return what is to be done; raise WorkError if it cannot be."""

    def keep(self, db: Session, row: JobRow, result: Mapping[str, Any]) -> None:
        """Note what it made, in the transaction that notes that it is done."""

    def stands(self, row: JobRow) -> bool:
        """Whether what it made is still there."""


class Jobs:
    """Use it as `async with jobs:`; it works until the block ends. Its other methods may be called before."""

    def __init__(
        self,
        database: Database,
        kinds: Mapping[str, Kind],
        *,
        at_once: int = AT_ONCE,
        clock_ms: Callable[[], int] = now_ms,
        runner: Callable[[], Runner] = Apart,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """`runner` makes what does one job: a process of this machine, or a worker somewhere.

        `mine`: whether it is this one of several hubs that does the jobs.
        """
        self._mine = mine
        self._database, self._kinds, self._at_once, self._clock_ms = database, dict(kinds), at_once, clock_ms
        self._runner = runner
        self._asked = asyncio.Event()
        self._threads = ThreadPoolExecutor(at_once, "jobs")
        self._running: set[Runner] = set()
        self._taking = Lock()
        self._taken: set[str] = set()
        """Jobs that this hub does, from before the table says so."""
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Begin what was not ended."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._serve(), name=f"jobs {number}") for number in range(self._at_once)]
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop; what is running begins again at the next start."""
        for task in self._tasks:
            task.cancel()
        for process in tuple(self._running):
            process.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loop = None
        await asyncio.to_thread(self._threads.shutdown)

    def ask(self, asked: Asked, wallet: str) -> Job:
        """Put a job in the line, unless it is there, or done; return it. Blocks.

        One that failed, or whose result is no longer there, begins again. Raises TooManyJobsError or JobsFullError.
        """
        job = ledger.write(self._database, partial(self._put, asked=asked, wallet=wallet))
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked.set)
        return job

    def get(self, job: str) -> Job:
        """Return a job; raise UnknownJobError. Blocks."""
        with self._database() as db:
            row = db.get(JobRow, job)
        if row is None:
            raise UnknownJobError(f"there is no job {job[:80]!r}: ask for it again")
        return _view(row)

    async def ended(self, job: str, wait_s: float) -> Job:
        """Return a job once it has ended, or as it is after the wait; raise UnknownJobError."""
        over = asyncio.Event()
        self._waiting[job].add(over)
        try:
            found = await asyncio.to_thread(self.get, job)
            if found.state not in _OPEN or wait_s <= 0:
                return found
            async with asyncio.timeout(wait_s):
                await over.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting[job].discard(over)
            if not self._waiting[job]:
                del self._waiting[job]
        return await asyncio.to_thread(self.get, job)

    def _put(self, db: Session, *, asked: Asked, wallet: str) -> Job:
        row = db.get(JobRow, asked.id)
        if row is not None and (row.state in _OPEN or (row.state == JobState.DONE and self._kind(row).stands(row))):
            return _view(row)
        self._require_room(db, wallet)
        row = row or JobRow(id=asked.id, kind=asked.kind)
        row.request, row.wallet, row.state = dict(asked.request), wallet, JobState.QUEUED
        row.what, row.done, row.total, row.tries = "", 0, asked.total, 0
        row.error = row.result = row.bytes = row.ended_ms = row.used_ms = None
        row.created_ms = self._clock_ms()
        db.add(row)
        db.flush()
        return _view(row)

    def _require_room(self, db: Session, wallet: str) -> None:
        mine = select(func.count()).select_from(JobRow).where(JobRow.wallet == wallet)
        if (db.scalar(mine.where(JobRow.state.in_(_OPEN))) or 0) >= OPEN_MAX:
            raise TooManyJobsError(f"this wallet has {OPEN_MAX} jobs open already: wait until one has ended")
        if (db.scalar(mine.where(JobRow.created_ms > self._clock_ms() - DAY_MS)) or 0) >= DAY_MAX:
            raise TooManyJobsError(f"this wallet has asked for {DAY_MAX} jobs within a day: ask again tomorrow")
        waiting = select(func.count()).select_from(JobRow).where(JobRow.state == JobState.QUEUED)
        if (db.scalar(waiting) or 0) >= LINE_MAX:
            raise JobsFullError(f"{LINE_MAX} jobs wait at this hub already: ask again later")

    async def _serve(self) -> None:
        """Do what is in the line, one after the other, for ever."""
        while True:
            self._asked.clear()
            try:
                if self._mine():
                    await asyncio.to_thread(self._begin_again)
                while self._mine() and (claimed := await asyncio.to_thread(self._claim)) is not None:
                    await self._do(*claimed)
            except Exception:  # noqa: BLE001  the supervisor: the database may come back
                _log.exception("the line of jobs failed; it goes on later")
            await within(self._asked, LOOK_EVERY_S)

    async def _do(self, job: str, kind: str, request: Mapping[str, Any]) -> None:
        process = self._runner()
        self._running.add(process)
        try:
            run = partial(self._run, process, job, self._kinds[kind], request)
            await asyncio.get_running_loop().run_in_executor(self._threads, run)
        finally:
            self._running.discard(process)
            self._taken.discard(job)

    def _run(self, process: Runner, job: str, kind: Kind, request: Mapping[str, Any]) -> None:
        """Do a job, and note how it ended."""
        try:
            result = process.run(kind.work(job, request), partial(self._told, job, [0.0, ""]))
        except WorkError as error:
            self._fail(job, str(error))
        except WorkLostError:
            if self._loop is not None:  # else the hub is ending, and it begins again
                self._lost(job)
        except WorkBrokenError as error:
            _log.error("a job failed by a fault of ours", job=job, error=str(error))
            self._fail(job, _FAULT)
        else:
            ledger.write(self._database, partial(self._keep, job=job, kind=kind, result=result))
            self._tell(job)
            _log.info("a job is done", job=job)

    def _told(self, job: str, last: list[Any], what: str, done: int, total: int) -> None:
        """Note how far a job is, now and then."""
        if what == last[1] and time.monotonic() - last[0] < _TOLD_EVERY_S:
            return
        last[:] = time.monotonic(), what
        try:
            with self._database() as db, db.begin():
                db.execute(update(JobRow).where(JobRow.id == job).values(what=what, done=done, total=total))
        except DBAPIError as error:
            _log.warning("how far a job is was not noted; it goes on", job=job, error=str(error))

    def _keep(self, db: Session, *, job: str, kind: Kind, result: Mapping[str, Any]) -> None:
        row = db.get_one(JobRow, job)
        kind.keep(db, row, result)
        row.state, row.result, row.done, row.ended_ms = JobState.DONE, dict(result), row.total, self._clock_ms()

    def _fail(self, job: str, error: str) -> None:
        with self._database() as db, db.begin():
            ended = {"state": JobState.FAILED, "error": error, "ended_ms": self._clock_ms()}
            db.execute(update(JobRow).where(JobRow.id == job).values(**ended))
        self._tell(job)
        _log.info("a job failed", job=job, error=error)

    def _tell(self, job: str) -> None:
        """Wake whoever waits for the end of a job, from any thread."""

        def wake() -> None:
            for waiter in self._waiting.get(job, ()):
                waiter.set()

        if self._loop is not None:
            self._loop.call_soon_threadsafe(wake)

    def _lost(self, job: str) -> None:
        with self._database() as db, db.begin():
            row = db.get_one(JobRow, job)
            tries = row.tries
            row.state = JobState.QUEUED
        _log.warning("a job's process ended in the middle", job=job, tries=tries)

    def _claim(self) -> tuple[str, str, Mapping[str, Any]] | None:
        """Take the oldest job that waits; None if there is none."""
        while True:
            with self._database() as db, db.begin():
                waiting = select(JobRow).where(JobRow.state == JobState.QUEUED)
                row = db.scalar(waiting.order_by(JobRow.created_ms, JobRow.id).limit(1))
                if row is None:
                    return None
                found = row.id, row.kind, row.request, row.tries
            if found[3] >= TRIES_MAX:
                self._fail(found[0], f"it was begun {TRIES_MAX} times, and its process ended in the middle each time")
            elif self._took(found[0]):
                return found[:3]

    def _took(self, job: str) -> bool:
        """Note that a job is being done; False if somebody else does it."""
        here = JobRow.id == job, JobRow.state == JobState.QUEUED
        try:
            with self._taking, self._database() as db, db.begin():
                self._taken.add(job)
                begun = update(JobRow).where(*here).values(state=JobState.RUNNING, tries=JobRow.tries + 1)
                took = cast("CursorResult[Any]", db.execute(begun)).rowcount == 1
        except DBAPIError:
            self._taken.discard(job)
            raise
        if not took:
            self._taken.discard(job)
        return took

    def _begin_again(self) -> None:
        """Put what nobody is doing back in the line: a hub ended in the middle, or could not note how it ended."""
        with self._taking, self._database() as db, db.begin():
            left = JobRow.state == JobState.RUNNING, JobRow.id.not_in(list(self._taken))
            db.execute(update(JobRow).where(*left).values(state=JobState.QUEUED))

    def _kind(self, row: JobRow) -> Kind:
        return self._kinds[row.kind]


def _view(row: JobRow) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        request=row.request,
        state=JobState(row.state),
        what=row.what,
        done=row.done,
        total=row.total,
        error=row.error,
        result=row.result,
        created_ms=row.created_ms,
        ended_ms=row.ended_ms,
    )
