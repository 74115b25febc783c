"""What a hub asks its database while robots are driven: `Registry` answers, or a test's store in memory."""

from __future__ import annotations

from typing import Any, Protocol

from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from teleop.wire.signalling import Grant


class Store(Protocol):
    """What a hub asks the database: `Registry`, or a test's."""

    def robot(self, address: str) -> RobotRow:
        """Return one robot; raise UnknownRobotAddressError."""

    def describe(self, address: str, descriptor: dict[str, Any]) -> None:
        """Keep what a robot's host says of it."""

    def lease_lengths_s(self, robot: str, count: int) -> list[float]:
        """Return how long the last `count` leases of a robot took, oldest first, s."""

    def open_lease(self, lease: str, grant: Grant, signature: str) -> LeaseRow:
        """Start a lease with the robot's next epoch."""

    def close_lease(self, lease: str, reason: str, ended_ms: int) -> None:
        """Note a lease's end; the first word stands."""

    def close_left_open(self, ended_ms: int) -> int:
        """Note the end of every lease that has none; return how many."""

    def issue_ticket(self, lease: LeaseRow, task: str) -> TicketRow:
        """Ask for an episode."""
