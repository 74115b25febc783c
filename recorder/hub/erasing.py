"""What no data set will ever hold is not kept: its files are erased after a stated time, and its row says so.

At once if its operator discarded it; after `kept_ms` if a gate refused it, or if its operator never signed it. Nothing
of these is in the log, which holds verified episodes only, so the row is all that is left of them: who, which robot,
which task, when, the digest, and why. Verified episodes are never touched, nor those whose recording failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import structlog
from sqlalchemy import or_, select

from recorder.hub.rows import require_owned
from recorder.hub.states import EpisodeState, require_move
from recorder.hub.store import Store
from recorder.hub.tables import UNWANTED, EpisodeRow
from teleop.hub.db import Database

_log = structlog.get_logger()
DAY_MS: Final = 24 * 3_600_000
_AT_ONCE: Final = 500
"""How many episodes one sweep erases: the next one does the rest."""
_LATE: Final = {
    EpisodeState.UPLOADED: "its operator did not sign it in time",
    EpisodeState.SEALED: "it did not reach the hub whole in time",
    EpisodeState.RECORDING: "its host did not send it in time",
}
_ERASED: Final = (EpisodeState.DISCARDED, EpisodeState.REJECTED)


class Erasing:
    """Erases what nobody keeps. Blocking: call it off the event loop."""

    def __init__(self, database: Database, store: Store, now_ms: Callable[[], int], kept_ms: int) -> None:
        """`kept_ms`: how long what was refused or not signed can still be looked at, or signed."""
        self._database, self._store, self._now_ms, self._kept_ms = database, store, now_ms, kept_ms

    def sweep(self) -> list[str]:
        """Erase what is due, and return which episodes that was. It may be interrupted at any moment, and repeated."""
        erased = list(self._discard_late())
        for episode in self._due():
            if not self._given_up(episode):
                continue  # its operator asked for another look meanwhile
            self._store.erase(episode)
            with self._database() as db, db.begin():
                require_owned(db, episode).size = None
            erased.append(episode)
        self._store.sweep()
        if erased:
            _log.info("erased what nobody keeps", episodes=len(set(erased)))
        return sorted(set(erased))

    def _discard_late(self) -> Iterator[str]:
        """Discard what nobody signed in time, so that it cannot be signed while it is being erased."""
        with self._database() as db, db.begin():
            late = select(EpisodeRow.episode).where(
                EpisodeRow.state.in_(_LATE), EpisodeRow.created_ms < self._before_ms
            )
            for episode in list(db.scalars(late.limit(_AT_ONCE))):
                row = require_owned(db, episode)
                if row.state not in _LATE:
                    continue  # it came, or was signed, meanwhile
                row.reason = _LATE[row.state]
                row.state = require_move(episode, row.state, EpisodeState.DISCARDED)
                yield episode

    def _given_up(self, episode: str) -> bool:
        """Note that an episode's files are given up, unless it is looked at again: either the one or the other."""
        with self._database() as db, db.begin():
            row = require_owned(db, episode)
            if row.state not in _ERASED:
                return False
            row.erased_ms = row.erased_ms or self._now_ms()
        return True

    def _due(self) -> list[str]:
        due = or_(EpisodeRow.state != EpisodeState.REJECTED, EpisodeRow.created_ms < self._before_ms)
        with self._database() as db:
            there = select(EpisodeRow.episode).where(UNWANTED, due)
            return list(db.scalars(there.order_by(EpisodeRow.created_ms).limit(_AT_ONCE)))

    @property
    def _before_ms(self) -> int:
        return self._now_ms() - self._kept_ms
