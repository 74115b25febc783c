"""The hub's worker processes, which verify, replay and score; one that crashes on a file is replaced, and it alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from typing import Any, TypeVar

import structlog

from armshare.settings import WORKERS
from sim.processes import end_with_parent

_log = structlog.get_logger()
_T = TypeVar("_T")
Prepare = Callable[[], None]


class Workers(Executor):
    """So many processes, each for one call at a time. Whoever's process dies gets BrokenExecutor; nobody else does."""

    def __init__(self, count: int = WORKERS, *, prepare: Prepare | None = None, name: str = "worker") -> None:
        """`prepare` loads in a new process what its calls will need (None: all that an episode needs)."""
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._prepare, self._own, self._lock = prepare or prepare_all, threading.local(), threading.Lock()
        self._pools: set[ProcessPoolExecutor] = set()
        self._ended = False
        self.count = count

    def start(self) -> None:
        """Start the processes now, not with the first call."""
        for _ in range(self.count):
            self.submit(os.getpid)

    def submit(self, call: Callable[..., _T], /, *arguments: Any, **named: Any) -> Future[_T]:
        """Run `call` in a process, once one is free."""
        return self._threads.submit(self._run, call, *arguments, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, once they have done what they do."""
        with self._lock:
            self._ended = True
            pools = list(self._pools)
        self._threads.shutdown(wait=False, cancel_futures=cancel_futures)
        for pool in pools:
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._threads.shutdown(wait=wait)

    def _run(self, call: Callable[..., _T], *arguments: Any, **named: Any) -> _T:
        pool = self._pool()
        try:
            return pool.submit(call, *arguments, **named).result()
        except BrokenExecutor as error:
            _log.error("a worker process died; the next call has another", error=str(error))
            self._own.pool = None
            with self._lock:
                self._pools.discard(pool)
            pool.shutdown(wait=False)
            raise

    def _pool(self) -> ProcessPoolExecutor:
        """Return the process of this thread."""
        found: ProcessPoolExecutor | None = getattr(self._own, "pool", None)
        if found is None:
            fresh = multiprocessing.get_context("spawn")
            found = ProcessPoolExecutor(1, fresh, initializer=_begin, initargs=(self._prepare,))
            with self._lock:
                if self._ended:
                    raise BrokenExecutor("the workers are ending")
                self._pools.add(found)
            self._own.pool = found
        return found


def _begin(prepare: Callable[[], None]) -> None:
    """Leave Ctrl-C to the hub, which ends its workers itself. A hub that is killed ends nothing: they see to that."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    prepare()


def prepare_all() -> None:
    """Load everything that the first episode will need."""
    import_module("recorder.file.apart").reader().start()
    import_module("recorder.proof.replayed").warm()
    import_module("rewards.score.score")


def prepare_scoring() -> None:
    """Load what scoring an episode needs."""
    import_module("recorder.file.apart").reader().start()
    import_module("rewards.score.score")


def prepare_reading() -> None:
    """Load what showing an episode needs."""
    import_module("recorder.hub.showing.timeline")
