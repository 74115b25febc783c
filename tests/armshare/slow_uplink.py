"""A platform whose robot is behind a slow uplink: a real hub, a real host, and a narrow line between the two."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from armshare.platform.processes import Child, hub_process
from tests.netsim import SEGMENT_BYTES, LoopClock, Network, Way, network

UPLINK_BYTES_PER_S: Final = 10_000.0
"""Of each connection. It carries the states of one robot, and a few seconds of driving take several times as long."""


class Valve(LoopClock):
    """The line's clock. While it is open, time goes on to whatever anybody waits for: all that is under way arrives."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead_s = 0.0
        self.opened = asyncio.Event()

    def now_s(self) -> float:
        return super().now_s() + self._ahead_s

    async def until(self, when_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, when_s - self.now_s())):
                await self.opened.wait()
        self._ahead_s += max(0.0, when_s - self.now_s())


@dataclass(frozen=True, slots=True)
class SlowHouse:
    """A hub whose robot has a slow uplink, until a test has seen what that does."""

    url: str
    _loop: asyncio.AbstractEventLoop
    _valve: Valve

    def widen(self) -> None:
        """Let the rest arrive at once."""
        self._loop.call_soon_threadsafe(self._valve.opened.set)

    def narrow(self) -> None:
        """Make the uplink slow again, as it was at first."""
        self._loop.call_soon_threadsafe(self._valve.opened.clear)


@contextmanager
def slow_house(data: Path) -> Iterator[SlowHouse]:
    """Yield a hub, which one robot reaches over the slow line."""
    with ExitStack() as stack:
        log = stack.enter_context((data / "log").open("wb"))
        url, _hub = stack.enter_context(hub_process(data / "hub", 0, log))
        line, loop, valve = stack.enter_context(_narrow(httpx.URL(url).port or 0))
        slow_url = f"http://127.0.0.1:{line.port}"
        arguments = ["host", "--hub", slow_url, "--data", str(data / "host"), "--robot", "panda:lift"]
        host = Child("host", arguments, log)
        stack.callback(host.stop)
        yield SlowHouse(url, loop, valve)


@contextmanager
def _narrow(target: int) -> Iterator[tuple[Network, asyncio.AbstractEventLoop, Valve]]:
    """Run a network in a thread of its own; yield it with the thread's loop, and its clock."""
    started, ending = threading.Event(), list[asyncio.Event]()
    made: list[tuple[Network, asyncio.AbstractEventLoop, Valve]] = []

    async def serve() -> None:
        valve = Valve()
        way = Way(bytes_per_s=UPLINK_BYTES_PER_S, piece_bytes=SEGMENT_BYTES)
        ending.append(asyncio.Event())
        async with network(target, way, Way(), clock=valve) as line:
            made.append((line, asyncio.get_running_loop(), valve))
            started.set()
            await ending[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="slow uplink")
    thread.start()
    assert started.wait(20)
    _line, loop, _valve = made[0]
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(ending[0].set)
        thread.join(20)
