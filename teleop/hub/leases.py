"""Where operators and robots meet: queues, leases with epochs, and the relay. It trusts neither and moves nothing.

A `Seat` is an operator's connection, a `Dock` a robot's. Everything runs on one event loop; the database is asked in a
thread. A lease goes `queued -> granted -> live -> ended`: granted when the robot is the operator's, live from the
first `begin` on.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import structlog

from teleop.clock import now_ms
from teleop.hub.cameras import Cameras
from teleop.hub.registry import Registry
from teleop.hub.tables import LeaseRow, Ticket
from teleop.hub.waiting import REMEMBERED, wait_s
from teleop.identity import HOST_HELLO, SESSION_GRANT, Domain, SignatureError, require_address
from teleop.wire import control
from teleop.wire.control import ControlError, Grant
from teleop.wire.messages import COMMAND_BYTES_MAX, PROTOCOL, STATE_BYTES_MAX
from teleop.wire.outbox import Outbox
from teleop.wire.reasons import EndReason

_log = structlog.get_logger()
GRANT_MS_MAX: Final = 24 * 3_600_000


class LeaseState(StrEnum):
    """Where an operator stands with a robot."""

    QUEUED = "queued"
    GRANTED = "granted"
    LIVE = "live"
    ENDED = "ended"


_MOVES: Final[Mapping[LeaseState, frozenset[LeaseState]]] = {
    LeaseState.QUEUED: frozenset({LeaseState.GRANTED, LeaseState.ENDED}),
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
    place: Place | None = None
    watching: Dock | None = None


@dataclass(eq=False, slots=True)
class Place:
    """A seat's place at a robot: in its queue, or holding it."""

    seat: Seat
    dock: Dock
    grant: Grant
    signature: str
    state: LeaseState = LeaseState.QUEUED
    row: LeaseRow | None = None
    ticket: Ticket | None = None
    since_ms: int | None = None
    """When the robot was handed over; None before."""
    waiting: int = 0
    """How many wait for the robot, as its holder was told last."""

    @property
    def held_ms(self) -> int:
        """For how long it has been holding the robot: 0 before the robot is handed over."""
        return 0 if self.since_ms is None else now_ms() - self.since_ms

    def move(self, to: LeaseState) -> None:
        """Go on; raise ControlError where that is not the next state."""
        if to not in _MOVES[self.state]:
            allowed = ", ".join(sorted(_MOVES[self.state])) or "nothing"
            raise ControlError("state", f"expected {allowed} after {self.state}, got {to}")
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
    holder: Place | None = None
    queue: list[Place] = field(default_factory=list)
    watchers: set[Seat] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    past_s: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """How long the last leases took."""

    def task(self, name: str) -> dict[str, Any] | None:
        """Return the task called `name`, if this robot has it."""
        return next((task for task in self.descriptor.get("tasks", []) if task["name"] == name), None)

    @property
    def audience(self) -> set[Seat]:
        """Everyone at this robot: holder, queue and watchers."""
        holder = {self.holder.seat} if self.holder else set()
        return holder | {place.seat for place in self.queue} | self.watchers


