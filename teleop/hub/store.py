"""What a hub asks of its database while robots are driven: `Registry` answers, or a test's in-memory store."""

from __future__ import annotations

from typing import Any, Protocol

from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from teleop.wire.driver import Driver
from teleop.wire.signalling import Grant


class NotHomeError(Exception):
    """A robot's host is connected to another hub now, and only that one gives it to anybody."""


class Store(Protocol):
    """What a hub asks of the database: `Registry`, or a test's."""

    def robot(self, address: str) -> RobotRow:
        """Return one robot; raise UnknownRobotAddressError."""

    def describe(self, address: str, descriptor: dict[str, Any], upload_token: str) -> int:
        """Store a robot's descriptor, as its host sent it, and that it is here; return how often its host has come."""

    def depart(self, address: str, docked: int) -> None:
        """Store that a robot is not here any more, unless its host has come again since, here or elsewhere."""

    def lease_lengths_s(self, robot: str, count: int) -> list[float]:
        """Return how long the last `count` leases of a robot took, oldest first, s."""

    def open_lease(self, lease: str, grant: Grant, signature: str) -> LeaseRow:
        """Start a lease with the robot's next epoch; raise NotHomeError if the robot is at another hub now."""

    def renew_lease(self, lease: str) -> int:
        """Give a lease the robot's next epoch, and return it; raise NotHomeError as `open_lease` does."""

    def close_lease(self, lease: str, reason: str, ended_ms: int) -> None:
        """Record a lease's end, unless one is recorded already."""

    def close_left_open(self, ended_ms: int) -> int:
        """Record the end of every lease that this hub's last run left open; return how many."""

    def note_heard(self, episode: str, heard: dict[str, Any]) -> None:
        """Write what the hub heard of an episode beside its ticket: its columns."""

    def issue_ticket(self, lease: LeaseRow, task: str, described: dict[str, Any], driver: Driver) -> TicketRow:
        """Create an episode's ticket; `described` is the robot's descriptor as it is at the task."""
