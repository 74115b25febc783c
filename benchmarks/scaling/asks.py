"""What a hub does with its tables while it works: each thing by its own code, timed on a database that is full."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.scaling.rows import CHAIN_ID, VAULT
from benchmarks.scaling.searches import worked_s
from benchmarks.scaling.year import BEGAN_MS, DAY_MS, DAYS, PRICE_WEI, TASKS, Year, address, episode
from recorder.hub import motions
from recorder.hub.erasing import DAY_MS as A_DAY_MS
from recorder.hub.erasing import Erasing
from recorder.hub.log import Log
from recorder.hub.records import Records
from recorder.hub.store import FolderStore
from recorder.hub.tables import MotionPathRow
from recorder.proof.checks.copies import Motion
from recorder.proof.checks.copies import Path as MotionPath
from recorder.proof.log.checkpoint import load_log_key
from rewards.chain.payouts import Payouts
from rewards.datasets.card import Judged, Tally, encoded
from rewards.datasets.facts import FACTS, facts_in
from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Shares, Split
from rewards.hub import paying, starts
from rewards.hub.datasets.changes import Changes, Chosen
from rewards.hub.datasets.consent import Consent
from rewards.hub.datasets.sets import Sets
from rewards.hub.datasets.texts import Described
from rewards.hub.judging import judge
from rewards.hub.rescoring import Rescoring
from rewards.hub.scoring import Scoring
from rewards.hub.search import Search
from rewards.ledger import ledger
from rewards.score.versions import VERSIONS
from teleop.hub.robots.registry import Registry
from teleop.identity import Domain, new_key
from teleop.wire.driver import Driver, DriverKind
from teleop.wire.signalling import Grant
from tests.rewards.world import DictVault

EPISODE: Final = Path(__file__).parents[2] / "tests/recorder/golden/version-2/good/episode.h5"
DOMAIN: Final = Domain(CHAIN_ID, VAULT)
NOW_MS: Final = BEGAN_MS + DAYS * DAY_MS
CARD_EPISODES: Final = 500
"""How many episodes the card that is timed has: its time is in proportion to them."""
Figures = dict[str, dict[str, float]]
GROUPS: Final = ("start", "log", "motions", "driving", "money", "again_and_again", "sets")


@dataclass(frozen=True, slots=True)
class Hub:
    """A full database, and what times it."""

    database: sessionmaker[Session]
    year: Year
    folder: Path
    server: int | None
    """The process of the database, if it has one."""
    runs: int

    @property
    def registry(self) -> Registry:
        """The robots, with prices."""
        return Registry(self.database, DOMAIN, lambda: NOW_MS, dict.fromkeys(TASKS, PRICE_WEI), VERSIONS[-1])

    @property
    def log(self) -> Log:
        """The log, with a key of its own."""
        return Log(load_log_key(self.folder / "log.key", "armshare/log"))

    def timed(self, call: Callable[[], Any], runs: int | None = None) -> dict[str, float]:
        """Return the median of the clock and the mean of a core, ms; the first call is not counted, if there are more.

        The core is this process's and the database's together.
        """
        runs = self.runs if runs is None else runs
        taken, worked = [], []
        for run in range(runs + (runs > 1)):
            begun, before_s = time.perf_counter(), worked_s(self.server)
            call()
            if run or runs == 1:
                taken.append(1e3 * (time.perf_counter() - begun))
                worked.append(1e3 * (worked_s(self.server) - before_s))
        return {"ms": round(statistics.median(taken), 2), "core_ms": round(statistics.mean(worked), 2)}

    def read(self, call: Callable[[Session], Any]) -> Callable[[], Any]:
        """Return the call, in a session of its own."""

        def run() -> Any:
            with self.database() as db:
                return call(db)

        return run

    def tried(self, call: Callable[[Session], Any]) -> Callable[[], Any]:
        """Return the call, in a transaction that leaves no trace."""

        def run() -> None:
            with self.database() as db:
                call(db)
                db.rollback()

        return run


def everything(hub: Hub, card: int = CARD_EPISODES, sets: Sequence[int] = ()) -> Iterator[tuple[str, Figures]]:
    """Yield the figures, group by group; `sets`: how many episodes the data sets have that are made."""
    yield "start", dict(_start(hub))
    yield "log", dict(_log(hub))
    yield "motions", dict(_motions(hub))
    yield "driving", dict(_driving(hub))
    yield "money", dict(_money(hub))
    yield "again_and_again", dict(_again(hub))
    yield "sets", dict(_sets(hub, card, sets))


def _start(hub: Hub) -> Iterator[tuple[str, dict[str, float]]]:
    """What a hub does once as it starts; a million episodes more must not make it longer."""
    registry, records = hub.registry, _records(hub)
    scoring = _scoring(hub)
    yield "leases_left_open", hub.timed(lambda: registry.close_left_open(NOW_MS))
    yield "waiting_for_pay", hub.timed(lambda: paying.pay_waiting(hub.database))
    yield "unscored", hub.timed(lambda: scoring._unscored(True))
    yield "held", hub.timed(lambda: records.held(due=False))
    yield "without_motion", hub.timed(records.without_motion, 1)


def _log(hub: Hub) -> Iterator[tuple[str, dict[str, float]]]:
    log, year = hub.log, hub.year
    size = int(year.log_index[-1]) + 1
    entry = bytes(32)
    yield "append", hub.timed(hub.tried(lambda db: log.append(db, "one-more", entry, NOW_MS)))
    yield "prove_inclusion", hub.timed(hub.read(lambda db: log.prove(db, size // 2)))
    yield "prove_consistency", hub.timed(hub.read(lambda db: log.prove_consistency(db, size // 3)))
    yield "checkpoint", hub.timed(hub.read(log.checkpoint))


def _motions(hub: Hub) -> Iterator[tuple[str, dict[str, float]]]:
    year = hub.year
    known = episode(next(at for at in range(year.count // 3, year.count) if year.verified[at] and year.simulated[at]))
    with hub.database() as db:
        rows = db.scalars(select(MotionPathRow).where(MotionPathRow.episode == known)).all()
        paths = [MotionPath(row.kind, row.width, row.points) for row in rows]
    swing = np.sin(np.linspace(0.0, 6.28, len(paths[0].vector)))
    copy = tuple(replace(one, values=_moved(one, 0.002 * swing[: len(one.vector)])) for one in paths)
    other = tuple(replace(one, values=_moved(one, np.full(len(one.vector), 0.05))) for one in paths)
    for name, found, expected in (("a_copy", copy, True), ("a_new_one", other, False)):
        motion = Motion(None, found, b"")
        with hub.database() as db:
            twin = motions.twin(db, motion, replayed=False)
            if (twin is not None) is not expected:
                raise SystemExit(f"expected {name} of {known}, found {twin}")
        yield name, hub.timed(hub.read(lambda db, motion=motion: motions.twin(db, motion, replayed=False)))
    yield "nearest", hub.timed(hub.read(lambda db: motions.nearest(db, known, 8)))
    yield "best_from_a_like_start", hub.timed(hub.read(lambda db: starts.best(db, known)))


def _moved(path: MotionPath, by: Any) -> bytes:
    norm = np.linalg.norm(by)
    scaled = by if norm > 0.1 else by / norm * 0.002
    return bytes((path.vector + scaled).astype("<f4").tobytes())


def _driving(hub: Hub) -> Iterator[tuple[str, dict[str, float]]]:
    registry, year = hub.registry, hub.year
    robot, operator = year.robots[0], year.operators[0]
    grant = Grant(operator, address("session", 0), robot, "lift", "0x" + "1" * 64, NOW_MS)
    named = iter(range(10**6))
    lease = registry.open_lease(f"{year.count}-0", grant, "0x")
    registry.close_lease(lease.lease, "released", NOW_MS)

    def open_and_close() -> None:
        one = registry.open_lease(f"{year.count}-{next(named) + 1}-{time.time_ns()}"[:32], grant, "0x")
        registry.close_lease(one.lease, "released", NOW_MS)

    yield "open_and_close_a_lease", hub.timed(open_and_close)
    yield (
        "issue_a_ticket",
        hub.timed(lambda: registry.issue_ticket(lease, "lift", {}, Driver(DriverKind.PERSON, "", ""))),
    )
    yield "find_a_ticket", hub.timed(lambda: registry.ticket(episode(year.count // 2)))
    yield "last_leases_of_a_robot", hub.timed(lambda: registry.lease_lengths_s(robot, 20))


def _money(hub: Hub) -> Iterator[tuple[str, dict[str, float]]]:
    year, operator = hub.year, hub.year.operators[0]
    account = ledger.operator(operator)
    pay = ledger.episode_pay("one-more", "lift", operator, 1, NOW_MS)
    yield "book_pay", hub.timed(hub.tried(lambda db: ledger.post(db, pay)))
    yield "one_balance", hub.timed(hub.read(lambda db: ledger.balance(db, account)))
    yield "statement", hub.timed(hub.read(lambda db: ledger.entries(db, account)))
    yield "all_balances", hub.timed(hub.read(lambda db: ledger.balances(db, ledger.OPERATOR)))
    vault = DictVault(DOMAIN)
    roots = hub.folder / "roots"
    payouts = Payouts(hub.database, vault, DOMAIN, roots, hub.read(hub.log.head), lambda: NOW_MS)
    found = hub.timed(payouts.settle, 1)
    document = max((path.stat().st_size for path in roots.glob("*.json")), default=0)
    yield "settle", {**found, "document_kb": round(document / 1e3, 1), "operators": float(len(year.operators))}
    yield "settle_again", hub.timed(payouts.settle)
    yield "settled_of_one", hub.timed(lambda: payouts.settled(operator))
    yield "audit", hub.timed(hub.read(ledger.audit), 1)


def _again(hub: Hub) -> Iterator[tuple[str, dict[str, float]]]:
    """What a hub does again and again, whether anything has happened or not."""
    scoring, records = _scoring(hub), _records(hub)
    consent = Consent(hub.database, Changes(hub.database, Search(hub.database).episodes))
    yield "every_5_s_held", hub.timed(lambda: records.held(due=True))
    yield "every_30_s_unscored", hub.timed(lambda: scoring._unscored(False))
    yield "every_30_s_ends_of_consent", hub.timed(consent.finish)
    yield "every_60_s_waiting_for_pay", hub.timed(lambda: paying.pay_waiting(hub.database))
    erasing = Erasing(hub.database, FolderStore(hub.folder / "none"), lambda: NOW_MS, 30 * A_DAY_MS)
    yield "every_hour_sweep_of_500", hub.timed(erasing.sweep, 1)
    yield "every_hour_what_is_due", hub.timed(erasing._due)
    rescoring = Rescoring(hub.database, _never, lambda: NOW_MS)
    yield "begin_to_rescore", hub.timed(lambda: rescoring.begin(VERSIONS[-1], None), 1)


def _sets(hub: Hub, card: int, sizes: Sequence[int]) -> Iterator[tuple[str, dict[str, float]]]:
    year, owner = hub.year, new_key().address
    fit = (at for at in range(year.count) if year.verified[at] and not year.practice[at] and not year.withdrawn[at])
    wanted = [episode(at) for _, at in zip(range(max(card, *sizes, 0) + 1), fit, strict=False)]
    changes = Changes(
        hub.database, Search(hub.database).episodes, lambda: NOW_MS, episodes_max=max(10**5, *sizes, 0) + 1
    )
    for size in (card, *sizes):
        if size < len(wanted):
            yield from _one_set(hub, changes, owner, wanted[: size + 1])
    yield f"card_of_{card}", _card(hub, card)


def _one_set(hub: Hub, changes: Changes, owner: str, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Make a data set of all but the last, and append that; read both."""
    size, sets = len(wanted) - 1, Sets(hub.database)
    name, said, shares = f"scale/of-{size}", Described("A year", "", "CC-BY-4.0"), Shares(800_000, 100_000, 100_000)
    some, one = Chosen(tuple(wanted[:-1])), Chosen((wanted[-1],))
    yield f"make_{size}", hub.timed(lambda: changes.create(owner, name, said, some, shares), 1)
    yield f"append_one_to_{size}", hub.timed(lambda: changes.append(owner, name, one, ""), 1)
    yield f"page_of_{size}", hub.timed(lambda: sets.page(f"{name}@2", 200, size // 2))
    written = hub.timed(lambda: sum(len(part) for part in sets.document(f"{name}@2")), 1)
    yield f"document_of_{size}", {**written, "kb": sum(len(part) for part in sets.document(f"{name}@2")) / 1e3}


def _card(hub: Hub, count: int) -> dict[str, float]:
    """Add up what was read of so many files, as a worker does, after it has read one of them."""
    facts = msgspec.json.encode(facts_in(EPISODE))
    head = DatasetVersion(FORMAT, "scale/card", 1, "", "", "", "CC-BY-4.0", "", 0, Change(ChangeKind.CREATED, ""), ())
    judged = Judged(VERSIONS[-1], 900_000, "replayed", False)

    def add_up() -> None:
        tally = Tally(head, "0" * 64)
        for at in range(count):
            member = Member(episode(at), "0x" + "0" * 64, "0" * 64, 400_000, Split.TRAIN)
            tally.add(member, FACTS.decode(facts), judged)
        encoded(tally.card())

    return {**hub.timed(add_up, 1), "facts_kb_per_episode": round(len(facts) / 1e3, 1)}


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder for keys, roots and what a store would have."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def summary(groups: Mapping[str, Figures]) -> Iterator[str]:
    """Yield a line for each figure."""
    for group, found in groups.items():
        for name, said in found.items():
            rest = {key: value for key, value in said.items() if key not in ("ms", "core_ms")}
            yield f"{group + ': ' + name:<48}{said['ms']:>12}{said['core_ms']:>12}  {json.dumps(rest) if rest else ''}"


def _records(hub: Hub) -> Records:
    return Records(hub.database, hub.log, DOMAIN, new_key(), lambda: NOW_MS)


def _scoring(hub: Hub) -> Scoring:
    return Scoring(
        hub.database,
        FolderStore(hub.folder / "none"),
        {},
        qualification=True,
        executor=None,
        reads=None,
        clock_ms=lambda: NOW_MS,
        told=lambda _episode: None,
        judge=judge,
        versions=VERSIONS,
    )


async def _never(_episode: str, _version: str) -> bool:
    return False
