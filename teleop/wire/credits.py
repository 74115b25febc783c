"""Camera frames on their way to one reader: only the newest waits, and it goes when the reader has credit.

Without credits a slow reader sees seconds of the past: frames queue where nobody counts them, in the sockets' buffers.
A reader answers (`Seen`) the frames that ask for it: each that takes the last credit, and at least every third. How
many may be unanswered is about its round trip in frames, one more, and those that share an answer; and less while its
answers come late. Both ends of a frame's way use this: host to hub, and hub to viewer. It has no socket and no clock;
every time is handed in, monotonic nanoseconds.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, Generic, TypeVar

from teleop.wire.delays import DELAY_RISE_PPM

T = TypeVar("T")
CREDITS_MAX: Final = 8
TOGETHER: Final = 3
"""An answer costs both ends as much as a frame: so many frames share one,"""
_TOGETHER_NS: Final = 80_000_000
"""where they come within this time, so that a queue is noticed in it."""
_START: Final = 2
_GAIN: Final = 0.125
"""How much of each new interval goes into their mean."""
_LATE: Final = 0.75
"""An answer that took so many intervals longer than the fastest found a queue before it."""


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

        One that takes the last credit does, else none would come, and one that is the third since.
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
        """Take note of an answer: up to `seq`, all has been read. One for what never went changes nothing."""
        # By place, not by size: a camera that was opened anew counts from 1 again.
        places = [place for place, (number, _) in enumerate(self._sent, start=1) if number == seq]
        if not places:
            return
        for _ in range(places[-1]):
            _, at_ns = self._sent.popleft()
        self._adapt(float(now_ns - at_ns))

    def _adapt(self, took_ns: float) -> None:
        # The fastest answer is forgotten slowly, so that a way which became longer for good is not taken for a queue.
        self._least_ns = min(took_ns, self._least_ns * (1.0 + DELAY_RISE_PPM / 1e6))
        if not self._interval_ns:
            return
        # What was on its way, at this pace, one more, and those that share its answer.
        sharing = min(TOGETHER - 1, int(_TOGETHER_NS / self._interval_ns))
        late = took_ns > self._least_ns + _LATE * self._interval_ns
        wanted = 1 if late else min(math.ceil(self._least_ns / self._interval_ns) + 1 + sharing, CREDITS_MAX)
        # One less at most: as an answer frees one at least, those unanswered that ask for none never take all credits.
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
        """Let a frame wait. A key frame takes the place of any other; one that needs others waits behind none."""
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
