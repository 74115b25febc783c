"""The best drive from a like start: of the accepted ones that began nearly as this one did, the one to learn from.

Of each of the nine cells around a start, the `PER_CELL` drives with the highest scores are looked at. Of those that are
alike, the `NEAREST` are taken, and of these the one with the highest score. So how long it takes does not grow with the
number of drives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import ColumnElement, CompoundSelect, select, union_all
from sqlalchemy.orm import Session

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from rewards.hub.verdicts import scores
from rewards.score.starts import LIKE_M, Start, apart_m, start_cells
from rewards.score.versions import VERSIONS, newness
from rewards.tables import StartRow, WithdrawalRow

PER_CELL: Final = 32
NEAREST: Final = 8


@dataclass(frozen=True, slots=True)
class Best:
    """A drive to learn from."""

    episode: str
    score_ppm: int
    """By the newest version of the rules that it is scored by."""
    duration_s: float
    apart_m: float
    """How far apart the two starts are."""


class Known(Enum):
    """What is known of how an episode began."""

    WHERE = auto()
    """Where each thing stood."""
    NOT_WHERE = auto()
    """Its robot observes no thing of its task."""
    UNREADABLE = auto()
    """Its file cannot be read."""
    NOT_YET = auto()
    """Nobody has looked, or it has no score."""


def unreadable(task: str) -> Start:
    """Return what is kept as the start of an episode whose file cannot be read, so that it is not read again."""
    return Start(task, 0, "", False, None, 0.0)


def known(db: Session, episode: str) -> Known:
    """Return what is known of how an episode began."""
    row = db.get(StartRow, episode)
    if row is None:
        return Known.NOT_YET
    if not row.model:
        return Known.UNREADABLE
    return Known.NOT_WHERE if row.things_m is None else Known.WHERE


def keep(db: Session, episode: str, start: Start, versions: Sequence[str] = VERSIONS) -> None:
    """Keep where things stood as an episode began, with its newest score; run it in the score's transaction.

    An episode without a score has none.
    """
    db.flush()
    rows = scores(db, episode)
    if not rows:
        return
    newest = max(rows, key=lambda row: newness(row.version, versions))
    row = db.get(StartRow, episode) or StartRow(episode=episode)
    row.task, row.task_version, row.model, row.simulated = start.task, start.task_version, start.model, start.simulated
    row.operator, row.cell = newest.operator, start.cell
    row.things_m = None if start.things_m is None else list(start.things_m)
    row.duration_s, row.version = start.duration_s, newest.version
    row.accepted, row.score_ppm = newest.accepted, newest.score_ppm
    db.add(row)


def best(db: Session, episode: str) -> Best | None:
    """Return the best drive from a like start by somebody else; if there is none, by the same operator, or None."""
    like = db.get(StartRow, episode)
    if like is None or like.things_m is None:
        return None
    others = _chosen(db, like, StartRow.operator != like.operator)
    return others or _chosen(db, like, StartRow.operator == like.operator)


def _chosen(db: Session, like: StartRow, whose: ColumnElement[bool]) -> Best | None:
    here_m = like.things_m or []
    found = [(apart_m(here_m, row.things_m or []), row) for row in db.execute(_candidates(like, whose))]
    alike = sorted((one for one in found if one[0] <= LIKE_M), key=lambda one: (one[0], one[1].episode))
    if not alike:
        return None
    away_m, row = min(alike[:NEAREST], key=lambda one: (-one[1].score_ppm, one[0], one[1].episode))
    return Best(row.episode, row.score_ppm, row.duration_s, away_m)


def _candidates(like: StartRow, whose: ColumnElement[bool]) -> CompoundSelect[*tuple[Any, ...]]:
    """Select the drives with the highest scores in each cell around a start."""
    same = [getattr(StartRow, name) == getattr(like, name) for name in ("task", "task_version", "model", "simulated")]
    there = EpisodeRow.episode == StartRow.episode
    verified = EpisodeRow.state == EpisodeState.VERIFIED, EpisodeRow.erased_ms.is_(None), ~EpisodeRow.private
    withdrawn = EpisodeRow.episode.in_(select(WithdrawalRow.episode))
    cells = [
        select(StartRow.episode, StartRow.things_m, StartRow.score_ppm, StartRow.duration_s)
        .join(EpisodeRow, there)
        .where(
            *same,
            StartRow.accepted,
            StartRow.cell == cell,
            StartRow.episode != like.episode,
            whose,
            *verified,
            ~withdrawn,
        )
        .order_by(StartRow.score_ppm.desc())
        .limit(PER_CELL)
        .subquery()
        for cell in start_cells(like.things_m or [])
    ]
    return union_all(*(select(cell) for cell in cells))
