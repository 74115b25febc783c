"""A program that looks through a robot's camera."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from teleop.dialing import tls_of, websocket_url
from teleop.operator.driver import RefusedError
from teleop.wire.frames import FRAME_MESSAGE_BYTES_MAX, Frame, Seen
from teleop.wire.messages import PROTOCOL

CODECS: Final = ("jpeg",)


class Looking:
    """One camera's frames. Use as `async with Looking(...) as looking`."""

    def __init__(self, hub_url: str, token: str, robot: str, camera: str, codecs: Sequence[str] = CODECS) -> None:
        self._url = websocket_url(hub_url, "/ws/camera")
        self._hello = {
            "type": "look",
            "protocol": PROTOCOL,
            "token": token,
            "robot": robot,
            "camera": camera,
            "codecs": list(codecs),
        }
        self._socket: ClientConnection | None = None
        self.codec = ""
        """The codec that the hub has chosen."""

    async def __aenter__(self) -> Looking:
        """Ask for the camera; raise RefusedError with the hub's own words if it refuses."""
        self._socket = await connect(
            self._url, ssl=tls_of(self._url), compression=None, max_size=FRAME_MESSAGE_BYTES_MAX, proxy=None
        )
        await self._socket.send(json.dumps(self._hello))
        answer = json.loads(await self._received())
        if answer["type"] != "looking":
            await self._socket.close()
            raise RefusedError(answer["code"], answer["message"])
        self.codec = answer["codec"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def next(self) -> Frame:
        """Return the next frame, unanswered; raise RefusedError if there are no more."""
        data = await self._received()
        if isinstance(data, str):
            refusal = json.loads(data)
            raise RefusedError(refusal["code"], refusal["message"])
        return Frame.decode(data)

    async def read(self) -> Frame:
        """Return the next frame, answered if it asks for that."""
        frame = await self.next()
        if frame.asks:
            await self.answer(frame)
        return frame

    async def answer(self, frame: Frame, *, want_key: bool = False) -> None:
        """Say that this frame, and all before it, have been read, so that the hub sends more."""
        await self.send(Seen(frame.camera, frame.codec, frame.seq, want_key).encode())

    async def send(self, data: bytes | str) -> None:
        """Send a message as it is."""
        assert self._socket is not None, "enter it first"
        await self._socket.send(data)

    async def _received(self) -> bytes | str:
        assert self._socket is not None, "enter it first"
        try:
            return await self._socket.recv()
        except ConnectionClosed as closed:
            raise RefusedError("closed", f"expected more frames, the hub closed the socket: {closed}") from closed
