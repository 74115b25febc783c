"""Which robots there are: registered by their owner and their own key, described by their host when it connects."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import ColumnElement, Text, Update, cast, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from sim.seeds import random_data_seed
from teleop import clock
from teleop.hub.db import Database
from teleop.hub.robots.privacy import Privacy
from teleop.hub.robots.registrations import NONCE_MS, RegistrationError, RegistrationNonceError, require_registration
from teleop.hub.store import NotHomeError
from teleop.hub.tables import DescriptionRow, LeaseRow, RobotChallenge, RobotRow, TicketRow
from teleop.identity import Domain, SignatureError, require_address
from teleop.wire.descriptor import require_descriptor
from teleop.wire.driver import Driver
from teleop.wire.messages import PROTOCOL
from teleop.wire.signalling import Grant, SignallingError

_log = structlog.get_logger()


HUB_LOST: Final = "hub_lost"
"""Why a lease ended that a hub left open when it stopped; the time of its end is not known."""
_open: Final = update(LeaseRow).where(LeaseRow.ended_ms.is_(None))


@dataclass(frozen=True, slots=True)
class Issued:
    """An episode's ticket, with the lease it was issued in and the robot as it was described then."""

    row: TicketRow
    lease: LeaseRow
    described: dict[str, Any] | None
    """None for a ticket of an earlier release."""


class UnknownRobotAddressError(Exception):
    """No robot is registered under that address."""


_READ: Final = 1024
"""Descriptors that are kept as they were read: a hub reads all of them every two seconds while somebody is there."""


def _served(robot: str, text: str | None) -> dict[str, Any] | None:
    """Return a stored descriptor, or None if it is invalid: stored before there were checks, or changed since."""
    try:
        return None if text is None else _read(text)
    except (msgspec.DecodeError, RecursionError, SignallingError) as error:
        _log.warning("a stored descriptor is not served; its host sends it again", robot=robot, error=str(error))
        return None


@lru_cache(maxsize=_READ)
def _read(text: str) -> dict[str, Any] | None:
    """Return a stored descriptor, which nobody changes: it is shared; raise if it is invalid."""
    stored = msgspec.json.decode(text)
    return None if stored is None else require_descriptor(stored)


def close_open(db: Session, hub: str | None, ended_ms: int) -> int:
    """Record the end of every lease that a hub left open; None: that anybody did. Return how many."""
    left = _open.values(ended_ms=ended_ms, reason=HUB_LOST)
    if hub is not None:
        left = left.where(or_(LeaseRow.hub == hub, LeaseRow.hub.is_(None)))
    return len(db.scalars(left.returning(LeaseRow.lease)).all())


