"""The robots of one host command: several have a process each, so that none holds up another.

One that stands still, writes to a slow disk or crashes then is alone in that; a crashed one is started anew, and saves
what it had recorded. Why: `docs/decisions/0012-a-process-for-each-robot.md`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final

import structlog

from teleop.doors.failures import PlatformError, actionable
from teleop.doors.host import Wanted, serve_one
from teleop.doors.processes import interrupt_on_signals

_log = structlog.get_logger()
_SHARED: Final = ["teleop.doors.robots", "sim.world", "recorder.recording"]
"""What every robot's process needs: loaded once, in the process that they are forked from."""
_PAUSES_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Before a crashed robot is started anew, by how often it crashed within `_STEADY_S` of its start."""
_STEADY_S: Final = 60.0
_STOP_S: Final = 12.0


async def serve(hub_url: str, data: Path, wanted: list[Wanted]) -> None:
    """Bring robots online and keep them there until cancelled.

    Raises what a person can act on: what `serve_one` raises for one robot, PlatformError with its words for several.
    """
    if len(wanted) == 1:
        await serve_one(hub_url, data, wanted[0])
        return
    # A robot's matrices are small: more threads for linear algebra would only spin beside the other robots.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_SHARED)
    async with asyncio.TaskGroup() as group:
        for one in wanted:
            group.create_task(_keep(context, hub_url, data, one))


async def _keep(context: ForkServerContext, hub_url: str, data: Path, wanted: Wanted) -> None:
    """Keep one robot's process running; end it when cancelled. It is simulated: a real arm has a host of its own."""
    crashes = 0
    while True:
        said, saying = context.Pipe(duplex=False)
        arguments = hub_url, data, wanted, saying
        process = context.Process(target=_robot, args=arguments, name=f"robot {wanted.name}", daemon=False)
        started = time.monotonic()
        process.start()
        saying.close()
        with said:
            try:
                await _ended(process)
            finally:
                await _stop(process)
            with suppress(EOFError):  # it said nothing: it crashed
                raise PlatformError(said.recv())
        crashes = crashes + 1 if time.monotonic() - started < _STEADY_S else 1
        pause_s = _PAUSES_S[min(crashes, len(_PAUSES_S)) - 1]
        _log.error("a robot's process ended; starting another", robot=wanted.name, code=process.exitcode, in_s=pause_s)
        await asyncio.sleep(pause_s)


async def _ended(process: ForkServerProcess) -> None:
    """Wait for the end of a process."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)


async def _stop(process: ForkServerProcess) -> None:
    """Interrupt a process and wait; kill it where it does not end in time."""
    if process.is_alive() and process.pid:
        os.kill(process.pid, signal.SIGINT)
        await asyncio.to_thread(process.join, _STOP_S)
        if process.is_alive():
            _log.error("does not end; killed. What it had recorded is saved when it starts again", process=process.name)
            process.kill()
    await asyncio.to_thread(process.join)


def _robot(hub_url: str, data: Path, wanted: Wanted, saying: Connection) -> None:
    """One robot's process."""
    os.setsid()  # Ctrl-C reaches the host alone, which ends its robots; and Linux gives each robot its share of a core
    interrupt_on_signals()
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()
    try:
        asyncio.run(serve_one(hub_url, data, wanted))
    except KeyboardInterrupt:
        return
    except Exception as error:
        found = actionable(error)
        if not found:
            raise
        saying.send(f"{wanted.name}: {'; '.join(str(one) for one in found)}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)
