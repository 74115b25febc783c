"""Which hubs there are on one database, and which of them live: a row each, whose number counts while its hub lives.

Who looks compares a row with what it was, and a stretch of its own time with a bound; no two clocks are compared. Only
who could write and read all the while finds another dead: a database that was away for a minute buries nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from teleop.hub.cluster.locks import Locks
from teleop.hub.db import Database
from teleop.hub.robots.registry import close_open
from teleop.hub.tables import HubRow, RobotRow

_log = structlog.get_logger()
BEAT_S: Final = 2.0
DEAD_MS: Final = 10_000
"""How long another hub's row must not have changed, while this one's could be written, before it counts as dead."""
ANY: Final = "hubs"
"""The lock that a hub with a name shares with the others, and one without a name has for itself."""
DUTIES: Final = "duties"
"""The lock of the one hub that settles, rescores, erases and so on for all of them."""


class HubsDisagreeError(Exception):
    """This hub cannot be one of those that share a database; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Me:
    """What a hub says of itself to the others."""

    name: str
    url: str
    """Where the others reach it."""
    address: str
    """That of its key."""
    log: str
    """Its log's public key."""


@dataclass(frozen=True, slots=True)
class Living:
    """Another hub that lives, as far as is known."""

    name: str
    run: str
    url: str


class Membership:
    """This hub's place among the others. Every method but `living` and `is_run` blocks."""

    def __init__(
        self, database: Database, locks: Locks, me: Me, now_ms: Callable[[], int], monotonic_ms: Callable[[], int]
    ) -> None:
        self._database, self._locks, self.me, self.name = database, locks, me, me.name
        self._now_ms, self._monotonic_ms = now_ms, monotonic_ms
        self.run = secrets.token_hex(16)
        self._seen: dict[str, tuple[str, int, int]] = {}
        """Of each other hub: its run, its number, and since when that is so."""
        self._living: dict[str, Living] = {}

    @property
    def living(self) -> dict[str, Living]:
        """The other hubs that live, by name, as this one's last beat found them."""
        return self._living

    def is_run(self, name: str, run: str) -> bool:
        """Whether another hub's run is one that the database knows."""
        found = self._living.get(name)
        return found is not None and found.run == run

    def join(self) -> None:
        """Take this hub's place; raise HubsDisagreeError if it cannot be one of those that are here."""
        with self._database() as db, db.begin():
            rows = list(db.scalars(select(HubRow)))
            _require_same_keys(self.me, rows)
            row = db.get(HubRow, self.me.name) or HubRow(name=self.me.name, beat=0)
            row.run, row.url, row.address, row.log = self.run, self.me.url, self.me.address, self.me.log
            row.beat, row.started_ms, row.ended_ms = row.beat + 1, self._now_ms(), None
            db.add(row)
            _away(db, self.me.name)
            self._living = {row.name: _living(row) for row in rows if row.name != self.me.name and row.ended_ms is None}

    def beat(self) -> bool:
        """Say that this hub lives, and find who else does; return whether its place was still its own.

        If it was not, the others have taken this hub for dead and closed its leases: it has its place again now, and
        everything that it granted before is over.
        """
        try:
            fresh = self._locks.check()
            kept = self._locks.take(ANY, shared=True) and self._locks.take(_own(self.me.name))
            counted = self._count()
            with self._database() as db:
                rows = [row for row in db.scalars(select(HubRow)) if row.name != self.me.name]
        except BaseException:
            self._seen.clear()  # nobody is found dead by somebody who cannot look
            raise
        if not (fresh and kept):
            self._seen.clear()
        for row in rows:
            self._look_at(row)
        self._living = {row.name: _living(row) for row in rows if row.ended_ms is None}
        if not counted:
            self.run = secrets.token_hex(16)
            self.join()
        return counted

    def leave(self) -> None:
        """Say that this hub ends."""
        ours = HubRow.name == self.me.name, HubRow.run == self.run
        with self._database() as db, db.begin():
            db.execute(update(HubRow).where(*ours).values(ended_ms=self._now_ms()))
            _away(db, self.me.name)

    def _count(self) -> bool:
        ours = HubRow.name == self.me.name, HubRow.run == self.run, HubRow.ended_ms.is_(None)
        counted = update(HubRow).where(*ours).values(beat=HubRow.beat + 1).returning(HubRow.name)
        with self._database() as db, db.begin():
            return db.scalar(counted) is not None

    def _look_at(self, row: HubRow) -> None:
        before, now_ms = self._seen.get(row.name), self._monotonic_ms()
        if row.ended_ms is not None:
            self._seen.pop(row.name, None)
        elif before is None or before[:2] != (row.run, row.beat):
            self._seen[row.name] = row.run, row.beat, now_ms
        elif now_ms - before[2] >= DEAD_MS:
            self._bury(row)

    def _bury(self, row: HubRow) -> None:
        """Close what a dead hub left open, unless it was alive after all, or another hub has done it."""
        same = HubRow.name == row.name, HubRow.run == row.run, HubRow.beat == row.beat, HubRow.ended_ms.is_(None)
        ended_ms = self._now_ms()
        with self._database() as db, db.begin():
            ours = db.scalar(update(HubRow).where(*same).values(ended_ms=ended_ms).returning(HubRow.name))
            if ours is None:
                return
            left = close_open(db, row.name, ended_ms)
            _away(db, row.name)
        row.ended_ms = ended_ms
        self._seen.pop(row.name, None)
        _log.warning("another hub is dead; the leases that it left open are closed", hub=row.name, leases=left)


def take_place(locks: Locks, name: str | None) -> None:
    """Take a hub's place on its database, before anything there is touched; raise HubsDisagreeError.

    Without a name it must be the only one.
    """
    if not locks.take(ANY, shared=name is not None):
        others = ", ".join(locks.holders(ANY)) or "another hub"
        if name is None:
            how = "end it, or give every hub of this database --hub-name, --nats and --peer-url"
            raise HubsDisagreeError(f"the database is used by {others}, and this hub has no --hub-name: {how}")
        raise HubsDisagreeError(f"the database is used by {others}, which has no --hub-name: end it first")
    if name is not None and not locks.take(_own(name)):
        locks.give(ANY, shared=True)
        raise HubsDisagreeError(f"a hub called {name} uses this database already: give this one another --hub-name")


def require_alone_to_migrate(locks: Locks, name: str | None) -> None:
    """Raise HubsDisagreeError if others use the database, whose tables this hub would change under them."""
    if name is not None and (others := locks.holders(ANY)):
        raise HubsDisagreeError(
            f"this release changes the database's tables, and {', '.join(others)} of another release uses them: "
            "end all hubs, then start them again with this release"
        )


def _own(name: str) -> str:
    return f"hub:{name}"


def _living(row: HubRow) -> Living:
    return Living(row.name, row.run, row.url)


def _away(db: Session, hub: str) -> None:
    """Note that no robot is at a hub."""
    db.execute(update(RobotRow).where(RobotRow.hub == hub).values(hub=None, upload_sha256=None))


def _require_same_keys(me: Me, rows: list[HubRow]) -> None:
    for row in rows:
        if row.name != me.name and (row.address, row.log) != (me.address, me.log):
            raise HubsDisagreeError(
                f"this hub's keys are not those of the others: it would sign receipts as {me.address}, and {row.name} "
                f"does as {row.address}; give all of them the same --shared folder, which has the keys"
            )
