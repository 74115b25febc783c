"""Changing one episode's row: nobody else changes it meanwhile."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow


def owned(db: Session, episode: str) -> EpisodeRow | None:
    """Return a row as it is now, which nobody else can change before this transaction ends; None if there is none.

    It is written first, and then read: SQLite locks nothing for a reader who is going to write.
    """
    db.execute(update(EpisodeRow).where(EpisodeRow.episode == episode).values(tries=EpisodeRow.tries))
    return db.get(EpisodeRow, episode, populate_existing=True)


def require_owned(db: Session, episode: str) -> EpisodeRow:
    """Return it as `owned` does; raise LookupError if there is none."""
    row = owned(db, episode)
    if row is None:
        raise LookupError(f"expected a row of {episode}, found none")
    return row
