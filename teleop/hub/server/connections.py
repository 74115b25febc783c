"""The hub's end of a connection: how much a peer may send, of any kind, before it is cut off.

The parsers of both protocols work through everything that one read of the socket brings before anything else gets a
turn. So their input is bounded here: half a request's head in time, a body's pieces and a socket's frames in number.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NoReturn

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.server import ServerProtocol

from teleop.hub.server.allowance import Allowance

HEAD_S: Final = 10.0
"""The time in which a request's whole head must arrive, from the connection or from the previous answer."""
SCRAPS_MAX: Final = 1024
"""Pieces of one request's body that may be shorter than `SCRAP_BYTES`; each costs the parser as much as a long one."""
SCRAP_BYTES: Final = 64
CONTROL_FRAMES_PER_S: Final = 50
"""Pings, pongs and fragments of one websocket. A client needs one every few seconds."""
FRAMES_MAX: Final = 2048
"""Messages of one websocket in one read: many seconds of commands, if the hub had no time to read them."""
_UNASKED: Final = (Opcode.PING, Opcode.PONG, Opcode.CONT)


class _BoundedHttp(h11.Connection):
    """h11's parser, which refuses a body in scraps."""

    _scraps = 0

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._scraps = 0
        if isinstance(event, h11.Data) and len(event.data) < SCRAP_BYTES:
            self._scraps += 1
            if self._scraps > SCRAPS_MAX:
                raise h11.RemoteProtocolError("expected a body in fewer pieces")
        return event


class Http(H11Protocol):
    """uvicorn's HTTP connection. One that sends half a head and waits is closed after `HEAD_S`."""

    _head_timer: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _BoundedHttp(h11.SERVER)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._head_came()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._head_came()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._expect_head()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()  # an answer has begun: there cannot be another

    def _expect_head(self) -> None:
        self._head_came()
        self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class BoundedWebsocket(ServerProtocol):
    """websockets' parser, which closes a socket that floods it."""

    _frames = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._unasked = Allowance(CONTROL_FRAMES_PER_S)

    def receive_data(self, data: bytes | bytearray) -> None:
        self._frames = 0
        super().receive_data(data)

    def recv_frame(self, frame: Frame) -> None:
        self._frames += 1
        if self._frames > FRAMES_MAX:
            self._refuse(f"expected at most {FRAMES_MAX} messages at once")
        if frame.opcode in _UNASKED and not self._unasked.take():
            self._refuse(f"expected at most {CONTROL_FRAMES_PER_S} pings, pongs and fragments a second")
        super().recv_frame(frame)

    def _refuse(self, said: str) -> NoReturn:
        self.fail(CloseCode.POLICY_VIOLATION, said)
        raise ProtocolError(said)  # ends the parser, which would go on with what it already has
