"""What the hub knows of episodes that are to be in a data set, and which of them may not be."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from recorder.file.layout import EPISODE_ID
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow, MotionPathRow, MotionRow
from rewards.datasets.splits import start_key
from rewards.hub.datasets.refusals import (
    EpisodesRefusedError,
    ErasedEpisodesError,
    PracticeEpisodesError,
    UnknownEpisodesError,
    UnscoredEpisodesError,
    UnverifiedEpisodesError,
    WithdrawnEpisodesError,
)
from rewards.tables import PracticeRow, ScoreRow, WithdrawalRow
from teleop.hub.tables import RobotRow, TicketRow

T = TypeVar("T")
_AT_ONCE: Final = 1000
"""How many are asked for at a time: databases bound how many values a query may have."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A verified episode that may be in a data set."""

    episode: str
    digest: str
    sha256: str
    size: int
    task: str
    model: str
    duration_ms: int
    start: str
    motion: str | None
    private: bool


def candidates(db: Session, episodes: Sequence[str], *, practice: bool) -> list[Candidate]:
    """Return the episodes, each once, in their order; raise an EpisodesRefusedError that names those that may not be.

    Nobody can withdraw one of them before this transaction ends.
    """
    wanted = list(dict.fromkeys(episodes))
    _refuse(UnknownEpisodesError, [one for one in wanted if not EPISODE_ID.fullmatch(one)])
    rows: dict[str, Row[Any]] = {}
    for some in chunks(wanted):
        here = EpisodeRow.episode.in_(some)
        db.execute(select(EpisodeRow.episode).where(here).with_for_update(read=True)).all()
        # A statement of its own: one that waits for a lock sees other tables as they were before it waited.
        rows.update((row.episode, row) for row in db.execute(_known().where(here)))
    _require(wanted, rows, practice=practice)
    alike = _motions(db, [one for one in wanted if rows[one].moved is not None and rows[one].motion is None])
    return [_candidate(rows[one], alike.get(one)) for one in wanted]


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield parts of a sequence that are short enough for a query."""
    for at in range(0, len(values), _AT_ONCE):
        yield values[at : at + _AT_ONCE]


def _known() -> Any:
    here = EpisodeRow.episode
    return (
        select(
            *(here, EpisodeRow.state, EpisodeRow.digest, EpisodeRow.sha256, EpisodeRow.size, EpisodeRow.task),
            *(EpisodeRow.erased_ms, EpisodeRow.duration_ms, EpisodeRow.private, TicketRow.seed, TicketRow.simulated),
            func.coalesce(EpisodeRow.model, TicketRow.model, RobotRow.model, "").label("model"),
            select(ScoreRow.episode).where(ScoreRow.episode == here).exists().label("scored"),
            PracticeRow.episode.label("practice"),
            WithdrawalRow.episode.label("withdrawn"),
            MotionRow.episode.label("moved"),
            MotionRow.digest.label("motion"),
        )
        .outerjoin(TicketRow, TicketRow.episode == here)
        .outerjoin(RobotRow, RobotRow.address == EpisodeRow.robot)
        .outerjoin(PracticeRow, PracticeRow.episode == here)
        .outerjoin(WithdrawalRow, WithdrawalRow.episode == here)
        .outerjoin(MotionRow, MotionRow.episode == here)
    )


def _require(wanted: Sequence[str], rows: dict[str, Row[Any]], *, practice: bool) -> None:
    _refuse(UnknownEpisodesError, [one for one in wanted if one not in rows])
    _refuse(WithdrawnEpisodesError, [one for one in wanted if rows[one].withdrawn is not None])
    _refuse(UnverifiedEpisodesError, [one for one in wanted if rows[one].state is not EpisodeState.VERIFIED])
    there = {one for one in wanted if rows[one].size is not None and rows[one].erased_ms is None}
    _refuse(ErasedEpisodesError, [one for one in wanted if one not in there])
    if not practice:
        _refuse(UnscoredEpisodesError, [one for one in wanted if not rows[one].scored])
        _refuse(PracticeEpisodesError, [one for one in wanted if rows[one].practice is not None])


def _refuse(kind: type[EpisodesRefusedError], episodes: list[str]) -> None:
    if episodes:
        raise kind(episodes)


def _motions(db: Session, episodes: Sequence[str]) -> dict[str, str]:
    """Return what the motion of each of these is known by: drives that failed may move alike, and are verified."""
    paths: dict[str, list[bytes]] = defaultdict(list)
    order = MotionPathRow.episode, MotionPathRow.kind, MotionPathRow.width
    for some in chunks(episodes):
        wanted = select(*order, MotionPathRow.points).where(MotionPathRow.episode.in_(some)).order_by(*order)
        for row in db.execute(wanted):
            paths[row.episode].append(f"{row.kind} {row.width}\n".encode() + row.points)
    return {episode: hashlib.sha256(b"".join(said)).hexdigest() for episode, said in paths.items()}


def _candidate(row: Row[Any], motion: str | None) -> Candidate:
    seed = row.seed if row.simulated else None
    return Candidate(
        episode=row.episode,
        digest=row.digest,
        sha256=row.sha256,
        size=row.size,
        task=row.task,
        model=row.model,
        duration_ms=row.duration_ms or 0,
        start=start_key(row.task, seed, row.digest),
        motion=motion,
        private=row.private,
    )
