"""Who is at a robot: an operator's `Seat`, a robot's `Dock`, and the `Lease` that joins them, as explicit states.

All of it belongs to the hub's event loop. What another thread may read about a robot is its `Presence`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from teleop.hub.cameras import Cameras
from teleop.hub.endings import Ending
from teleop.hub.tables import LeaseRow, TicketRow
from teleop.hub.waiting import REMEMBERED
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import Grant, SignallingError


class LeaseState(StrEnum):
    """The state of an operator at a robot."""

    QUEUED = "queued"
    GRANTING = "granting"
    """The robot is kept for the operator while the lease is stored."""
    GRANTED = "granted"
    """The robot is the operator's."""
    LIVE = "live"
    """From the first `begin` on."""
    ENDED = "ended"


MOVES: Final[Mapping[LeaseState, frozenset[LeaseState]]] = {
    LeaseState.QUEUED: frozenset({LeaseState.GRANTING, LeaseState.ENDED}),
    LeaseState.GRANTING: frozenset({LeaseState.GRANTED, LeaseState.ENDED}),
    LeaseState.GRANTED: frozenset({LeaseState.LIVE, LeaseState.ENDED}),
    LeaseState.LIVE: frozenset({LeaseState.LIVE, LeaseState.ENDED}),
    LeaseState.ENDED: frozenset(),
}


@dataclass(eq=False, slots=True)
class Seat:
    """One operator's connection."""

    address: str
    nonce: str
    outbox: Outbox
    lease: Lease | None = None
    watching: Dock | None = None


@dataclass(eq=False, slots=True)
class Lease:
    """An operator's time with a robot: waiting for it in its queue, or holding it."""

    seat: Seat
    dock: Dock
    grant: Grant
    signature: str
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    state: LeaseState = LeaseState.QUEUED
    row: LeaseRow | None = None
    """Its row in the database, from `granted` on."""
    ticket: TicketRow | None = None
    since_ms: int | None = None
    """When the robot was handed over, by the monotonic clock; None before that."""
    ending: Ending | None = None
    """How it ended; None before that."""
    waiting: int = 0
    """How many wait for the robot, as its holder was last told."""

    @property
    def held(self) -> bool:
        """Whether the robot is the operator's."""
        return self.state in (LeaseState.GRANTED, LeaseState.LIVE)

    def held_ms(self, now_ms: int) -> int:
        """How long it has held the robot, at a time of the monotonic clock: 0 before the robot is handed over."""
        return 0 if self.since_ms is None else now_ms - self.since_ms

    def move(self, to: LeaseState) -> None:
        """Go on to a state; raise SignallingError if it cannot come next."""
        if to not in MOVES[self.state]:
            allowed = ", ".join(sorted(MOVES[self.state])) or "nothing"
            raise SignallingError("state", f"expected {allowed} after {self.state}, got {to}")
        self.state = to


@dataclass(eq=False, slots=True)
class Dock:
    """One robot's connection. It keeps its queue while the connection lasts."""

    address: str
    owner: str
    descriptor: dict[str, Any]
    outbox: Outbox
    upload_token: str
    estopped: bool
    cameras: Cameras
    fault: str | None = None
    """What broke the robot, in its host's words, until its owner clears that."""
    unrecordable: str | None = None
    """What keeps its host from recording, in its host's words."""
    holder: Lease | None = None
    """Who holds the robot, or for whom it is kept while the lease is stored."""
    granting: asyncio.Task[None] | None = None
    """Stores a lease. Until it is done, nobody else gets the robot."""
    queue: list[Lease] = field(default_factory=list)
    watchers: set[Seat] = field(default_factory=set)
    past_s: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """How long the last leases took."""

    def task(self, name: str) -> dict[str, Any] | None:
        """Return the task called `name`, if this robot has it."""
        return next((task for task in self.descriptor.get("tasks", []) if task["name"] == name), None)

    def episode_ms(self, name: str) -> int:
        """Return how long an episode of that task may be; 0 if this robot does not have it."""
        task = self.task(name)
        return 0 if task is None else int(task["max_steps"] / self.descriptor["control_hz"] * 1000)

    @property
    def leases(self) -> list[Lease]:
        """The holder's seat, then those of the queue."""
        return [*([self.holder] if self.holder else []), *self.queue]

    @property
    def audience(self) -> set[Seat]:
        """Everyone at this robot: holder, queue and watchers."""
        return {lease.seat for lease in self.leases} | self.watchers


@dataclass(frozen=True, slots=True)
class Presence:
    """What a card says about a robot that is online, all at one instant."""

    estopped: bool
    fault: str | None
    unrecordable: str | None
    driver: str | None
    queue_length: int
    wait_s: int
    """How long somebody who joins now will probably wait."""

    @property
    def state(self) -> str:
        """The first thing that a card says."""
        if self.estopped:
            return "stopped"
        if self.fault is not None:
            return "faulted"
        if self.unrecordable is not None:
            return "full"
        return "driven" if self.driver else "free"
