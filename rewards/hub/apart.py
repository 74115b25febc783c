"""Work that takes minutes, in a process of its own: it says how far it is, and ends with what it made or a sentence."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any, Final, Protocol

import structlog

from sim.processes import end_with_parent

Told = Callable[[str, int, int], None]
"""Is told what is being done, and of how many it is done."""
Work = Callable[[Told], Mapping[str, Any]]
"""Does it, and returns what JSON can hold. It has to be picklable; raises WorkError."""
_NICE: Final = 10
"""The relay and the checks of what was driven go first."""
_END_S: Final = 5.0
_log = structlog.get_logger()


class WorkError(Exception):
    """It cannot be done; the message is a sentence for whoever asked."""


class WorkLostError(Exception):
    """Its process ended in the middle, which says nothing about the work."""


class WorkBrokenError(Exception):
    """A fault of ours; it is logged."""


class Runner(Protocol):
    """What does one piece of work."""

    def run(self, work: Work, told: Told) -> Mapping[str, Any]:
        """Do it, and return what it gave. Blocks. Raises WorkError, WorkLostError or WorkBrokenError."""

    def stop(self) -> None:
        """Let go of it, from any thread: `run` raises WorkLostError. Idempotent."""


class Apart:
    """One process, for one piece of work."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: Any = None
        self._stopped = False

    def run(self, work: Work, told: Told) -> Mapping[str, Any]:
        """Do it, and return what it gave. Blocks. Raises WorkError, WorkLostError or WorkBrokenError."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        with ours:
            with theirs, self._lock:
                if self._stopped:
                    raise WorkLostError("it was stopped before it began")
                self._process = context.Process(target=_main, args=(theirs, work), name="armshare job")
                self._process.start()
            try:
                return _heard(ours, told)
            finally:
                self._end()

    def stop(self) -> None:
        """End it, from any thread: `run` raises WorkLostError. Idempotent."""
        with self._lock:
            self._stopped = True
            if self._process is not None and self._process.is_alive():
                self._process.kill()

    def _end(self) -> None:
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _heard(connection: Connection, told: Told) -> Mapping[str, Any]:
    while True:
        try:
            kind, *said = connection.recv()
        except (EOFError, OSError) as error:
            raise WorkLostError("its process ended in the middle") from error
        if kind == "told":
            told(*said)
        elif kind == "done":
            made: Mapping[str, Any] = said[0]
            return made
        elif kind == "refused":
            raise WorkError(said[0])
        else:
            _log.error("a job broke", traceback=said[0])
            raise WorkBrokenError(said[0].rstrip().rpartition("\n")[2])


def _main(connection: Connection, work: Work) -> None:
    """Do the work in this process. Ctrl-C is for the hub, which ends its processes itself."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(OSError):
        os.nice(_NICE)
    try:
        made = work(lambda what, done, total: connection.send(("told", what, done, total)))
    except WorkError as error:
        connection.send(("refused", str(error)))
    except Exception:  # noqa: BLE001  the supervisor: it is reported to the hub, which logs it
        connection.send(("broken", traceback.format_exc()))
    else:
        connection.send(("done", dict(made)))
