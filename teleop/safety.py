"""Safety beside the robot: which commands may count, and whether the robot may move at all.

Two machines without threads or clocks of their own; every time is passed in, in the host's monotonic nanoseconds.
`Gate` admits commands or names why it drops them. `Interlock` is the state machine

    expired -> armed -> driving <-> holding -> expired        estopped or faulted from anywhere; only the owner clears

`Sight` knows what the operator has been shown. All run in the host: neither the hub nor the browser is trusted.
"""

from __future__ import annotations

import secrets
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from teleop.wire.delays import DelayFilter
from teleop.wire.messages import FIRST, Command, Safety, WireError, digest_of

WATCHDOG_NS: Final = 150_000_000
"""Motion expires if no fresh command comes for this long."""
STALE_NS: Final = 250_000_000
"""A command whose one-way delay exceeds the smallest recent one by more than this is stale."""
BLIND_NS: Final = 500_000_000
"""The robot is not driven if the operator has seen nothing new of it for this long."""
_STATES: Final = 64
"""For how many of the newest states the time of publication is remembered."""


class Drop(StrEnum):
    """Why a command did not count."""

    MALFORMED = "malformed"
    OLD_EPOCH = "old_epoch"
    REPLAYED = "replayed"
    UNLINKED = "unlinked"
    STALE = "stale"
    FLOOD = "flood"
    NO_LEASE = "no_lease"


class IllegalMoveError(Exception):
    """A state machine was asked for a transition that its state does not allow."""


class Sight:
    """What the operator of one lease has been shown of the robot, by the `seen` of its commands.

    The number of a state that was never published does not count.
    """

    def __init__(self) -> None:
        self._published: deque[tuple[int, int]] = deque(maxlen=_STATES)
        """The number of each state, and when it was published, ns."""
        self._newest = self._seen = 0
        self._since_ns: int | None = None
        """Since when nothing new was seen although there was something to see."""

    def published(self, seq: int, now_ns: int) -> None:
        """A state goes out."""
        self._newest = seq
        self._published.append((seq, now_ns))
        if self._since_ns is None:
            self._since_ns = now_ns

    def saw(self, seen: int, now_ns: int) -> None:
        """An admitted command says that this state has been seen."""
        if self._seen < seen <= self._newest:
            self._seen = seen
            self._since_ns = None if seen == self._newest else now_ns

    def pause(self, now_ns: int) -> None:
        """Start counting again: no state went out for a while, as during a reset."""
        if self._since_ns is not None:
            self._since_ns = now_ns

    def blind(self, now_ns: int) -> bool:
        """Whether nothing new has been seen for too long."""
        return self._since_ns is not None and now_ns - self._since_ns > BLIND_NS

    def age_ns(self, seen: int, now_ns: int) -> int | None:
        """Return the greatest age of a command that had seen this state; None if it is not known."""
        return next((now_ns - at_ns for seq, at_ns in self._published if seq == seen), None)


class Gate:
    """Admits the commands of one epoch: well-formed, in order, each linked to the one before it, and fresh.

    A sender's clock may stop for a while, as in a sleeping laptop: everything it sends afterwards looks late, for good.
    So delays are measured afresh from a command that was certainly sent just now, because it has seen a state that was
    published a moment ago by this host's own clock. Its dead-man must be released, so that it moves nothing.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.sight = Sight()
        self.dropped: Counter[Drop] = Counter()
        self._seq = 0
        self.digest = FIRST
        """That of the last command that was taken."""
        self._delays = DelayFilter()

    def admit(self, data: bytes, arrived_ns: int) -> Command | None:
        """Return the command in `data`, or None if it is dropped and counted."""
        command = self.take(data)
        return command if command is not None and self.fresh(command, arrived_ns) else None

    def take(self, data: bytes) -> Command | None:
        """Return the command in `data`, or None if it is not the operator's next one; that is counted."""
        try:
            command = Command.decode(data)
        except WireError:
            self.drop(Drop.MALFORMED)
            return None
        if (reason := self._disorder(command)) is not None:
            self.drop(reason)
            return None
        self._seq, self.digest = command.seq, digest_of(data)
        return command

    def _disorder(self, command: Command) -> Drop | None:
        if command.epoch != self.epoch:
            return Drop.OLD_EPOCH
        if command.seq <= self._seq:
            return Drop.REPLAYED
        linked = command.seq > self._seq + 1 or command.before == self.digest
        return None if linked else Drop.UNLINKED

    def fresh(self, command: Command, arrived_ns: int) -> bool:
        """Whether a command that was just taken counts; one that is stale is counted."""
        if self._delays.excess_ns(command.t_client_us, arrived_ns) <= STALE_NS:
            return True
        age_ns = self.sight.age_ns(command.seen, arrived_ns)
        if command.dead_man or age_ns is None or age_ns > BLIND_NS:
            self.drop(Drop.STALE)
            return False
        self._delays.begin_anew(command.t_client_us, arrived_ns)
        return True

    def drop(self, reason: Drop) -> None:
        """Count a command that does not move the robot."""
        self.dropped[reason] += 1


