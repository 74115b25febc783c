"""A host's connection to its hub, read and written as frames come, without a task or queue per frame.

Part of teleop; exports `HubSocket`. All methods belong to the event loop. Signals go in order; of the states only the
newest waits for a hub that is slow to read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event, State

UNREAD_BYTES_MAX: Final = 1 << 20
"""A hub that leaves more than this unread is considered dead."""


class HubSocket(ClientConnection):
    """A websocket that hands on binary frames at once, and can be written to without waiting."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.take: Callable[[bytes], None] | None = None
        """Called with each whole binary frame as it comes; until it is set, frames wait to be received."""
        self._open = False
        self._early: list[str] = []
        self._newest: bytes | None = None

    def begin(self) -> None:
        """Start sending signals and states, earliest first: the hub now knows who this is."""
        self._open = True
        early, self._early = self._early, []
        for text in early:
            self.signal(text)

    def signal(self, text: str) -> None:
        """Send a text frame, after those before it. A hub that reads nothing is dropped."""
        if not self._open:
            self._early.append(text)
            return
        if self.protocol.state is State.OPEN:
            self.protocol.send_text(text.encode())
            self.send_data()
        if self.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self.transport.abort()

    def latest(self, data: bytes) -> None:
        """Send a binary frame, now or, if the hub is slow to read, instead of the one that waits."""
        if self.paused or not self._open:
            self._newest = data
        elif self.protocol.state is State.OPEN:
            self.protocol.send_binary(data)
            self.send_data()

    def process_event(self, event: Event) -> None:
        """Hand on a binary frame at once; leave all others to the library."""
        if self.take is not None and isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin:
            self.take(bytes(event.data))
        else:
            super().process_event(event)

    def resume_writing(self) -> None:
        """Send what waited."""
        super().resume_writing()
        newest, self._newest = self._newest, None
        if newest is not None:
            self.latest(newest)
