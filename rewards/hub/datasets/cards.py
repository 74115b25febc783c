"""Makes the card of every version that has none: reads each episode's file once, in a worker, and keeps what it found.

What is to do is found in the tables, so it goes on after a restart, with what was read before. Two hubs that work at
the same card waste work and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from typing import Final

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from recorder.file.apart import ReaderLostError
from recorder.file.episode import EpisodeError
from recorder.hub.store import Store, StoredFile, UnknownFileError
from recorder.proof.manifest import EPISODE_FILE
from rewards.datasets import facts as file_facts
from rewards.datasets.card import Card, Judged, Tally, encoded
from rewards.datasets.drawn import chosen
from rewards.datasets.facts import FACTS, Facts, facts_in
from rewards.datasets.version import Member
from rewards.hub.datasets import members
from rewards.hub.datasets.shelf import At
from rewards.tables import CardRow, DatasetRow, EpisodeFactsRow, SearchedRow, VersionRow
from teleop.clock import now_ms, within
from teleop.hub.db import Database

LOOK_EVERY_S: Final = 30.0
LOST_MAX: Final = 3
"""How often a worker may be lost over a file before the card is made without it."""
_AT_ONCE: Final = 500
_TOGETHER: Final = 500
"""How many are added to a card in one call of a worker: about a tenth of a second, so that others wait no longer."""
_One = tuple[Member, bytes | None, Judged]
_LOST: Final = (ReaderLostError, BrokenExecutor, MemoryError)
_log = structlog.get_logger()


class Cards:
    """The cards of one database. `run` it in the event loop."""

    def __init__(
        self,
        database: Database,
        store: Store,
        executor: Executor | None,
        clock_ms: Callable[[], int] = now_ms,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """`executor` reads the files (None: threads). `mine`: whether this one of several hubs makes them."""
        self._mine = mine
        self._database, self._store, self._executor, self._clock_ms = database, store, executor, clock_ms
        self._asked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lost: Counter[str] = Counter()

    def wake(self) -> None:
        """Say that there is a new version, from any thread. If nothing runs, it is found later."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked.set)

    async def run(self) -> None:
        """Make what cards there are to make, for ever."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._asked.clear()
            try:
                if self._mine():
                    await self.work()
            except Exception:  # noqa: BLE001  the supervisor: the database may come back
                _log.exception("cards of data sets were not made; that is tried again")
            await within(self._asked, LOOK_EVERY_S)

    async def work(self) -> None:
        """Make every card that there is to make, the newest version's first."""
        put_off: set[str] = set()
        while (found := await asyncio.to_thread(self._next, put_off)) is not None:
            named = f"{found.dataset.name}@{found.row.version}"
            try:
                drawn = await asyncio.to_thread(self._drawn, found)
                await self._read(found, drawn)
                card = await self._make(found, drawn)
            except _LOST as error:
                put_off.add(found.row.digest)
                _log.warning("a card was not made; that is tried again", dataset=named, error=str(error))
                continue
            _log.info("made a card", dataset=named, episodes=card.episodes, unread=len(card.unread))

    def _next(self, put_off: set[str]) -> At | None:
        kept = select(CardRow.digest).where(CardRow.digest == VersionRow.digest).exists()
        wanted = select(DatasetRow, VersionRow).join(VersionRow, VersionRow.dataset == DatasetRow.id)
        wanted = wanted.where(~kept, VersionRow.digest.not_in(put_off)).order_by(VersionRow.made_ms.desc()).limit(1)
        with self._database() as db:
            found = db.execute(wanted).first()
        return None if found is None else At(found[0], found[1])

    def _drawn(self, found: At) -> frozenset[str]:
        """Return which of a version's episodes are drawn, for the statistics of their pictures."""
        with self._database() as db:
            return chosen(one.member.episode for one in members.each(db, found.dataset.id, found.row.version))

    async def _read(self, found: At, drawn: frozenset[str]) -> None:
        """Read the files of a version that were not read before."""
        after = -1
        while some := await asyncio.to_thread(self._unread, found, after, drawn):
            for place, episode in some:
                if episode is not None:
                    await self._read_one(episode, episode in drawn)
                after = place

    async def _read_one(self, episode: str, draw: bool) -> None:
        if self._lost[episode] >= LOST_MAX:
            return
        try:
            facts = await self._facts(episode, draw)
        except (EpisodeError, UnknownFileError, OSError) as error:
            _log.warning("an episode of a data set cannot be read", episode=episode, error=str(error))
            return
        except _LOST:
            self._lost[episode] += 1
            raise
        await asyncio.to_thread(self._keep, facts)

    async def _facts(self, episode: str, draw: bool) -> Facts:
        file = await asyncio.to_thread(self._store.file, episode, EPISODE_FILE)
        return await asyncio.get_running_loop().run_in_executor(self._executor, facts_in_file, file, draw)

    def _unread(self, found: At, after: int, drawn: frozenset[str]) -> list[tuple[int, str | None]]:
        """Return the next places, with the episode of each that is still to be read."""
        with self._database() as db:
            placed = members.page(db, found.dataset.id, found.row.version, _AT_ONCE, after)
            ids = [one.member.episode for one in placed]
            rows = select(EpisodeFactsRow.episode).where(EpisodeFactsRow.episode.in_(ids))
            kept = set(db.scalars(rows.where(EpisodeFactsRow.version == file_facts.VERSION)))
            wanted = select(EpisodeFactsRow.facts).where(EpisodeFactsRow.episode.in_(kept & drawn))
            read = [FACTS.decode(data) for data in db.scalars(wanted)]
            kept -= {one.episode for one in read if one.simulated and one.drawn is None}
        return [(one.place, None if one.member.episode in kept else one.member.episode) for one in placed]

    def _keep(self, facts: Facts) -> None:
        data = msgspec.json.encode(facts)
        with self._database() as db, db.begin():
            db.merge(EpisodeFactsRow(episode=facts.episode, version=file_facts.VERSION, facts=data))

    async def _make(self, found: At, drawn: frozenset[str]) -> Card:
        """Make a card of what was read, in a worker, and keep it."""
        loop, after = asyncio.get_running_loop(), -1
        tally = Tally(members.head(found.dataset, found.row), found.row.digest, drawn)
        while some := await asyncio.to_thread(self._some, found, after):
            tally = await loop.run_in_executor(self._executor, _added, tally, [one for _, one in some])
            after = some[-1][0]
        card, data = await loop.run_in_executor(self._executor, _finished, tally)
        await asyncio.to_thread(self._keep_card, found.row.digest, data)
        return card

    def _keep_card(self, digest: str, data: bytes) -> None:
        try:
            with self._database() as db, db.begin():
                db.add(CardRow(digest=digest, card=data, made_ms=self._clock_ms()))
        except IntegrityError:
            _log.info("another hub made the card", digest=digest)

    def _some(self, found: At, after: int) -> list[tuple[int, _One]]:
        """Return the next members of a version, each with its place, its facts and what is said of it."""
        with self._database() as db:
            some = members.page(db, found.dataset.id, found.row.version, _TOGETHER, after)
            ids = [one.member.episode for one in some]
            wanted = select(EpisodeFactsRow.episode, EpisodeFactsRow.facts).where(EpisodeFactsRow.episode.in_(ids))
            rows = db.execute(wanted.where(EpisodeFactsRow.version == file_facts.VERSION))
            read = {row.episode: row.facts for row in rows}
            judged = {row.episode: row for row in db.scalars(select(SearchedRow).where(SearchedRow.episode.in_(ids)))}
        return [
            (one.place, (one.member, read.get(one.member.episode), _said(judged[one.member.episode]))) for one in some
        ]


def facts_in_file(file: StoredFile, draw: bool = False) -> Facts:
    """Run in a worker: return a stored episode's facts; raise EpisodeError if it is no episode, or StoreLostError."""
    with file.local() as path:
        return facts_in(path, draw)


def _said(row: SearchedRow) -> Judged:
    return Judged(row.rules, row.score_ppm, row.trust, row.practice)


def _added(tally: Tally, some: list[_One]) -> Tally:
    """Run in a worker: add episodes to what becomes a card."""
    for member, data, judged in some:
        tally.add(member, None if data is None else FACTS.decode(data), judged)
    return tally


def _finished(tally: Tally) -> tuple[Card, bytes]:
    """Run in a worker: return the card, and its canonical bytes."""
    card = tally.card()
    return card, encoded(card)
