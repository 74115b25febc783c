"""The robots of one host command: several have a process each, so that none holds up another.

If one stalls, writes to a slow disk or crashes, no other is affected; a crashed one is started again, and saves
what it had recorded. Why: `docs/decisions/0012-a-process-for-each-robot.md`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final

import structlog

from armshare.failures import PlatformError, actionable, words
from armshare.platform import origin
from armshare.platform.host import Wanted, serve_one
from armshare.platform.processes import interrupt_on_signals
from sim.processes import end_with_parent

_log = structlog.get_logger()
_SHARED: Final = ["armshare.platform.robots", "recorder.host.recording", "armshare.platform.origin"]
"""Modules that every robot's process needs: loaded once, in the process that they are forked from."""
_PAUSES_S: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
"""The pause before a crashed robot is started again, by how often it crashed within `_STEADY_S` of its start."""
_STEADY_S: Final = 60.0
_STOP_S: Final = 12.0
_ENDING: Final = (signal.SIGINT, signal.SIGTERM)


async def serve(hub_url: str, data: Path, wanted: list[Wanted]) -> None:
    """Bring robots online and keep them there until cancelled.

    Raises errors that a person can act on: for one robot what `serve_one` raises, for several a PlatformError with its
    message.
    """
    if len(wanted) == 1:
        await serve_one(hub_url, data, wanted[0])
        return
    # A robot's matrices are small: more threads for linear algebra would only spin beside the other robots.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    origin.ask_for(one.kind for one in wanted if not one.port)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_SHARED)
    async with asyncio.TaskGroup() as group:
        for one in wanted:
            group.create_task(_keep(context, hub_url, data, one))


def _ensure_origin() -> None:
    """Start the process that robots are forked from, if it is not running.

    A signal to the host's whole process group does not end it: it ends with its robots. A signal to a robot waits until
    the robot can obey it.
    """
    resource_tracker.ensure_running()  # which lets signals through once it has started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _keep(context: ForkServerContext, hub_url: str, data: Path, wanted: Wanted) -> None:
    """Keep one robot's process running; end it when cancelled. It is simulated: a real arm has a host of its own."""
    crashes = 0
    while True:
        said, saying = context.Pipe(duplex=False)
        arguments = hub_url, data, wanted, saying
        process = context.Process(target=_robot, args=arguments, name=f"robot {wanted.name}", daemon=False)
        started = time.monotonic()
        _ensure_origin()
        process.start()
        saying.close()
        with said:
            try:
                await _readable(said.fileno())  # its last message, or its end
                await _readable(process.sentinel)
            finally:
                await _stop(process)
                code = process.exitcode
                process.close()  # if what it was forked from went first, it ends as it does when its host is gone
                with suppress(TimeoutError):
                    await asyncio.wait_for(_readable(said.fileno()), _STOP_S)
            await _readable(said.fileno())  # never start a second one beside it
            with suppress(EOFError):  # it said nothing: it crashed
                raise PlatformError(said.recv())
        crashes = crashes + 1 if time.monotonic() - started < _STEADY_S else 1
        pause_s = _PAUSES_S[min(crashes, len(_PAUSES_S)) - 1]
        _log.error("a robot's process ended; starting another", robot=wanted.name, code=code, in_s=pause_s)
        await asyncio.sleep(pause_s)


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read, or the other end is closed."""
    loop, found = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, found.set)
    try:
        await found.wait()
    finally:
        loop.remove_reader(descriptor)


async def _stop(process: ForkServerProcess) -> None:
    """Interrupt a process and wait; kill it if it does not end in time."""
    if process.is_alive() and process.pid:
        os.kill(process.pid, signal.SIGINT)
        try:
            await asyncio.wait_for(_readable(process.sentinel), _STOP_S)
        except TimeoutError:
            _log.error("does not end; killed. What it had recorded is saved when it starts again", process=process.name)
            process.kill()
    await _readable(process.sentinel)
    process.join()


def _robot(hub_url: str, data: Path, wanted: Wanted, saying: Connection) -> None:
    """One robot's process."""
    os.setsid()  # Ctrl-C reaches the host alone, which ends its robots; and Linux gives each robot a share of the cores
    interrupt_on_signals()
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        asyncio.run(_serve(hub_url, data, wanted))
    except KeyboardInterrupt:
        return
    except Exception as error:
        found = actionable(error)
        if not found:
            raise
        saying.send(f"{wanted.name}: {'; '.join(words(one) for one in found)}")


async def _serve(hub_url: str, data: Path, wanted: Wanted) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    await serve_one(hub_url, data, wanted)
