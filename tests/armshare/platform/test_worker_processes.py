"""Real workers, a real database and a real bucket: jobs are shared, and done once, whatever is lost meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg
import pytest

from armshare.migrations import migrate
from armshare.platform.processes import Child
from armshare.platform.table import CALLS
from recorder.hub.store.bucket import FileInBucket
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.work.board import TRIES_MAX, Job
from recorder.hub.work.named import GivenUpError, Kind, WorkFaultError
from recorder.hub.work.postgres import PostgresBoard
from recorder.hub.work.table import Table
from rewards.hub.judging import judge
from rewards.hub.scoring import judged_in
from teleop.hub.db import open_engine
from tests.armshare.command import armshare_here
from tests.postgres import Postgres, postgres
from tests.recorder.bundles import record
from tests.recorder.factory import fake_episode
from tests.recorder.hub.work.test_table import Nobody
from tests.s3 import S3

WAIT_S: Final = 100.0
LOST_AFTER_S: Final = 2.0


@dataclass
class World:
    """A hub's side, and what workers need."""

    server: Postgres
    url: str
    bucket: str
    s3: S3
    folder: Path
    files: list[FileInBucket]
    hands: Executor
    log: Any

    def judge(self, number: int) -> Future[Any]:
        return self.hands.submit(judged_in, judge, self.files[number], None)

    def worker(self, name: str) -> Child:
        where = ["--database", self.url, "--store", self.bucket, "--data", str(self.folder / name)]
        how = ["--count", "1", "--kinds", "score", "--lost-after", str(LOST_AFTER_S)]
        return Child(name, ["worker", *where, *how], self.log)

    def ask(self, query: str) -> list[Any]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()

    def holders(self) -> int:
        """Return how many workers have a job in hand."""
        return len(self.ask("SELECT DISTINCT queue_manager_id FROM pgqueuer WHERE status = 'picked'"))

    @contextmanager
    def silent_bucket(self) -> Iterator[None]:
        """Have the bucket say nothing: whoever takes a job keeps it in hand."""
        self.s3.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.s3.process.send_signal(signal.SIGCONT)


def until(true: Callable[[], object]) -> None:
    """Return once something is so."""
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def world(tmp_path: Path, s3: S3) -> Iterator[World]:
    objects = Objects.at(f"s3://{s3.bucket()}/a")
    files = []
    for number in range(8):
        data = record(tmp_path, fake_episode(episode=f"e{number}", seed=number)).read_bytes()
        objects.put(f"objects/e{number}", data)
        sha256 = hashlib.sha256(data).hexdigest()
        files.append(FileInBucket(objects, Cache(tmp_path / "cache"), f"objects/e{number}", len(data), sha256))
    with postgres() as server, (tmp_path / "log").open("wb") as log:
        url = server.url(server.create())
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        with Table(partial(PostgresBoard, url), CALLS) as table:
            yield World(server, url, objects.url, s3, tmp_path, files, table.beside(Nobody()), log)


def children(worker: Child) -> list[psutil.Process]:
    """Return the processes in which a worker does its jobs."""
    found = psutil.Process(worker.process_id).children(recursive=True)
    return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


def test_workers_share_jobs_and_each_is_done_once_whatever_is_lost_meanwhile(world: World) -> None:
    first = [world.judge(0)]
    until(lambda: world.ask("SELECT FROM pgqueuer"))
    said = armshare_here("jobs", "--database", world.url, "--json")
    assert json.loads(said.stdout)["score"] == {"waiting": 1, "running": 0}
    workers = [world.worker("one"), world.worker("other")]
    try:
        listening = "SELECT FROM pg_stat_activity WHERE application_name = 'armshare work'"
        until(lambda: len(world.ask(listening)) == 2 * (1 + len(workers)) and first[0].done())
        with world.silent_bucket():
            first += [world.judge(1), world.judge(7)]
            until(lambda: world.holders() == 2)
        known = [judged_in(judge, world.files[number], None) for number in (0, 1, 7)]
        assert [one.result(WAIT_S) for one in first] == known

        _kill_one_with_a_job_in_its_hands(world, *workers)
        _lose_the_database(world, workers[1])
        _end_every_process_of_a_job(world, workers[1])
        _ask_for_what_nobody_knows(world)
        assert world.ask("SELECT FROM pgqueuer") == world.ask("SELECT FROM work") == []
        workers[1].stop()
        assert psutil.pid_exists(workers[1].process_id) is False
    finally:
        for worker in workers:
            os.kill(worker.process_id, signal.SIGCONT) if psutil.pid_exists(worker.process_id) else None
            worker.stop()


