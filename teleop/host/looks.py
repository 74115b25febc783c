"""When a real robot is looked at while nobody drives it: now and then, and less often as long as it is broken.

Part of teleop; exports `Looks`.
"""

from __future__ import annotations

from typing import Final

LOOK_S: Final = 1.0
"""How often a real robot that nobody holds is checked, and how soon a broken one is checked again at first."""
_MOST_NS: Final = 30_000_000_000


class Looks:
    """The next look at a robot that broke. Times are the host's monotonic nanoseconds."""

    def __init__(self) -> None:
        self._failed = 0
        """How often in a row it could not be observed."""
        self._next_ns = 0

    def due(self, now_ns: int) -> bool:
        """Whether it is time to look again."""
        return now_ns >= self._next_ns

    def failed(self, now_ns: int) -> None:
        """It broke, or is broken still: wait for a while, longer each time."""
        self._next_ns = now_ns + min(int(LOOK_S * 1e9) << min(self._failed, 10), _MOST_NS)
        self._failed += 1

    def worked(self) -> None:
        """It could be observed; the next time that it breaks, it is looked at again soon."""
        self._failed = 0

    def now(self) -> None:
        """Look at once, as after its owner cleared it."""
        self._failed = self._next_ns = 0
