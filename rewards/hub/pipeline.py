"""From a verified episode to pay, all of it: `scoring.py` scores it, `paying.py` books it, and it is settled here."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog

from recorder.hub.store import Store
from rewards.chain.payouts import Paid, Payouts, PayoutsError, Root
from rewards.chain.vault import ChainError
from rewards.hub import paying, starts
from rewards.hub.judging import Judge, judge
from rewards.hub.rescoring import Progress, Rescoring
from rewards.hub.scoring import Scoring
from rewards.hub.starts import Best, Known
from rewards.hub.verdicts import Statement, Unscored, Verdict, first_score, unscored_of, verdict_of
from rewards.ledger import ledger
from rewards.people import operators
from rewards.people.operators import Operator
from rewards.score.kept import encoded
from rewards.score.versions import VERSIONS
from teleop.clock import now_ms
from teleop.hub.db import Database

T = TypeVar("T")

CHAIN_THREADS: Final = 4
FILLING_MAX: Final = 64
"""How many may wait for the start of an old episode to be read."""
_log = structlog.get_logger()


class BestBusyError(Exception):
    """Too many wait for the starts of old episodes to be read."""


class _Line:
    """A lock that knows how many wait for it."""

    def __init__(self) -> None:
        self._turn, self.waiting = asyncio.Lock(), 0

    async def __aenter__(self) -> None:
        self.waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self.waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self._turn.release()


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
        reads: Executor | None = None,
        at_once: int = 1,
        settle_every_s: float = 0.0,
        clock_ms: Callable[[], int] = now_ms,
        judge: Judge = judge,
        versions: Sequence[str] = VERSIONS,
        mine: Callable[[], bool] = lambda: True,
    ) -> None:
        """`prices`: task -> wei for a score of 1, if a ticket does not say. `executor` scores, `at_once` episodes at a
        time, and `reads` reads what somebody waits for (None: threads).

        With `settle_every_s` 0 it settles only when asked. With `qualification`, what a wallet drives is practice until
        its drives have passed the checks. `judge` is the rules, in these `versions`, the oldest first. `mine`: whether
        it is this one of several hubs that settles, rescores and searches.
        """
        self._database, self._payouts, self._qualification = database, payouts, qualification
        self._settle_every_s, self._clock_ms, self._mine = settle_every_s, clock_ms, mine
        self.told: Callable[[str], None] = lambda _episode: None
        """Called with each episode that was scored, or could not be: people may wait for it at another hub."""
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []
        self._chain = ThreadPoolExecutor(CHAIN_THREADS, "payouts")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._filling = _Line()  # anyone may ask for a start: one file is read at a time, and once
        self.scoring = Scoring(
            database,
            store,
            prices,
            qualification=qualification,
            executor=executor,
            reads=reads,
            at_once=at_once,
            clock_ms=clock_ms,
            told=self._tell,
            judge=judge,
            versions=versions,
            mine=mine,
        )
        self.rescoring = Rescoring(database, self.scoring.rescore, clock_ms, versions, mine)

    async def __aenter__(self) -> Self:
        """Start; raise WrongVaultError if database and chain do not belong together."""
        self._loop = asyncio.get_running_loop()
        await self._beside(self._payouts.reconcile)
        self._tasks = [asyncio.create_task(self.scoring.run(), name="scoring")]
        self._tasks.append(asyncio.create_task(self.scoring.search(), name="search for unscored episodes"))
        self._tasks.append(asyncio.create_task(self.rescoring.run(), name="rescoring"))
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
            self._loop.call_soon_threadsafe(self.scoring.submit, episode)

    async def score_file(self, episode: str) -> bytes | None:
        """Return an episode's score as the file that lies beside it in a bundle; None while there is none."""
        found = await self.verdict(episode)
        return None if found is None else encoded(found.scored)

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

    async def unscored(self, episode: str) -> Unscored | None:
        """Return why an episode could not be scored; None if nothing kept it from that."""
        return await asyncio.to_thread(self._unscored, episode)

    async def best(self, episode: str) -> Best | None:
        """Return the best drive from a start like an episode's; None if there is none: `known` may say why.

        Raises UnknownFileError or FileMissingError if an earlier release scored it, and its file is gone;
        BestBusyError if too many others wait for such a file to be read; and what keeps a worker from reading it.
        """
        if await asyncio.to_thread(self._needs_start, episode) is not None:
            await self._fill(episode)
        return await asyncio.to_thread(self._best, episode)

    async def known(self, episode: str) -> Known:
        """Return what is known of how an episode began."""
        return await asyncio.to_thread(self._known, episode)

    async def _fill(self, episode: str) -> None:
        """Keep how an episode began that an earlier release scored, once it is its turn to be read."""
        if self._filling.waiting >= FILLING_MAX:
            raise BestBusyError(f"{FILLING_MAX} others wait to be told of the best drive; try again in a few seconds")
        async with self._filling:
            task = await asyncio.to_thread(self._needs_start, episode)
            if task is not None:
                await self.scoring.start(episode, task)

    async def rescore(self, version: str, task: str | None = None) -> Progress:
        """Ask that every verified episode be scored by a version of the rules; raise UnknownRulesError."""
        job = await asyncio.to_thread(self.rescoring.begin, version, task)
        self.rescoring.wake()
        return job

    async def rescorings(self) -> list[Progress]:
        """Return the newest jobs of rescoring, newest first."""
        return await asyncio.to_thread(self.rescoring.jobs)

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
        return paying.pay_waiting(self._database)

    async def _settle_all(self) -> None:
        while True:
            try:
                if self._mine():
                    await self.settle()
            except (ChainError, PayoutsError) as error:
                _log.warning("settlement failed; it is tried again", error=str(error), again_in_s=self._settle_every_s)
            except Exception:  # noqa: BLE001  the supervisor: whatever it was, the next try may pass
                _log.exception("settlement failed; it is tried again", again_in_s=self._settle_every_s)
            await asyncio.sleep(self._settle_every_s)

    def _tell(self, episode: str) -> None:
        self.look(episode)
        self.told(episode)

    def look(self, episode: str) -> None:
        """Let whoever waits for an episode's score look for it; call it in the event loop."""
        for waiter in self._waiting.get(episode, ()):
            waiter.set()

    def _settle(self) -> Root | None:
        self.pay_waiting()
        return self._payouts.settle()

    def _verdict(self, episode: str) -> Verdict | None:
        with self._database() as db:
            return verdict_of(db, episode)

    def _unscored(self, episode: str) -> Unscored | None:
        with self._database() as db:
            return unscored_of(db, episode)

    def _needs_start(self, episode: str) -> str | None:
        """Return the task of an episode that has a score and no start; None for any other."""
        with self._database() as db:
            if starts.known(db, episode) is not Known.NOT_YET:
                return None
            first = first_score(db, episode)
            return None if first is None else first.task

    def _best(self, episode: str) -> Best | None:
        with self._database() as db:
            return starts.best(db, episode)

    def _known(self, episode: str) -> Known:
        with self._database() as db:
            return starts.known(db, episode)

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
