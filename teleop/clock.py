"""The two clocks: the wall clock dates, the monotonic clock orders and measures; they are never subtracted.

Part of teleop; gives the time: milliseconds for what is kept and signed, nanoseconds for what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a host; a test passes in its own."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns


def now_ms() -> int:
    """Return the wall clock, milliseconds."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Return the monotonic clock, milliseconds: what is set on the wall clock changes nothing measured with it."""
    return time.monotonic_ns() // 1_000_000


async def within(event: asyncio.Event, wait_s: float) -> bool:
    """Wait for an event; return whether it came in time.

    `asyncio.wait_for` of Python 3.11 loses a cancellation that comes in the moment in which the event does.
    """
    try:
        async with asyncio.timeout(wait_s):
            return await event.wait()
    except TimeoutError:
        return False


SAME_MS: Final = 5_000
"""Clocks closer than this are called the same: a message takes its time."""


def compared(ahead_ms: int, other: str) -> str:
    """Return how a wall clock compares with that of `other`: "is 1000 s ahead of the hub's"."""
    if abs(ahead_ms) < SAME_MS:
        return f"is the same as {other}'s"
    return f"is {abs(ahead_ms) // 1000} s {'ahead of' if ahead_ms > 0 else 'behind'} {other}'s"
