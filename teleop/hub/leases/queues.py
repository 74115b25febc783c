"""A robot's queue and its times: how long somebody waits, how long a holder may stay, and what both are told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from teleop.hub.leases.docks import Dock, Lease
from teleop.hub.leases.waiting import wait_s
from teleop.wire import signalling

STARTING_MS: Final = 60_000
"""What a lease allows beside its task's longest episode."""


class Queues:
    """The times of all robots' queues, by one monotonic clock."""

    def __init__(self, lease_s: float, monotonic_ms: Callable[[], int]) -> None:
        """`lease_s`: how long a lease may last while others wait, if its task's episodes are not longer."""
        self._lease_ms, self._monotonic_ms = int(lease_s * 1000), monotonic_ms

    def over(self, lease: Lease) -> bool:
        """Whether a lease has lasted for long enough: others wait for its robot."""
        return bool(lease.dock.queue) and lease.held_ms(self._monotonic_ms()) > self._longest_ms(lease)

    def wait_s(self, dock: Dock, ahead: int) -> int:
        """Return how long somebody with `ahead` others before them in the queue will probably wait, s."""
        holder = dock.holder
        held_s = None if holder is None else holder.held_ms(self._monotonic_ms()) / 1000
        longest_ms = self._lease_ms if holder is None else self._longest_ms(holder)
        return round(wait_s(held_s, ahead, tuple(dock.past_s), longest_ms / 1000))

    def tell_positions(self, dock: Dock) -> None:
        """Tell everyone in the queue their place, and the holder, if that is new, how many wait."""
        for position, lease in enumerate(dock.queue, start=1):
            told = signalling.Queued(dock.address, position, len(dock.queue), self.wait_s(dock, position - 1))
            lease.seat.outbox.signal(signalling.encode(told))
        holder, length = dock.holder, len(dock.queue)
        if holder is not None and holder.held and holder.waiting != length:
            holder.waiting = length
            left_s = max(0, self._longest_ms(holder) - holder.held_ms(self._monotonic_ms())) // 1000
            holder.seat.outbox.signal(signalling.encode(signalling.Waiting(length, left_s)))

    def _longest_ms(self, lease: Lease) -> int:
        """How long a lease may last while others wait: long enough for one episode of its task, with a start."""
        return max(self._lease_ms, lease.dock.episode_ms(lease.grant.task) + STARTING_MS)
