"""From a verified episode to pay: score it, book it, settle it.

Work is found in two ways: `submit` says that an episode was just verified, and a search of the tables (at the start,
and then every half minute) finds what was not submitted, or what a crash left. An episode's score and its pay, or the
checks of a practice drive, are written in one database transaction.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from recorder.hub.states import EpisodeState
from recorder.hub.store import Store
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from recorder.proof.manifest import EPISODE_FILE
from rewards.chain.payouts import Paid, Payouts, PayoutsError, Root
from rewards.chain.vault import ChainError
from rewards.ledger import ledger
from rewards.people import operators
from rewards.people.operators import Operator
from rewards.people.qualification import Check, appraise, from_json
from rewards.score.score import pay_wei
from rewards.score.verdict import Score
from rewards.tables import PracticeRow, ScoreRow, TransactionRow
from teleop.clock import now_ms
from teleop.hub.db import Database
from teleop.hub.tables import TicketRow

T = TypeVar("T")

SEARCH_EVERY_S: Final = 30.0
CHAIN_THREADS: Final = 4
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Verdict:
    """An episode's score and what became of its pay."""

    episode: str
    version: str
    score_ppm: int
    accepted: bool
    vector: Mapping[str, float]
    reasons: tuple[str, ...]
    price_wei: int
    pay_wei: int
    paid: bool
    """Whether the ledger has booked it; an accepted episode waits while its task's pool is empty."""
    practice: tuple[Check, ...] | None
    """The checks of a practice drive, which earns nothing; None for an episode of a qualified wallet."""
    awaiting_review: bool = False
    """A real robot's: that it happened as recorded is its host's word, and nothing is paid on that."""

    @property
    def scored(self) -> Score:
        """The score alone, without what became of its pay."""
        return Score(self.version, self.score_ppm, self.accepted, self.vector, self.reasons)


@dataclass(frozen=True, slots=True)
class Statement:
    """What an operator has earned, and where it is."""

    earned_wei: int
    settled_wei: int
    claimed_wei: int
    wallet_wei: int
    entries: tuple[ledger.Entry, ...]


