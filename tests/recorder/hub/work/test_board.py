"""Promises of every board, the one in PostgreSQL and the one that tests have in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pgqueuer.adapters.drivers.psycopg import PsycopgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.queries import Queries
from psycopg import AsyncConnection

from recorder.hub.work.board import Board, BoardLostError, Job, Seen, Taken
from recorder.hub.work.named import Kind
from recorder.hub.work.postgres import PostgresBoard, settings
from tests.databases import Cluster
from tests.recorder.hub.work.memory import MemoryBoard, Shared

pytestmark = pytest.mark.anyio
FOREVER_S = 3600.0
ALL = tuple(Kind)
Make = Callable[[], Board]


@pytest.fixture(params=["memory", "postgresql"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Return what makes a board; all share their jobs."""
    if request.param == "memory":
        shared = Shared()
        yield lambda: MemoryBoard(shared)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    async with database(cluster) as url, AsyncExitStack() as stack:

        def make() -> Board:
            board = PostgresBoard(url)
            stack.push_async_callback(board.close)
            return board

        yield make


@asynccontextmanager
async def database(cluster: Cluster) -> AsyncIterator[str]:
    """Yield the URL of a database of a test's own."""
    name = cluster.server.create(cluster.template)
    yield cluster.server.url(name)
    cluster.server.drop(name)


def job(key: str, kind: Kind = Kind.VERIFY) -> Job:
    return Job(key, kind, "call", key.encode())


async def taken(board: Board, *kinds: Kind, lost_after_s: float = FOREVER_S) -> Taken:
    found = await board.take(kinds or ALL, lost_after_s)
    assert found is not None
    return found


async def test_a_job_is_taken_once_and_has_one_outcome(make: Make) -> None:
    hub, one, other = make(), make(), make()
    await hub.put(job("a"))
    await hub.put(job("a"))  # the same, as a hub asks that has started again

    mine = await taken(one)
    assert (mine.job, mine.tries) == (job("a"), 1)
    assert await other.take(ALL, FOREVER_S) is None
    await hub.put(job("a"))
    assert await other.take(ALL, FOREVER_S) is None, "it is in hand, and not queued twice"
    assert await hub.busy(Kind.VERIFY, FOREVER_S)
    assert not await hub.busy(Kind.SCORE, FOREVER_S)

    await one.tell(mine, "writing", 1, 3)
    assert await hub.look(["a", "b"]) == [Seen("a", None, True, "writing", 1, 3)]
    assert await one.finish(mine, b"made")
    assert not await one.finish(mine, b"made twice")
    assert [seen.outcome for seen in await hub.look(["a"])] == [b"made"]
    await hub.put(job("a"))
    assert await other.take(ALL, FOREVER_S) is None, "it is done already"
    await hub.drop(["a"])
    assert await hub.look(["a"]) == []


async def test_what_somebody_waits_for_goes_first_and_a_worker_takes_its_kinds_only(make: Make) -> None:
    hub, worker = make(), make()
    for key, kind in (("e", Kind.EXPORT), ("s", Kind.SCORE), ("v", Kind.VERIFY), ("r", Kind.RENDER)):
        await hub.put(job(key, kind))
    assert (await taken(worker, Kind.SCORE)).job.key == "s"
    assert [(await taken(worker)).job.key for _ in range(3)] == ["v", "r", "e"]


async def test_what_a_worker_had_that_beats_no_more_is_anothers_and_is_done_once(make: Make) -> None:
    hub, lost, other = make(), make(), make()
    await hub.put(job("a"))
    first = await taken(lost)
    await asyncio.sleep(0.01)
    second = await taken(other, lost_after_s=0.001)
    assert (second.job, second.tries) == (first.job, 2)
    await lost.beat([first])
    await lost.release(first, 0.0, counts=True)
    assert await make().take(ALL, FOREVER_S) is None, "whoever lost it cannot give it away"
    assert await other.finish(second, b"of the second")
    assert not await lost.finish(first, b"of the first, which was not lost after all")
    assert [seen.outcome for seen in await hub.look(["a"])] == [b"of the second"]


async def test_who_beats_keeps_what_it_has(make: Make) -> None:
    hub, worker, other = make(), make(), make()
    await hub.put(job("a"))
    mine = await taken(worker)
    await asyncio.sleep(0.3)
    await worker.beat([mine])
    assert await other.take(ALL, 0.25) is None


async def test_what_is_let_go_waits_again_and_is_counted_if_it_ended_a_process(make: Make) -> None:
    hub, worker = make(), make()
    await hub.put(job("a"))
    await worker.release(await taken(worker), 0.0, counts=False)
    again = await taken(worker)
    assert again.tries == 1
    await worker.release(again, 0.0, counts=True)
    assert not (await hub.look(["a"]))[0].begun
    assert (await taken(worker)).tries == 2
    assert (await hub.look(["a"]))[0].begun


async def test_whoever_listens_hears_what_is_put_and_what_is_done(make: Make) -> None:
    hub, worker = make(), make()
    news: asyncio.Queue[str] = asyncio.Queue()
    async with worker.heard(news.put_nowait):
        if not isinstance(worker, MemoryBoard):
            assert await news.get() == "", "from now on it listens, and looks once"
        await hub.put(job("a"))
        assert await news.get() == ""
        mine = await taken(worker)
        await worker.finish(mine, b"made")
        while await news.get() != "a":
            pass


async def test_a_database_that_does_not_answer_is_a_board_that_is_away(cluster: Cluster) -> None:
    board = PostgresBoard(cluster.server.url("nowhere"))
    with pytest.raises(BoardLostError, match="nowhere"):
        await board.take(ALL, FOREVER_S)


async def test_what_nobody_has_read_for_long_is_removed(cluster: Cluster) -> None:
    async with database(cluster) as url:
        board = PostgresBoard(url)
        for key in ("old", "new", "waits"):
            await board.put(job(key))
        for _ in range(2):
            await board.finish(await taken(board), b"made")
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("UPDATE work SET asked_ms = 0 WHERE key <> 'new'")
            await connection.execute("UPDATE pgqueuer_log SET created = created - interval '2 days' WHERE job_id = 1")
            await board.sweep()
            assert [seen.key for seen in await board.look(["old", "new", "waits"])] == ["new", "waits"]
            noted = await connection.execute("SELECT DISTINCT job_id FROM pgqueuer_log ORDER BY job_id")
            assert await noted.fetchall() == [(2,), (3,)]
        await board.close()


async def test_a_connection_that_is_lost_is_opened_again(cluster: Cluster) -> None:
    async with database(cluster) as url:
        board = PostgresBoard(url)
        await board.put(job("a"))
        cluster.server.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '% work'"
        )
        with pytest.raises(BoardLostError):
            await board.put(job("a"))
        await board.put(job("a"))
        assert (await taken(board)).job == job("a")
        await board.close()


async def test_the_migration_makes_what_pgqueuer_needs(cluster: Cluster) -> None:
    """A newer pgqueuer that needs more needs a migration of ours."""
    async with database(cluster) as url, await AsyncConnection.connect(url, autocommit=True) as connection:
        queries = Queries(PsycopgDriver(connection), QueryBuilderEnvironment(settings()))
        assert not (await queries.plan_upgrade()).statements
