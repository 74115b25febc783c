"""An operator's commands on their way to the robot: kept between two ticks, admitted or dropped, counted, and recorded.

Part of teleop; exports `Commands`. What an admitted command may do is `session.py`'s to say.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final

from teleop.safety import Drop, Gate, Interlock
from teleop.steps import Taken
from teleop.wire.messages import FIRST, Command

_INBOX: Final = 64
"""Commands kept between two ticks; more than this is a flood, and the oldest are dropped and counted."""


class Commands:
    """The commands of one lease at a time. `offer` and `dropped` may be used from any thread."""

    def __init__(self) -> None:
        self.gate = Gate(0)
        self.newest: Command | None = None
        """The newest of this epoch that counted; None if there is none yet."""
        self.digest = FIRST
        """That of the newest."""
        self.last: Command | None = None
        """The newest of the lease that counted, in whichever epoch."""
        self._last_taken: tuple[Taken, ...] = ()
        self.taken: list[Taken] = []
        """What was taken at the last tick, in order."""
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
        self.taken = []
        for _ in range(len(self.waiting)):
            data, arrived_ns = self.waiting.popleft()
            command = self.gate.take(data)
            if command is None:
                continue
            taken = Taken(data, arrived_ns, self.gate.fresh(command, arrived_ns))
            self.taken.append(taken)
            if taken.admitted:
                self._last_taken = (taken,)
                self.newest = self.last = command
                self.digest = self.gate.digest
                self.gate.sight.saw(command.seen, arrived_ns)
                interlock.command(command.dead_man, arrived_ns)

    def taken_from(self, *, first: bool) -> tuple[Taken, ...]:
        """Return what was taken at this tick; at the `first` that is recorded, with the command that it obeys."""
        taken = tuple(self.taken)
        if first and not any(one.admitted for one in taken):
            return self._last_taken + taken
        return taken

    def count_again(self) -> None:
        """Count from zero, as at the beginning of a lease."""
        self._outside.clear()

    def only(self, epoch: int) -> None:
        """Admit only commands of this epoch, and forget those that came before."""
        self.gate = Gate(epoch)
        self._obey_nothing()

    def forget(self) -> None:
        """Forget what was commanded, as at the end of a lease."""
        self._obey_nothing()
        self.last, self._last_taken = None, ()

    def _obey_nothing(self) -> None:
        self.newest, self.digest = None, FIRST
        self.waiting.clear()
