"""A hub asks, workers do: once, whoever is lost meanwhile; and what came of it is what a call here would give."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from recorder.hub.store.objects import Objects
from recorder.hub.work.board import TRIES_MAX, Job, Taken
from recorder.hub.work.kinds import CALLS as OF_RECORDER
from recorder.hub.work.named import Files, GivenUpError, Kind, Told, WorkFaultError, performed
from recorder.hub.work.table import Table, WorkersAwayError
from recorder.hub.work.taking import ProcessLostError
from recorder.proof.unable import WORDS
from tests.recorder.hub.test_api import handed_in, sign
from tests.recorder.hub.test_held import check_again, shown
from tests.recorder.hub.work.crews import Crew, OddError, at_once, crew, double, table
from tests.recorder.hub.work.memory import MemoryBoard, Row, Shared
from tests.recorder.served import Hub, code

WAIT_S = 30.0


class Nobody(Executor):
    """Has nothing done here."""

    def submit(self, call: object, /, *arguments: object, **named: object) -> Future[object]:
        raise AssertionError(f"{call} was to be done by a worker")


class Gate:
    """Holds whatever comes, until it is opened."""

    def __init__(self) -> None:
        self.held = threading.Semaphore(0)
        self.open = threading.Event()

    async def __call__(self, job: Job, told: Told) -> bytes:
        self.held.release()
        await asyncio.to_thread(self.open.wait)
        return await at_once(job, told)


def test_whoever_asks_gets_what_a_worker_made_or_raised() -> None:
    shared = Shared()
    with table(shared) as asked, crew(shared, count=2):
        hands = asked.beside(Nobody())
        assert [one.result(WAIT_S) for one in [hands.submit(double, number) for number in range(5)]] == [0, 2, 4, 6, 8]
        with pytest.raises(OddError, match="thirteen"):
            hands.submit(double, 13).result(WAIT_S)
    assert shared.rows == {}, "what was read is not kept"


def test_what_cannot_travel_is_done_here() -> None:
    with table(Shared()) as asked, ThreadPoolExecutor(1) as here:
        hands = asked.beside(here)
        assert hands.submit(abs, -4).result(WAIT_S) == 4, "it has no name"
        with pytest.raises(AssertionError, match="-1 was to be doubled"):
            hands.submit(double, -1).result(WAIT_S)


def test_the_same_is_done_once_for_all_who_ask_and_others_share_the_rest() -> None:
    shared, gate = Shared(), Gate()
    with table(shared) as one, table(shared) as other, crew(shared, gate) as first, crew(shared, gate) as second:
        asked = [hub.beside(Nobody()).submit(double, number) for number in (1, 2) for hub in (one, other)]
        assert gate.held.acquire(timeout=WAIT_S)
        assert gate.held.acquire(timeout=WAIT_S)
        gate.open.set()
        assert [future.result(WAIT_S) for future in asked] == [2, 2, 4, 4]
        assert (len(first.begun), len(second.begun)) >= (1, 1)


def test_a_worker_that_is_lost_loses_no_job_and_its_late_outcome_changes_nothing() -> None:
    shared, gate = Shared(), Gate()
    with table(shared) as hub, crew(shared, gate) as lost:
        asked = hub.beside(Nobody()).submit(double, 21)
        assert gate.held.acquire(timeout=WAIT_S)
        thaw = lost.freeze()
        with crew(shared) as other:
            assert asked.result(WAIT_S) == 42
            assert [job.call for job in other.begun] == ["double"]
        gate.open.set()
        thaw()
    assert shared.rows == {}


def test_a_worker_that_ends_gives_what_it_had_to_others_at_once_and_it_does_not_count() -> None:
    shared, gate = Shared(), Gate()
    with table(shared) as hub:
        with crew(shared, gate):
            asked = hub.beside(Nobody()).submit(double, 21)
            assert gate.held.acquire(timeout=WAIT_S)
        assert [(row.of, row.tries) for row in shared.rows.values()] == [(None, 0)]
        gate.open.set()
        with crew(shared):
            assert asked.result(WAIT_S) == 42


def test_a_job_that_ends_every_process_is_given_up_and_the_next_one_is_done() -> None:
    shared = Shared()

    async def poisoned(job: Job, told: Told) -> bytes:
        if b"number\x05" in job.asked:
            raise ProcessLostError("killed by signal 9")
        return await at_once(job, told)

    with table(shared) as hub, crew(shared, poisoned) as worker:
        hands = hub.beside(Nobody())
        five, six = hands.submit(double, 5), hands.submit(double, 6)
        with pytest.raises(GivenUpError, match=f"{TRIES_MAX} workers began it"):
            five.result(WAIT_S)
        assert six.result(WAIT_S) == 12
    assert sum(b"number\x05" in job.asked for job in worker.begun) == TRIES_MAX


def test_a_job_that_ends_whole_workers_is_given_up_by_the_next() -> None:
    """It is counted as it is begun, so that nobody need live to count it."""
    shared = Shared()
    with table(shared) as hub:
        asked = hub.beside(Nobody()).submit(double, 5)
        board = MemoryBoard(shared)

        async def die() -> None:
            news: asyncio.Queue[str] = asyncio.Queue()
            async with board.heard(news.put_nowait):
                while not shared.rows:
                    await news.get()
                for _ in range(TRIES_MAX):
                    assert await board.take(tuple(Kind), -1.0)

        asyncio.run(die())
        with crew(shared) as worker, pytest.raises(GivenUpError):
            asked.result(WAIT_S)
        assert worker.begun == []


@pytest.mark.parametrize(
    ("call", "given"), [("unheard of", b""), ("double", b"\xc1 no msgpack"), ("double", b"\x81\xa6number\xa3two")]
)
def test_a_job_that_a_worker_does_not_understand_is_a_fault_and_is_not_tried_for_ever(call: str, given: bytes) -> None:
    shared = Shared()
    with table(shared) as hub, crew(shared) as worker:
        named = hub.named(double)
        assert named is not None
        shared.rows["x"] = Row(Job("x", Kind.SCORE, call, given))
        asked = hub.post(named, b"\x81\xa6number\x02")
        assert asked.result(WAIT_S) == 4
        while (outcome := shared.rows["x"].outcome) is None:
            shared.say("")
        with pytest.raises(WorkFaultError, match="this worker"):
            named.result(outcome)
    assert sum(job.key == "x" for job in worker.begun) == 1


def test_a_hub_that_starts_again_finds_its_job_and_it_is_done_once() -> None:
    shared, gate = Shared(), Gate()
    with crew(shared, gate) as worker:
        with table(shared) as before:
            lost = before.beside(Nobody()).submit(double, 21)
            assert gate.held.acquire(timeout=WAIT_S)
        with pytest.raises(Exception, match="the hub is ending"):
            lost.result(WAIT_S)
        with table(shared) as hub:
            asked = hub.beside(Nobody()).submit(double, 21)
            gate.open.set()
            assert asked.result(WAIT_S) == 42
        assert len(worker.begun) == 1


def test_a_job_whose_outcome_cannot_be_kept_is_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was beaten for as long as its worker lived, and nobody else could have it."""
    shared, finish, broken = Shared(), MemoryBoard.finish, []

    async def breaks(self: MemoryBoard, taken: Taken, outcome: bytes) -> bool:
        if not broken:
            broken.append(taken)
            raise ZeroDivisionError
        return await finish(self, taken, outcome)

    monkeypatch.setattr(MemoryBoard, "finish", breaks)
    with table(shared) as hub, crew(shared) as worker:
        assert hub.beside(Nobody()).submit(double, 4).result(WAIT_S) == 8
        assert len(worker.begun) == 2


