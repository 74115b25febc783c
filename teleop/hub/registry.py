"""Which robots there are: registered once by their owner's signature, described by their host each time it connects."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from teleop.clock import now_ms
from teleop.hub.db import Database
from teleop.hub.tables import LeaseRow, RobotRow, TicketRow
from teleop.identity import ROBOT_REGISTRATION, Domain, SignatureError, require_address
from teleop.wire.signalling import Grant


class UnknownRobotAddressError(Exception):
    """No robot is registered under that address."""


class Registry:
    """Robots, their leases and the tickets of their episodes, on disk."""

    def __init__(self, database: Database, domain: Domain) -> None:
        self._database, self._domain = database, domain

    def register(self, registration: Mapping[str, Any], signature: str) -> RobotRow:
        """Keep a robot that its owner signed for; the same one again changes nothing. Raises SignatureError."""
        robot, owner = require_address(registration.get("robot")), require_address(registration.get("owner"))
        ROBOT_REGISTRATION.require(owner, self._domain, registration, signature)
        with self._database() as db, db.begin():
            known = db.get(RobotRow, robot)
            if known is not None and known.owner != owner:
                raise SignatureError(f"robot {robot} belongs to {known.owner}; only they can change it")
            row = known or RobotRow(address=robot, owner=owner, created_ms=now_ms(), epoch=0)
            row.name, row.model = str(registration["name"])[:64], str(registration["model"])[:64]
            row.simulated, row.signature = bool(registration["simulated"]), signature
            row.removed_ms = None
            db.add(row)
        return row

    def robot(self, address: str) -> RobotRow:
        """Return one robot; raise UnknownRobotAddressError."""
        with self._database() as db:
            found = db.get(RobotRow, address)
        if found is None:
            raise UnknownRobotAddressError(
                f"expected a registered robot's address, got {address!r}; GET /api/robots lists them"
            )
        return found

    def robots(self) -> list[RobotRow]:
        """Return every robot that its owner has not removed, by name."""
        listed = select(RobotRow).where(RobotRow.removed_ms.is_(None)).order_by(RobotRow.name, RobotRow.address)
        with self._database() as db:
            return list(db.scalars(listed))

    def remove(self, address: str, owner: str) -> None:
        """Take a robot from the list, as its owner; its history stays, and registered again it is back.

        Raises UnknownRobotAddressError, and SignatureError where it is another's.
        """
        row = self.robot(address)
        if row.owner != owner:
            raise SignatureError(f"expected the owner {row.owner} to remove {row.name}, got {owner}")
        with self._database() as db, db.begin():
            db.get_one(RobotRow, address).removed_ms = now_ms()

    def describe(self, address: str, descriptor: dict[str, Any]) -> None:
        """Keep what a robot's host says of it."""
        with self._database() as db, db.begin():
            row = db.get_one(RobotRow, address)
            row.descriptor, row.removed_ms = descriptor, None

    def open_lease(self, grant: Grant, signature: str, values: dict[str, Any]) -> LeaseRow:
        """Start a lease with the robot's next epoch."""
        with self._database() as db, db.begin():
            robot = db.get_one(RobotRow, grant.robot)
            robot.epoch += 1
            row = LeaseRow(
                lease=secrets.token_hex(16),
                robot=grant.robot,
                operator=grant.operator,
                epoch=robot.epoch,
                grant=values,
                signature=signature,
                started_ms=now_ms(),
            )
            db.add(row)
        return row

    def close_lease(self, lease: str, reason: str) -> None:
        """Note a lease's end; the first word stands."""
        with self._database() as db, db.begin():
            row = db.get_one(LeaseRow, lease)
            if row.ended_ms is None:
                row.ended_ms, row.reason = now_ms(), reason

    def lease_lengths_s(self, robot: str, count: int) -> list[float]:
        """Return how long the last `count` leases of a robot took, oldest first, s."""
        ended = select(LeaseRow).where(LeaseRow.robot == robot, LeaseRow.ended_ms.is_not(None))
        with self._database() as db:
            rows = db.scalars(ended.order_by(LeaseRow.epoch.desc()).limit(count)).all()
        return [(row.ended_ms - row.started_ms) / 1000 for row in reversed(rows) if row.ended_ms is not None]

    def issue_ticket(self, lease: LeaseRow, task: str) -> TicketRow:
        """Ask for an episode: its identity, and a seed and nonce that neither operator nor host could choose."""
        ticket = TicketRow(
            episode=secrets.token_hex(16),
            lease=lease.lease,
            robot=lease.robot,
            operator=lease.operator,
            task=task,
            seed=secrets.randbits(48),
            nonce="0x" + secrets.token_hex(32),
            issued_ms=now_ms(),
        )
        with self._database() as db, db.begin():
            db.add(ticket)
        return ticket

    def ticket(self, episode: str) -> TicketRow | None:
        """Return what was asked for under that identity, if anything was."""
        with self._database() as db:
            return db.get(TicketRow, episode)
