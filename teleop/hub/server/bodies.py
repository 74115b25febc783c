"""What a request's body may cost, on every route: how many bytes, how long they take, and how deep their JSON is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import numpy as np
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from teleop.hub import errors

BODY_BYTES_MAX: Final = 64 << 10
"""For a route that sets no other limit. The longest such body, a robot's registration, is below one KiB."""
BODY_S: Final = 10.0
"""The time in which the whole body must arrive."""
JSON_DEPTH_MAX: Final = 32
"""How deep lists and objects may nest. A request of this API needs three."""
_STEPS: Final = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1
_QUOTE: Final = ord('"')

BytesMax = Callable[[Scope], int | None]
"""The most bytes of a request's body. None if its route reads the body as a stream, and bounds it itself."""


def usual(_scope: Scope) -> int:
    """Return what applies to a route that sets no limits of its own."""
    return BODY_BYTES_MAX


class BodyRefusedError(Exception):
    """A body is refused, and not read any further."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class BodyLimit:
    """ASGI middleware: calls the application below it once the body has arrived and is safe to parse."""

    def __init__(self, app: ASGIApp, bytes_max: BytesMax = usual, body_s: float = BODY_S) -> None:
        self._app, self._bytes_max, self._body_s = app, bytes_max, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        most = self._bytes_max(scope) if scope["type"] == "http" and _has_body(scope) else None
        if most is None:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._whole(scope, receive, most)
        except BodyRefusedError as error:
            answer = errors.answer(error.status, error.code, str(error))
            answer.headers["Connection"] = "close"  # the rest is not read
            await answer(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replayed(body, receive), send)

    async def _whole(self, scope: Scope, receive: Receive, most: int) -> bytes | None:
        """Return the body, or None if the client has gone; raise BodyRefusedError."""
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > most):
            raise _too_large(most, f"a Content-Length of {announced[:40]}")
        try:
            async with asyncio.timeout(self._body_s):
                body = await _read(receive, most)
        except TimeoutError as error:
            text = f"expected the whole body within {self._body_s:g} s; send it again in one go"
            raise BodyRefusedError(408, "body_timeout", text) from error
        if body is not None and _is_deeper(body, JSON_DEPTH_MAX):
            text = f"expected JSON nested at most {JSON_DEPTH_MAX} lists and objects deep; this is deeper"
            raise BodyRefusedError(422, "body_too_deep", text)
        return body


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _read(receive: Receive, most: int) -> bytes | None:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise _too_large(most, "more")
    return bytes(body)


def _too_large(most: int, got: str) -> BodyRefusedError:
    return BodyRefusedError(413, "body_too_large", f"expected a body of at most {most} bytes, got {got}; send less")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands out the whole body first."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _is_deeper(body: bytes, most: int) -> bool:
    """Whether JSON nests deeper than `most`; if it is not JSON, the answer does not matter.

    This takes a few passes in C over what a stranger sent, and no recursion.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    characters = np.frombuffer(body.replace(rb"\\", b"").replace(rb"\"", b""), np.uint8)
    outside = np.cumsum(characters == _QUOTE, dtype=np.int32) & 1 == 0
    return int(np.cumsum(_STEPS[characters] * outside, dtype=np.int32).max()) > most