def _kill_one_with_a_job_in_its_hands(world: World, one: Child, other: Child) -> None:
    os.kill(other.process_id, signal.SIGSTOP)
    with world.silent_bucket():
        asked = world.judge(2)
        until(lambda: world.holders() == 1)
        os.kill(one.process_id, signal.SIGKILL)
        os.kill(other.process_id, signal.SIGCONT)
    assert asked.result(WAIT_S) == judged_in(judge, world.files[2], None)
    ends = "SELECT status::text, count(*) FROM pgqueuer_log WHERE job_id = (SELECT max(job_id) FROM pgqueuer_log)"
    assert dict(world.ask(ends + " GROUP BY status")) == {"queued": 1, "picked": 2, "successful": 1}


def _lose_the_database(world: World, worker: Child) -> None:
    with world.silent_bucket():
        before = world.judge(3)
        until(lambda: world.holders() == 1)
        world.server.stop()
        meanwhile = world.judge(4)
    world.server.start()
    assert before.result(WAIT_S) == judged_in(judge, world.files[3], None)
    assert meanwhile.result(WAIT_S) == judged_in(judge, world.files[4], None)
    worker.require_alive()


def _end_every_process_of_a_job(world: World, worker: Child) -> None:
    with world.silent_bucket():
        asked = world.judge(5)
        for tries in range(1, TRIES_MAX + 1):
            begun = "SELECT FROM work WHERE begun_ms IS NOT NULL AND tries = " + str(tries)
            until(lambda begun=begun: world.ask(begun) and children(worker))  # type: ignore[misc]  # lambda's default
            for child in children(worker):
                child.kill()
    with pytest.raises(GivenUpError, match=f"{TRIES_MAX} workers began it"):
        asked.result(WAIT_S)
    assert world.judge(6).result(WAIT_S) == judged_in(judge, world.files[6], None)


def _ask_for_what_nobody_knows(world: World) -> None:
    async def ask() -> bytes:
        board, news = PostgresBoard(world.url), asyncio.Event()
        try:
            async with board.heard(lambda _: news.set()):
                await board.put(Job("x", Kind.SCORE, "unheard of", b"\x80"))
                while (found := await board.look(["x"]))[0].outcome is None:
                    await news.wait()
                    news.clear()
            await board.drop(["x"])
        finally:
            await board.close()
        return found[0].outcome or b""

    with pytest.raises(WorkFaultError, match="this worker knows no call 'unheard of'"):
        CALLS["judge"].result(asyncio.run(ask()))


def test_a_worker_that_cannot_begin_says_why(world: World, tmp_path: Path) -> None:
    where = ["--data", str(tmp_path / "w")]
    cases = [
        ([], "A worker needs both the hub's database and its bucket: give --database postgresql://..."),
        (["--database", world.url], "give --store s3://BUCKET/PREFIX"),
        (["--database", world.server.url("nothing"), "--store", world.bucket], 'database "nothing" does not exist'),
        (["--database", world.server.url("postgres"), "--store", world.bucket], "start the hub first: it makes the"),
        (["--database", world.url, "--store", "s3://nothing/there"], "s3://nothing/there cannot be used"),
        (["--database", world.url, "--store", world.bucket, "--kinds", "verify,bake"], "there is no kind 'bake'"),
    ]
    for options, says in cases:
        done = armshare_here("worker", *where, *options)
        assert done.returncode == 2, says
        assert says in " ".join(done.stderr.replace("│", " ").split())
    with psycopg.connect(world.url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["worker", *where, "--store", world.bucket], ["jobs"]):
        done = armshare_here(*command, "--database", world.url)
        assert done.returncode == 2
        assert "is of another version (its tables are of version 9999" in " ".join(done.stderr.split())
    assert "give --database postgresql://..." in " ".join(armshare_here("jobs").stderr.split())
