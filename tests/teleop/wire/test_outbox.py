"""What waits for a websocket: signals in order, of the states the newest, and nothing ahead of what came before it."""

from __future__ import annotations

import asyncio

import pytest

from teleop.wire.outbox import SIGNALS_MAX, Outbox

pytestmark = pytest.mark.anyio


class Peer:
    """A socket that takes frames at once while it is `free`, and by a task that `flows`."""

    def __init__(self, *, free: bool = True) -> None:
        self.free, self.flows, self.came = free, asyncio.Event(), asyncio.Semaphore(0)
        self.got: list[str | bytes] = []
        self.outbox = Outbox(self.direct)

    def direct(self, data: bytes) -> bool:
        if self.free:
            self.got.append(data)
        return self.free

    async def take(self, frame: str | bytes) -> None:
        await self.flows.wait()
        self.got.append(frame)
        self.came.release()

    def drain(self) -> asyncio.Task[None]:
        return asyncio.create_task(self.outbox.drain(self.take, self.take))


async def test_a_state_goes_at_once_without_a_task():
    peer = Peer()
    for data in (b"1", b"2"):
        peer.outbox.latest(data)
    assert peer.got == [b"1", b"2"]
    draining = peer.drain()
    peer.outbox.close()
    await draining
    assert peer.got == [b"1", b"2"]


async def test_no_state_overtakes_a_signal_that_waits_or_is_being_sent():
    """Otherwise a robot would get the first command of a lease before the lease."""
    peer = Peer()
    peer.outbox.signal("lease")
    peer.outbox.latest(b"1")
    draining = peer.drain()
    await asyncio.sleep(0)  # until the signal is being sent
    peer.outbox.latest(b"2")
    assert peer.got == []
    peer.flows.set()
    for _ in range(2):
        await peer.came.acquire()
    assert peer.got == ["lease", b"2"]
    peer.outbox.close()
    await draining


async def test_a_slow_reader_gets_the_newest_state_and_no_older_one_after_it():
    peer = Peer(free=False)
    draining = peer.drain()
    peer.outbox.latest(b"1")
    peer.outbox.latest(b"2")
    peer.free = True
    peer.outbox.latest(b"3")
    peer.flows.set()
    peer.outbox.signal("last")
    peer.outbox.close()
    await draining
    assert peer.got == [b"3", "last"]


async def test_a_state_that_is_being_sent_is_not_overtaken():
    peer = Peer(free=False)
    draining = peer.drain()
    peer.outbox.latest(b"1")
    await asyncio.sleep(0)
    peer.free = True
    peer.outbox.latest(b"2")
    peer.flows.set()
    for _ in range(2):
        await peer.came.acquire()
    assert peer.got == [b"1", b"2"]
    peer.outbox.close()
    await draining


async def test_nothing_is_sent_directly_once_it_is_closed_and_a_peer_that_piles_up_signals_is():
    peer = Peer()
    for _ in range(SIGNALS_MAX + 1):
        peer.outbox.signal("x")
    peer.outbox.latest(b"late")
    assert peer.got == []
