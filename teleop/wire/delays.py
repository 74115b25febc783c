"""How much later a message came than the fastest before it, by two clocks that are not synchronised.

Part of teleop; exports `DelayFilter`.
"""

from __future__ import annotations

from typing import Final

DELAY_RISE_PPM: Final = 2000
"""How fast the smallest one-way delay is forgotten: 2 ms a second. Clocks drift apart by a twentieth of that at most;
a lag that grows faster than this is noticed, and a path that became longer for good is accepted in time.
"""


class DelayFilter:
    """The excess of a one-way delay over its own minimum; two unsynchronised clocks are never compared."""

    def __init__(self) -> None:
        self._least_ns: int | None = None
        self._at_ns = 0

    def excess_ns(self, sent_us: int, arrived_ns: int) -> int:
        """Return how much longer this message took than the fastest before it; 0 for the first."""
        offset = arrived_ns - sent_us * 1000
        if self._least_ns is None:
            self._least_ns = offset
        else:
            risen = (arrived_ns - self._at_ns) * DELAY_RISE_PPM // 1_000_000
            self._least_ns = min(offset, self._least_ns + risen)
        self._at_ns = arrived_ns
        return offset - self._least_ns

    def begin_anew(self, sent_us: int, arrived_ns: int) -> None:
        """Take this message as the fastest, if the caller knows that its sender's clock stopped for a while."""
        self._least_ns, self._at_ns = arrived_ns - sent_us * 1000, arrived_ns
