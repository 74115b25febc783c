"""The two clocks: the wall clock dates, the monotonic clock orders and measures; they are never subtracted.

Part of teleop; gives the time: milliseconds for what is kept and signed, nanoseconds for what is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a host; a test passes in its own."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns


def now_ms() -> int:
    """Return the wall clock, milliseconds."""
    return time.time_ns() // 1_000_000