def test_a_board_that_is_away_for_a_moment_costs_nothing() -> None:
    shared, gate = Shared(), Gate()
    with table(shared) as hub, crew(shared, gate) as worker:
        hands = hub.beside(Nobody())
        first = hands.submit(double, 1)
        assert gate.held.acquire(timeout=WAIT_S)
        shared.away = True
        second = hands.submit(double, 2)
        gate.open.set()
        assert not first.done()
        shared.away = False
        shared.say("")
        assert (first.result(WAIT_S), second.result(WAIT_S)) == (2, 4)
        assert len(worker.begun) == 2


def test_a_kind_that_nobody_takes_is_said_after_a_while() -> None:
    shared = Shared()
    with table(shared, patience_s=0.0) as hub, crew(shared, kinds=(Kind.RENDER,)) as worker:
        with pytest.raises(WorkersAwayError, match="no worker takes jobs of the kind score: start one"):
            hub.beside(Nobody()).submit(double, 1).result(WAIT_S)
        assert worker.begun == []


class Remote:
    """A hub whose episodes are verified by workers in threads."""

    def __init__(self, folder: Path) -> None:
        self.shared, self.objects = Shared(), Objects.in_memory()
        calls = {one.name: one for one in OF_RECORDER}
        self.table = Table(lambda: MemoryBoard(self.shared), calls)
        self.hub = Hub(folder / "hub", executor=self.table.beside(Nobody()), objects=self.objects)
        self.files = Files(self.objects, self.hub.store.cache)
        self.calls = calls
        self.lost = False

    async def do(self, job: Job, told: Told) -> bytes:
        if self.lost:
            raise ProcessLostError("killed by signal 9")
        return await asyncio.to_thread(performed, self.calls, job.call, job.asked, self.files, told)


def test_an_episode_is_verified_refused_or_held_by_a_worker_as_it_is_by_the_hub(tmp_path: Path) -> None:
    remote = Remote(tmp_path)
    with remote.table, crew(remote.shared, remote.do), remote.hub.served() as url, httpx.Client(base_url=url) as web:
        web.timeout = httpx.Timeout(60)
        bundle = handed_in(web, remote.hub, tmp_path / "a")
        assert code(sign(web, bundle, signature="0x" + 64 * "1" + 64 * "2" + "1b")) == (422, "OperatorSignatureInvalid")
        remote.lost = True
        held = sign(web, bundle).json()
        assert (held["state"], held["reason"]) == ("held", f"WorkerLost: {WORDS['WorkerLost']}")
        remote.lost = False
        check_again(remote.hub)
        found = shown(web, bundle.name)
        assert (found["state"], found["receipt"]["log_index"]) == ("verified", 0)
        copy = handed_in(web, remote.hub, tmp_path / "b", episode="episode-2")
        assert code(sign(web, copy)) == (422, "DuplicateEpisode")
        assert shown(web, copy.name)["state"] == "rejected"
    remote.hub.engine.dispose()
    assert remote.shared.rows == {}


def test_a_crew_can_be_ended_before_it_began() -> None:
    made = Crew(Shared())
    made.start()
    made.end()
