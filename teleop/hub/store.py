"""What a hub asks of its database while robots are driven: `Registry` answers, or a test's in-memory store."""

from __future__ import annotations

from typing import Any, Protocol

from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from teleop.wire.driver import Driver
from teleop.wire.signalling import Grant


class Store(Protocol):
    """What a hub asks of the database: `Registry`, or a test's."""

    def robot(self, address: str) -> RobotRow:
        """Return one robot; raise UnknownRobotAddressError."""

    def describe(self, address: str, descriptor: dict[str, Any]) -> None:
        """Store a robot's descriptor, as its host sent it."""

    def lease_lengths_s(self, robot: str, count: int) -> list[float]:
        """Return how long the last `count` leases of a robot took, oldest first, s."""

    def open_lease(self, lease: str, grant: Grant, signature: str) -> LeaseRow:
        """Start a lease with the robot's next epoch."""

    def renew_lease(self, lease: str) -> int:
        """Give a lease the robot's next epoch, and return it."""

    def close_lease(self, lease: str, reason: str, ended_ms: int) -> None:
        """Record a lease's end, unless one is recorded already."""

    def close_left_open(self, ended_ms: int) -> int:
        """Record the end of every lease that has none; return how many."""

    def note_heard(self, episode: str, heard: dict[str, Any]) -> None:
        """Write what the hub heard of an episode beside its ticket: its columns."""

    def issue_ticket(self, lease: LeaseRow, task: str, described: dict[str, Any], driver: Driver) -> TicketRow:
        """Create an episode's ticket; `described` is the robot's descriptor as it is at the task."""
