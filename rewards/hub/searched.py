"""Writes what an episode is searched by once it is scored, in the transaction of its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rewards.datasets.words import PARTS
from rewards.hub.verdicts import scores
from rewards.score.verdict import ONE_PPM
from rewards.score.versions import VERSIONS, newness
from rewards.tables import PracticeRow, ScoreRow, SearchedRow


def keep(db: Session, episode: str, versions: Sequence[str] = VERSIONS) -> None:
    """Write what an episode's newest score says, and whether it was practice; nothing if it has none."""
    db.flush()
    rows = scores(db, episode)
    if not rows:
        return
    newest = max(rows, key=lambda row: newness(row.version, versions))
    practice = db.scalar(select(PracticeRow.episode).where(PracticeRow.episode == episode)) is not None
    said = update(SearchedRow).where(SearchedRow.episode == episode)
    db.execute(said.values(**scored(newest), practice=practice))


def scored(row: ScoreRow) -> dict[str, Any]:
    """Return what a score says, by the columns that are searched."""
    parts = {f"{part}_ppm": _ppm(row.vector.get(part)) for part in PARTS}
    return {"rules": row.version, "score_ppm": row.score_ppm, "accepted": row.accepted, **parts}


def _ppm(part: float | None) -> int | None:
    return None if part is None else round(part * ONE_PPM)
