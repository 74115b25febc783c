"""Safety beside the robot: which commands may count, and whether the robot may move at all.

Two machines without threads or clocks of their own; every time is handed in, monotonic nanoseconds of the host.
`Gate` admits commands or names why it drops them. `Interlock` is the state machine

    expired -> armed -> driving <-> holding -> expired        estopped from anywhere; only the owner clears

Neither the hub nor the browser is trusted: both run in the host.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Final

from teleop.wire.delays import DelayFilter
from teleop.wire.messages import Command, Safety, WireError

WATCHDOG_NS: Final = 150_000_000
"""Without a fresh command for so long, motion expires."""
STALE_NS: Final = 250_000_000
"""A command whose one-way delay exceeds the smallest recent one by more than this is stale."""


class Drop(StrEnum):
    """Why a command did not count."""

    MALFORMED = "malformed"
    OLD_EPOCH = "old_epoch"
    REPLAYED = "replayed"
    STALE = "stale"
    FLOOD = "flood"
    NO_LEASE = "no_lease"


class IllegalMoveError(Exception):
    """A state machine was asked for a move that its state does not allow."""


class Gate:
    """Admits the commands of one lease: well-formed, of its epoch, in order, and fresh."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.dropped: Counter[Drop] = Counter()
        self._seq = 0
        self._delays = DelayFilter()

    def admit(self, data: bytes, arrived_ns: int) -> Command | None:
        """Return the command in `data`, or None where it is dropped and counted."""
        try:
            command = Command.decode(data)
        except WireError:
            self.drop(Drop.MALFORMED)
            return None
        reason = self._refusal(command, arrived_ns)
        if reason is not None:
            self.drop(reason)
            return None
        return command

    def _refusal(self, command: Command, arrived_ns: int) -> Drop | None:
        if command.epoch != self.epoch:
            return Drop.OLD_EPOCH
        if command.seq <= self._seq:
            return Drop.REPLAYED
        self._seq = command.seq
        return Drop.STALE if self._delays.excess_ns(command.t_client_us, arrived_ns) > STALE_NS else None

    def drop(self, reason: Drop) -> None:
        """Count a command that does not move the robot."""
        self.dropped[reason] += 1


class Interlock:
    """Whether the robot may move. It starts expired: nothing moves before a released dead-man has been seen."""

    def __init__(self) -> None:
        self.state = Safety.EXPIRED
        self._fresh_ns = 0

    def command(self, dead_man: bool, arrived_ns: int) -> None:
        """Take note of an admitted command."""
        if self.state is Safety.ESTOPPED:
            return
        self.tick(arrived_ns)
        self._fresh_ns = arrived_ns
        if self.state is Safety.EXPIRED:
            self.state = Safety.EXPIRED if dead_man else Safety.ARMED
        elif dead_man:
            self.state = Safety.DRIVING
        elif self.state is Safety.DRIVING:
            self.state = Safety.HOLDING

    def tick(self, now_ns: int) -> Safety:
        """Let time pass and return the state: expired where the last fresh command is too old."""
        if self.state is not Safety.ESTOPPED and now_ns - self._fresh_ns > WATCHDOG_NS:
            self.state = Safety.EXPIRED
        return self.state

    def expire(self) -> None:
        """Forget the operator, as at the end of a lease."""
        if self.state is not Safety.ESTOPPED:
            self.state = Safety.EXPIRED

    def estop(self) -> None:
        """Stop, latched. Anyone may."""
        self.state = Safety.ESTOPPED

    def clear(self) -> None:
        """Release the e-stop, to expired. Who may is checked where the request comes in."""
        if self.state is not Safety.ESTOPPED:
            raise IllegalMoveError(f"expected an e-stopped robot to clear, got one that is {self.state.name.lower()}")
        self.state = Safety.EXPIRED
