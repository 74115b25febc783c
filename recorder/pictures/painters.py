"""Who draws: Pythons of their own, each with a renderer that stays open.

They are not of `multiprocessing`: what loads data for training is often a fork, in which OpenGL cannot be used, or a
daemon, which may start no such process, or a script that `multiprocessing` would run again in each.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from sim.robot import RobotError

DASK: Final = "ARMSHARE_DASK"
"""The environment's name of the address of a Dask scheduler, such as tcp://10.0.0.1:8786."""
_ROOT: Final = Path(__file__).parents[2]
"""Where this package was found; a painter finds it there too."""
_COMMAND: Final = "from recorder.pictures.painters import paint; paint()"


class DrawingLostError(RobotError):
    """The process that drew ended before it was done."""


class Painters(Executor):
    """So many processes, started when they are needed. They end with this one, or when it is shut down."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="painter")
        self._own = threading.local()
        self._open: list[subprocess.Popen[bytes]] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have one of them call it."""
        return self._threads.submit(self._ask, partial(call, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let them end once they have done what was asked."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for process in self._open:
            _end(process)

    def _ask(self, call: Callable[[], Any]) -> Any:
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump(call, process.stdin)
            process.stdin.flush()
            error, result = pickle.load(process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as lost:
            self._own.process = None
            self._open.remove(process)
            ended = _end(process)
            raise DrawingLostError(f"The process that draws ended with {ended} before it was done.") from lost
        if error is not None:
            raise error
        return result

    def _process(self) -> subprocess.Popen[bytes]:
        """Return the process of this thread."""
        if getattr(self._own, "process", None) is None:
            spare = max((os.cpu_count() or 1) // self._count - 1, 0)  # what is left for llvmpipe's own threads
            command = [sys.executable, "-c", _COMMAND]
            environment = {"LP_NUM_THREADS": str(spare), **os.environ}
            self._own.process = subprocess.Popen(
                command, cwd=_ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._open.append(self._own.process)
        process: subprocess.Popen[bytes] = self._own.process
        return process


def painters() -> Executor:
    """Return who draws for this process: its own, unless a Dask cluster is to. Raises ClusterError."""
    address = os.environ.get(DASK, "")
    return _cluster_of(address, os.getpid()) if address else own_painters()


def own_painters() -> Painters:
    """Return those of this process: one for each processor, or one if this is itself one of many workers."""
    return _painters_of(os.getpid())


@cache
def _cluster_of(address: str, _process: int) -> Executor:
    from recorder.pictures.cluster import Cluster  # here, so that whoever has no cluster loads no Dask

    made = Cluster(address)
    atexit.register(made.shutdown)
    return made


@cache
def _painters_of(_process: int) -> Painters:
    """Return some for each process: a fork must not ask its parent's."""
    daemon = multiprocessing.current_process().daemon
    made = Painters(1 if daemon else os.cpu_count() or 1)
    atexit.register(made.shutdown)
    return made


def paint() -> None:
    """Do what comes in through standard input, one order after the other, until it ends.

    Only `Painters` gives orders, through a pipe that nobody else can write to.
    """
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # libraries print
        while True:
            try:
                call = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(_outcome(call), answers)
            answers.flush()


def _outcome(call: Callable[[], Any]) -> tuple[Exception | None, Any]:
    """Return what went wrong, and what came of it; whoever gave the order raises the one or has the other."""
    try:
        return None, call()
    except Exception as error:  # noqa: BLE001  # it is raised again, by whoever gave the order
        return error, None


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close its pipes, by which it ends, and return its exit code."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    return process.wait()