class Pipeline:
    """Use it as `async with pipeline:`; it works until the block ends. Every method may also be called before."""

    def __init__(
        self,
        database: Database,
        store: Store,
        payouts: Payouts,
        prices: Mapping[str, int],
        *,
        qualification: bool,
        executor: Executor | None = None,
        settle_every_s: float = 0.0,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`prices`: task -> wei for a score of 1, if a ticket does not say. `executor` scores (None: threads).

        With `settle_every_s` 0 it settles only when asked. With `qualification`, what a wallet drives is practice until
        its drives have passed the checks.
        """
        self._qualification = qualification
        self._database, self._store, self._payouts, self._prices = database, store, payouts, prices
        self._executor, self._settle_every_s, self._clock_ms = executor, settle_every_s, clock_ms
        self._work: asyncio.Queue[str] = asyncio.Queue()
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._chain = ThreadPoolExecutor(CHAIN_THREADS, "payouts")
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Start; raise WrongVaultError if database and chain do not belong together."""
        self._loop = asyncio.get_running_loop()
        await self._beside(self._payouts.reconcile)
        self._tasks = [asyncio.create_task(self._score_all(), name="scoring")]
        self._tasks.append(asyncio.create_task(self._search(), name="search for unscored episodes"))
        if self._settle_every_s > 0:
            self._tasks.append(asyncio.create_task(self._settle_all(), name="settling"))
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop; unfinished work continues at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loop = None
        await asyncio.to_thread(self._chain.shutdown)

    def submit(self, episode: str) -> None:
        """Say that an episode was verified, from any thread. If the pipeline is not running, a search finds it."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._work.put_nowait, episode)

    async def verdict(self, episode: str, wait_s: float = 0.0) -> Verdict | None:
        """Return an episode's score, waiting up to `wait_s` for it; None if there is none by then."""
        scored = asyncio.Event()
        self._waiting[episode].add(scored)
        try:
            found = await asyncio.to_thread(self._verdict, episode)
            if found is not None or wait_s <= 0:
                return found
            async with asyncio.timeout(wait_s):
                await scored.wait()
        except TimeoutError:
            return None
        finally:
            self._waiting[episode].discard(scored)
            if not self._waiting[episode]:
                del self._waiting[episode]
        return await asyncio.to_thread(self._verdict, episode)

    async def operator(self, address: str) -> Operator:
        """Return whether a wallet is qualified, and its last practice drive."""
        return await asyncio.to_thread(self._operator, address)

    async def statement(self, address: str) -> Statement:
        """Return an operator's account, with what only the chain knows; raise ChainError if it does not answer."""
        claimed, wallet = await self._beside(partial(self._payouts.chain_balances, address))
        return await asyncio.to_thread(self._statement, address, claimed, wallet)

    async def settle(self) -> Root | None:
        """Pay what waits for its pool, and put all that was earned under a root; None if nobody has earned anything."""
        return await self._beside(self._settle)

    async def claim(self, address: str) -> Paid:
        """Relay an operator's claim; raises what `Payouts.claim` raises."""
        return await self._beside(partial(self._payouts.claim, address))

    async def roots(self) -> list[Root]:
        """Return every root, newest first."""
        return await asyncio.to_thread(self._payouts.roots)

    async def document(self, root: str) -> bytes:
        """Return a root's published JSON; raise UnknownRootError."""
        return await asyncio.to_thread(self._payouts.document, root)

    def fund(self, task: str, amount_wei: int, key: str) -> bool:
        """Set aside `amount_wei` of the vault's tokens for a task, once for each `key`; pay what waited. Blocks.

        Returns whether the key is new. Raises KeyReusedError.
        """
        deposit = ledger.transfer(
            f"deposit:{key}", "deposit", ledger.VAULT, ledger.pool(task), amount_wei, self._clock_ms()
        )
        new = ledger.write(self._database, lambda db: ledger.post(db, deposit))
        self.pay_waiting()
        return new

    def pay_waiting(self) -> int:
        """Pay accepted episodes that found their pool empty, oldest first; return how many. Blocks."""
        with self._database() as db:
            waiting = db.scalars(_unpaid()).all()
        return sum(ledger.write(self._database, partial(_pay, row=row)) for row in waiting)

    async def _score_all(self) -> None:
        while True:
            episode = await self._work.get()
            try:
                await self._score(episode)
            except Exception:  # noqa: BLE001  the supervisor: one bad file must not stop the others
                _log.exception("an episode was not scored; it is tried again later", episode=episode)

    async def _score(self, episode: str) -> None:
        task = await asyncio.to_thread(self._task, episode)
        if task is None:
            return
        scored, checks = await asyncio.get_running_loop().run_in_executor(self._executor, appraise, task.file)
        counts = self._qualification and not task.witnessed
        await asyncio.to_thread(self._keep, task, scored, checks if counts else None)
        for waiter in self._waiting.get(episode, ()):
            waiter.set()

    async def _search(self) -> None:
        while True:
            try:
                for episode in await asyncio.to_thread(self._unscored):
                    self._work.put_nowait(episode)
            except Exception:  # noqa: BLE001  the supervisor: the database may come back
                _log.exception("the search for unscored episodes failed")
            await asyncio.sleep(SEARCH_EVERY_S)

    async def _settle_all(self) -> None:
        while True:
            try:
                await self.settle()
            except (ChainError, PayoutsError) as error:
                _log.warning("settlement failed; it is tried again", error=str(error), again_in_s=self._settle_every_s)
            except Exception:  # noqa: BLE001  the supervisor: whatever it was, the next try may pass
                _log.exception("settlement failed; it is tried again", again_in_s=self._settle_every_s)
            await asyncio.sleep(self._settle_every_s)

    def _settle(self) -> Root | None:
        self.pay_waiting()
        return self._payouts.settle()

    def _unscored(self) -> list[str]:
        scored = select(ScoreRow.episode)
        verified = select(EpisodeRow.episode).where(EpisodeRow.state == EpisodeState.VERIFIED)
        with self._database() as db:
            return list(db.scalars(verified.where(EpisodeRow.episode.not_in(scored)).order_by(EpisodeRow.log_index)))

    def _task(self, episode: str) -> _Task | None:
        with self._database() as db:
            row = db.get(EpisodeRow, episode)
            if row is None or row.state is not EpisodeState.VERIFIED or _scored(db, episode) is not None:
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
        paid = ledger.write(self._database, lambda db: _keep(db, ScoreRow(**row), checks))
        _log.info("scored", episode=task.episode, score_ppm=scored.score_ppm, accepted=scored.accepted, paid=paid)

    def _verdict(self, episode: str) -> Verdict | None:
        with self._database() as db:
            row = _scored(db, episode)
            trust = db.scalar(select(EpisodeRow.trust).where(EpisodeRow.episode == episode))
            practice = db.get(PracticeRow, episode)
            paid = row is not None and ledger.booked(db, f"episode:{episode}")
        if row is None:
            return None
        return Verdict(
            row.episode,
            row.version,
            row.score_ppm,
            row.accepted,
            row.vector,
            tuple(row.reasons),
            row.price_wei,
            row.pay_wei,
            paid,
            None if practice is None else from_json(practice.checks),
            trust is TrustClass.WITNESSED,
        )

    def _operator(self, address: str) -> Operator:
        with self._database() as db:
            return operators.read(db, address, required=self._qualification)

    def _statement(self, address: str, claimed_wei: int, wallet_wei: int) -> Statement:
        account = ledger.operator(address)
        with self._database() as db:
            earned, entries = ledger.balance(db, account), ledger.entries(db, account)
        return Statement(earned, self._payouts.settled(address), claimed_wei, wallet_wei, tuple(entries))

    async def _beside(self, call: Callable[[], T]) -> T:
        """Run what may wait for the chain off the event loop, in threads that nothing else uses."""
        return await asyncio.get_running_loop().run_in_executor(self._chain, call)


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


def _unpaid() -> Select[Any]:
    """Select accepted scores that the ledger has not paid, oldest first."""
    paid = select(TransactionRow.episode).where(TransactionRow.episode.is_not(None))
    owed = select(ScoreRow).where(ScoreRow.accepted, ScoreRow.pay_wei != 0, ScoreRow.episode.not_in(paid))
    return owed.order_by(ScoreRow.scored_ms, ScoreRow.episode)


def _scored(db: Session, episode: str) -> ScoreRow | None:
    """Return an episode's only score: by the version of the rules that its file determines, whatever came later."""
    return db.scalars(select(ScoreRow).where(ScoreRow.episode == episode)).first()


def _keep(db: Session, row: ScoreRow, checks: tuple[Check, ...] | None) -> bool:
    """Write a score with its pay, unless it is already written; return whether it was paid now.

    If `checks` is given, the episode of a wallet that is not qualified is practice.
    """
    if _scored(db, row.episode) is not None:
        return False
    if operators.practised(db, row.episode, row.operator, checks, row.scored_ms):
        row.pay_wei = 0
    db.add(row)
    db.flush()
    return _pay(db, row)


def _pay(db: Session, row: ScoreRow) -> bool:
    """Book an episode's pay; return whether it was booked now. If the pool is empty, it waits."""
    if row.pay_wei == 0:
        return False
    pay = ledger.episode_pay(row.episode, row.task, row.operator, row.pay_wei, row.scored_ms)
    try:
        return ledger.post(db, pay)
    except ledger.PoolEmptyError as error:
        _log.warning("a score waits for its pay", episode=row.episode, reason=str(error))
        return False
