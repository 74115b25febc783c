"""Scores every verified episode by another version of the rules, beside the scores that there are: a job in a table.

It goes through the log in its order and notes where it is, so it goes on after a restart. Two hubs that work at the
same job waste work and nothing else: a score and what it adds are written once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from rewards.ledger import ledger
from rewards.score.versions import VERSIONS, require_known
from rewards.tables import RescoringRow, ScoreRow
from teleop.clock import within
from teleop.hub.db import Database

LOOK_EVERY_S: Final = 30.0
_Query = Select[*tuple[Any, ...]]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Progress:
    """A job, and how far it is."""

    id: int
    version: str
    task: str | None
    episodes: int
    """How many there are to look at."""
    seen: int
    """How many have been looked at."""
    scored: int
    """How many of these have a score by that version now."""
    added: int
    """To how many that score adds pay, booked or waiting for its pool."""
    added_wei: int
    began_ms: int
    ended_ms: int | None

    @property
    def failed(self) -> int:
        """How many could not be scored: the log says why, and another job tries them again."""
        return self.seen - self.scored


class Rescoring:
    """The jobs of one database."""

    def __init__(
        self,
        database: Database,
        rescore: Callable[[str, str], Awaitable[bool]],
        clock_ms: Callable[[], int],
        versions: Sequence[str] = VERSIONS,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """`rescore` scores an episode by a version of the rules. `mine`: whether this one of several hubs does it."""
        self._mine = mine
        self._database, self._rescore, self._clock_ms, self._versions = database, rescore, clock_ms, versions
        self._asked = asyncio.Event()

    def begin(self, version: str, task: str | None) -> Progress:
        """Ask for a job; one that is under way for the same is gone on with. Raises UnknownRulesError. Blocks."""
        require_known(version, self._versions)
        return ledger.write(self._database, partial(self._begin, version=version, task=task))

    def wake(self) -> None:
        """Look for jobs now; call it in the event loop."""
        self._asked.set()

    def jobs(self, limit: int = 20) -> list[Progress]:
        """Return the newest jobs, newest first. Blocks."""
        with self._database() as db:
            rows = db.scalars(select(RescoringRow).order_by(RescoringRow.id.desc()).limit(limit)).all()
            return [_progress(db, row) for row in rows]

    async def run(self) -> None:
        """Do what is asked for, one job after the other, for ever."""
        while True:
            self._asked.clear()
            try:
                if self._mine():
                    await self.work()
            except Exception:  # noqa: BLE001  the supervisor: the database may come back
                _log.exception("rescoring failed; it goes on later")
            await within(self._asked, LOOK_EVERY_S)

    async def work(self) -> None:
        """Do every job that is open, the oldest first, from where it is."""
        while (job := await asyncio.to_thread(self._open)) is not None:
            await self._do(job)

    async def _do(self, job: RescoringRow) -> None:
        """Do a job, from where it is."""
        while (found := await asyncio.to_thread(self._next, job)) is not None:
            episode, index = found
            try:
                await self._rescore(episode, job.version)
            except Exception as error:  # noqa: BLE001  the supervisor: one bad file must not stop the others
                why = f"{type(error).__name__}: {error}"
                _log.warning("an episode was not rescored", episode=episode, version=job.version, reason=why)
            await asyncio.to_thread(self._note, job, index)
        _log.info("rescored", job=job.id, version=job.version, task=job.task)

    def _begin(self, db: Session, *, version: str, task: str | None) -> Progress:
        same = RescoringRow.version == version, RescoringRow.task.is_not_distinct_from(task)
        row = db.scalar(select(RescoringRow).where(*same, RescoringRow.ended_ms.is_(None)).limit(1))
        if row is None:
            last = db.scalar(select(func.max(EpisodeRow.log_index)))
            until = -1 if last is None else last
            row = RescoringRow(version=version, task=task, after_index=-1, until_index=until, began_ms=self._clock_ms())
            db.add(row)
            db.flush()
        return _progress(db, row)

    def _open(self) -> RescoringRow | None:
        with self._database() as db:
            return db.scalar(
                select(RescoringRow).where(RescoringRow.ended_ms.is_(None)).order_by(RescoringRow.id).limit(1)
            )

    def _next(self, job: RescoringRow) -> tuple[str, int] | None:
        """Return the next episode and its place in the log; None, and note the end, if there is no other."""
        with self._database() as db, db.begin():
            row = db.get_one(RescoringRow, job.id)
            after = EpisodeRow.log_index > row.after_index
            ahead = _of_job(row, select(EpisodeRow.episode, EpisodeRow.log_index)).where(after)
            found = db.execute(ahead.order_by(EpisodeRow.log_index).limit(1)).first()
            if found is None:
                row.ended_ms = row.ended_ms or self._clock_ms()
                return None
        return found.episode, found.log_index

    def _note(self, job: RescoringRow, index: int) -> None:
        """Note how far the job is, unless another hub is farther."""
        here = RescoringRow.id == job.id, RescoringRow.after_index < index
        with self._database() as db, db.begin():
            db.execute(update(RescoringRow).where(*here).values(after_index=index))


def _of_job(row: RescoringRow, query: _Query) -> _Query:
    """Narrow a query to the episodes of a job."""
    ours = EpisodeRow.state == EpisodeState.VERIFIED, EpisodeRow.log_index <= row.until_index
    query = query.where(*ours)
    return query if row.task is None else query.where(EpisodeRow.task == row.task)


def _progress(db: Session, row: RescoringRow) -> Progress:
    by_version = (ScoreRow.episode == EpisodeRow.episode) & (ScoreRow.version == row.version)
    seen = EpisodeRow.log_index <= row.after_index
    scores = _of_job(row, select(ScoreRow.adds_wei).join(EpisodeRow, by_version)).where(seen)
    added = [wei for wei in db.scalars(scores.where(ScoreRow.rescored)) if wei]
    return Progress(
        id=row.id,
        version=row.version,
        task=row.task,
        episodes=_count(db, _of_job(row, select(EpisodeRow.episode))),
        seen=_count(db, _of_job(row, select(EpisodeRow.episode)).where(seen)),
        scored=_count(db, scores),
        added=len(added),
        added_wei=sum(added),
        began_ms=row.began_ms,
        ended_ms=row.ended_ms,
    )


def _count(db: Session, query: _Query) -> int:
    return db.scalar(select(func.count()).select_from(query.subquery())) or 0
