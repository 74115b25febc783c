"""An operator's commands on their way to the robot: kept between two ticks, admitted or dropped, and counted.

Part of teleop; exports `Commands`. What an admitted command may do is `session.py`'s to say.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from teleop.safety import Drop, Gate, Interlock
from teleop.wire.messages import Command

_INBOX: Final = 64
"""Commands kept between two ticks; more than this is a flood, and the oldest are dropped and counted."""


class Commands:
    """The commands of one lease at a time. `offer` and `dropped` may be used from any thread."""

    def __init__(self) -> None:
        self.gate = Gate(0)
        self.newest: Command | None = None
        """The newest that counted; None if there is none yet."""
        self.waiting: deque[tuple[bytes, int]] = deque(maxlen=_INBOX)
        """Each with the time at which it came, monotonic ns."""
        self._outside: Counter[Drop] = Counter()
        """What was dropped before the gate; only `offer` counts here."""

    @property
    def dropped(self) -> dict[str, int]:
        """How many since the lease began did not count, by reason."""
        return {reason.value: count for reason, count in {**self.gate.dropped, **self._outside}.items()}

    def offer(self, data: bytes, now_ns: int, *, leased: bool) -> None:
        """Hand in a command's bytes, as they came; `leased`: whether anybody holds the robot."""
        if not leased:
            self._outside[Drop.NO_LEASE] += 1
            return
        if len(self.waiting) == _INBOX:
            self._outside[Drop.FLOOD] += 1
        self.waiting.append((data, now_ns))

    def admit(self, interlock: Interlock) -> None:
        """Let what waits count, in order, as far as the gate admits it."""
        for _ in range(len(self.waiting)):
            data, arrived_ns = self.waiting.popleft()
            command = self.gate.admit(data, arrived_ns)
            if command is not None:
                self.newest = command
                self.gate.sight.saw(command.seen, arrived_ns)
                interlock.command(command.dead_man, arrived_ns)

    def count_again(self) -> None:
        """Count from zero, as at the beginning of a lease."""
        self._outside.clear()

    def only(self, epoch: int) -> None:
        """Admit only commands of this epoch, and forget those that came before."""
        self.gate = Gate(epoch)
        self.forget()

    def forget(self) -> None:
        """Forget what was commanded."""
        self.newest = None
        self.waiting.clear()
