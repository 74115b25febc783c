"""Where operators and robots meet: queues, leases with epochs, and the relay. It trusts neither and moves nothing.

Everything runs on one event loop, and only what must know the database's answer waits for it: a host connecting, a
lease being granted, an episode beginning. An end takes effect at once; its row is written by `Endings`.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, Self, TypeVar
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.exc import SQLAlchemyError

from teleop import clock
from teleop.hub import full
from teleop.hub.cameras import Cameras
from teleop.hub.docks import Dock, Lease, LeaseState, Presence, Seat
from teleop.hub.endings import Ending, Endings
from teleop.hub.grants import require_grant
from teleop.hub.returning import AWAY_S, Returning
from teleop.hub.store import Store
from teleop.hub.tables import LeaseRow
from teleop.hub.waiting import REMEMBERED, wait_s
from teleop.identity import HOST_HELLO, Domain
from teleop.wire import signalling
from teleop.wire.descriptor import require_descriptor
from teleop.wire.messages import COMMAND_BYTES_MAX, PROTOCOL, STATE_BYTES_MAX
from teleop.wire.outbox import Outbox
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
_P = ParamSpec("_P")
_T = TypeVar("_T")
ANYBODY: Final = ""
"""The address of somebody who has not signed in: they watch, and do nothing else."""
STARTING_MS: Final = 60_000
"""What a lease allows beside its task's longest episode."""
UNAVAILABLE: Final = "the hub's database did not answer, so nothing was changed; try again in a few seconds"