def hashed(token: str) -> str:
    """Return what is kept of an upload token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def require_registered(said: Mapping[str, Any], row: RobotRow) -> None:
    """A robot is what its owner signed for: what is checked and paid follows from that, and not from its host.

    Raises SignallingError if the descriptor says another model, or real instead of simulated.
    """
    registered, found = (row.model, row.simulated), (said["model"], said["simulated"])
    if found != registered:
        kinds = {True: "simulated", False: "real"}
        expected, got = (f"{model}, {kinds[simulated]}" for model, simulated in (registered, found))
        told = f"the robot is registered as {expected}, its host says {got}; its owner can register it again"
        raise SignallingError("malformed", told)


def _use_nonce(db: Session, nonce: str, robot: str, now_ms: int) -> None:
    """Use it up, in one statement, so that of two registrations at once only one has it; raise if it does not count."""
    of_robot = RobotChallenge.nonce == nonce, RobotChallenge.robot == robot, RobotChallenge.expires_ms >= now_ms
    if db.scalar(delete(RobotChallenge).where(*of_robot).returning(RobotChallenge.nonce)) is None:
        raise RegistrationNonceError(
            f"expected a nonce that POST /api/robots/challenge gave for {robot} in the last {NONCE_MS // 60_000} "
            f"minutes, not used yet, got {nonce[:80]!r}; ask for another one, and sign again"
        )


class Registry:
    """Robots, their leases and the tickets of their episodes, on disk."""

    def __init__(
        self,
        database: Database,
        domain: Domain,
        now_ms: Callable[[], int] = clock.now_ms,
        prices: Mapping[str, int] | None = None,
        rules: str | None = None,
        shares: Mapping[str, int] | None = None,
        hub: str | None = None,
    ) -> None:
        """`prices`: task -> wei for a score of 1. `rules`: the version of the scoring rules in force.

        `shares`: what is paid beside the operator, by name, in parts per million.
        `hub`: this hub's name, if there are several; None if it has the database for itself.
        """
        self._database, self._domain, self._now_ms, self._hub = database, domain, now_ms, hub
        self._prices, self._rules, self._shares = prices or {}, rules, shares or {}
        self.changes = 0
        """How often a robot was registered, described or removed here."""
        self.privacy = Privacy(database, now_ms)

    def challenge(self, robot: str) -> tuple[str, int]:
        """Return a nonce for one registration of a robot, and until when it can be used; raise RegistrationError."""
        try:
            require_address(robot)
        except SignatureError as error:
            raise RegistrationError(str(error)) from error
        now_ms = self._now_ms()
        row = RobotChallenge(nonce="0x" + secrets.token_hex(32), robot=robot, expires_ms=now_ms + NONCE_MS)
        with self._database() as db, db.begin():
            db.execute(delete(RobotChallenge).where(RobotChallenge.expires_ms < now_ms))
            db.add(row)
        return row.nonce, row.expires_ms

    def register(self, registration: Mapping[str, Any], signature: str, robot_signature: str) -> RobotRow:
        """Store a robot that its owner and its own key signed for; doing so again changes what its owner may change.

        Raises RegistrationError, or one of its kinds.
        """
        now_ms = self._now_ms()
        said = require_registration(registration, signature, robot_signature, self._domain, now_ms)
        with self._database() as db, db.begin():
            _use_nonce(db, said.nonce, said.robot, now_ms)
            known = db.get(RobotRow, said.robot)
            if known is not None and known.owner != said.owner:
                raise RegistrationError(f"robot {said.robot} belongs to {known.owner}; only they can change it")
            row = known or RobotRow(address=said.robot, owner=said.owner, created_ms=now_ms, epoch=0)
            row.name, row.model, row.simulated = said.name, said.model, said.simulated
            row.signature, row.robot_signature = signature, robot_signature
            row.nonce, row.issued_ms = said.nonce, said.issued_ms
            row.removed_ms = None
            db.add(row)
        self.changes += 1
        return self.robot(said.robot)

    def robot(self, address: str) -> RobotRow:
        """Return one robot; raise UnknownRobotAddressError."""
        found = next(iter(self._found(RobotRow.address == address)), None)
        if found is None:
            raise UnknownRobotAddressError(
                f"expected a registered robot's address, got {address!r}; GET /api/robots lists them"
            )
        return found

    def robots(self) -> list[RobotRow]:
        """Return every robot that its owner has not removed, by name."""
        return self._found(RobotRow.removed_ms.is_(None))

    def _found(self, which: ColumnElement[bool]) -> list[RobotRow]:
        """Return the rows. Each descriptor is read by itself: an invalid one becomes None, and affects no other."""
        columns = select(RobotRow, cast(RobotRow.descriptor, Text)).where(which)
        with self._database() as db:
            found = db.execute(columns.order_by(RobotRow.name, RobotRow.address)).all()
            for row, text in found:
                set_committed_value(row, "descriptor", _served(row.address, text))
        return [row for row, _text in found]

    def remove(self, address: str, owner: str) -> None:
        """Take a robot off the list, as its owner; its history stays, and registering it again brings it back.

        Raises UnknownRobotAddressError, and SignatureError if the robot is someone else's.
        """
        row = self.robot(address)
        if row.owner != owner:
            raise SignatureError(f"only the owner, {row.owner}, can remove {row.name}, and you are {owner}")
        with self._database() as db, db.begin():
            db.get_one(RobotRow, address).removed_ms = self._now_ms()
        self.changes += 1

    def describe(self, address: str, descriptor: dict[str, Any], upload_token: str = "") -> int:
        """Store a robot's descriptor, as its host sent it, and that it is here; return how often its host has come."""
        here = {"hub": self._hub, "upload_sha256": hashed(upload_token) if self._hub and upload_token else None}
        said = {"descriptor": descriptor, "removed_ms": None, "docked": RobotRow.docked + 1, **here}
        with self._database() as db, db.begin():
            counted = update(RobotRow).where(RobotRow.address == address).values(**said)
            docked = db.scalars(counted.returning(RobotRow.docked)).one()
        self.changes += 1
        return docked

    def depart(self, address: str, docked: int) -> None:
        """Store that a robot is not here any more, unless its host has come again since, here or elsewhere."""
        ours = RobotRow.address == address, RobotRow.docked == docked
        with self._database() as db, db.begin():
            db.execute(update(RobotRow).where(*ours).values(hub=None, upload_sha256=None))

    def uploader(self, upload_token: str) -> str | None:
        """Return the robot that is at any of several hubs with this upload token."""
        with self._database() as db:
            return db.scalar(select(RobotRow.address).where(RobotRow.upload_sha256 == hashed(upload_token)))

    def open_lease(self, lease: str, grant: Grant, signature: str) -> LeaseRow:
        """Start a lease with the robot's next epoch, counted in one statement so that no two leases share an epoch."""
        counted = self._counted(RobotRow.address == grant.robot)
        with self._database() as db, db.begin():
            row = LeaseRow(
                lease=lease,
                robot=grant.robot,
                operator=grant.operator,
                epoch=self._epoch(db, counted),
                grant=grant.values,
                signature=signature,
                started_ms=self._now_ms(),
                hub=self._hub,
            )
            db.add(row)
        return row

    def renew_lease(self, lease: str) -> int:
        """Give a lease the robot's next epoch, counted like that of a new lease, and return it."""
        of_lease = select(LeaseRow.robot).where(LeaseRow.lease == lease).scalar_subquery()
        counted = self._counted(RobotRow.address == of_lease)
        with self._database() as db, db.begin():
            epoch = self._epoch(db, counted)
            db.execute(update(LeaseRow).where(LeaseRow.lease == lease).values(epoch=epoch))
        return epoch

    def _counted(self, which: ColumnElement[bool]) -> Update:
        """Return what counts a robot's epoch: of several hubs, only that of its home."""
        here = [which] if self._hub is None else [which, RobotRow.hub == self._hub]
        return update(RobotRow).where(*here).values(epoch=RobotRow.epoch + 1)

    @staticmethod
    def _epoch(db: Session, counted: Update) -> int:
        epoch = db.scalars(counted.returning(RobotRow.epoch)).one_or_none()
        if epoch is None:
            raise NotHomeError("the robot's host is connected to another hub now; join the robot there")
        return epoch

    def close_lease(self, lease: str, reason: str, ended_ms: int) -> None:
        """Record a lease's end, unless one is recorded already. A lease that was never opened is left alone."""
        with self._database() as db, db.begin():
            db.execute(_open.where(LeaseRow.lease == lease).values(ended_ms=ended_ms, reason=reason))

    def close_left_open(self, ended_ms: int) -> int:
        """Record the end of every lease that has none, as a hub does when it starts; return how many.

        Of several hubs each does it for its own, and for those of a time when there was only one.
        """
        with self._database() as db, db.begin():
            return close_open(db, self._hub, ended_ms)

    def lease_lengths_s(self, robot: str, count: int) -> list[float]:
        """Return how long the last `count` leases of a robot took, oldest first, s; unknown lengths are left out."""
        ended = select(LeaseRow).where(
            LeaseRow.robot == robot, LeaseRow.ended_ms.is_not(None), LeaseRow.reason != HUB_LOST
        )
        with self._database() as db:
            rows = db.scalars(ended.order_by(LeaseRow.epoch.desc()).limit(count)).all()
        return [(row.ended_ms - row.started_ms) / 1000 for row in reversed(rows) if row.ended_ms is not None]

    def issue_ticket(self, lease: LeaseRow, task: str, described: dict[str, Any], driver: Driver) -> TicketRow:
        """Create an episode's ticket: its identity, and a seed and nonce that neither operator nor host can choose.

        `described` is the robot's descriptor as it is at the task, and `driver` what the operator says of who drives:
        what its host says later must agree with both.
        """
        robot = self.robot(lease.robot)
        description = self._describe_once(described)
        ticket = TicketRow(
            episode=secrets.token_hex(16),
            lease=lease.lease,
            robot=lease.robot,
            operator=lease.operator,
            task=task,
            seed=random_data_seed(),
            nonce="0x" + secrets.token_hex(32),
            issued_ms=self._now_ms(),
            model=robot.model,
            simulated=robot.simulated,
            description=description,
            protocol=PROTOCOL,
            price_wei=self.price_wei(task),
            shares=dict(self._shares) or None,
            driver=msgspec.to_builtins(driver),
            rules=self._rules,
            private=robot.private,
        )
        with self._database() as db, db.begin():
            db.add(ticket)
        return ticket

    def price_wei(self, task: str) -> int:
        """Return the most that an episode pays its operator; a real robot's is paid once people have passed it.

        What is shown before a drive is fixed when an episode begins, and is what is paid after it.
        """
        return self._prices.get(task, 0)

    def note_heard(self, episode: str, heard: dict[str, Any]) -> None:
        """Write what the hub heard of an episode beside its ticket: its columns."""
        with self._database() as db, db.begin():
            db.execute(update(TicketRow).where(TicketRow.episode == episode).values(**heard))

    def ticket(self, episode: str) -> Issued | None:
        """Return what was asked for under that identity, if anything was."""
        with self._database() as db:
            ticket = db.get(TicketRow, episode)
            if ticket is None:
                return None
            described = db.get(DescriptionRow, ticket.description) if ticket.description else None
            return Issued(ticket, db.get_one(LeaseRow, ticket.lease), described.described if described else None)

    def _describe_once(self, described: dict[str, Any]) -> str:
        """Store a description, unless it is stored already; return its SHA-256."""
        sha256 = hashlib.sha256(msgspec.json.encode(described, order="deterministic")).hexdigest()
        with suppress(IntegrityError), self._database() as db, db.begin():  # another episode has stored it meanwhile
            if db.get(DescriptionRow, sha256) is None:
                db.add(DescriptionRow(sha256=sha256, described=described))
        return sha256
