"""An operator's consent ends: the episode is noted as withdrawn, and each data set that has it gets a version without.

The note is one transaction, and counts from then on; each data set is another. What a crash leaves undone is found in
the tables (a withdrawn episode that a newest version still has) and done by `finish`, and before any other change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from recorder.file.layout import EPISODE_ID
from recorder.hub.catalogue import UnknownEpisodeError
from recorder.hub.records import NotTheOperatorError
from recorder.hub.rows import owned
from recorder.hub.states import EpisodeState, EpisodeStateError
from rewards.hub.datasets.changes import Changes
from rewards.hub.datasets.shelf import At
from rewards.hub.datasets.texts import REASON_MAX, text
from rewards.ledger import ledger
from rewards.tables import MemberRow, RemovalRow, WithdrawalRow
from teleop.clock import now_ms
from teleop.hub.db import Database

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """An episode whose operator's consent has ended."""

    episode: str
    operator: str
    reason: str
    withdrawn_ms: int


class Consent:
    """Blocking: call it off the event loop."""

    def __init__(self, database: Database, changes: Changes, clock_ms: Callable[[], int] = now_ms) -> None:
        self._database, self._changes, self._clock_ms = database, changes, clock_ms

    def withdraw(self, episode: str, operator: str, reason: str) -> tuple[Withdrawn, list[At]]:
        """End an operator's consent to a verified episode; return the versions of data sets without it. Idempotent.

        Raises UnknownEpisodeError, NotTheOperatorError, EpisodeStateError or TextInvalidError.
        """
        said = text("reason", reason, REASON_MAX)
        note = partial(self._note, episode=episode, operator=operator, reason=said)
        noted = ledger.write(self._database, note)
        return noted, self.finish()

    def ended(self, episode: str) -> bool:
        """Return whether the consent to an episode has ended."""
        return self.ended_ms(episode) is not None

    def ended_ms(self, episode: str) -> int | None:
        """Return when the consent to an episode ended; None if it has not."""
        with self._database() as db:
            return db.scalar(select(WithdrawalRow.withdrawn_ms).where(WithdrawalRow.episode == episode))

    def finish(self) -> list[At]:
        """Make every version that is still to be made without what has been withdrawn."""
        made = [found for one in self._pending() if (found := self._changes.without_withdrawn(one)) is not None]
        for one in made:
            _log.info("consent ended", dataset=one.dataset.name, version=one.row.version, episodes=one.row.episodes)
        return made

    def _note(self, db: Session, *, episode: str, operator: str, reason: str) -> Withdrawn:
        row = (
            owned(db, episode) if EPISODE_ID.fullmatch(episode) else None
        )  # from here on no version that is being made gets it
        if row is None:
            raise UnknownEpisodeError(f"expected an episode of this hub, got {episode[:80]!r}")
        if row.operator != operator:
            raise NotTheOperatorError(f"expected {row.operator}, who drove {episode}, got {operator}")
        if row.state is not EpisodeState.VERIFIED:
            raise EpisodeStateError(f"{episode} is {row.state}, so it is in no data set: discard it instead")
        noted = db.get(WithdrawalRow, episode)
        if noted is None:
            said = {"episode": episode, "operator": operator, "reason": reason, "withdrawn_ms": self._clock_ms()}
            noted = WithdrawalRow(**said)
            db.add(noted)
        return Withdrawn(noted.episode, noted.operator, noted.reason, noted.withdrawn_ms)

    def _pending(self) -> list[int]:
        """Return the data sets whose newest version has what has been withdrawn."""
        gone = and_(RemovalRow.dataset == MemberRow.dataset, RemovalRow.place == MemberRow.place)
        still = (
            select(MemberRow.dataset)
            .join(WithdrawalRow, WithdrawalRow.episode == MemberRow.episode)
            .outerjoin(RemovalRow, gone)
            .where(RemovalRow.place.is_(None))
        )
        with self._database() as db:
            return list(db.scalars(still.distinct().order_by(MemberRow.dataset)))