class Hub:
    """All live seats and docks."""

    def __init__(
        self,
        store: Store,
        domain: Domain,
        lease_s: float,
        *,
        away_s: float = AWAY_S,
        now_ms: Callable[[], int] = clock.now_ms,
        monotonic_ms: Callable[[], int] = clock.monotonic_ms,
        ask: Callable[..., Awaitable[Any]] = asyncio.to_thread,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`away_s`: how long a drive is kept for an operator whose connection was lost.

        `now_ms` dates, `monotonic_ms` measures.

        `ask` calls what may wait for the database, outside the event loop; `pause` waits between tries to write.
        """
        self._store, self._domain, self._lease_ms = store, domain, int(lease_s * 1000)
        self._now_ms, self._monotonic_ms, self._ask = now_ms, monotonic_ms, ask
        self._endings = Endings(self._write, pause)
        self._returning = Returning(away_s, monotonic_ms, self._renew, self._end)
        self.docks: dict[str, Dock] = {}
        self._uploaders: dict[bytes, Dock] = {}
        self._arriving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._granting: set[asyncio.Task[None]] = set()
        self._seats: set[Seat] = set()
        self.counts: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        """Close the leases that the last run left open in the table."""
        left = await self._ask(self._store.close_left_open, self._now_ms())
        if left:
            _log.warning("leases that the last run left open are closed", count=left)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every lease, and write all ends to the database."""
        for dock in list(self.docks.values()):
            self.undock(dock)
        await asyncio.gather(*self._granting, return_exceptions=True)
        await self._endings.close()

    def census(self) -> dict[str, Any]:
        """Return who is here, and what has been counted since the hub began."""
        docks = self.docks.values()
        return {
            "operators": sum(seat.address != ANYBODY for seat in self._seats),
            "robots": len(docks),
            "holding": sum(dock.holder is not None for dock in docks),
            "queued": sum(len(dock.queue) for dock in docks),
            "watching": sum(len(dock.watchers) for dock in docks),
            "looking": sum(dock.cameras.watching for dock in docks),
            "unwritten": len(self._endings),
            "counts": dict(self.counts),
        }

    def presences(self) -> dict[str, Presence]:
        """Return what the cards say about every robot that is online."""
        return {address: self._presence(dock) for address, dock in self.docks.items()}

    def _presence(self, dock: Dock) -> Presence:
        driver, task = (dock.holder.seat.address, dock.holder.grant.task) if dock.holder else (None, None)
        length, kept_s = len(dock.queue), self._returning.left_s(dock.holder)
        wait_s = self.wait_s(dock, length)
        return Presence(dock.estopped, dock.fault, dock.unrecordable, driver, length, wait_s, kept_s, task)

    # --- robots

    async def dock(self, hello: signalling.HostHello, challenge: str, outbox: Outbox) -> Dock:
        """Admit a host that proves its robot's key; a second connection of a robot replaces the first.

        Raises SignatureError, UnknownRobotAddressError, and SignallingError for an invalid descriptor.
        """
        HOST_HELLO.require(hello.robot, self._domain, {"robot": hello.robot, "challenge": challenge}, hello.signature)
        require_descriptor(hello.descriptor)
        async with self._arriving.setdefault(hello.robot, asyncio.Lock()):  # in order: the newest comes last and stays
            row = await self._asked(self._store.robot, hello.robot)
            descriptor = {**hello.descriptor, "name": row.name}
            cameras = Cameras(descriptor.get("cameras", []), lambda asked: outbox.signal(signalling.encode(asked)))
            past_s = await self._asked(self._store.lease_lengths_s, row.address, REMEMBERED)
            await self._asked(self._store.describe, row.address, descriptor)
            token = secrets.token_urlsafe(32)
            dock = Dock(row.address, row.owner, descriptor, outbox, token, hello.estopped, cameras)
            if len(descriptor["tasks"]) > 1:
                dock.at_since = row.epoch + 1  # until then it may still be at the task of an earlier lease
            dock.past_s.extend(past_s)
            self._admit(dock)
        _log.info("robot online", robot=row.address, name=row.name)
        return dock

    def _admit(self, dock: Dock) -> None:
        before = self.docks.pop(dock.address, None)
        if before is not None:
            self.undock(before)
            before.outbox.close()
        self.docks[dock.address] = dock
        self._uploaders[_hashed(dock.upload_token)] = dock
        dock.outbox.signal(signalling.encode(signalling.HostWelcome(dock.upload_token, self._now_ms())))

    def undock(self, dock: Dock) -> None:
        """A host is gone: everyone at its robot leaves."""
        if self.docks.get(dock.address) is dock:
            del self.docks[dock.address]
        self._uploaders.pop(_hashed(dock.upload_token), None)
        leases = dock.leases
        dock.queue.clear()  # at once, so that nobody is told their place in it any more
        for lease in leases:
            self._end(lease, "host_lost", EndReason.HOST_LOST)
        dock.cameras.end()
        for seat in list(dock.watchers):
            dock.watchers.discard(seat)
            seat.watching = None
            seat.outbox.signal(signalling.encode(signalling.Left("host_lost")))
        _log.info("robot offline", robot=dock.address)

    def uploader(self, token: str) -> Dock | None:
        """Return the robot whose upload token this is, if it is online. Any thread may ask."""
        return self._uploaders.get(_hashed(token))

    def from_robot(self, dock: Dock, data: bytes) -> None:
        """Relay a state to the holder and the watchers; an invalid one is dropped and counted."""
        if not 0 < len(data) <= STATE_BYTES_MAX:
            self.counts["states_malformed"] += 1
            return
        self.counts["states"] += 1
        dock.newest = data
        holder = dock.holder.seat if dock.holder is not None and dock.holder.held else None
        if holder is not None:
            holder.outbox.latest(data)
        for seat in dock.watchers:
            if seat is not holder:  # who drives may watch, too
                seat.outbox.latest(data)

    def from_host(self, dock: Dock, message: signalling.FromHost) -> None:
        """Serve a host's control message."""
        match message:
            case signalling.Ready():
                self._ready(dock, message)
            case signalling.Ended():
                self._ended(dock, message)
            case signalling.HostResumed():
                if self._returning.resumed(dock, message):
                    self._tell_positions(dock)
            case signalling.Refused():
                if dock.holder and dock.holder.row and dock.holder.row.lease == message.lease:
                    dock.holder.seat.outbox.signal(signalling.error("grant", f"the robot's host: {message.reason}"))
                    self._end(dock.holder, "refused", EndReason.REVOKED)
            case signalling.Estopped() | signalling.Cleared():
                dock.estopped = isinstance(message, signalling.Estopped)
                if not dock.estopped:
                    dock.fault = None
                tell = signalling.RobotStopped if dock.estopped else signalling.RobotCleared
                for seat in dock.audience:
                    seat.outbox.signal(signalling.encode(tell(dock.address, message.by)))
            case signalling.Faulted():
                dock.fault = message.reason
                for seat in dock.audience:
                    seat.outbox.signal(signalling.encode(signalling.RobotFaulted(dock.address, message.reason)))
            case signalling.CannotRecord() | signalling.CanRecord():
                self._recordable(dock, message.reason if isinstance(message, signalling.CannotRecord) else None)
            case signalling.HostHello():
                raise SignallingError("state", "expected hello only once, as the first message")

    def _recordable(self, dock: Dock, trouble: str | None) -> None:
        dock.unrecordable = trouble
        if trouble is None:
            told = signalling.encode(signalling.RobotCanRecord(dock.address))
        else:
            told = signalling.encode(signalling.RobotCannotRecord(dock.address, trouble))
        for seat in dock.audience:
            seat.outbox.signal(told)

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
        if lease.state is LeaseState.PAUSED:
            self._returning.ended(lease, told)
        else:
            lease.seat.outbox.signal(signalling.encode(told))

    # --- operators

    def sit(self, address: str, outbox: Outbox) -> Seat:
        """Admit a signed-in wallet, or anybody who only watches."""
        seat = Seat(address, "0x" + secrets.token_hex(32), outbox)
        self._seats.add(seat)
        outbox.signal(signalling.encode(signalling.Welcome(PROTOCOL, address, seat.nonce, self._now_ms())))
        return seat

    def stand(self, seat: Seat) -> None:
        """An operator's connection is gone."""
        self._seats.discard(seat)
        if seat.watching:
            seat.watching.watchers.discard(seat)
        lease, seat.lease = seat.lease, None
        if lease and not self._returning.keep(lease):
            self._end(lease, "left", EndReason.OPERATOR_LOST)

    def command(self, seat: Seat, data: bytes) -> None:
        """Relay a command of the holder; anyone else's, or an invalid one, is dropped and counted."""
        if not 0 < len(data) <= COMMAND_BYTES_MAX:
            self.counts["commands_malformed"] += 1
            return
        lease = seat.lease
        if lease is None or not lease.held:
            self.counts["commands_not_holder"] += 1
            return
        self.counts["commands"] += 1
        lease.dock.outbox.latest(data)

    async def from_operator(self, seat: Seat, message: signalling.FromOperator) -> None:
        """Serve an operator's control message; raise SignallingError if it cannot be served."""
        if seat.address == ANYBODY and not isinstance(message, signalling.Watch):
            raise SignallingError("auth", "expected a signed-in wallet for anything but `watch`; sign in")
        match message:
            case signalling.Join():
                self._join(seat, message)
            case signalling.Resume():
                await self._resume(seat, message)
            case signalling.Begin():
                await self._begin(seat)
            case signalling.Finish():
                lease, _row = self._holding(seat)
                if lease.ticket is None:
                    raise SignallingError("state", "expected an open episode to finish; begin one")
                lease.dock.outbox.signal(signalling.encode(signalling.FinishOrder(EndReason.FINISHED)))
            case signalling.Leave():
                if seat.lease is None:
                    raise SignallingError("state", "expected a robot or a queue to leave; join one")
                self._end(seat.lease, "left", EndReason.LEFT)
            case signalling.Watch():
                self._watch(seat, self.online(message.robot))
            case signalling.Estop():
                dock = self.online(message.robot)
                dock.outbox.signal(signalling.encode(signalling.EstopOrder(seat.address)))
            case signalling.Clear():
                dock = self.online(message.robot)
                if dock.owner != seat.address:
                    raise SignallingError(
                        "not_owner", f"only the owner, {dock.owner}, can release this robot, and you are {seat.address}"
                    )
                dock.outbox.signal(signalling.encode(signalling.ClearOrder(seat.address)))
            case signalling.Hello():
                raise SignallingError("state", "expected hello only once, as the first message")

    def _join(self, seat: Seat, message: signalling.Join) -> None:
        if seat.lease is not None:
            raise SignallingError("state", "expected one robot at a time; leave the one you are at first")
        grant = message.grant
        dock = self.online(grant.robot)
        require_grant(grant, message.signature, seat, dock, self._domain, self._now_ms())
        for other in dock.leases:
            if other.seat.address == seat.address:
                self._end(other, "replaced", EndReason.OPERATOR_LOST)
        seat.nonce = "0x" + secrets.token_hex(32)  # a grant's nonce can be used once
        lease = Lease(seat, dock, grant, message.signature)
        seat.lease = lease
        if dock.fault is not None:
            seat.outbox.signal(signalling.encode(signalling.RobotFaulted(dock.address, dock.fault)))
        if dock.unrecordable is not None:
            seat.outbox.signal(signalling.encode(signalling.RobotCannotRecord(dock.address, dock.unrecordable)))
        dock.queue.append(lease)
        self._tell_positions(dock)
        self._call_next(dock)

    async def _resume(self, seat: Seat, message: signalling.Resume) -> None:
        if seat.lease is not None:
            raise SignallingError("state", "expected one robot at a time; leave the one you are at first")
        holders = (dock.holder for dock in self.docks.values())
        await self._returning.resume(seat, next((one for one in holders if one and one.id == message.lease), None))

    async def _renew(self, lease: Lease) -> int:
        return await self._asked(self._store.renew_lease, lease.id)

    def _call_next(self, dock: Dock) -> None:
        """Keep the robot for the first of its queue, if it is free, and store the lease."""
        here = self.docks.get(dock.address) is dock
        if not here or dock.holder is not None or dock.granting is not None or not dock.queue:
            return
        lease = dock.holder = dock.queue.pop(0)
        lease.move(LeaseState.GRANTING)
        dock.granting = asyncio.create_task(self._grant(lease), name="grant")
        self._granting.add(dock.granting)
        dock.granting.add_done_callback(self._granting.discard)

    async def _grant(self, lease: Lease) -> None:
        dock = lease.dock
        try:
            row = await self._ask(self._store.open_lease, lease.id, lease.grant, lease.signature)
            if lease.state is LeaseState.GRANTING:
                self._hand_over(lease, row)
        except Exception as error:  # noqa: BLE001  nobody awaits this task: it reports, and the robot passes on
            _log.warning("a lease was not granted", robot=dock.address, operator=lease.seat.address, error=str(error))
            self.counts["leases_failed"] += 1
            if lease.state is not LeaseState.ENDED:
                why = _unavailable(error)
                lease.seat.outbox.signal(
                    signalling.error(why.code, f"the lease could not be stored; join the robot again: {why}")
                )
                self._end(lease, "unavailable", EndReason.REVOKED)
        dock.granting = None
        if lease.ending is not None and lease.row is None:  # it may be in the table anyway
            self._endings.put(lease.ending)
        self._tell_positions(dock)
        self._call_next(dock)

    def _hand_over(self, lease: Lease, row: LeaseRow) -> None:
        lease.move(LeaseState.GRANTED)
        lease.row, lease.since_ms = row, self._monotonic_ms()
        self.counts["leases"] += 1
        dock, grant = lease.dock, lease.grant
        dock.outbox.signal(
            signalling.encode(
                signalling.LeaseOrder(row.lease, row.epoch, grant.operator, grant, lease.signature, grant.task)
            )
        )
        lease.seat.outbox.signal(
            signalling.encode(
                signalling.Granted(row.lease, row.epoch, dock.described(grant.task), dock.task(grant.task))
            )
        )
        if dock.go_to(grant.task, row.epoch):
            told = signalling.encode(_watching(dock))  # once for all of them
            for seat in dock.watchers - {lease.seat}:
                seat.outbox.signal(told)

    async def _begin(self, seat: Seat) -> None:
        lease, row = self._holding(seat)
        if lease.ticket is not None:
            raise SignallingError("state", "expected no open episode to begin one; finish the open one")
        _require_cleared(lease.dock)
        if self._over(lease):
            self._end(lease, "expired", EndReason.REVOKED)
            return
        lease.move(LeaseState.LIVE)
        ticket = await self._asked(self._store.issue_ticket, row, lease.grant.task)
        if lease.state is LeaseState.ENDED:
            return
        _require_cleared(lease.dock)
        lease.ticket = ticket
        lease.dock.outbox.signal(signalling.encode(signalling.BeginOrder(ticket.episode, ticket.seed, ticket.nonce)))

    def expire(self) -> None:
        """End leases that are over while others wait, and those that were kept for long enough. Called now and then."""
        for dock in list(self.docks.values()):
            if dock.holder is not None and self._over(dock.holder):
                self._end(dock.holder, "expired", EndReason.REVOKED)
            elif dock.holder is not None and self._returning.over(dock.holder):
                self._end(dock.holder, "left", EndReason.OPERATOR_LOST)

    def _over(self, lease: Lease) -> bool:
        return bool(lease.dock.queue) and lease.held_ms(self._monotonic_ms()) > self._longest_ms(lease)

    def _longest_ms(self, lease: Lease) -> int:
        """How long a lease may last while others wait: long enough for one episode of its task, with a start."""
        return max(self._lease_ms, lease.dock.episode_ms(lease.grant.task) + STARTING_MS)

    def _end(self, lease: Lease, reason: str, order: EndReason) -> None:
        """End a lease, waited for or held, tell everyone, and let the next one in."""
        if lease.state is LeaseState.ENDED:
            return
        lease.move(LeaseState.ENDED)
        held_ms = lease.held_ms(self._monotonic_ms())
        ended_ms = self._now_ms() if lease.row is None else lease.row.started_ms + held_ms
        lease.ending = Ending(lease.id, reason, ended_ms)
        dock, seat = lease.dock, lease.seat
        if seat.lease is lease:
            seat.lease = None
        seat.outbox.signal(signalling.encode(signalling.Left(reason)))
        if lease in dock.queue:
            dock.queue.remove(lease)
        if dock.holder is lease:
            dock.holder = None
        if lease.row is not None:
            dock.past_s.append(held_ms / 1000)
            dock.outbox.signal(signalling.encode(signalling.Revoke(lease.row.epoch, order)))
            self._endings.put(lease.ending)
        self._tell_positions(dock)
        self._call_next(dock)

    async def _write(self, ending: Ending) -> None:
        await self._ask(self._store.close_lease, ending.lease, ending.reason, ending.ended_ms)

    async def _asked(self, call: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Return the database's answer; raise SignallingError, which says what to do, if none comes."""
        try:
            answer: _T = await self._ask(call, *arguments, **named)
        except SQLAlchemyError as error:
            _log.warning("the database did not answer", error=str(error))
            raise _unavailable(error) from error
        return answer

    def _watch(self, seat: Seat, dock: Dock) -> None:
        if seat.watching:
            seat.watching.watchers.discard(seat)
        seat.watching = dock
        dock.watchers.add(seat)
        seat.outbox.signal(signalling.encode(_watching(dock)))

    def wait_s(self, dock: Dock, ahead: int) -> int:
        """Return how long somebody with `ahead` others before them in the queue will probably wait, s."""
        holder = dock.holder
        held_s = None if holder is None else holder.held_ms(self._monotonic_ms()) / 1000
        longest_ms = self._lease_ms if holder is None else self._longest_ms(holder)
        return round(wait_s(held_s, ahead, tuple(dock.past_s), longest_ms / 1000))

    def _tell_positions(self, dock: Dock) -> None:
        for position, lease in enumerate(dock.queue, start=1):
            told = signalling.Queued(dock.address, position, len(dock.queue), self.wait_s(dock, position - 1))
            lease.seat.outbox.signal(signalling.encode(told))
        holder, length = dock.holder, len(dock.queue)
        if holder is not None and holder.held and holder.waiting != length:
            holder.waiting = length
            left_s = max(0, self._longest_ms(holder) - holder.held_ms(self._monotonic_ms())) // 1000
            holder.seat.outbox.signal(signalling.encode(signalling.Waiting(length, left_s)))

    def online(self, robot: str) -> Dock:
        """Return a robot's connection; raise SignallingError if there is none."""
        dock = self.docks.get(robot)
        if dock is None:
            raise SignallingError(
                "robot_offline", f"expected a robot that is online, got {robot!r}; see GET /api/robots"
            )
        return dock

    def _holding(self, seat: Seat) -> tuple[Lease, LeaseRow]:
        lease = seat.lease
        if lease is None or not lease.held or lease.row is None:
            raise SignallingError("state", "expected to hold a robot; join one and wait for `granted`")
        return lease, lease.row


def _watching(dock: Dock) -> signalling.Watching:
    """Return what a watcher needs to read the robot's states: as it is at its present task, and from when on."""
    here = dock.described(dock.at)
    task = dock.task(dock.at or next((one["name"] for one in here["tasks"]), None))
    return signalling.Watching(here, task, dock.at_since)


def _unavailable(error: Exception) -> SignallingError:
    """Return what is told of something that could not be stored."""
    if full.is_full(error):
        return SignallingError("hub_full", full.FULL)
    return SignallingError("unavailable", UNAVAILABLE)


def _require_cleared(dock: Dock) -> None:
    if dock.estopped:
        raise SignallingError("state", "the robot is e-stopped; its owner can clear that")
    if dock.fault is not None:
        raise SignallingError("state", f"the robot broke: {dock.fault}; its owner can clear that")
    if dock.unrecordable is not None:
        said = f"the robot's computer cannot record, {dock.unrecordable}; its owner was told"
        raise SignallingError("cannot_record", said)


def _hashed(token: str) -> bytes:
    """Return the key by which a token is looked up: the time a look-up takes reveals nothing about the token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
