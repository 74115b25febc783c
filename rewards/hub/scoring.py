"""Verified episodes are scored, one after the other, each by its own rules; and by others, if that is asked for.

Work is found in two ways: `submit` says that an episode was just verified, and a search of the tables (at the start,
and then every half minute) finds what was not submitted, or what a crash left. A score and its pay, or the checks of a
practice drive, are written in one database transaction. What cannot be scored is noted with its reason and tried
again: at the next start, as the software may have changed, and less and less often until then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy import delete, literal_column, or_, select, update
from sqlalchemy.orm import Session

from recorder.file.apart import ReaderLostError
from recorder.file.episode import EpisodeError, FileMissingError
from recorder.hub.states import EpisodeState
from recorder.hub.store import Store, StoredFile
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from recorder.proof.manifest import EPISODE_FILE
from rewards.hub import paying, searched, starts
from rewards.hub.judging import Judge, Judged, start_in
from rewards.hub.reviews import opening
from rewards.hub.verdicts import first_score
from rewards.ledger import ledger
from rewards.ledger.shares import Shares
from rewards.people import operators
from rewards.people.qualification import Check
from rewards.score.score import pay_wei
from rewards.score.starts import Start
from rewards.score.verdict import Score
from rewards.score.versions import UnknownRulesError
from rewards.tables import ScoreRow, SearchedRow, UnderReviewRow, UnscoredRow
from teleop.hub.db import Database
from teleop.hub.tables import RobotRow, TicketRow

SEARCH_EVERY_S: Final = 30.0
AGAIN_MS: Final = 30_000
"""How long after it could not be scored an episode is tried again: this, then twice as long each time."""
AGAIN_MAX_MS: Final = 24 * 3_600_000
QUEUE_MAX: Final = 256
"""How many episodes wait in memory; the tables have the others."""
_SAID: Final = (EpisodeError, UnknownRulesError)
"""What says something of the episode, to its operator; anything else says something of the hub."""
_OF_THE_HUB: Final = "HubFault: the hub could not score it, and has logged why; nothing is wrong with the episode"
LOST: Final = (ReaderLostError, BrokenExecutor, MemoryError, OSError)
"""What keeps a worker from reading a file, and says nothing of it."""
_LOOKED_AT: Final = 10_000
"""Of so many the oldest are scored first."""
_UNSCORED: Final = SearchedRow.state == literal_column("'verified'"), SearchedRow.rules.is_(None)
"""An index has these rows alone, and is found by the same words."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Task:
    """One verified episode to score."""

    episode: str
    name: str
    operator: str
    robot: str
    file: StoredFile
    witnessed: bool
    """Whether it rests on its host's word: it qualifies nobody, and is not paid."""
    price_wei: int
    """What a score of 1 pays: fixed when it began, or today's price for an episode of an earlier release."""
    owner: paying.Owner | None
    """Whose robot it was; None if it is not registered here."""
    said: bool | None
    """The operator's word whether the task was done."""


