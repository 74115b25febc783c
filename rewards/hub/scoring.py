"""Verified episodes are scored, one after the other.

Work is found in two ways: `submit` says that an episode was just verified, and a search of the tables (at the start,
and then every half minute) finds what was not submitted, or what a crash left. An episode's score and its pay, or the
checks of a practice drive, are written in one database transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import select

from recorder.hub.states import EpisodeState
from recorder.hub.store import Store
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from recorder.proof.manifest import EPISODE_FILE
from rewards.hub import paying
from rewards.hub.verdicts import first_score
from rewards.ledger import ledger
from rewards.people.qualification import Check, appraise
from rewards.score.score import pay_wei
from rewards.score.verdict import Score
from rewards.tables import ScoreRow
from teleop.hub.db import Database
from teleop.hub.tables import TicketRow

SEARCH_EVERY_S: Final = 30.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Task:
    """One verified episode to score."""

    episode: str
    name: str
    operator: str
    file: Path
    witnessed: bool
    """Whether it rests on its host's word: it qualifies nobody, and is not paid."""
    price_wei: int
    """What a score of 1 pays: fixed when it began, or today's price for an episode of an earlier release."""


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
        clock_ms: Callable[[], int],
        told: Callable[[str], None],
    ) -> None:
        """`told` is called with each episode that has been scored, in the event loop."""
        self._database, self._store, self._prices = database, store, prices
        self._qualification, self._executor, self._clock_ms, self._told = qualification, executor, clock_ms, told
        self._work: asyncio.Queue[str] = asyncio.Queue()

    def submit(self, episode: str) -> None:
        """Say that an episode was verified."""
        self._work.put_nowait(episode)

    async def run(self) -> None:
        """Score what there is to score, for ever."""
        while True:
            episode = await self._work.get()
            try:
                await self.score(episode)
            except Exception:  # noqa: BLE001  the supervisor: one bad file must not stop the others
                _log.exception("an episode was not scored; it is tried again later", episode=episode)

    async def search(self) -> None:
        """Find what nobody submitted, for ever."""
        while True:
            try:
                for episode in await asyncio.to_thread(self._unscored):
                    self._work.put_nowait(episode)
            except Exception:  # noqa: BLE001  the supervisor: the database may come back
                _log.exception("the search for unscored episodes failed")
            await asyncio.sleep(SEARCH_EVERY_S)

    async def score(self, episode: str) -> None:
        """Score an episode, unless it is scored already or not verified."""
        task = await asyncio.to_thread(self._task, episode)
        if task is None:
            return
        scored, checks = await asyncio.get_running_loop().run_in_executor(self._executor, appraise, task.file)
        counts = self._qualification and not task.witnessed
        await asyncio.to_thread(self._keep, task, scored, checks if counts else None)
        self._told(episode)

    def _unscored(self) -> list[str]:
        scored = select(ScoreRow.episode)
        verified = select(EpisodeRow.episode).where(EpisodeRow.state == EpisodeState.VERIFIED)
        with self._database() as db:
            return list(db.scalars(verified.where(EpisodeRow.episode.not_in(scored)).order_by(EpisodeRow.log_index)))

    def _task(self, episode: str) -> _Task | None:
        with self._database() as db:
            row = db.get(EpisodeRow, episode)
            if row is None or row.state is not EpisodeState.VERIFIED or first_score(db, episode) is not None:
                return None
            fixed_wei = db.scalar(select(TicketRow.price_wei).where(TicketRow.episode == episode))
        price_wei = self._prices.get(row.task, 0) if fixed_wei is None else fixed_wei
        witnessed = row.trust is TrustClass.WITNESSED
        return _Task(episode, row.task, row.operator, self._store.path(episode, EPISODE_FILE), witnessed, price_wei)

    def _keep(self, task: _Task, scored: Score, checks: tuple[Check, ...] | None) -> None:
        price_wei = task.price_wei
        row = {
            "episode": task.episode,
            "version": scored.version,
            "score_ppm": scored.score_ppm,
            "accepted": scored.accepted,
            "vector": dict(scored.vector),
            "reasons": list(scored.reasons),
            "task": task.name,
            "operator": task.operator,
            "price_wei": price_wei,
            "pay_wei": 0 if task.witnessed else pay_wei(scored, price_wei),
            "scored_ms": self._clock_ms(),
        }
        paid = ledger.write(self._database, lambda db: paying.keep(db, ScoreRow(**row), checks))
        _log.info("scored", episode=task.episode, score_ppm=scored.score_ppm, accepted=scored.accepted, paid=paid)
