"""Waiting for something to arrive at the hub, without polling. For one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from teleop.clock import within

T = TypeVar("T")


class Arrivals:
    """Wakes everyone who waits for a key when it arrives."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def arrived(self, key: str) -> None:
        """Wake everyone who waits for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    async def wait(self, key: str, look: Callable[[], Awaitable[T | None]], wait_s: float) -> T | None:
        """Return what `look` finds, now or once `key` has arrived; None after `wait_s`."""
        event = asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)  # before looking, so that no arrival is missed
        try:
            found = await look()
            if found is not None or wait_s <= 0:
                return found
            return await look() if await within(event, wait_s) else None
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]
