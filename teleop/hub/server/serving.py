"""How this project's FastAPI apps are served: uvicorn on uvloop, websockets without compression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import uvicorn
from fastapi import FastAPI
from starlette.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode

from teleop.hub.server.connections import BoundedWebsocket, Http
from teleop.wire.frames import FRAME_MESSAGE_BYTES_MAX

_EXTENSION: Final = "armshare.framed"


class FramedSocket(Protocol):
    """A websocket that takes `framed` messages."""

    freed: Callable[[], None]
    """Called when the peer reads again as fast as it is written to."""
    read: Callable[[bytes], bool]
    """Called with each binary message as it comes; if it returns False, the application receives it in turn."""

    @property
    def free(self) -> bool:
        """Whether a message can go now: the socket is open, and its peer reads as fast as it is written to."""

    def write(self, message: bytes) -> None:
        """Send a `framed` message."""


class _Websocket(WebSocketsSansIOProtocol):
    """uvicorn's websocket, which is a `FramedSocket` to its application."""

    freed: Callable[[], None] = staticmethod(lambda: None)
    read: Callable[[bytes], bool] = staticmethod(lambda _: False)

    def __init__(self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        super().__init__(config, server_state, app_state)
        self.conn = BoundedWebsocket(max_size=config.ws_max_size, logger=self.logger)

    def handle_bytes(self, event: Frame) -> None:
        if not (event.fin and self.read(bytes(event.data))):
            super().handle_bytes(event)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.freed()

    async def run_asgi(self) -> None:
        self.scope["extensions"][_EXTENSION] = {"socket": self}
        await super().run_asgi()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # closing would wait for a peer that reads nothing, perhaps forever

    @property
    def free(self) -> bool:
        return self.writable.is_set() and not (self.disconnected or self.close_sent)

    def write(self, message: bytes) -> None:
        self.transport.write(message)


def framed(data: bytes) -> bytes:
    """Return a binary message as a server sends it: framed once, however many it goes to."""
    return Frame(Opcode.BINARY, data).serialize(mask=False)


def framed_socket(scope: Scope) -> FramedSocket:
    """Return the socket below a websocket: what it sends is not copied, and waits for no task."""
    socket: FramedSocket = scope["extensions"][_EXTENSION]["socket"]
    return socket


def config(app: FastAPI) -> uvicorn.Config:
    """Return the server's configuration. It logs nothing of its own: the packages log what matters.

    The largest message is a camera's frame; every socket that reads no frames allows less (`api.py`).
    """
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Http,
        ws=_Websocket,
        ws_max_size=FRAME_MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        ws_ping_interval=5.0,
        ws_ping_timeout=5.0,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=3,
    )