@dataclass(frozen=True, slots=True)
class Latch:
    """What holds a robot until its owner clears it, a stop, a fault, or both: one clear releases all of it.

    Each stop and each fault gives it a new name, so an owner's signature releases only what they were told of, once.
    """

    stop: str
    """Its name, 32 random bytes as 0x-hex."""
    by: str | None = None
    """Who stopped the robot; None if nobody did."""
    fault: str | None = None
    """What broke the robot, in a sentence."""


def fresh_stop() -> str:
    """Return a name for what is latched, which nobody can guess and no owner has signed."""
    return "0x" + secrets.token_hex(32)


class Interlock:
    """Whether the robot may move. It starts expired: nothing moves before a released dead-man has been seen."""

    def __init__(self) -> None:
        self._motion = Safety.EXPIRED
        self.latch: Latch | None = None
        """Replaced as a whole, so that any thread may read it."""
        self._fresh_ns = 0

    @property
    def state(self) -> Safety:
        """The machine's state: a stop hides a fault, and either hides the rest."""
        if self.latch is None:
            return self._motion
        return Safety.FAULTED if self.latch.by is None else Safety.ESTOPPED

    @property
    def latched(self) -> bool:
        """Whether it stays as it is until the owner clears it."""
        return self.latch is not None

    @property
    def fault(self) -> str | None:
        """What broke the robot, in a sentence, until that is cleared."""
        return None if self.latch is None else self.latch.fault

    def command(self, dead_man: bool, arrived_ns: int) -> None:
        """Take note of an admitted command."""
        if self.latched:
            return
        self.tick(arrived_ns)
        self._fresh_ns = arrived_ns
        if self._motion is Safety.EXPIRED:
            self._motion = Safety.EXPIRED if dead_man else Safety.ARMED
        elif dead_man:
            self._motion = Safety.DRIVING
        elif self._motion is Safety.DRIVING:
            self._motion = Safety.HOLDING

    def tick(self, now_ns: int) -> Safety:
        """Let time pass and return the state: expired if the last fresh command is too old."""
        if now_ns - self._fresh_ns > WATCHDOG_NS:
            self._motion = Safety.EXPIRED
        return self.state

    def expire(self) -> None:
        """Forget the operator, as at the end of a lease."""
        self._motion = Safety.EXPIRED

    def estop(self, by: str, stop: str | None = None) -> Latch:
        """Stop, latched. Anyone may. `stop` is its name, if it has one already."""
        self._motion = Safety.EXPIRED
        self.latch = Latch(stop or fresh_stop(), by, self.fault)
        return self.latch

    def break_down(self, sentence: str) -> Latch:
        """Latch that the robot broke; `sentence` says how."""
        self._motion = Safety.EXPIRED
        self.latch = Latch(fresh_stop(), None if self.latch is None else self.latch.by, sentence)
        return self.latch

    def clear(self) -> None:
        """Release what is latched, to expired. Who may do that is checked where the request comes in."""
        if not self.latched:
            raise IllegalMoveError(
                f"expected an e-stopped robot or a faulted one to clear, got one that is {self.state.name.lower()}"
            )
        self._motion, self.latch = Safety.EXPIRED, None
