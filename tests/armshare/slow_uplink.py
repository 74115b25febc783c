"""A platform whose robot is behind a slow uplink: a real hub, a real host, and a narrow line between the two."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import httpx

from armshare.platform.processes import Child, hub_process
from tests.netsim import SEGMENT_BYTES, Network, Way, network

UPLINK_BYTES_PER_S: Final = 10_000.0
"""Of each connection. It carries the states of one robot, and a few seconds of driving take several times as long."""


@contextmanager
def slow_house(data: Path) -> Iterator[str]:
    """Yield the URL of a hub, which one robot reaches over the slow line."""
    with ExitStack() as stack:
        log = stack.enter_context((data / "log").open("wb"))
        url, _hub = stack.enter_context(hub_process(data / "hub", 0, log))
        line = stack.enter_context(_narrow(httpx.URL(url).port or 0))
        slow_url = f"http://127.0.0.1:{line.port}"
        arguments = ["host", "--hub", slow_url, "--data", str(data / "host"), "--robot", "panda:lift"]
        host = Child("host", arguments, log)
        stack.callback(host.stop)
        yield url


@contextmanager
def _narrow(target: int) -> Iterator[Network]:
    """Run a network in a thread of its own."""
    started, made, ending = threading.Event(), list[Network](), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def serve() -> None:
        end = asyncio.Event()
        ending.append((asyncio.get_running_loop(), end))
        async with network(target, Way(bytes_per_s=UPLINK_BYTES_PER_S, piece_bytes=SEGMENT_BYTES), Way()) as line:
            made.append(line)
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="slow uplink")
    thread.start()
    assert started.wait(20)
    try:
        yield made[0]
    finally:
        loop, end = ending[0]
        loop.call_soon_threadsafe(end.set)
        thread.join(20)
