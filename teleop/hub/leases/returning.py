"""Operators who come back: a drive whose connection was lost stays open for a while, at rest, for its own wallet.

Only a drive of which something has been recorded is kept. The robot brakes at once, as at any other end, and goes on
recording that it stands still, so nobody gains time by going away. Who comes back gets a new epoch: what the lost
connection had sent moves nothing. A second window takes a drive over in the same way, and the first is told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from teleop.hub.leases.docks import Dock, Lease, LeaseState, Seat
from teleop.wire import signalling
from teleop.wire.driver import PERSON, Driver
from teleop.wire.messages import State, WireError
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import SignallingError

AWAY_S: Final = 60.0
"""How long a drive is kept for an operator whose connection was lost."""


class Returning:
    """Which leases are kept for whom. All of it belongs to the hub's event loop."""

    def __init__(
        self,
        away_s: float,
        monotonic_ms: Callable[[], int],
        renew: Callable[[Lease], Awaitable[int]],
        end: Callable[[Lease, str, EndReason], None],
    ) -> None:
        """`renew` stores a new epoch for a lease, and returns it; `end` ends a lease for everyone."""
        self._away_ms, self._monotonic_ms = int(away_s * 1000), monotonic_ms
        self._renew, self._end = renew, end

    def keep(self, lease: Lease) -> bool:
        """Keep the lease of an operator whose connection is gone; return whether there is anything to keep."""
        if lease.state is LeaseState.LIVE and self._away_ms > 0 and recorded(lease):
            self._pause(lease)
        if lease.state is not LeaseState.PAUSED:
            return False
        lease.paused_ms = self._monotonic_ms()
        return True

    def left_s(self, lease: Lease | None) -> int | None:
        """Return for how long a lease is still kept; None if its operator is here."""
        if lease is None or lease.paused_ms is None:
            return None
        return max(0, self._away_ms - (self._monotonic_ms() - lease.paused_ms)) // 1000

    def over(self, lease: Lease) -> bool:
        """Whether its operator has been away for too long."""
        return lease.paused_ms is not None and self._monotonic_ms() - lease.paused_ms >= self._away_ms

    async def resume(self, seat: Seat, lease: Lease | None, driver: Driver) -> None:
        """Let an operator who is back have the lease, to be driven on as they say.

        Raises SignallingError if it is not theirs, or over, or if a program would drive on in a person's name.
        """
        if lease is None or lease.seat.address != seat.address:
            raise SignallingError("lease_over", "expected a lease that is kept for this wallet; join the robot again")
        over = lease.state is LeaseState.LIVE and lease.ticket is None  # its episode has ended, and was told of
        if over or lease.state not in (LeaseState.LIVE, LeaseState.PAUSED):
            raise SignallingError("state", "expected an episode to go on with; join the robot again")
        _require_driver(lease, driver)
        self._move_to(seat, lease)
        try:
            epoch = await self._renew(lease)
        except SignallingError:
            if lease.seat is seat and lease.state is LeaseState.PAUSED:
                seat.lease, lease.paused_ms = None, self._monotonic_ms()
            raise
        if lease.seat is seat and lease.state is LeaseState.PAUSED and lease.row is not None:
            lease.row.epoch = epoch
            lease.dock.outbox.signal(signalling.encode(signalling.ResumeOrder(lease.id, epoch)))

    def resumed(self, dock: Dock, message: signalling.HostResumed) -> bool:
        """Give the drive back: the host is ready for its operator. Return whether anybody still waits for that."""
        lease = dock.holder
        if lease is None or lease.row is None or lease.state is not LeaseState.PAUSED or lease.paused_ms is not None:
            return False
        if (lease.id, lease.row.epoch) != (message.lease, message.epoch):
            return False
        result, lease.result = lease.result, None
        episode = lease.ticket.episode if lease.ticket else result.episode if result else None
        if episode is None or lease.driver is None:
            self._end(lease, "left", EndReason.OPERATOR_LOST)
            return False
        lease.move(LeaseState.LIVE)
        task, where = dock.task(lease.grant.task), (message.steps, message.seq)
        robot = dock.described(lease.grant.task)
        told = signalling.Resumed(lease.id, message.epoch, episode, *where, robot, task, lease.driver)
        lease.seat.outbox.signal(signalling.encode(told))
        if result is not None:
            lease.seat.outbox.signal(signalling.encode(result))
        return True

    def ended(self, lease: Lease, told: signalling.EpisodeEnded) -> None:
        """The episode of a lease that is kept has ended: it is kept on if its operator can still hand it in."""
        lease.result = told
        if not told.valid:
            self._end(lease, "left", EndReason.OPERATOR_LOST)

    def _pause(self, lease: Lease) -> None:
        """The host brakes at once, and waits for no watchdog."""
        lease.move(LeaseState.PAUSED)
        if lease.row is not None:
            lease.dock.outbox.signal(signalling.encode(signalling.PauseOrder(lease.row.epoch)))

    def _move_to(self, seat: Seat, lease: Lease) -> None:
        old = lease.seat
        if lease.state is LeaseState.LIVE:
            self._pause(lease)
        if old.lease is lease:
            old.lease = None
            old.outbox.signal(signalling.encode(signalling.Left("taken_over")))
        lease.seat, lease.paused_ms, lease.waiting = seat, None, 0
        seat.lease = lease


def _require_driver(lease: Lease, driver: Driver) -> None:
    """An open episode goes on as it began, or by a person: what its ticket says stays true of the rest of it."""
    if lease.ticket is None or driver in (PERSON, lease.driver):
        return
    began = "nobody" if lease.driver is None else lease.driver.brief
    said = f"expected a person, or what began this episode ({began}), to go on with it"
    raise SignallingError("state", f"{said}, got {driver.brief}; go on in the page, or begin another")


def recorded(lease: Lease) -> bool:
    """Whether the robot's last state says that an episode of this lease is being recorded."""
    data, row = lease.dock.newest, lease.row
    if data is None or row is None or lease.ticket is None:
        return False
    try:
        state = State.decode(data)
    except WireError:
        return False
    return state.recording and state.epoch == row.epoch
