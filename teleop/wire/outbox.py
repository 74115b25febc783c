"""What waits to be sent on one websocket: signals in order, and of the binary frames only the newest.

A slow reader then sees the present, not a backlog, and slows nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

SIGNALS_MAX: Final = 256


class Outbox:
    """Frames for one socket. All methods belong to one event loop."""

    def __init__(self, direct: Callable[[bytes], bool] | None = None) -> None:
        """`direct` sends a binary frame at once, and returns False if it cannot: a task for each costs more."""
        self._direct = direct
        self._sending = False
        self._signals: deque[str] = deque()
        self._latest: bytes | None = None
        self._wake = asyncio.Event()
        self._closed = False
        self.close_code = 1000
        """The code with which the socket is closed once `drain` has ended."""

    def signal(self, text: str) -> None:
        """Send a text frame, after those that wait; a peer that lets too many pile up is closed."""
        if len(self._signals) >= SIGNALS_MAX:
            self._signals.clear()
            self._closed = True
        else:
            self._signals.append(text)
        self._wake.set()

    def latest(self, data: bytes) -> None:
        """Send a binary frame, now if nothing is ahead of it, or else instead of the one that waits."""
        ahead = self._sending or self._closed or bool(self._signals)
        if self._direct is not None and not ahead and self._direct(data):
            self._latest = None
            return
        self._latest = data
        self._wake.set()

    def close(self, code: int = 1000) -> None:
        """End `drain` once what waits is sent; the first code given is kept."""
        self.close_code = self.close_code if self._closed else code
        self._closed = True
        self._wake.set()

    async def drain(self, text: Callable[[str], Awaitable[None]], data: Callable[[bytes], Awaitable[None]]) -> None:
        """Send frames as they come until `close`, or until too many have piled up."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._sending = True
            while self._signals:
                await text(self._signals.popleft())
            if self._latest is not None:
                frame, self._latest = self._latest, None
                await data(frame)
            self._sending = False
            if self._closed and not self._signals:
                return
