"""Where operators and robots meet: who is here, what each of their messages does, and the relay. It moves nothing.

It trusts neither. Everything runs on one event loop, and only what must know the database's answer waits for it: a
host connecting, and what `Leases` says of a lease.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Self
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.exc import SQLAlchemyError

from teleop import clock
from teleop.hub.asking import Ask, asked
from teleop.hub.leases.docks import Dock, Presence, Seat, cannot_check, watching
from teleop.hub.leases.hearing import Heard
from teleop.hub.leases.lifecycle import Leases
from teleop.hub.leases.queues import Queues
from teleop.hub.leases.returning import AWAY_S
from teleop.hub.leases.waiting import REMEMBERED
from teleop.hub.robots.cameras import Cameras
from teleop.hub.robots.checkable import Checkable, everything
from teleop.hub.robots.clearing import require_clear
from teleop.hub.robots.registry import require_registered
from teleop.hub.store import Store
from teleop.identity import HOST_HELLO, Domain
from teleop.wire import signalling
from teleop.wire.descriptor import require_descriptor
from teleop.wire.messages import COMMAND_BYTES_MAX, PROTOCOL, STATE_BYTES_MAX
from teleop.wire.outbox import Outbox
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
ANYBODY: Final = ""
"""The address of somebody who has not signed in: they watch, and do nothing else."""


Watchable = Callable[[str, str], bool]
"""Returns whether a wallet (`ANYBODY` for somebody who has not signed in) may see a robot live. It may block."""


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
        ask: Ask = asyncio.to_thread,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        checkable: Checkable = everything,
        several: bool = False,
        watchable: Watchable | None = None,
    ) -> None:
        """`away_s`: how long a drive is kept for an operator whose connection was lost.

        `now_ms` dates, `monotonic_ms` measures.

        `ask` calls what may wait for the database, outside the event loop; `pause` waits between tries to write.
        `checkable` says at which tasks of a simulated robot episodes cannot be checked; `watchable`, which may wait for
        the database, whether a wallet may see a robot live that others drive (None: anybody may see any). `several`:
        others, at other hubs, have to know where a robot is.
        """
        self._store, self._domain, self._now_ms, self._ask = store, domain, now_ms, ask
        self._checkable, self._watchable, self._several = checkable, watchable, several
        self.changed: Callable[[], None] = lambda: None
        """Called when a robot has come or gone."""
        self._departing: set[asyncio.Future[Any]] = set()
        self._checking: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()
        self._queues = Queues(lease_s, monotonic_ms)
        self._leases = Leases(
            store,
            domain,
            self._queues,
            self.counts,
            away_s=away_s,
            now_ms=now_ms,
            monotonic_ms=monotonic_ms,
            ask=ask,
            pause=pause,
        )
        self.docks: dict[str, Dock] = {}
        self._uploaders: dict[bytes, Dock] = {}
        self._arriving: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._seats: set[Seat] = set()

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
        for checking in self._checking:
            checking.cancel()
        await asyncio.gather(*self._checking, *self._departing, return_exceptions=True)
        await self._leases.close()

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
            "unwritten": self._leases.unwritten,
            "counts": dict(self.counts),
        }

    def presences(self) -> dict[str, Presence]:
        """Return what the cards say about every robot that is online."""
        return {address: self._presence(dock) for address, dock in self.docks.items()}

    def at_docks(self) -> list[tuple[Dock, Presence]]:
        """Return every robot that is online, with what its card says."""
        return [(dock, self._presence(dock)) for dock in self.docks.values()]

    def _presence(self, dock: Dock) -> Presence:
        driver, task = (dock.holder.seat.address, dock.holder.grant.task) if dock.holder else (None, None)
        length, kept_s = len(dock.queue), self._leases.returning.left_s(dock.holder)
        wait_s = self.wait_s(dock, length)
        latched = dock.estopped, dock.fault, dock.unrecordable
        return Presence(*latched, driver, length, wait_s, kept_s, task, dock.stop, dock.unchecked)

    def wait_s(self, dock: Dock, ahead: int) -> int:
        """Return how long somebody with `ahead` others before them in the queue will probably wait, s."""
        return self._queues.wait_s(dock, ahead)

    def expire(self) -> None:
        """End leases that are over while others wait, and those that were kept for long enough. Called now and then."""
        self._leases.expire(list(self.docks.values()))

    # --- robots

    async def dock(self, hello: signalling.HostHello, challenge: str, outbox: Outbox) -> Dock:
        """Admit a host that proves its robot's key; a second connection of a robot replaces the first.

        Raises SignatureError, UnknownRobotAddressError, and SignallingError for an invalid descriptor.
        """
        HOST_HELLO.require(hello.robot, self._domain, {"robot": hello.robot, "challenge": challenge}, hello.signature)
        require_descriptor(hello.descriptor)
        if hello.estopped != (hello.stop is not None):
            raise SignallingError("malformed", "expected `stop` if and only if `estopped` is true; update the host")
        async with self._arriving.setdefault(hello.robot, asyncio.Lock()):  # in order: the newest comes last and stays
            row = await asked(self._ask, self._store.robot, hello.robot)
            require_registered(hello.descriptor, row)
            descriptor = {**hello.descriptor, "name": row.name}
            cameras = Cameras(descriptor.get("cameras", []), lambda order: outbox.signal(signalling.encode(order)))
            past_s = await asked(self._ask, self._store.lease_lengths_s, row.address, REMEMBERED)
            token = secrets.token_urlsafe(32)
            docked = await asked(self._ask, self._store.describe, row.address, descriptor, token)
            dock = Dock(
                row.address,
                row.owner,
                descriptor,
                outbox,
                token,
                hello.estopped,
                cameras,
                stop=hello.stop,
                keeps_word=hello.takes_word,
            )
            dock.docked = docked
            if len(descriptor["tasks"]) > 1:
                dock.at_since = row.epoch + 1  # until then it may still be at the task of an earlier lease
            dock.past_s.extend(past_s)
            self._admit(dock)
            if row.simulated:
                checking = asyncio.create_task(self._look_whether_checkable(dock), name="checkable")
                self._checking.add(checking)
                checking.add_done_callback(self._checking.discard)
        _log.info("robot online", robot=row.address, name=row.name)
        return dock

    async def _look_whether_checkable(self, dock: Dock) -> None:
        """Tell a robot's host, and whoever is at it, of tasks whose episodes would be held here for ever."""
        try:
            found = await self._checkable(dock.descriptor)
        except Exception:  # noqa: BLE001  nobody awaits this task: it reports, and nothing is said of the robot
            _log.exception("nobody knows whether a robot's episodes can be checked", robot=dock.address)
            return
        dock.unchecked = {task: why.reason for task, why in found.items()}
        for task, why in found.items():
            _log.warning("episodes cannot be checked here", robot=dock.address, task=task, why=why.detail)
            dock.outbox.signal(signalling.encode(signalling.HostCannotCheck(task, why.detail)))
        for lease in dock.leases:
            if lease.grant.task in found:
                lease.seat.outbox.signal(signalling.encode(cannot_check(dock, lease.grant.task)))

    def _admit(self, dock: Dock) -> None:
        before = self.docks.pop(dock.address, None)
        if before is not None:
            self.undock(before)
            before.outbox.close()
        self.docks[dock.address] = dock
        self._uploaders[_hashed(dock.upload_token)] = dock
        self.changed()
        dock.outbox.signal(signalling.encode(signalling.HostWelcome(dock.upload_token, self._now_ms())))

    def undock(self, dock: Dock) -> None:
        """A host is gone: everyone at its robot leaves."""
        if self.docks.get(dock.address) is dock:
            del self.docks[dock.address]
        if not dock.gone:
            self._leases.hearing.lost(dock.address)  # what was heard is written before the leases' ends
        dock.gone = True
        self._uploaders.pop(_hashed(dock.upload_token), None)
        leases = dock.leases
        dock.queue.clear()  # at once, so that nobody is told their place in it any more
        for lease in leases:
            self._leases.end(lease, "host_lost", EndReason.HOST_LOST)
        dock.cameras.end()
        for seat in list(dock.watchers):
            dock.watchers.discard(seat)
            seat.watching = None
            seat.outbox.signal(signalling.encode(signalling.Left("host_lost")))
        if self._several:
            departing = asyncio.ensure_future(self._depart(dock))
            self._departing.add(departing)
            departing.add_done_callback(self._departing.discard)
        self.changed()
        _log.info("robot offline", robot=dock.address)

    async def _depart(self, dock: Dock) -> None:
        try:
            await self._ask(self._store.depart, dock.address, dock.docked)
        except SQLAlchemyError as error:  # its host says where it is when it comes again
            _log.warning("that a robot is gone was not stored", robot=dock.address, error=str(error))

    def send_home(self) -> None:
        """Let every host connect again: what was granted here is over."""
        for dock in list(self.docks.values()):
            self.undock(dock)
            dock.outbox.close()

    def heard(self, episode: str) -> Heard | None:
        """Return what was heard of an episode; None if all of it is in the table. Any thread may ask."""
        return self._leases.hearing.of(episode)

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
                self._leases.ready(dock, message)
            case signalling.HostNoted():
                self._leases.noted(dock, message)
            case signalling.Ended():
                self.counts[f"episodes_{message.reason}"] += 1
                self._leases.ended(dock, message)
            case signalling.HostResumed():
                if self._leases.returning.resumed(dock, message):
                    self._queues.tell_positions(dock)
            case signalling.Refused():
                if dock.holder and dock.holder.row and dock.holder.row.lease == message.lease:
                    dock.holder.seat.outbox.signal(signalling.error("grant", f"the robot's host: {message.reason}"))
                    self._leases.end(dock.holder, "refused", EndReason.REVOKED)
            case signalling.Estopped():
                dock.estopped, dock.stop = True, message.stop
                _tell(dock.audience, signalling.RobotStopped(dock.address, message.by, message.stop))
            case signalling.Faulted():
                dock.fault, dock.stop = message.reason, message.stop
                _tell(dock.audience, signalling.RobotFaulted(dock.address, message.reason, message.stop))
            case signalling.Cleared():
                dock.estopped, dock.fault, dock.stop, dock.clearing = False, None, None, None
                _tell(dock.audience, signalling.RobotCleared(dock.address, message.by))
            case signalling.NotCleared():
                asker, dock.clearing = dock.clearing, None
                if asker is not None:
                    asker.outbox.signal(signalling.error("clear", f"the robot's host: {message.reason}"))
            case signalling.CameraTroubled():
                self._leases.troubled(dock, message)
            case signalling.CannotRecord() | signalling.CanRecord():
                self._recordable(dock, message.reason if isinstance(message, signalling.CannotRecord) else None)
            case signalling.HostHello():
                raise SignallingError("state", "expected hello only once, as the first message")

    def _recordable(self, dock: Dock, trouble: str | None) -> None:
        dock.unrecordable = trouble
        if trouble is None:
            _tell(dock.audience, signalling.RobotCanRecord(dock.address))
        else:
            _tell(dock.audience, signalling.RobotCannotRecord(dock.address, trouble))

    # --- operators

    def sit(self, address: str, outbox: Outbox, nonce: str | None = None) -> Seat:
        """Admit a signed-in wallet, or anybody who only watches.

        `nonce`: what another hub has told them, which carries them here, so that nothing more is said.
        """
        seat = Seat(address, nonce or "0x" + secrets.token_hex(32), outbox)
        self._seats.add(seat)
        if nonce is not None:
            return seat
        outbox.signal(signalling.encode(signalling.Welcome(PROTOCOL, address, seat.nonce, self._now_ms())))
        return seat

    def stand(self, seat: Seat) -> None:
        """An operator's connection is gone."""
        self._seats.discard(seat)
        self.unwatch(seat)
        lease, seat.lease = seat.lease, None
        if lease and not self._leases.returning.keep(lease):
            self._leases.end(lease, "left", EndReason.OPERATOR_LOST)

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
                _require_free(seat)
                self._leases.join(seat, self.online(message.grant.robot), message)
            case signalling.Resume():
                _require_free(seat)
                holders = (dock.holder for dock in self.docks.values())
                lease = next((one for one in holders if one and one.id == message.lease), None)
                await self._leases.returning.resume(seat, lease, message.driver)
            case signalling.Begin():
                await self._leases.begin(seat, message.driver)
            case signalling.Note():
                self._leases.note(seat, message.text)
            case signalling.Finish():
                self._leases.finish(seat, message.said)
            case signalling.Leave():
                if seat.lease is None:
                    raise SignallingError("state", "expected a robot or a queue to leave; join one")
                self._leases.end(seat.lease, "left", EndReason.LEFT)
            case signalling.Watch():
                await self.require_watchable(self.online(message.robot), seat.address)
                self._watch(seat, self.online(message.robot))
            case signalling.Estop():
                dock = self.online(message.robot)
                dock.outbox.signal(signalling.encode(signalling.EstopOrder(seat.address)))
            case signalling.Clear():
                dock = self.online(message.robot)
                require_clear(message, seat, dock, self._domain)
                dock.clearing = seat
                dock.outbox.signal(signalling.encode(signalling.ClearOrder(message.stop, message.signature)))
            case signalling.Hello():
                raise SignallingError("state", "expected hello only once, as the first message")

    async def require_watchable(self, dock: Dock, wallet: str) -> None:
        """Raise SignallingError if a robot is private, and a wallet neither reads it, nor drives it or waits to."""
        if self._watchable is None or any(lease.seat.address == wallet for lease in dock.leases):
            return
        if not await asked(self._ask, self._watchable, dock.address, wallet):
            who = "its owner, those whom they let read it, and whoever drives it or waits to"
            raise SignallingError("private_robot", f"this robot is private: it is shown to {who}")

    def show_no_more(self, robot: str, readers: frozenset[str]) -> None:
        """A robot is private from now on: those who watch it and may not any more see nothing of it."""
        dock = self.docks.get(robot)
        if dock is None:
            return
        may = readers | {lease.seat.address for lease in dock.leases}
        for seat in [one for one in dock.watchers if one.address not in may]:
            self.unwatch(seat)
            seat.outbox.signal(signalling.error("private_robot", "this robot is private from now on"))
        if not dock.leases:
            dock.cameras.end()  # whoever may look joins again

    def unwatch(self, seat: Seat) -> None:
        """Somebody does not watch any more."""
        if seat.watching:
            seat.watching.watchers.discard(seat)
            seat.watching = None

    def _watch(self, seat: Seat, dock: Dock) -> None:
        self.unwatch(seat)
        seat.watching = dock
        dock.watchers.add(seat)
        seat.outbox.signal(signalling.encode(watching(dock)))

    def online(self, robot: str) -> Dock:
        """Return a robot's connection; raise SignallingError if there is none."""
        dock = self.docks.get(robot)
        if dock is None:
            raise SignallingError(
                "robot_offline", f"expected a robot that is online, got {robot!r}; see GET /api/robots"
            )
        return dock


def _tell(seats: Iterable[Seat], message: signalling.Message) -> None:
    text = signalling.encode(message)
    for seat in seats:
        seat.outbox.signal(text)


def _require_free(seat: Seat) -> None:
    if seat.lease is not None:
        raise SignallingError("state", "expected one robot at a time; leave the one you are at first")


def _hashed(token: str) -> bytes:
    """Return the key by which a token is looked up: the time a look-up takes reveals nothing about the token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