class Scoring:
    """Scores what is submitted and what it finds, for as long as `run` and `search` run."""

    def __init__(
        self,
        database: Database,
        store: Store,
        prices: Mapping[str, int],
        *,
        qualification: bool,
        executor: Executor | None,
        reads: Executor | None,
        clock_ms: Callable[[], int],
        told: Callable[[str], None],
        judge: Judge,
        versions: Sequence[str],
        at_once: int = 1,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """`executor` scores, and `reads` reads a start for somebody who waits for it (None: threads).

        `told` is called with each episode that was scored, or could not be, in the event loop. `run` scores `at_once`
        of them at a time. `mine`: whether it is this one of several hubs that searches.
        """
        self._mine = mine
        self._database, self._store, self._prices = database, store, prices
        self._judge, self._versions = judge, versions
        self._qualification, self._executor, self._clock_ms, self._told = qualification, executor, clock_ms, told
        self._reads, self._at_once = reads, at_once
        self._work: asyncio.Queue[str] = asyncio.Queue(QUEUE_MAX)
        self._queued: set[str] = set()

    @property
    def queued(self) -> int:
        """How many episodes wait in memory."""
        return len(self._queued)

    def submit(self, episode: str) -> None:
        """Say that an episode was verified. If too many wait, a search finds it later."""
        if episode not in self._queued and not self._work.full():
            self._queued.add(episode)
            self._work.put_nowait(episode)

    async def run(self) -> None:
        """Score what there is to score, so many at once, for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._at_once):
                group.create_task(self._go_on(), name=f"scoring {number}")

    async def _go_on(self) -> None:
        while True:
            await self._try(await self._work.get())

    async def work(self) -> None:
        """Score what waits in memory."""
        while not self._work.empty():
            await self._try(self._work.get_nowait())

    async def search(self) -> None:
        """Find what nobody submitted, for ever."""
        all_due = True  # what kept an episode from being scored may have changed with the software
        while True:
            try:
                if self._mine():
                    for episode in await asyncio.to_thread(self._unscored, all_due):
                        self.submit(episode)
                    all_due = False
            except Exception:  # noqa: BLE001  the supervisor: the database may come back
                _log.exception("the search for unscored episodes failed")
            await asyncio.sleep(SEARCH_EVERY_S)

    async def score(self, episode: str) -> None:
        """Score an episode by its own rules, unless it is scored already or not verified."""
        task = await asyncio.to_thread(self._task, episode)
        if task is None:
            return
        judged = await self._judged(task, None)
        counts = self._qualification and not task.witnessed
        kept = partial(self._keep, task=task, judged=judged, checks=judged.checks if counts else None)
        new = await asyncio.to_thread(ledger.write, self._database, kept)
        if new:
            said = judged.score
            _log.info("scored", episode=episode, version=said.version, score_ppm=said.score_ppm, accepted=said.accepted)
        self._told(episode)

    async def rescore(self, episode: str, version: str) -> bool:
        """Score an episode by a version of the rules, beside the score by its own; return whether that score is new.

        Raises what keeps it from being scored.
        """
        await self.score(episode)
        task = await asyncio.to_thread(partial(self._task, episode, version=version))
        if task is None:
            return False
        judged = await self._judged(task, version)
        new = await asyncio.to_thread(
            ledger.write, self._database, partial(self._keep_beside, task=task, judged=judged)
        )
        self._told(episode)
        return new

    async def _try(self, episode: str) -> None:
        try:
            await self.score(episode)
        except Exception as error:  # noqa: BLE001  the supervisor: one bad file must not stop the others
            await self._put_off(episode, error)
        finally:
            self._queued.discard(episode)

    async def start(self, episode: str, task: str) -> None:
        """Keep the start of an episode that an earlier release scored, or that its file cannot be read.

        Raises UnknownFileError or FileMissingError if the file is gone, and what keeps a worker from reading it.
        """
        file = await asyncio.to_thread(self._store.file, episode, EPISODE_FILE)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._reads, start_in_file, file)
        except FileMissingError:
            raise  # it costs nothing to look for it again
        except EpisodeError as error:
            _log.warning("how an episode began cannot be read, and is not read again", episode=episode, why=str(error))
            found = starts.unreadable(task)
        kept = partial(starts.keep, episode=episode, start=found, versions=self._versions)
        await asyncio.to_thread(ledger.write, self._database, kept)

    async def _judged(self, task: _Task, version: str | None) -> Judged:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, judged_in, self._judge, task.file, version)

    def _unscored(self, all_due: bool) -> list[str]:
        """Return verified episodes that have no score and are due, the oldest first."""
        now_ms = self._clock_ms()
        due = or_(UnscoredRow.next_ms.is_(None), UnscoredRow.next_ms <= now_ms)
        # The limit lets no database begin with the episodes, of which there may be a million.
        some = select(SearchedRow.episode).outerjoin(UnscoredRow, UnscoredRow.episode == SearchedRow.episode)
        here = some.where(*_UNSCORED, due).limit(_LOOKED_AT).subquery()
        found = select(EpisodeRow.episode).join(here, here.c.episode == EpisodeRow.episode)
        with self._database() as db, db.begin():
            if all_due:
                db.execute(update(UnscoredRow).values(next_ms=now_ms))
            return list(db.scalars(found.order_by(EpisodeRow.log_index).limit(QUEUE_MAX)))

    def _task(self, episode: str, version: str | None = None) -> _Task | None:
        """Return what is to be scored: an episode without a score, or one without a score by that version."""
        with self._database() as db:
            row = db.get(EpisodeRow, episode)
            first = first_score(db, episode)
            there = first if version is None else db.get(ScoreRow, (episode, version))
            if row is None or row.state is not EpisodeState.VERIFIED or there is not None:
                return None
            ticket = db.get(TicketRow, episode)
            address = db.scalar(select(RobotRow.owner).where(RobotRow.address == row.robot))
        fixed_wei = None if ticket is None else ticket.price_wei
        shares = Shares.of(None if ticket is None else ticket.shares)
        if fixed_wei is None:
            fixed_wei = self._prices.get(row.task, 0) if first is None else first.price_wei
        witnessed = row.trust is TrustClass.WITNESSED
        return _Task(
            episode=episode,
            name=row.task,
            operator=row.operator,
            robot=row.robot,
            file=self._store.file(episode, EPISODE_FILE),
            witnessed=witnessed,
            price_wei=fixed_wei,
            owner=None if address is None else paying.Owner(address, shares),
            said=None if ticket is None else ticket.said,
        )

    def _keep(self, db: Session, *, task: _Task, judged: Judged, checks: tuple[Check, ...] | None) -> bool:
        new = paying.keep(db, self._row(task, judged), checks, task.owner)
        if new and task.witnessed and task.owner is not None and judged.reviewed is not None:
            qualified = operators.read(db, task.operator, required=self._qualification).qualified
            opening.open_review(db, self._opened(task, task.owner, judged.reviewed), qualified=qualified)
        db.execute(delete(UnscoredRow).where(UnscoredRow.episode == task.episode))
        starts.keep(db, task.episode, judged.start, self._versions)
        searched.keep(db, task.episode, self._versions)
        return new

    def _keep_beside(self, db: Session, *, task: _Task, judged: Judged) -> bool:
        new = paying.keep_beside(db, self._row(task, judged), task.owner)
        starts.keep(db, task.episode, judged.start, self._versions)
        searched.keep(db, task.episode, self._versions)
        return new

    def _opened(self, task: _Task, owner: paying.Owner, worth: Score) -> UnderReviewRow:
        return UnderReviewRow(
            episode=task.episode,
            author=task.operator,
            robot=task.robot,
            owner=owner.address,
            task=task.name,
            said=task.said,
            score=asdict(worth),
            price_wei=task.price_wei,
            shares=asdict(owner.shares),
            opened_ms=self._clock_ms(),
        )

    def _row(self, task: _Task, judged: Judged) -> ScoreRow:
        scored = judged.score
        return ScoreRow(
            episode=task.episode,
            version=scored.version,
            score_ppm=scored.score_ppm,
            accepted=scored.accepted,
            vector=dict(scored.vector),
            reasons=list(scored.reasons),
            refused=list(scored.refused),
            costs=[asdict(one) for one in scored.costs],
            shown=dict(scored.shown),
            segments=[asdict(one) for one in scored.segments],
            task=task.name,
            operator=task.operator,
            price_wei=task.price_wei,
            pay_wei=0 if task.witnessed else pay_wei(scored, task.price_wei),
            scored_ms=self._clock_ms(),
        )

    async def _put_off(self, episode: str, error: Exception) -> None:
        """Note why an episode has no score, and when it is tried again."""
        reason = f"{type(error).__name__}: {error}"
        said = reason if isinstance(error, _SAID) else _OF_THE_HUB
        note = partial(self._note, episode=episode, reason=said)
        try:
            tries, next_ms = await asyncio.to_thread(ledger.write, self._database, note)
        except Exception:  # noqa: BLE001  the supervisor: the database may come back, and a search finds the episode
            _log.exception("an episode was not scored, nor could that be noted", episode=episode, because=reason)
            return
        expected = isinstance(error, (*_SAID, *LOST))
        _log.log(
            logging.WARNING if expected else logging.ERROR,
            "an episode was not scored; it is tried again",
            episode=episode,
            reason=reason,
            tries=tries,
            again_at_ms=next_ms,
            exc_info=None if expected else error,
        )
        self._told(episode)

    def _note(self, db: Session, *, episode: str, reason: str) -> tuple[int, int]:
        """Return how often it was tried, and when it is tried again."""
        row = db.get(UnscoredRow, episode) or UnscoredRow(episode=episode, tries=0)
        again_ms = min(AGAIN_MS << min(row.tries, 30), AGAIN_MAX_MS)
        row.reason, row.tries, row.next_ms = reason, row.tries + 1, self._clock_ms() + again_ms
        db.add(row)
        return row.tries, row.next_ms


def judged_in(judge: Judge, file: StoredFile, version: str | None) -> Judged:
    """Run in a worker: judge a stored episode; raises what `judge` raises, and StoreLostError."""
    with file.local() as path:
        return judge(path, version)


def start_in_file(file: StoredFile) -> Start:
    """Run in a worker: return a stored episode's start; raise EpisodeError if it is no episode, or StoreLostError."""
    with file.local() as path:
        return start_in(path)
