"""The board in PostgreSQL: pgqueuer gives each job to one worker (`SKIP LOCKED`), and has it again if that is lost.

One connection asks and one listens; each is opened again whenever it is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeVar
from uuid import uuid4

import psycopg
import structlog
from pgqueuer.adapters.drivers.psycopg import PsycopgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from recorder.hub.work.board import KEPT_S, BoardLostError, Job, Seen, Taken
from recorder.hub.work.named import PRIORITY, Kind
from teleop.clock import now_ms
from teleop.hub.db import database_url

CHANNEL: Final = "armshare_work"
_AGAIN_S: Final = 1.0
_T = TypeVar("_T")
_Ask = Callable[[psycopg.AsyncConnection[Any], Queries], Awaitable[_T]]
_CONNECT: Final[dict[str, Any]] = {
    "application_name": "armshare work",
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,  # ms: a server that is gone without a word
    "keepalives_idle": 30,
}
_log = structlog.get_logger()


def settings() -> DBSettings:
    """Return pgqueuer's names, whatever the environment says: the migration has made these."""
    return DBSettings(
        prefix="",
        db_schema=None,
        channel=Channel("ch_pgqueuer"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
    )


class PostgresBoard:
    """For one event loop."""

    def __init__(self, url: str) -> None:
        """`url` is a PostgreSQL database's, migrated."""
        plain = database_url(url).set(drivername="postgresql")
        self._url = plain.render_as_string(hide_password=False)
        self._me = QueueManagerId(uuid4())
        self._turn = asyncio.Lock()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._queries: Queries | None = None

    async def put(self, job: Job) -> None:
        """Put a job there, unless it is: the row and its place in the line in one transaction."""

        async def ask(connection: psycopg.AsyncConnection[Any], queries: Queries) -> None:
            async with connection.transaction():
                row = job.key, job.kind, job.call, job.asked, now_ms()
                found = await connection.execute(_PUT, row)
                if not (await found.fetchone() or (False,))[0]:
                    await queries.enqueue(
                        job.kind, job.key.encode(), PRIORITY[job.kind], dedupe_key=job.key, on_conflict="skip"
                    )

        await self._ask(ask)

    async def look(self, keys: Sequence[str]) -> list[Seen]:
        """Return how far these jobs are."""

        async def ask(connection: psycopg.AsyncConnection[Any], _queries: Queries) -> list[Seen]:
            found = await connection.execute(_LOOK, (list(keys),))
            return [
                Seen(key, outcome, begun_ms is not None, what, done, total)
                for key, outcome, begun_ms, what, done, total in await found.fetchall()
            ]

        return await self._ask(ask)

    async def drop(self, keys: Sequence[str]) -> None:
        """Remove jobs whose outcomes have been read."""
        await self._do("DELETE FROM work WHERE key = ANY(%s) AND outcome IS NOT NULL", list(keys))

    async def busy(self, kind: Kind, lost_after_s: float) -> bool:
        """Whether a worker works at this kind."""

        async def ask(connection: psycopg.AsyncConnection[Any], _queries: Queries) -> bool:
            found = await connection.execute(_BUSY, (kind, timedelta(seconds=lost_after_s)))
            return bool((await found.fetchone() or (False,))[0])

        return await self._ask(ask)

    async def take(self, kinds: Collection[Kind], lost_after_s: float) -> Taken | None:
        """Take a job that waits, or that a lost worker had; None if there is none."""
        wanted = {QueueEntrypoint(kind): EntrypointExecutionParameter(concurrency_limit=0) for kind in kinds}
        after = timedelta(seconds=lost_after_s)

        async def ask(connection: psycopg.AsyncConnection[Any], queries: Queries) -> Taken | None:
            while True:
                async with connection.transaction():
                    found = await queries.dequeue(1, wanted, self._me, None, after)
                    if not found:
                        return None
                    key = (found[0].payload or b"").decode()
                    row = await (await connection.execute(_BEGIN, (now_ms(), key))).fetchone()
                    if row is not None:
                        kind, call, asked, tries = row
                        return Taken(found[0].id, Job(key, Kind(kind), call, asked), tries)
                    await queries.log_jobs([(found[0], "successful", None)])  # it is done, or nobody asks any more

        return await self._ask(ask)

    async def beat(self, taken: Sequence[Taken]) -> None:
        """Say that these are still in hand: by this worker, unless another has them by now."""
        await self._do(_BEAT, [one.id for one in taken], self._me)

    async def tell(self, taken: Taken, what: str, done: int, total: int) -> None:
        """Say how far one is."""
        await self._do(_TELL, what[:16], done, total, taken.job.key)

    async def finish(self, taken: Taken, outcome: bytes) -> bool:
        """Keep an outcome, and take the job out of the line; return False if there is one already."""

        async def ask(connection: psycopg.AsyncConnection[Any], _queries: Queries) -> bool:
            async with connection.transaction():
                found = await connection.execute(_FINISH, (outcome, taken.job.key))
                await connection.execute(_OUT, (taken.job.key,))
                await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, taken.job.key))
            return found.rowcount == 1

        return await self._ask(ask)

    async def release(self, taken: Taken, after_s: float, *, counts: bool) -> None:
        """Let go of a job, unless another worker has it by now."""
        less = 0 if counts else 1

        async def ask(connection: psycopg.AsyncConnection[Any], _queries: Queries) -> None:
            async with connection.transaction():
                mine = await connection.execute(_RELEASE, (timedelta(seconds=after_s), taken.id, self._me))
                if mine.rowcount:
                    await connection.execute(_UNBEGIN, (less, taken.job.key))
                    await connection.execute("SELECT pg_notify(%s, '')", (CHANNEL,))  # anybody may take it

        await self._ask(ask)

    async def sweep(self) -> None:
        """Remove outcomes that nobody has read, and what is noted of jobs that ended long ago."""
        await self._do("DELETE FROM work WHERE outcome IS NOT NULL AND asked_ms < %s", now_ms() - round(1000 * KEPT_S))
        await self._do("DELETE FROM pgqueuer_log WHERE created < now() - %s::interval", timedelta(seconds=KEPT_S))

    @asynccontextmanager
    async def heard(self, call: Callable[[str], None]) -> AsyncIterator[None]:
        """Call this with the key of a job that has changed, or with nothing if any may have, until the block ends."""
        listening = asyncio.create_task(self._listen(call))
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, call: Callable[[str], None]) -> None:
        while True:
            with suppress(psycopg.Error, OSError):
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True, **_CONNECT) as connection:
                    for channel in (CHANNEL, settings().channel):
                        await connection.execute(f'LISTEN "{channel}"'.encode())
                    call("")  # what was said meanwhile, nobody has heard
                    async for note in connection.notifies():
                        call(note.payload if note.channel == CHANNEL else "")
            await asyncio.sleep(_AGAIN_S)

    async def _do(self, statement: str, *values: Any) -> None:
        async def ask(connection: psycopg.AsyncConnection[Any], _queries: Queries) -> None:
            await connection.execute(statement.encode(), values)

        await self._ask(ask)

    async def _ask(self, ask: _Ask[_T]) -> _T:
        async with self._turn:
            try:
                return await ask(*await self._connected())
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                await self.close()
                raise BoardLostError(" ".join(str(error).split())) from error

    async def _connected(self) -> tuple[psycopg.AsyncConnection[Any], Queries]:
        if self._connection is None or self._connection.closed or self._queries is None:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, **_CONNECT)
            named = settings()
            self._queries = Queries(
                PsycopgDriver(self._connection),
                QueryBuilderEnvironment(named),
                QueryQueueBuilder(named),
                QuerySchedulerBuilder(named),
            )
        return self._connection, self._queries

    async def close(self) -> None:
        """Let go of the connection; another is opened if it is needed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


_PUT: Final = b"""
    INSERT INTO work (key, kind, call, asked, tries, what, done, total, asked_ms)
    VALUES (%s, %s, %s, %s, 0, '', 0, 0, %s)
    ON CONFLICT (key) DO UPDATE SET asked_ms = work.asked_ms
    RETURNING outcome IS NOT NULL
