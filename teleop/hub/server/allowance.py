"""How many frames of one kind a client may send: this many a second, and the same number at once."""

from __future__ import annotations

import asyncio


class Allowance:
    """A token bucket on the event loop's clock."""

    def __init__(self, per_s: int) -> None:
        self.per_s = per_s
        self._left, self._at_s = float(per_s), asyncio.get_running_loop().time()

    def take(self) -> bool:
        """Whether one more frame is within the allowance; if so, it is taken off."""
        now_s = asyncio.get_running_loop().time()
        self._left = min(self.per_s, self._left + (now_s - self._at_s) * self.per_s)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
