"""Camera frames on their way to one reader: only the newest waits, and it goes when the reader has credit.

Without credits a slow reader sees pictures seconds old: frames queue in the sockets' buffers, where nobody counts them.
A reader answers (`Seen`) the frames that ask for it: each that takes the last credit, and at least every third. How
many may be unanswered is about its round trip in frames, one more, and those that share an answer; fewer while its
answers come late. Both ends of a frame's way use this: host to hub, and hub to viewer. It has no socket and no clock;
every time is passed in, in monotonic nanoseconds.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Generic, TypeVar

from teleop.wire.delays import DELAY_RISE_PPM

T = TypeVar("T")
CREDITS_MAX: Final = 8
TOGETHER: Final = 3
"""An answer costs both ends as much as a frame, so this many frames share one,"""
_TOGETHER_NS: Final = 80_000_000
"""if they come within this time, so that a queue is noticed within it."""
_START: Final = 2
_GAIN: Final = 0.125
"""The weight of each new interval in their mean."""
_LATE: Final = 0.75
"""If an answer took this many intervals longer than the fastest, its frame was queued."""


class Window:
    """How many frames may be unanswered, and how many are."""

    def __init__(self) -> None:
        self.credits = _START
        self._sent: deque[tuple[int, int]] = deque()
        self._unasked = 0
        self._least_ns = math.inf
        self._interval_ns = 0.0
        self._last_ns = 0

    @property
    def free(self) -> bool:
        """Whether another frame may go."""
        return len(self._sent) < self.credits

    def sent(self, seq: int, now_ns: int) -> bool:
        """Take note of a frame that goes; return whether it asks for an answer.

        It does if it takes the last credit, as otherwise no answer would come, or is the third since one that asked.
        """
        if self._last_ns:
            interval = now_ns - self._last_ns
            self._interval_ns += _GAIN * (interval - self._interval_ns) if self._interval_ns else interval
        self._last_ns = now_ns
        self._sent.append((seq, now_ns))
        self._unasked += 1
        if self._unasked < TOGETHER and len(self._sent) < self.credits:
            return False
        self._unasked = 0
        return True

    def seen(self, seq: int, now_ns: int) -> None:
        """Take note of an answer: everything up to `seq` has been read. One for a frame never sent changes nothing."""
        # By place, not by size: a camera that was reopened counts from 1 again.
        places = [place for place, (number, _) in enumerate(self._sent, start=1) if number == seq]
        if not places:
            return
        for _ in range(places[-1]):
            _, at_ns = self._sent.popleft()
        self._adapt(float(now_ns - at_ns))

    def _adapt(self, took_ns: float) -> None:
        # The fastest answer is forgotten slowly, so that a path that became longer for good is not taken for a queue.
        self._least_ns = min(took_ns, self._least_ns * (1.0 + DELAY_RISE_PPM / 1e6))
        if not self._interval_ns:
            return
        # The frames under way at this pace, one more, and those that share its answer.
        sharing = min(TOGETHER - 1, int(_TOGETHER_NS / self._interval_ns))
        late = took_ns > self._least_ns + _LATE * self._interval_ns
        wanted = 1 if late else min(math.ceil(self._least_ns / self._interval_ns) + 1 + sharing, CREDITS_MAX)
        # At most one less: an answer frees at least one, so unanswered frames that ask for none never take all credits.
        self.credits = max(1, self.credits - 1, min(wanted, self.credits + 1))


class Feed(Generic[T]):
    """The frames of one camera in one codec, towards one reader; each a `T` that it hands on."""

    def __init__(self) -> None:
        self._window = Window()
        self._waiting: tuple[int, bool, T] | None = None
        self.broken = True
        """Whether a frame was left out since the last key frame: only another key frame can be shown."""
        self.skipped = 0
        """Frames that a key frame replaced while they waited, or that could not be shown without one left out."""

    def offer(self, seq: int, key: bool, data: T) -> None:
        """Let a frame wait. A key frame replaces any other; a frame that needs others is skipped if one waits."""
        if key:
            self.skipped += self._waiting is not None
            self._waiting, self.broken = (seq, key, data), False
        elif self.broken or self._waiting is not None:
            self.skipped += 1
            self.broken = True
        else:
            self._waiting = (seq, key, data)

    def take(self, now_ns: int) -> tuple[T, bool] | None:
        """Return the frame that goes now, if one waits and there is credit, and whether it asks for an answer."""
        if self._waiting is None or not self._window.free:
            return None
        (seq, _, data), self._waiting = self._waiting, None
        return data, self._window.sent(seq, now_ns)

    def seen(self, seq: int, now_ns: int, *, want_key: bool = False) -> None:
        """Take note of the reader's answer, and of whether it cannot go on without a key frame."""
        self._window.seen(seq, now_ns)
        if want_key and (self._waiting is None or not self._waiting[1]):
            self.skipped += self._waiting is not None
            self._waiting, self.broken = None, True

    @property
    def free(self) -> bool:
        """Whether a frame that came now would go at once."""
        return self._waiting is None and self._window.free
