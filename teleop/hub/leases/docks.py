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

from teleop.hub.leases.endings import Ending
from teleop.hub.leases.waiting import REMEMBERED
from teleop.hub.robots.cameras import Cameras
from teleop.hub.tables import LeaseRow, TicketRow
from teleop.wire.descriptor import at_task, plain_task
from teleop.wire.driver import Driver
from teleop.wire.outbox import Outbox
from teleop.wire.signalling import EpisodeEnded, Grant, RobotCameraTroubled, RobotCannotCheck, SignallingError, Watching


class LeaseState(StrEnum):
    """The state of an operator at a robot."""

    QUEUED = "queued"
    GRANTING = "granting"
    """The robot is kept for the operator while the lease is stored."""
    GRANTED = "granted"
    """The robot is the operator's."""
    LIVE = "live"
    """From the first `begin` on."""
    PAUSED = "paused"
    """The operator's connection is gone: the drive is kept for them for a while."""
    ENDED = "ended"


MOVES: Final[Mapping[LeaseState, frozenset[LeaseState]]] = {
    LeaseState.QUEUED: frozenset({LeaseState.GRANTING, LeaseState.ENDED}),
    LeaseState.GRANTING: frozenset({LeaseState.GRANTED, LeaseState.ENDED}),
    LeaseState.GRANTED: frozenset({LeaseState.LIVE, LeaseState.ENDED}),
    LeaseState.LIVE: frozenset({LeaseState.LIVE, LeaseState.PAUSED, LeaseState.ENDED}),
    LeaseState.PAUSED: frozenset({LeaseState.LIVE, LeaseState.ENDED}),
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
    driver: Driver | None = None
    """Who or what began the last episode; None before the first."""
    notes: int = 0
    """How many notes on the open episode were passed on."""
    noted_ms: int | None = None
    """When the last of them was, by the monotonic clock."""
    filmed: str = ""
    """The last episode that was begun."""
    troubles: dict[tuple[str, str], RobotCameraTroubled] = field(default_factory=dict)
    """What was wrong with its cameras' pictures, by camera and kind: its operator may come back, and is told again."""
    since_ms: int | None = None
    """When the robot was handed over, by the monotonic clock; None before that."""
    ending: Ending | None = None
    """How it ended; None before that."""
    waiting: int = 0
    """How many wait for the robot, as its holder was last told."""
    paused_ms: int | None = None
    """Since when nobody has been there; None if its operator is here, or on their way back."""
    result: EpisodeEnded | None = None
    """What became of the episode while nobody was there to hear it."""

    @property
    def held(self) -> bool:
        """Whether the robot is the operator's, who is here."""
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
    docked: int = 0
    """How often its host has connected, to any of several hubs: the last of them has it."""
    gone: bool = False
    """Whether its host's connection is over: nobody gets the robot here any more."""
    fault: str | None = None
    """What broke the robot, in its host's words, until its owner clears that."""
    stop: str | None = None
    """Under which name its host keeps it stopped or broken: the owner signs that to clear it."""
    keeps_word: bool = False
    """Whether its host records what an operator says at `finish`."""
    clearing: Seat | None = None
    """Whose clear the host was asked to check last."""
    unrecordable: str | None = None
    """What keeps its host from recording, in its host's words."""
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """The tasks that a simulated robot's episodes cannot be checked at here, and why: they wait, and are not paid."""
    holder: Lease | None = None
    """Who holds the robot, or for whom it is kept while the lease is stored."""
    granting: asyncio.Task[None] | None = None
    """Stores a lease. Until it is done, nobody else gets the robot."""
    queue: list[Lease] = field(default_factory=list)
    watchers: set[Seat] = field(default_factory=set)
    newest: bytes | None = None
    """The last state that its host sent."""
    past_s: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """How long the last leases took."""
    at: str | None = None
    """The task of the last lease; None before the first."""
    at_since: int = 0
    """The epoch from which on the robot has been at that task: earlier states are laid out for another."""

    def task(self, name: str | None) -> dict[str, Any] | None:
        """Return the task called `name`, without its setting, if this robot offers it."""
        return next((plain_task(task) for task in self.descriptor["tasks"] if task["name"] == name), None)

    def described(self, task: str | None) -> dict[str, Any]:
        """Return the robot's descriptor as it is at that task; None: at its first."""
        return at_task(self.descriptor, task)

    def go_to(self, task: str, epoch: int) -> bool:
        """Note the task of a new lease; return whether it is another one than before."""
        before, self.at = self.at or next((one["name"] for one in self.descriptor["tasks"]), None), task
        if task == before:
            return False
        self.at_since = epoch
        return True

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
    kept_s: int | None
    """For how long the drive is still kept for its driver, who is away; None if they are not."""
    task: str | None
    """What its driver does; None if nobody drives."""
    stop: str | None = None
    """What its owner's clear must name; None if it is neither stopped nor broken."""
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """The tasks at which this hub cannot check what is driven, and why."""

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


def watching(dock: Dock) -> Watching:
    """Return what a watcher needs to read the robot's states: as it is at its present task, and from when on."""
    here = dock.described(dock.at)
    task = dock.task(dock.at or next((one["name"] for one in here["tasks"]), None))
    return Watching(here, task, dock.at_since)


def cannot_check(dock: Dock, task: str) -> RobotCannotCheck:
    """Return what an operator is told of a task at which this hub cannot check what they drive."""
    return RobotCannotCheck(dock.address, task, dock.unchecked[task])
