"""Promises of the line of jobs: once, in turn, said how far, and begun again after whatever ended it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from rewards.hub import jobs as line
from rewards.hub.apart import Told, Work, WorkError
from rewards.hub.jobs import Asked, Job, Jobs, JobsFullError, JobState, TooManyJobsError, UnknownJobError
from rewards.tables import JobRow
from teleop.hub.db import open_database, open_engine
from tests.databases import url_below, with_tables

ADA, BOB = "0x" + "a" * 40, "0x" + "b" * 40


@dataclass(frozen=True)
class Doing:
    """What a test's process does: notes that it began, and then what it is told to."""

    folder: Path
    how: str

    def __call__(self, told: Told) -> Mapping[str, Any]:
        with (self.folder / "begun").open("a") as file:
            file.write(f"{os.getpid()}\n")
        told("writing", 1, 3)
        if self.how == "refuses":
            raise WorkError("Name another camera.")
        if self.how == "breaks":
            raise ZeroDivisionError("a secret of the hub's")
        if self.how == "dies" or (self.how == "dies once" and len(begun(self.folder)) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "waits":
            os.mkfifo(self.folder / f"go-{os.getpid()}")
            with (self.folder / "arrived").open("a") as file:
                file.write(f"{os.getpid()}\n")
            (self.folder / f"go-{os.getpid()}").read_text()  # until somebody writes
        return {"pid": os.getpid()}


def begun(folder: Path) -> list[int]:
    """Return which processes began."""
    return [int(one) for one in (folder / "begun").read_text().split()] if (folder / "begun").exists() else []


@dataclass
class Kind:
    """A kind of job."""

    folder: Path
    kept: list[str] = field(default_factory=list)
    there: bool = True

    def work(self, job: str, request: Mapping[str, Any]) -> Work:
        if request["how"] == "unknown":
            raise WorkError("There is no such data set.")
        return Doing(self.folder, request["how"])

    def keep(self, db: Session, row: JobRow, result: Mapping[str, Any]) -> None:
        self.kept.append(row.id)

    def stands(self, row: JobRow) -> bool:
        return self.there


@dataclass
class World:
    """A database and a kind."""

    database: sessionmaker[Session]
    kind: Kind
    arrived: int
    """Who waits says so here."""
    now_ms: int = 1_000

    def jobs(self, **options: Any) -> Jobs:
        """Return the line, as after a restart."""
        return Jobs(self.database, {"test": self.kind}, clock_ms=lambda: self.now_ms, **options)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    engine = open_engine(url_below(tmp_path))
    with_tables(engine)
    os.mkfifo(tmp_path / "arrived")
    arrived = os.open(tmp_path / "arrived", os.O_RDWR)
    yield World(open_database(engine), Kind(tmp_path), arrived)
    os.close(arrived)
    engine.dispose()


def asked(how: str = "does", **more: Any) -> Asked:
    return Asked("test", {"how": how, **more}, 3)


async def _done(jobs: Jobs, *wanted: Asked) -> list[Job]:
    async with jobs:
        given = [await asyncio.to_thread(jobs.ask, one, ADA) for one in wanted]
        return [await jobs.ended(one.id, 60) for one in given]


def done(world: World, *wanted: Asked, **options: Any) -> list[Job]:
    """Ask for jobs and return them once they have ended."""
    return asyncio.run(_done(world.jobs(**options), *wanted))


def test_a_job_is_done_in_a_process_of_its_own_and_says_what_it_made(world: World) -> None:
    (one,) = done(world, asked())
    assert (one.state, one.what, one.done, one.total, one.error) == (JobState.DONE, "writing", 3, 3, None)
    assert one.result == {"pid": begun(world.kind.folder)[0]}
    assert one.result["pid"] != os.getpid()
    assert world.kind.kept == [one.id]


@pytest.mark.usefixtures("either_database")
def test_the_same_request_is_the_same_job_and_is_done_once(world: World) -> None:
    one, other = done(world, asked(camera="front"), Asked("test", {"camera": "front", "how": "does"}, 3))
    assert one.id == other.id
    assert len(begun(world.kind.folder)) == 1
    (again,) = done(world, asked(camera="front"))
    assert (again.result, len(begun(world.kind.folder))) == (one.result, 1)
    (different,) = done(world, asked(camera="wrist"))
    assert different.id != one.id


def test_what_is_no_longer_there_is_made_again(world: World) -> None:
    (one,) = done(world, asked())
    world.kind.there = False
    (other,) = done(world, asked())
    assert (other.id, len(begun(world.kind.folder))) == (one.id, 2)


def test_a_refusal_is_kept_as_a_sentence_and_may_be_asked_for_again(world: World) -> None:
    (one,) = done(world, asked("refuses"))
    assert (one.state, one.error, one.result) == (JobState.FAILED, "Name another camera.", None)
    (other,) = done(world, asked("unknown"))
    assert (other.state, other.error) == (JobState.FAILED, "There is no such data set.")
    done(world, asked("refuses"))
    assert len(begun(world.kind.folder)) == 2
    assert world.kind.kept == []


def test_a_fault_of_ours_is_logged_and_not_told(world: World) -> None:
    (one,) = done(world, asked("breaks"))
    assert one.state is JobState.FAILED
    assert "secret" not in str(one.error)
    assert "has logged why" in str(one.error)


def test_a_job_whose_process_dies_is_done_again_and_not_for_ever(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(line, "TRIES_MAX", 2)
    (one,) = done(world, asked("dies once"))
    assert (one.state, len(begun(world.kind.folder))) == (JobState.DONE, 2)
    (other,) = done(world, asked("dies"))
    assert other.state is JobState.FAILED
    assert other.error == f"it was begun {line.TRIES_MAX} times, and its process ended in the middle each time"
    assert len(begun(world.kind.folder)) == 2 + line.TRIES_MAX


async def waiting(world: World, count: int = 1) -> list[Path]:
    """Return the gates of the next processes that wait, once there are as many."""

    def read() -> list[Path]:
        pids: list[str] = []
        while len(pids) < count:
            pids += os.read(world.arrived, 4096).decode().split()
        return [world.kind.folder / f"go-{pid}" for pid in pids]

    return await asyncio.to_thread(read)


def test_what_ran_when_the_hub_ended_begins_again_when_it_starts(world: World) -> None:
    async def first() -> str:
        jobs = world.jobs()
        async with jobs:
            one = await asyncio.to_thread(jobs.ask, asked("waits"), ADA)
            await asyncio.to_thread(jobs.ask, asked("does"), BOB)
            await waiting(world)
            return one.id

    job = asyncio.run(first())
    (process,) = begun(world.kind.folder)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)  # it ended with its hub
    with world.database() as db:
        assert sorted(db.scalars(select(JobRow.state))) == ["queued", "running"]

    async def second() -> list[Job]:
        async with (jobs := world.jobs()):
            (gate,) = await waiting(world)
            assert str(process) not in gate.name
            await asyncio.to_thread(gate.write_text, "go")
            other = Asked("test", {"how": "does"}, 3).id
            return [await jobs.ended(one, 60) for one in (job, other)]

    assert [one.state for one in asyncio.run(second())] == [JobState.DONE, JobState.DONE]


def test_only_so_many_are_done_at_once_and_the_oldest_first(world: World) -> None:
    async def go() -> list[str]:
        jobs = world.jobs(at_once=2)
        async with jobs:
            ids = []
            for number in range(3):
                world.now_ms += 1
                ids.append((await asyncio.to_thread(jobs.ask, asked("waits", number=number), ADA)).id)
            gates = await waiting(world, 2)
            states = [(await asyncio.to_thread(jobs.get, one)).state for one in ids]
            assert states == [JobState.RUNNING, JobState.RUNNING, JobState.QUEUED]
            for gate in gates:
                await asyncio.to_thread(gate.write_text, "go")
            (last,) = await waiting(world)
            await asyncio.to_thread(last.write_text, "go")
            return [(await jobs.ended(one, 60)).state for one in ids]

    assert asyncio.run(go()) == [JobState.DONE] * 3


@pytest.mark.usefixtures("either_database")
def test_a_wallet_may_ask_for_so_much_and_all_together_for_so_much(world: World, monkeypatch: Any) -> None:
    jobs = world.jobs()
    for number in range(line.OPEN_MAX):
        jobs.ask(asked(number=number), ADA)
    with pytest.raises(TooManyJobsError, match=f"has {line.OPEN_MAX} jobs open"):
        jobs.ask(asked(number="more"), ADA)
    jobs.ask(asked(number=0), ADA)  # the same one costs nothing
    jobs.ask(asked(number="more"), BOB)
    with world.database() as db, db.begin():
        for row in db.scalars(select(JobRow)):
            row.state = JobState.FAILED
    monkeypatch.setattr(line, "DAY_MAX", line.OPEN_MAX)
    with pytest.raises(TooManyJobsError, match="within a day"):
        jobs.ask(asked(number="tomorrow"), ADA)
    world.now_ms += line.DAY_MS
    jobs.ask(asked(number="tomorrow"), ADA)
    monkeypatch.setattr(line, "LINE_MAX", 1)
    with pytest.raises(JobsFullError, match="1 jobs wait"):
        jobs.ask(asked(number="one more"), BOB)


def test_nobody_knows_a_job_that_nobody_asked_for(world: World) -> None:
    with pytest.raises(UnknownJobError):
        world.jobs().get("no such job")
