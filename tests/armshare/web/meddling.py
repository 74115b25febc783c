"""A hub that meddles: a relay between a page's socket and the real hub, which can change what goes either way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final, Protocol

from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from teleop.wire.messages import Command, State, digest_of

START_S: Final = 20.0
THROUGH = """(port) => {
    function before(port) {
        self.WebSocket = class extends WebSocket {
            constructor(url) {
                super(Object.assign(new URL(url), { port }).href)
            }
        }
    }
    const script = (text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
    const first = script(`(${before})(${port})`)
    window.Worker = class extends Worker {
        constructor(url, options) {
            super(script(`import '${first}'; import '${new URL(url, location.href)}'`), options)
        }
    }
}"""
"""From now on, until the page is loaded again, the sockets of its workers go to this port instead of the hub's."""


class Meddler(Protocol):
    """What becomes of each binary frame on its way."""

    def command(self, data: bytes) -> bytes | None:
        """Return what the host is told instead of a command; None for nothing."""

    def state(self, data: bytes) -> bytes:
        """Return what the page is told instead of a state."""


class Turning:
    """From `now` on, commands that drive go the other way; all else passes as it is."""

    def __init__(self) -> None:
        self.now = threading.Event()

    def command(self, data: bytes) -> bytes:
        """Turn what drives round; what follows it holds another hash, and is dropped."""
        command = Command.decode(data)
        if not (self.now.is_set() and command.dead_man):
            return data
        return replace(command, values=-command.values).encode()

    def state(self, data: bytes) -> bytes:
        """Leave it."""
        return data


class Concealed:
    """What drives is slowed down; commands are linked anew, and states say that the page's own were obeyed."""

    def __init__(self) -> None:
        self._before: dict[int, bytes] = {}
        self._own: dict[tuple[int, int], bytes] = {}

    def command(self, data: bytes) -> bytes:
        """Link what becomes of a command to what became of the one before it."""
        command = Command.decode(data)
        epoch = command.epoch
        self._own[epoch, command.seq] = digest_of(data)
        before = self._before.get(epoch, command.before)
        changed = replace(command, values=command.values / 2 if command.dead_man else command.values, before=before)
        self._before[epoch] = digest_of(changed.encode())
        return changed.encode()

    def state(self, data: bytes) -> bytes:
        """Say what the page expects."""
        state = State.decode(data)
        return replace(state, commands=self._own.get((state.epoch, state.applied), state.commands)).encode()


class BetweenGaps:
    """Every second command that drives is changed, and the one after it never comes; the last of all is the page's.

    What follows a gap holds the hash of nothing that came, so all that the host hears is in order.
    """

    def __init__(self) -> None:
        self._own: dict[tuple[int, int], bytes] = {}
        self._changed = -1

    def command(self, data: bytes) -> bytes | None:
        """Change it, or keep back the one that would give that away."""
        command = Command.decode(data)
        self._own[command.epoch, command.seq] = digest_of(data)
        if command.seq == self._changed + 1:
            return None
        if not command.dead_man:
            return data
        self._changed = command.seq
        return replace(command, values=command.values / 2).encode()

    def state(self, data: bytes) -> bytes:
        """Say what the page expects."""
        state = State.decode(data)
        return replace(state, commands=self._own.get((state.epoch, state.applied), state.commands)).encode()


async def _pass(one: Connection, other: Connection, change: Callable[[bytes], bytes | None]) -> None:
    """Pass on what comes, until either side is gone; then the other goes, too."""
    with suppress(ConnectionClosed):
        async for frame in one:
            said = change(frame) if isinstance(frame, bytes) else frame
            if said is not None:
                await other.send(said)
    await other.close()


@contextmanager
def relayed(hub_port: int, meddler: Meddler) -> Iterator[int]:
    """Run the relay in a thread of its own; yield its port."""
    started, ended = threading.Event(), asyncio.Event()
    running: list[tuple[int, asyncio.AbstractEventLoop]] = []

    async def relay(page: ServerConnection) -> None:
        assert page.request is not None
        async with connect(f"ws://127.0.0.1:{hub_port}{page.request.path}") as hub, asyncio.TaskGroup() as both:
            both.create_task(_pass(page, hub, meddler.command))
            both.create_task(_pass(hub, page, meddler.state))

    async def run() -> None:
        async with serve(relay, "127.0.0.1", 0) as server:
            running.append((server.sockets[0].getsockname()[1], asyncio.get_running_loop()))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="meddling hub")
    thread.start()
    assert started.wait(START_S)
    port, loop = running[0]
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(START_S)