"""
_LOOK: Final = b"SELECT key, outcome, begun_ms, what, done, total FROM work WHERE key = ANY(%s)"
_BUSY: Final = b"""
    SELECT EXISTS (SELECT FROM pgqueuer WHERE entrypoint = %s AND status = 'picked'
        AND heartbeat > now() - %s::interval)
"""
_BEGIN: Final = b"""
    UPDATE work SET tries = tries + 1, begun_ms = %s WHERE key = %s AND outcome IS NULL
    RETURNING kind, call, asked, tries
"""
_BEAT: Final = """
    UPDATE pgqueuer SET heartbeat = now() WHERE id = ANY(%s::bigint[]) AND queue_manager_id = %s AND status = 'picked'
"""
_TELL: Final = f"""
    WITH told AS (UPDATE work SET what = %s, done = %s, total = %s WHERE key = %s AND outcome IS NULL RETURNING key)
    SELECT pg_notify('{CHANNEL}', key) FROM told
"""
_FINISH: Final = b"UPDATE work SET outcome = %s WHERE key = %s AND outcome IS NULL"
_OUT: Final = b"""
    WITH gone AS (DELETE FROM pgqueuer WHERE dedupe_key = %s RETURNING id, entrypoint, priority)
    INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority)
    SELECT id, 'successful', entrypoint, priority FROM gone
"""
_RELEASE: Final = b"""
    UPDATE pgqueuer SET status = 'queued', queue_manager_id = NULL, updated = now(),
        execute_after = now() + %s::interval
    WHERE id = %s AND queue_manager_id = %s AND status = 'picked'
"""
_UNBEGIN: Final = b"UPDATE work SET begun_ms = NULL, tries = greatest(tries - %s, 0) WHERE key = %s AND outcome IS NULL"
