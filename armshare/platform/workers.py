"""The hub's worker processes, which verify, replay and score; a worker that crashes on a file is replaced."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, TypeVar

import structlog

from sim.processes import end_with_parent

_log = structlog.get_logger()
_T = TypeVar("_T")
VERIFIERS: Final = 1


class Workers(Executor):
    """A process pool that is replaced after it breaks; each call lost with it raises BrokenExecutor."""

    def __init__(self, count: int = VERIFIERS) -> None:
        self._count, self._lock = count, threading.Lock()
        self._pool = self._fresh()

    def submit(self, call: Callable[..., _T], /, *arguments: Any, **named: Any) -> Future[_T]:
        """Run `call` in a worker."""
        with self._lock:
            try:
                return self._pool.submit(call, *arguments, **named)
            except BrokenExecutor as error:
                _log.error("a worker process died; starting another", error=str(error))
                self._pool.shutdown(wait=False)
                self._pool = self._fresh()
                return self._pool.submit(call, *arguments, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers."""
        with self._lock:
            self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _fresh(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(self._count, multiprocessing.get_context("spawn"), initializer=_prepare)
        pool.submit(os.getpid)  # starts a worker now, not with the first episode
        return pool


@contextmanager
def opened_workers() -> Iterator[Workers]:
    """Yield the workers; end them afterwards."""
    workers = Workers()
    try:
        yield workers
    finally:
        workers.shutdown(cancel_futures=True)


def _prepare() -> None:
    """Leave Ctrl-C to the hub, which ends its workers itself, and load everything that the first episode will need.

    A hub that is killed ends nothing: its workers see to that.
    """
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    import_module("recorder.file.apart").reader().start()
    import_module("recorder.proof.replayed").warm()
    import_module("rewards.score.score")
