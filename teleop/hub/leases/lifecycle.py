"""A lease from `join` to its end: waited for, stored, handed over, driven under, given back or ended.

All of it belongs to the hub's event loop. Only granting a lease, renewing its epoch and beginning an episode wait for
the database. An end takes effect at once; its row is written by `Endings`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog

from teleop.hub.asking import Ask, asked, unavailable
from teleop.hub.leases.docks import Dock, Lease, LeaseState, Seat, cannot_check, watching
from teleop.hub.leases.endings import Ending, Endings
from teleop.hub.leases.grants import require_grant
from teleop.hub.leases.hearing import Heard, Hearing
from teleop.hub.leases.queues import Queues
from teleop.hub.leases.returning import Returning, recorded
from teleop.hub.store import Store
from teleop.hub.tables import LeaseRow
from teleop.identity import Domain
from teleop.wire import signalling
from teleop.wire.driver import Driver
from teleop.wire.notes import NOTE_EVERY_MS, NOTES_MAX, cleaned
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()


class Leases:
    """What becomes of every lease. Whoever changes it, changes it here."""

    def __init__(
        self,
        store: Store,
        domain: Domain,
        queues: Queues,
        counts: Counter[str],
        *,
        away_s: float,
        now_ms: Callable[[], int],
        monotonic_ms: Callable[[], int],
        ask: Ask,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        """`counts` is the hub's; `Hub` says what the others are."""
        self._store, self._domain, self._queues, self._counts = store, domain, queues, counts
        self._now_ms, self._monotonic_ms, self._ask = now_ms, monotonic_ms, ask
        self._endings = Endings(self._write, pause)
        self.hearing = Hearing(self._endings.put, now_ms, monotonic_ms)
        self.returning = Returning(away_s, monotonic_ms, self._renew, self.end)
        self._granting: set[asyncio.Task[None]] = set()

    @property
    def unwritten(self) -> int:
        """How many ends are not written yet."""
        return len(self._endings)

    async def close(self) -> None:
        """Wait for the leases that are being stored, and write all ends. All leases have ended before."""
        await asyncio.gather(*self._granting, return_exceptions=True)
        await self._endings.close()

    def join(self, seat: Seat, dock: Dock, message: signalling.Join) -> None:
        """Let an operator wait for a robot, which may be theirs at once; raise SignallingError for a bad grant."""
        grant = message.grant
        require_grant(grant, message.signature, seat, dock, self._domain, self._now_ms())
        for other in dock.leases:
            if other.seat.address == seat.address:
                self.end(other, "replaced", EndReason.OPERATOR_LOST)
        seat.nonce = "0x" + secrets.token_hex(32)  # a grant's nonce can be used once
        lease = Lease(seat, dock, grant, message.signature)
        seat.lease = lease
        if dock.fault is not None and dock.stop is not None:
            seat.outbox.signal(signalling.encode(signalling.RobotFaulted(dock.address, dock.fault, dock.stop)))
        if dock.unrecordable is not None:
            seat.outbox.signal(signalling.encode(signalling.RobotCannotRecord(dock.address, dock.unrecordable)))
        if grant.task in dock.unchecked:
            seat.outbox.signal(signalling.encode(cannot_check(dock, grant.task)))
        dock.queue.append(lease)
        self._queues.tell_positions(dock)
        self._call_next(dock)

    async def begin(self, seat: Seat, driver: Driver) -> None:
        """Open an episode for who holds a robot, driven as they say; raise SignallingError if that cannot be."""
        lease, row = holding(seat)
        if lease.ticket is not None:
            raise SignallingError("state", "expected no open episode to begin one; finish the open one")
        _require_cleared(lease.dock)
        if self._queues.over(lease):
            self.end(lease, "expired", EndReason.REVOKED)
            return
        lease.move(LeaseState.LIVE)
        task = lease.grant.task
        ticket = await asked(self._ask, self._store.issue_ticket, row, task, lease.dock.described(task), driver)
        if lease.state is LeaseState.ENDED:
            return
        _require_cleared(lease.dock)
        lease.ticket, lease.driver = ticket, driver
        lease.notes, lease.noted_ms = 0, None
        lease.filmed, lease.troubles = ticket.episode, {}
        self.hearing.begun(lease.dock.address, ticket.episode)
        order = signalling.BeginOrder(ticket.episode, ticket.seed, ticket.nonce, driver, ticket.rules)
        lease.dock.outbox.signal(signalling.encode(order))

    def note(self, seat: Seat, text: str) -> None:
        """Pass on an operator's words for the episode that is being recorded; raise SignallingError if there is none.

        The host keeps them, and says so.
        """
        lease, _row = holding(seat)
        said, now_ms = cleaned(text), self._monotonic_ms()
        if not recorded(lease):
            raise SignallingError("note", "expected a note while an episode is being recorded; drive first")
        if not said:
            raise SignallingError("note", "expected a note with words in it, got none")
        if lease.notes >= NOTES_MAX:
            raise SignallingError("note", f"expected at most {NOTES_MAX} notes for an episode; it has them")
        if lease.noted_ms is not None and now_ms - lease.noted_ms < NOTE_EVERY_MS:
            raise SignallingError("note", f"expected at most one note in {NOTE_EVERY_MS / 1000:g} s; send it again")
        lease.notes, lease.noted_ms = lease.notes + 1, now_ms
        lease.dock.outbox.signal(signalling.encode(signalling.NoteOrder(said)))

    def noted(self, dock: Dock, message: signalling.HostNoted) -> None:
        """The host keeps a note: tell its operator."""
        lease = _driving(dock, message.episode)
        if lease is not None:
            lease.seat.outbox.signal(signalling.encode(signalling.Noted(message.episode, message.notes)))

    def troubled(self, dock: Dock, message: signalling.CameraTroubled) -> None:
        """Something is wrong with a camera's pictures: tell who drives, also just after the end of the episode."""
        lease = dock.holder
        named = {camera["name"] for camera in dock.descriptor.get("cameras", ())}
        if lease is None or lease.filmed != message.episode or message.camera not in named:
            return
        told = signalling.RobotCameraTroubled(**msgspec.structs.asdict(message))
        again = lease.troubles.get((message.camera, message.trouble)) == told
        lease.troubles[message.camera, message.trouble] = told
        if lease.state is LeaseState.LIVE and not again:
            lease.seat.outbox.signal(signalling.encode(told))

    def finish(self, seat: Seat, said: bool | None = None) -> None:
        """Pass on that an operator finishes the open episode; raise SignallingError if there is none.

        `said`: their word whether the task was done. A host that cannot keep it is not told, and nor is the ticket.
        """
        lease, _row = holding(seat)
        if lease.ticket is None:
            raise SignallingError("state", "expected an open episode to finish; begin one")
        word = said if lease.dock.keeps_word else None
        self.hearing.finished(lease.dock.address, lease.ticket.episode, word)
        order = signalling.FinishOrder(EndReason.FINISHED, msgspec.UNSET if word is None else word)
        lease.dock.outbox.signal(signalling.encode(order))

    def ready(self, dock: Dock, message: signalling.Ready) -> None:
        """The robot is ready for the open episode: tell its operator."""
        self.hearing.ready(dock.address, message.episode)
        lease = _driving(dock, message.episode)
        if lease is not None:
            task = dock.task(lease.grant.task)
            lease.seat.outbox.signal(signalling.encode(signalling.EpisodeReady(message.episode, message.seed, task)))

    def ended(self, dock: Dock, message: signalling.Ended) -> None:
        """The open episode is over: tell its operator, who may be away."""
        self.hearing.ended(dock.address, message)
        lease = _driving(dock, message.episode)
        if lease is None:
            return
        lease.ticket = None
        episode = message.episode if message.kept else None
        told = signalling.EpisodeEnded(episode, message.steps, message.success, message.valid, message.reason)
        if lease.state is LeaseState.PAUSED:
            self.returning.ended(lease, told)
        else:
            lease.seat.outbox.signal(signalling.encode(told))

    def expire(self, docks: Iterable[Dock]) -> None:
        """End leases that are over while others wait, and those that were kept for long enough."""
        for dock in docks:
            if dock.holder is not None and self._queues.over(dock.holder):
                self.end(dock.holder, "expired", EndReason.REVOKED)
            elif dock.holder is not None and self.returning.over(dock.holder):
                self.end(dock.holder, "left", EndReason.OPERATOR_LOST)

    def end(self, lease: Lease, reason: str, order: EndReason) -> None:
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
        self._queues.tell_positions(dock)
        self._call_next(dock)

    def _call_next(self, dock: Dock) -> None:
        """Keep the robot for the first of its queue, if it is free, and store the lease."""
        if dock.gone or dock.holder is not None or dock.granting is not None or not dock.queue:
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
            self._counts["leases_failed"] += 1
            if lease.state is not LeaseState.ENDED:
                why = unavailable(error)
                lease.seat.outbox.signal(
                    signalling.error(why.code, f"the lease could not be stored; join the robot again: {why}")
                )
                self.end(lease, "unavailable", EndReason.REVOKED)
        dock.granting = None
        if lease.ending is not None and lease.row is None:  # it may be in the table anyway
            self._endings.put(lease.ending)
        self._queues.tell_positions(dock)
        self._call_next(dock)

    def _hand_over(self, lease: Lease, row: LeaseRow) -> None:
        lease.move(LeaseState.GRANTED)
        lease.row, lease.since_ms = row, self._monotonic_ms()
        self._counts["leases"] += 1
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
            told = signalling.encode(watching(dock))  # once for all of them
            for seat in dock.watchers - {lease.seat}:
                seat.outbox.signal(told)

    async def _renew(self, lease: Lease) -> int:
        return await asked(self._ask, self._store.renew_lease, lease.id)

    async def _write(self, note: Ending | Heard) -> None:
        if isinstance(note, Ending):
            await self._ask(self._store.close_lease, note.lease, note.reason, note.ended_ms)
            return
        await self._ask(self._store.note_heard, note.episode, note.columns)
        self.hearing.written(note)


def holding(seat: Seat) -> tuple[Lease, LeaseRow]:
    """Return the lease under which an operator holds a robot; raise SignallingError if there is none."""
    lease = seat.lease
    if lease is None or not lease.held or lease.row is None:
        raise SignallingError("state", "expected to hold a robot; join one and wait for `granted`")
    return lease, lease.row


def _driving(dock: Dock, episode: str) -> Lease | None:
    """Return the lease under which this episode is open; None if it is not, or not any more."""
    lease = dock.holder
    return None if lease is None or lease.ticket is None or lease.ticket.episode != episode else lease


def _require_cleared(dock: Dock) -> None:
    if dock.estopped:
        raise SignallingError("state", "the robot is e-stopped; its owner can clear that")
    if dock.fault is not None:
        raise SignallingError("state", f"the robot broke: {dock.fault}; its owner can clear that")
    if dock.unrecordable is not None:
        said = f"the robot's computer cannot record, {dock.unrecordable}; its owner was told"
        raise SignallingError("cannot_record", said)
