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
from teleop.hub.tables import LeaseRow, TicketRow
from teleop.hub.waiting import REMEMBERED, wait_s
from teleop.identity import HOST_HELLO, SESSION_GRANT, Domain, SignatureError, require_address
from teleop.wire import signalling
from teleop.wire.messages import COMMAND_BYTES_MAX, PROTOCOL, STATE_BYTES_MAX
from teleop.wire.outbox import Outbox
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import Grant, SignallingError

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
    lease: Lease | None = None
    watching: Dock | None = None


@dataclass(eq=False, slots=True)
class Lease:
    """An operator's time with a robot: waiting for it in its queue, or holding it."""

    seat: Seat
    dock: Dock
    grant: Grant
    signature: str
    state: LeaseState = LeaseState.QUEUED
    row: LeaseRow | None = None
    ticket: TicketRow | None = None
    since_ms: int | None = None
    """When the robot was handed over; None before."""
    waiting: int = 0
    """How many wait for the robot, as its holder was told last."""

    @property
    def held_ms(self) -> int:
        """For how long it has been holding the robot: 0 before the robot is handed over."""
        return 0 if self.since_ms is None else now_ms() - self.since_ms

    def move(self, to: LeaseState) -> None:
        """Go on; raise SignallingError where that is not the next state."""
        if to not in _MOVES[self.state]:
            allowed = ", ".join(sorted(_MOVES[self.state])) or "nothing"
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
    holder: Lease | None = None
    queue: list[Lease] = field(default_factory=list)
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
        return holder | {lease.seat for lease in self.queue} | self.watchers


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

    async def dock(self, hello: signalling.HostHello, challenge: str, outbox: Outbox) -> Dock:
        """Let a host in that proves its robot's key; a second connection of a robot replaces the first."""
        row = await asyncio.to_thread(self._registry.robot, hello.robot)
        HOST_HELLO.require(hello.robot, self._domain, {"robot": hello.robot, "challenge": challenge}, hello.signature)
        descriptor = {**hello.descriptor, "name": row.name}
        _require_tasks(descriptor)
        await asyncio.to_thread(self._registry.describe, row.address, descriptor)
        cameras = Cameras(descriptor.get("cameras", []), lambda asked: outbox.signal(signalling.encode(asked)))
        past_s = await asyncio.to_thread(self._registry.lease_lengths_s, row.address, REMEMBERED)
        before = self.docks.pop(row.address, None)
        if before is not None:
            await self.undock(before)
            before.outbox.close()
        token = secrets.token_urlsafe(32)
        dock = Dock(row.address, row.owner, descriptor, outbox, token, hello.estopped, cameras)
        dock.past_s.extend(past_s)
        self.docks[row.address] = dock
        outbox.signal(signalling.encode(signalling.HostWelcome(dock.upload_token)))
        _log.info("robot online", robot=row.address, name=row.name)
        return dock

    async def undock(self, dock: Dock) -> None:
        """A host is gone: its robot is free of everyone."""
        if self.docks.get(dock.address) is dock:
            del self.docks[dock.address]
        for lease in [dock.holder, *dock.queue]:
            if lease is not None:
                await self._end(lease, "host_lost", EndReason.HOST_LOST)
        dock.cameras.end()
        for seat in list(dock.watchers):
            dock.watchers.discard(seat)
            seat.watching = None
            seat.outbox.signal(signalling.encode(signalling.Left("host_lost")))
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

    async def from_host(self, dock: Dock, message: signalling.FromHost) -> None:
        """Serve a host's control message."""
        match message:
            case signalling.Ready():
                self._ready(dock, message)
            case signalling.Ended():
                self._ended(dock, message)
            case signalling.Refused():
                if dock.holder and dock.holder.row and dock.holder.row.lease == message.lease:
                    dock.holder.seat.outbox.signal(signalling.error("grant", f"the robot's host: {message.reason}"))
                    await self._end(dock.holder, "refused", EndReason.REVOKED)
            case signalling.Estopped() | signalling.Cleared():
                dock.estopped = isinstance(message, signalling.Estopped)
                tell = signalling.RobotStopped if dock.estopped else signalling.RobotCleared
                for seat in dock.audience:
                    seat.outbox.signal(signalling.encode(tell(dock.address, message.by)))
            case signalling.HostHello():
                raise SignallingError("state", "expected hello only once, as the first message")

    def _ready(self, dock: Dock, message: signalling.Ready) -> None:
        lease = dock.holder
        if lease is None or lease.ticket is None or lease.ticket.episode != message.episode:
            return
        task = dock.task(lease.grant.task)
        lease.seat.outbox.signal(signalling.encode(signalling.EpisodeReady(message.episode, message.seed, task)))

    def _ended(self, dock: Dock, message: signalling.Ended) -> None:
        self.counts[f"episodes_{message.reason}"] += 1
        lease = dock.holder
        if lease is None or lease.ticket is None or lease.ticket.episode != message.episode:
            return
        lease.ticket = None
        episode = message.episode if message.kept else None
        told = signalling.EpisodeEnded(episode, message.steps, message.success, message.valid, message.reason)
        lease.seat.outbox.signal(signalling.encode(told))

    # --- operators

    def sit(self, address: str, outbox: Outbox) -> Seat:
        """Let a signed-in wallet in."""
        seat = Seat(address, "0x" + secrets.token_hex(32), outbox)
        self._seats.add(seat)
        outbox.signal(signalling.encode(signalling.Welcome(PROTOCOL, address, seat.nonce)))
        return seat

    async def stand(self, seat: Seat) -> None:
        """An operator's connection is gone."""
        self._seats.discard(seat)
        if seat.watching:
            seat.watching.watchers.discard(seat)
        if seat.lease:
            await self._end(seat.lease, "left", EndReason.OPERATOR_LOST)

    def command(self, seat: Seat, data: bytes) -> None:
        """Relay a command of the holder; anyone else's, and what cannot be one, is dropped and counted."""
        if not 0 < len(data) <= COMMAND_BYTES_MAX:
            self.counts["commands_malformed"] += 1
            return
        lease = seat.lease
        if lease is None or lease.dock.holder is not lease:
            self.counts["commands_not_holder"] += 1
            return
        self.counts["commands"] += 1
        lease.dock.outbox.latest(data)

    async def from_operator(self, seat: Seat, message: signalling.FromOperator) -> None:
        """Serve an operator's control message; raise SignallingError where it cannot be."""
        match message:
            case signalling.Join():
                await self._join(seat, message)
            case signalling.Begin():
                await self._begin(seat)
            case signalling.Finish():
                lease = self._holding(seat)
                if lease.ticket is None:
                    raise SignallingError("state", "expected an open episode to finish; begin one")
                lease.dock.outbox.signal(signalling.encode(signalling.FinishOrder(EndReason.FINISHED)))
            case signalling.Leave():
                if seat.lease is None:
                    raise SignallingError("state", "expected a robot or a queue to leave; join one")
                await self._end(seat.lease, "left", EndReason.LEFT)
            case signalling.Watch():
                self._watch(seat, self.online(message.robot))
            case signalling.Estop():
                dock = self.online(message.robot)
                dock.outbox.signal(signalling.encode(signalling.EstopOrder(seat.address)))
            case signalling.Clear():
                dock = self.online(message.robot)
                if dock.owner != seat.address:
                    raise SignallingError("not_owner", f"expected the owner {dock.owner} to clear, got {seat.address}")
                dock.outbox.signal(signalling.encode(signalling.ClearOrder(seat.address)))
            case signalling.Hello():
                raise SignallingError("state", "expected hello only once, as the first message")

    async def _join(self, seat: Seat, message: signalling.Join) -> None:
        if seat.lease is not None:
            raise SignallingError("state", "expected one robot at a time; leave the one you are at first")
        grant = message.grant
        dock = self.online(grant.robot)
        self._check_grant(seat, dock, grant, message.signature)
        for other in [dock.holder, *dock.queue]:
            if other is not None and other.seat.address == seat.address:
                await self._end(other, "replaced", EndReason.OPERATOR_LOST)
        seat.nonce = "0x" + secrets.token_hex(32)  # a grant's nonce serves once
        lease = Lease(seat, dock, grant, message.signature)
        seat.lease = lease
        dock.queue.append(lease)
        self._tell_positions(dock)
        await self._grant_next(dock)

    def _check_grant(self, seat: Seat, dock: Dock, grant: Grant, signature: str) -> None:
        if dock.task(grant.task) is None:
            names = [task["name"] for task in dock.descriptor.get("tasks", [])]
            raise SignallingError("unknown_task", f"expected one of {names} at this robot, got {grant.task!r}")
        if grant.operator != seat.address or grant.nonce != seat.nonce:
            raise SignallingError("grant", f"expected a grant by {seat.address} over nonce {seat.nonce}")
        if not now_ms() < grant.not_after_ms <= now_ms() + GRANT_MS_MAX:
            raise SignallingError("grant", "expected notAfterMs in the future, at most 24 hours from now")
        try:
            require_address(grant.session_key)
            SESSION_GRANT.require(seat.address, self._domain, grant.values, signature)
        except SignatureError as error:
            raise SignallingError("grant", str(error)) from error

    async def _grant_next(self, dock: Dock) -> None:
        async with dock.lock:
            if dock.holder is not None or not dock.queue:
                return
            lease = dock.holder = dock.queue.pop(0)
            lease.row = await asyncio.to_thread(
                self._registry.open_lease, lease.grant, lease.signature, lease.grant.values
            )
            if lease.state is LeaseState.ENDED:  # gone while the database was asked
                await asyncio.to_thread(self._registry.close_lease, lease.row.lease, "left")
                dock.holder = None
            else:
                self._hand_over(lease, lease.row)
        self._tell_positions(dock)
        if dock.holder is None:
            await self._grant_next(dock)

    def _hand_over(self, lease: Lease, row: LeaseRow) -> None:
        lease.move(LeaseState.GRANTED)
        lease.since_ms = now_ms()
        self.counts["leases"] += 1
        dock, grant = lease.dock, lease.grant
        dock.outbox.signal(
            signalling.encode(
                signalling.LeaseOrder(row.lease, row.epoch, grant.operator, grant, lease.signature, grant.task)
            )
        )
        lease.seat.outbox.signal(
            signalling.encode(signalling.Granted(row.lease, row.epoch, dock.descriptor, dock.task(grant.task)))
        )

    async def _begin(self, seat: Seat) -> None:
        lease = self._holding(seat)
        if lease.ticket is not None:
            raise SignallingError("state", "expected no open episode to begin one; finish the open one")
        if lease.dock.estopped:
            raise SignallingError("state", "the robot is e-stopped; its owner can clear that")
        if lease.dock.queue and lease.held_ms > self._lease_ms:
            await self._end(lease, "expired", EndReason.REVOKED)
            return
        if lease.row is None:
            raise SignallingError("state", "expected a lease")
        lease.move(LeaseState.LIVE)
        ticket = await asyncio.to_thread(self._registry.issue_ticket, lease.row, lease.grant.task)
        if lease.state is LeaseState.ENDED:
            return
        lease.ticket = ticket
        lease.dock.outbox.signal(signalling.encode(signalling.BeginOrder(ticket.episode, ticket.seed, ticket.nonce)))

    async def expire(self) -> None:
        """End leases that are over while others wait. Called now and then."""
        for dock in list(self.docks.values()):
            lease = dock.holder
            if lease is not None and dock.queue and lease.row is not None and lease.held_ms > self._lease_ms:
                await self._end(lease, "expired", EndReason.REVOKED)

    async def _end(self, lease: Lease, reason: str, order: EndReason) -> None:
        """End a lease, waited for or held, tell everyone, and let the next one in."""
        if lease.state is LeaseState.ENDED:
            return
        lease.move(LeaseState.ENDED)
        dock, seat = lease.dock, lease.seat
        if seat.lease is lease:
            seat.lease = None
        seat.outbox.signal(signalling.encode(signalling.Left(reason)))
        if lease in dock.queue:
            dock.queue.remove(lease)
        if dock.holder is lease and lease.row is not None:
            dock.holder = None
            dock.past_s.append(lease.held_ms / 1000)
            dock.outbox.signal(signalling.encode(signalling.Revoke(lease.row.epoch, order)))
            await asyncio.to_thread(self._registry.close_lease, lease.row.lease, reason)
        self._tell_positions(dock)
        if self.docks.get(dock.address) is dock:
            await self._grant_next(dock)

    def _watch(self, seat: Seat, dock: Dock) -> None:
        if seat.watching:
            seat.watching.watchers.discard(seat)
        seat.watching = dock
        dock.watchers.add(seat)
        seat.outbox.signal(signalling.encode(signalling.Watching(dock.descriptor)))

    def wait_s(self, dock: Dock, ahead: int) -> int:
        """Return how long somebody with `ahead` others before them in the queue will probably wait, s."""
        holder = dock.holder
        held_s = None if holder is None else holder.held_ms / 1000
        return round(wait_s(held_s, ahead, tuple(dock.past_s), self._lease_ms / 1000))

    def _tell_positions(self, dock: Dock) -> None:
        for position, lease in enumerate(dock.queue, start=1):
            told = signalling.Queued(dock.address, position, len(dock.queue), self.wait_s(dock, position - 1))
            lease.seat.outbox.signal(signalling.encode(told))
        holder, length = dock.holder, len(dock.queue)
        if holder is not None and holder.since_ms is not None and holder.waiting != length:
            holder.waiting = length
            left_s = max(0, self._lease_ms - holder.held_ms) // 1000
            holder.seat.outbox.signal(signalling.encode(signalling.Waiting(length, left_s)))

    def online(self, robot: str) -> Dock:
        """Return a robot's connection; raise SignallingError where there is none."""
        dock = self.docks.get(robot)
        if dock is None:
            raise SignallingError(
                "robot_offline", f"expected a robot that is online, got {robot!r}; see GET /api/robots"
            )
        return dock

    def _holding(self, seat: Seat) -> Lease:
        lease = seat.lease
        if lease is None or lease.dock.holder is not lease or lease.row is None:
            raise SignallingError("state", "expected to hold a robot; join one and wait for `granted`")
        return lease


def _require_tasks(descriptor: Mapping[str, Any]) -> None:
    """Raise SignallingError unless every task has a name: the only part of a descriptor that the hub itself reads."""
    tasks = descriptor.get("tasks", [])
    listed = tasks if isinstance(tasks, list) else [None]
    if not all(isinstance(task, dict) and isinstance(task.get("name"), str) for task in listed):
        raise SignallingError("malformed", "expected `tasks` in the descriptor to be a list of objects with a name")
