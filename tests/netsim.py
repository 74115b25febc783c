"""A bad network for tests: a TCP proxy that delays, stalls and narrows what passes, by a schedule that a seed gives.

It sits in the middle of real sockets (websockets, HTTP) and carries bytes, so it shows what an application sees of a
bad network below TCP, and no more:

- *loss* does not lose a byte. TCP sends the segment again, `retransmit_s` later, twice that if it is lost again, and
  so on (RFC 6298's back-off); all that was sent after it waits, as bytes are handed over in order.
- *jitter* therefore never reorders within a connection: what overtakes must wait for what it overtook.
- *reordering* shows between connections only: each has a line of its own with its own draws.

Each direction has its own `Way`. The n-th piece on a line gets the same draws in every run with the same seed.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

SEGMENT_BYTES: Final = 1448
"""What one Ethernet frame carries of a TCP stream."""
READ_BYTES: Final = 1 << 16
IN_FLIGHT: Final = 1024
"""Pieces on a line; then its sender waits, as for a full window."""


@dataclass(frozen=True, slots=True)
class Way:
    """What happens in one direction."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much more, uniformly, for each piece."""
    loss: float = 0.0
    """Chance that a segment must be sent again, in [0, 1)."""
    retransmit_s: float = 0.2
    """How much later a lost segment arrives; 0.2 s is Linux's shortest retransmission time-out."""
    stall_every_s: float = 0.0
    """Every so often, at its end, nothing passes for `stall_s`; 0 for never."""
    stall_s: float = 0.0
    bytes_per_s: float = 0.0
    """Bandwidth; 0 for no bound."""
    piece_bytes: int = READ_BYTES
    """The most that arrives at once: less on a narrow line, so that it comes little by little."""


class Line:
    """One direction of one connection: says when each piece arrives. It has no clock of its own."""

    def __init__(self, way: Way, seed: str) -> None:
        self._way, self._random = way, random.Random(seed)
        self.piece_bytes = way.piece_bytes
        self._free_s = self._last_s = 0.0

    def arrival_s(self, now_s: float, size: int) -> float:
        """Return when a piece of `size` bytes that is sent now has arrived, never before the one sent earlier."""
        way = self._way
        start_s = self._open_s(max(now_s, self._free_s))
        self._free_s = start_s + (size / way.bytes_per_s if way.bytes_per_s else 0.0)
        lost = sum(self._sent_again_s() for _ in range(-(-size // SEGMENT_BYTES)))
        arrival_s = self._free_s + way.delay_s + way.jitter_s * self._random.random() + lost
        self._last_s = max(self._last_s, arrival_s)
        return self._last_s

    def _open_s(self, when_s: float) -> float:
        """Return the end of the stall that `when_s` is in, or `when_s`."""
        every_s, stall_s = self._way.stall_every_s, self._way.stall_s
        if not every_s:
            return when_s
        into_s = when_s % every_s
        return when_s - into_s + every_s if into_s >= every_s - stall_s else when_s

    def _sent_again_s(self) -> float:
        late_s, pause_s = 0.0, self._way.retransmit_s
        while self._random.random() < self._way.loss:
            late_s, pause_s = late_s + pause_s, 2.0 * pause_s
        return late_s


class Clock(Protocol):
    """Time, so that a test may have its own."""

    def now_s(self) -> float:
        """Return seconds since the network was there."""

    async def until(self, when_s: float) -> None:
        """Return when it is so late."""


class LoopClock:
    """The event loop's."""

    def __init__(self) -> None:
        self._start_s = asyncio.get_running_loop().time()

    def now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._start_s

    async def until(self, when_s: float) -> None:
        if (left_s := when_s - self.now_s()) > 0.0:
            await asyncio.sleep(left_s)


class FakeClock:
    """Stands still until `advance`."""

    def __init__(self) -> None:
        self._now_s, self._waiting = 0.0, list[tuple[float, int, asyncio.Event]]()
        self._asked = asyncio.Event()

    def now_s(self) -> float:
        return self._now_s

    async def until(self, when_s: float) -> None:
        if when_s > self._now_s:
            event = asyncio.Event()
            heapq.heappush(self._waiting, (when_s, id(event), event))
            self._asked.set()
            await event.wait()

    async def due(self) -> float:
        """Return the next time that somebody waits for, once somebody does."""
        while not self._waiting:
            self._asked.clear()
            await self._asked.wait()
        return self._waiting[0][0]

    def advance(self, to_s: float) -> None:
        """Let it be so late, and wake whoever waited for a time up to then."""
        self._now_s = max(self._now_s, to_s)
        while self._waiting and self._waiting[0][0] <= self._now_s:
            heapq.heappop(self._waiting)[2].set()


@dataclass(eq=False, slots=True)
class Network:
    """A proxy that is up. `port` takes connections and passes them on."""

    target: int
    there: Way
    back: Way
    seed: int
    clock: Clock
    port: int = 0
    connections: int = 0
    passing: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear it for a stall by hand, in both directions of all connections."""
    _carrying: set[asyncio.Task[None]] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until both sides have ended it, or one breaks."""
        number = self.connections
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                there, back = (Line(way, f"{self.seed}/{number}/{way_name}") for way, way_name in self._ways())
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, far_writer, there))
                    group.create_task(self._pass(far_reader, writer, back))
            finally:
                far_writer.close()
        except* OSError:
            pass  # nobody listens there, or one side broke the connection: so does the other
        except* asyncio.CancelledError:
            pass  # the network is taken down; asyncio's server would report it
        finally:
            writer.close()
            self._carrying.discard(task)

    async def down(self) -> None:
        """Break every connection."""
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def _ways(self) -> tuple[tuple[Way, str], tuple[Way, str]]:
        return (self.there, "there"), (self.back, "back")

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> None:
        on_line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._enter(reader, line, on_line))
            group.create_task(self._leave(writer, on_line))

    async def _enter(
        self, reader: asyncio.StreamReader, line: Line, on_line: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        data = b"first"
        while data:
            data = await reader.read(line.piece_bytes)
            await on_line.put((line.arrival_s(self.clock.now_s(), len(data)), data))

    async def _leave(self, writer: asyncio.StreamWriter, on_line: asyncio.Queue[tuple[float, bytes]]) -> None:
        while True:
            due_s, data = await on_line.get()
            await self.clock.until(due_s)
            await self.passing.wait()
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def network(
    target: int, there: Way, back: Way | None = None, *, seed: int = 0, clock: Clock | None = None
) -> AsyncIterator[Network]:
    """Put a network before the port `target` of this machine; `there` is towards it, `back` (as `there`) from it."""
    made = Network(target, there, there if back is None else back, seed, clock or LoopClock())
    made.passing.set()
    server = await asyncio.start_server(made.carry, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.down()
        await server.wait_closed()