class Hub:
    """All live seats and docks."""

    def __init__(self, registry: Registry, domain: Domain, lease_s: float) -> None:
        self._registry, self._domain, self._lease_ms = registry, domain, int(lease_s * 1000)
        self.docks: dict[str, Dock] = {}
        self._seats: set[Seat] = set()
        self.counts: Counter[str] = Counter()

    def census(self) -> dict[str, Any]:
        """Return who is here, and what has been counted since the hub began."""
        docks = self.docks.values()
        return {
            "operators": len(self._seats),
            "robots": len(docks),
            "holding": sum(dock.holder is not None for dock in docks),
            "queued": sum(len(dock.queue) for dock in docks),
            "watching": sum(len(dock.watchers) for dock in docks),
            "looking": sum(dock.cameras.watching for dock in docks),
            "counts": dict(self.counts),
        }

    # --- robots

    async def dock(self, hello: control.HostHello, challenge: str, outbox: Outbox) -> Dock:
        """Let a host in that proves its robot's key; a second connection of a robot replaces the first."""
        row = await asyncio.to_thread(self._registry.robot, hello.robot)
        HOST_HELLO.require(hello.robot, self._domain, {"robot": hello.robot, "challenge": challenge}, hello.signature)
        descriptor = {**hello.descriptor, "name": row.name}
        _require_tasks(descriptor)
        await asyncio.to_thread(self._registry.describe, row.address, descriptor)
        cameras = Cameras(descriptor.get("cameras", []), lambda asked: outbox.control(control.encode(asked)))
        past_s = await asyncio.to_thread(self._registry.lease_lengths_s, row.address, REMEMBERED)
        before = self.docks.pop(row.address, None)
        if before is not None:
            await self.undock(before)
            before.outbox.close()
        token = secrets.token_urlsafe(32)
        dock = Dock(row.address, row.owner, descriptor, outbox, token, hello.estopped, cameras)
        dock.past_s.extend(past_s)
        self.docks[row.address] = dock
        outbox.control(control.encode(control.HostWelcome(dock.upload_token)))
        _log.info("robot online", robot=row.address, name=row.name)
        return dock

    async def undock(self, dock: Dock) -> None:
        """A host is gone: its robot is free of everyone."""
        if self.docks.get(dock.address) is dock:
            del self.docks[dock.address]
        for place in [dock.holder, *dock.queue]:
            if place is not None:
                await self._end(place, "host_lost", EndReason.HOST_LOST)
        dock.cameras.end()
        for seat in list(dock.watchers):
            dock.watchers.discard(seat)
            seat.watching = None
            seat.outbox.control(control.encode(control.Left("host_lost")))
        _log.info("robot offline", robot=dock.address)

    def from_robot(self, dock: Dock, data: bytes) -> None:
        """Relay a state to the holder and the watchers; what cannot be one is dropped and counted."""
        if not 0 < len(data) <= STATE_BYTES_MAX:
            self.counts["states_malformed"] += 1
            return
        self.counts["states"] += 1
        if dock.holder is not None:
            dock.holder.seat.outbox.latest(data)
        for seat in dock.watchers:
            seat.outbox.latest(data)

    async def from_host(self, dock: Dock, message: control.FromHost) -> None:
        """Serve a host's control message."""
        match message:
            case control.Ready():
                self._ready(dock, message)
            case control.Ended():
                self._ended(dock, message)
            case control.Refused():
                if dock.holder and dock.holder.row and dock.holder.row.lease == message.lease:
                    dock.holder.seat.outbox.control(control.error("grant", f"the robot's host: {message.reason}"))
                    await self._end(dock.holder, "refused", EndReason.REVOKED)
            case control.Estopped() | control.Cleared():
                dock.estopped = isinstance(message, control.Estopped)
                tell = control.RobotStopped if dock.estopped else control.RobotCleared
                for seat in dock.audience:
                    seat.outbox.control(control.encode(tell(dock.address, message.by)))
            case control.HostHello():
                raise ControlError("state", "expected hello only once, as the first message")

    def _ready(self, dock: Dock, message: control.Ready) -> None:
        place = dock.holder
        if place is None or place.ticket is None or place.ticket.episode != message.episode:
            return
        task = dock.task(place.grant.task)
        place.seat.outbox.control(control.encode(control.EpisodeReady(message.episode, message.seed, task)))

    def _ended(self, dock: Dock, message: control.Ended) -> None:
        self.counts[f"episodes_{message.reason}"] += 1
        place = dock.holder
        if place is None or place.ticket is None or place.ticket.episode != message.episode:
            return
        place.ticket = None
        episode = message.episode if message.kept else None
        told = control.EpisodeEnded(episode, message.steps, message.success, message.valid, message.reason)
        place.seat.outbox.control(control.encode(told))

    # --- operators

    def sit(self, address: str, outbox: Outbox) -> Seat:
        """Let a signed-in wallet in."""
        seat = Seat(address, "0x" + secrets.token_hex(32), outbox)
        self._seats.add(seat)
        outbox.control(control.encode(control.Welcome(PROTOCOL, address, seat.nonce)))
        return seat

    async def stand(self, seat: Seat) -> None:
        """An operator's connection is gone."""
        self._seats.discard(seat)
        if seat.watching:
            seat.watching.watchers.discard(seat)
        if seat.place:
            await self._end(seat.place, "left", EndReason.OPERATOR_LOST)

    def command(self, seat: Seat, data: bytes) -> None:
        """Relay a command of the holder; anyone else's, and what cannot be one, is dropped and counted."""
        if not 0 < len(data) <= COMMAND_BYTES_MAX:
            self.counts["commands_malformed"] += 1
            return
        place = seat.place
        if place is None or place.dock.holder is not place:
            self.counts["commands_not_holder"] += 1
            return
        self.counts["commands"] += 1
        place.dock.outbox.latest(data)

    async def from_operator(self, seat: Seat, message: control.FromOperator) -> None:
        """Serve an operator's control message; raise ControlError where it cannot be."""
        match message:
            case control.Join():
                await self._join(seat, message)
            case control.Begin():
                await self._begin(seat)
            case control.Finish():
                place = self._holding(seat)
                if place.ticket is None:
                    raise ControlError("state", "expected an open episode to finish; begin one")
                place.dock.outbox.control(control.encode(control.FinishOrder(EndReason.FINISHED)))
            case control.Leave():
                if seat.place is None:
                    raise ControlError("state", "expected a robot or a queue to leave; join one")
                await self._end(seat.place, "left", EndReason.LEFT)
            case control.Watch():
                self._watch(seat, self.online(message.robot))
            case control.Estop():
                dock = self.online(message.robot)
                dock.outbox.control(control.encode(control.EstopOrder(seat.address)))
            case control.Clear():
                dock = self.online(message.robot)
                if dock.owner != seat.address:
                    raise ControlError("not_owner", f"expected the owner {dock.owner} to clear, got {seat.address}")
                dock.outbox.control(control.encode(control.ClearOrder(seat.address)))
            case control.Hello():
                raise ControlError("state", "expected hello only once, as the first message")

    async def _join(self, seat: Seat, message: control.Join) -> None:
        if seat.place is not None:
            raise ControlError("state", "expected one robot at a time; leave the one you are at first")
        grant = message.grant
        dock = self.online(grant.robot)
        self._check_grant(seat, dock, grant, message.signature)
        for other in [dock.holder, *dock.queue]:
            if other is not None and other.seat.address == seat.address:
                await self._end(other, "replaced", EndReason.OPERATOR_LOST)
        seat.nonce = "0x" + secrets.token_hex(32)  # a grant's nonce serves once
        place = Place(seat, dock, grant, message.signature)
        seat.place = place
        dock.queue.append(place)
        self._tell_positions(dock)
        await self._grant_next(dock)

    def _check_grant(self, seat: Seat, dock: Dock, grant: Grant, signature: str) -> None:
        if dock.task(grant.task) is None:
            names = [task["name"] for task in dock.descriptor.get("tasks", [])]
            raise ControlError("unknown_task", f"expected one of {names} at this robot, got {grant.task!r}")
        if grant.operator != seat.address or grant.nonce != seat.nonce:
            raise ControlError("grant", f"expected a grant by {seat.address} over nonce {seat.nonce}")
        if not now_ms() < grant.not_after_ms <= now_ms() + GRANT_MS_MAX:
            raise ControlError("grant", "expected notAfterMs in the future, at most 24 hours from now")
        try:
            require_address(grant.session_key)
            SESSION_GRANT.require(seat.address, self._domain, grant.values, signature)
        except SignatureError as error:
            raise ControlError("grant", str(error)) from error

    async def _grant_next(self, dock: Dock) -> None:
        async with dock.lock:
            if dock.holder is not None or not dock.queue:
                return
            place = dock.holder = dock.queue.pop(0)
            place.row = await asyncio.to_thread(
                self._registry.open_lease, place.grant, place.signature, place.grant.values
            )
            if place.state is LeaseState.ENDED:  # gone while the database was asked
                await asyncio.to_thread(self._registry.close_lease, place.row.lease, "left")
                dock.holder = None
            else:
                self._hand_over(place, place.row)
        self._tell_positions(dock)
        if dock.holder is None:
            await self._grant_next(dock)

    def _hand_over(self, place: Place, row: LeaseRow) -> None:
        place.move(LeaseState.GRANTED)
        place.since_ms = now_ms()
        self.counts["leases"] += 1
        dock, grant = place.dock, place.grant
        dock.outbox.control(
            control.encode(control.LeaseOrder(row.lease, row.epoch, grant.operator, grant, place.signature, grant.task))
        )
        place.seat.outbox.control(
            control.encode(control.Granted(row.lease, row.epoch, dock.descriptor, dock.task(grant.task)))
        )

    async def _begin(self, seat: Seat) -> None:
        place = self._holding(seat)
        if place.ticket is not None:
            raise ControlError("state", "expected no open episode to begin one; finish the open one")
        if place.dock.estopped:
            raise ControlError("state", "the robot is e-stopped; its owner can clear that")
        if place.dock.queue and place.held_ms > self._lease_ms:
            await self._end(place, "expired", EndReason.REVOKED)
            return
        if place.row is None:
            raise ControlError("state", "expected a lease")
        place.move(LeaseState.LIVE)
        ticket = await asyncio.to_thread(self._registry.issue_ticket, place.row, place.grant.task)
        if place.state is LeaseState.ENDED:
            return
        place.ticket = ticket
        place.dock.outbox.control(control.encode(control.BeginOrder(ticket.episode, ticket.seed, ticket.nonce)))

    async def expire(self) -> None:
        """End leases that are over while others wait. Called now and then."""
        for dock in list(self.docks.values()):
            place = dock.holder
            if place is not None and dock.queue and place.row is not None and place.held_ms > self._lease_ms:
                await self._end(place, "expired", EndReason.REVOKED)

    async def _end(self, place: Place, reason: str, order: EndReason) -> None:
        """End a place in a queue or a lease, tell everyone, and let the next one in."""
        if place.state is LeaseState.ENDED:
            return
        place.move(LeaseState.ENDED)
        dock, seat = place.dock, place.seat
        if seat.place is place:
            seat.place = None
        seat.outbox.control(control.encode(control.Left(reason)))
        if place in dock.queue:
            dock.queue.remove(place)
        if dock.holder is place and place.row is not None:
            dock.holder = None
            dock.past_s.append(place.held_ms / 1000)
            dock.outbox.control(control.encode(control.Revoke(place.row.epoch, order)))
            await asyncio.to_thread(self._registry.close_lease, place.row.lease, reason)
        self._tell_positions(dock)
        if self.docks.get(dock.address) is dock:
            await self._grant_next(dock)

    def _watch(self, seat: Seat, dock: Dock) -> None:
        if seat.watching:
            seat.watching.watchers.discard(seat)
        seat.watching = dock
        dock.watchers.add(seat)
        seat.outbox.control(control.encode(control.Watching(dock.descriptor)))

    def wait_s(self, dock: Dock, ahead: int) -> int:
        """Return how long somebody with `ahead` others before them in the queue will probably wait, s."""
        holder = dock.holder
        held_s = None if holder is None else holder.held_ms / 1000
        return round(wait_s(held_s, ahead, tuple(dock.past_s), self._lease_ms / 1000))

    def _tell_positions(self, dock: Dock) -> None:
        for position, place in enumerate(dock.queue, start=1):
            told = control.Queued(dock.address, position, len(dock.queue), self.wait_s(dock, position - 1))
            place.seat.outbox.control(control.encode(told))
        holder, length = dock.holder, len(dock.queue)
        if holder is not None and holder.since_ms is not None and holder.waiting != length:
            holder.waiting = length
            left_s = max(0, self._lease_ms - holder.held_ms) // 1000
            holder.seat.outbox.control(control.encode(control.Waiting(length, left_s)))

    def online(self, robot: str) -> Dock:
        """Return a robot's connection; raise ControlError where there is none."""
        dock = self.docks.get(robot)
        if dock is None:
            raise ControlError("robot_offline", f"expected a robot that is online, got {robot!r}; see GET /api/robots")
        return dock

    def _holding(self, seat: Seat) -> Place:
        place = seat.place
        if place is None or place.dock.holder is not place or place.row is None:
            raise ControlError("state", "expected to hold a robot; join one and wait for `granted`")
        return place


def _require_tasks(descriptor: Mapping[str, Any]) -> None:
    """Raise ControlError unless every task has a name: the only part of a descriptor that the hub itself reads."""
    tasks = descriptor.get("tasks", [])
    listed = tasks if isinstance(tasks, list) else [None]
    if not all(isinstance(task, dict) and isinstance(task.get("name"), str) for task in listed):
        raise ControlError("malformed", "expected `tasks` in the descriptor to be a list of objects with a name")
