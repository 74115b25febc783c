"""A file that kills a worker costs that file its verification, and nothing else; what is short waits for none."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import pytest

from armshare.platform.hands import opened_hands
from armshare.platform.workers import Workers


def nothing() -> None:
    """Prepare for nothing: these tests call what needs no library."""


def test_a_worker_that_dies_is_replaced():
    workers = Workers(1, prepare=nothing)
    first = workers.submit(os.getpid).result()
    with pytest.raises(BrokenProcessPool):
        workers.submit(os._exit, 139).result()
    second = workers.submit(os.getpid).result()
    workers.shutdown()
    assert second != first


def read_until_closed(path: str) -> int:
    """Take as long as a test wants: until somebody has opened and closed the pipe."""
    Path(path).read_text()
    return os.getpid()


def busy(workers: Workers, folder: Path, count: int) -> list[tuple[Path, Future[int]]]:
    """Give them calls that last until the test ends them."""
    pipes = [folder / f"pipe-{number}" for number in range(count)]
    for pipe in pipes:
        os.mkfifo(pipe)
    return [(pipe, workers.submit(read_until_closed, str(pipe))) for pipe in pipes]


def end(busy: list[tuple[Path, Future[int]]]) -> list[int]:
    for pipe, future in busy:
        if not future.cancelled():
            pipe.write_text("")
    return [future.result() for _, future in busy]


def test_as_many_work_at_once_as_are_wanted_and_the_death_of_one_is_nobody_elses(tmp_path: Path) -> None:
    """All calls in hand were lost with one process before."""
    workers = Workers(3, prepare=nothing)
    try:
        long = busy(workers, tmp_path, 2)
        with pytest.raises(BrokenProcessPool):
            workers.submit(os._exit, 139).result()
        assert workers.submit(os.getpid).result(), "there is another in its place"
        assert not any(future.done() for _, future in long)
        assert len(set(end(long))) == 2
    finally:
        workers.shutdown()


def test_what_is_short_is_done_while_all_others_work(tmp_path: Path) -> None:
    """A page's replay had waited behind a verification."""
    with opened_hands(1) as hands:
        assert isinstance(hands.long, Workers)
        long = busy(hands.long, tmp_path, 2)
        assert hands.short.submit(os.getpid).result()
        assert not any(future.done() for _, future in long)
        end(long)


def test_workers_that_end_do_no_more(tmp_path: Path) -> None:
    workers = Workers(1, prepare=nothing)
    long = busy(workers, tmp_path, 3)
    with long[0][0].open("w"):  # which returns once the first has begun
        workers.shutdown(wait=False, cancel_futures=True)
    assert long[0][1].result(60), "what was begun was done"
    assert all(future.cancelled() for _, future in long[1:])


KEEPS_A_WORKER = """
import os, sys
from armshare.platform.workers import Workers

if __name__ == "__main__":
    print(Workers().submit(os.getpid).result(), flush=True)
    sys.stdin.read()
"""


def test_a_worker_ends_with_a_hub_that_is_killed(tmp_path: Path) -> None:
    """It had stayed for ever, with its memory, and with the process that reads files for it."""
    script = tmp_path / "keeps_a_worker.py"
    script.write_text(KEEPS_A_WORKER)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, script], stdin=pipe, stdout=pipe) as hub:
        assert hub.stdout is not None
        worker = int(hub.stdout.readline())
        its_end = os.pidfd_open(worker)
        hub.kill()
        try:
            assert select.select([its_end], [], [], 60)[0], "the worker is still there"
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(its_end, signal.SIGKILL)
            os.close(its_end)
