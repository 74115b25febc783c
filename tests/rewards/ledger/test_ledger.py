"""Promises of the ledger: it adds up, pays nothing twice, takes nothing back, and cannot be rewritten."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from rewards.ledger.ledger import (
    VAULT,
    EarningsShrinkError,
    KeyReusedError,
    LedgerCorruptError,
    LedgerError,
    MalformedTransactionError,
    PoolEmptyError,
    Posting,
    Transaction,
    audit,
    balance,
    balances,
    booked,
    entries,
    episode_pay,
    operator,
    pool,
    post,
    transfer,
    write,
)
from rewards.tables import APPEND_ONLY, PostingRow
from teleop.hub.db import open_database, open_engine
from teleop.identity import SignatureError
from tests.databases import url_below, with_tables
from tests.recorder.factory import fixed_key

ADDRESSES = [fixed_key(name).address for name in ("ada", "bob", "cyd")]
ADA, BOB, CYD = ADDRESSES
ETHER = 10**18
AMOUNTS = st.integers(1, 2**100)


def memory() -> sessionmaker[Session]:
    """Return database on a fresh database in memory."""
    engine = open_engine("sqlite://")
    with_tables(engine)
    return open_database(engine)


@pytest.fixture
def database() -> Iterator[sessionmaker[Session]]:
    """A fresh ledger."""
    made = memory()
    yield made
    made.kw["bind"].dispose()


def deposit(key: str, task: str, amount_wei: int) -> Transaction:
    """Return a deposit into a task's pool."""
    return transfer(f"deposit:{key}", "deposit", VAULT, pool(task), amount_wei, 1)


def test_a_payment_moves_money_from_the_pool_to_the_operator(database):
    write(database, lambda db: post(db, deposit("d1", "lift", 3 * ETHER)))
    write(database, lambda db: post(db, episode_pay("e1", "lift", ADA, ETHER, 2)))
    with database() as db:
        assert balances(db) == {VAULT: -3 * ETHER, pool("lift"): 2 * ETHER, operator(ADA): ETHER}
        assert [(e.time_ms, e.episode, e.kind, e.amount_wei) for e in entries(db, operator(ADA))] == [
            (2, "e1", "episode", ETHER)
        ]
        assert audit(db) == 2


def test_an_episode_is_never_paid_twice(database):
    write(database, lambda db: post(db, deposit("d1", "lift", 3 * ETHER)))
    assert write(database, lambda db: post(db, episode_pay("e1", "lift", ADA, ETHER, 2)))
    assert not write(database, lambda db: post(db, episode_pay("e1", "lift", ADA, ETHER, 999)))
    with database() as db:
        assert balance(db, operator(ADA)) == ETHER
        assert booked(db, "episode:e1")


@pytest.mark.parametrize("other", [(BOB, ETHER), (ADA, 2 * ETHER)])
def test_a_key_with_another_content_is_refused_by_name(database, other):
    write(database, lambda db: post(db, deposit("d1", "lift", 9 * ETHER)))
    write(database, lambda db: post(db, episode_pay("e1", "lift", ADA, ETHER, 2)))
    with pytest.raises(KeyReusedError, match="episode:e1"):
        write(database, lambda db: post(db, episode_pay("e1", "lift", *other, 2)))


def test_a_pool_never_goes_below_zero(database):
    write(database, lambda db: post(db, deposit("d1", "lift", ETHER)))
    with pytest.raises(PoolEmptyError, match="fund it"):
        write(database, lambda db: post(db, episode_pay("e1", "lift", ADA, ETHER + 1, 2)))
    with database() as db:
        assert balances(db) == {VAULT: -ETHER, pool("lift"): ETHER}


def test_what_was_earned_is_never_taken_back(database):
    write(database, lambda db: post(db, transfer("gift", "gift", VAULT, operator(ADA), 5, 1)))
    with pytest.raises(EarningsShrinkError):
        write(database, lambda db: post(db, transfer("back", "gift", operator(ADA), VAULT, 1, 1)))


@pytest.mark.parametrize(
    "postings",
    [
        [],
        [(VAULT, 0)],
        [(VAULT, -1), ("pool:lift", 2)],
        [(VAULT, -1), (VAULT, 1)],
        [(VAULT, 0), ("pool:lift", 0)],
        [(VAULT, -1), ("pools:lift", 1)],
        [(VAULT, -1), ("operator:ada", 1)],
    ],
)
def test_a_transaction_that_is_not_double_entry_is_refused(database, postings):
    transaction = Transaction("k", "test", tuple(Posting(*one) for one in postings), 1)
    with pytest.raises(MalformedTransactionError):
        write(database, lambda db: post(db, transaction))


def test_an_operator_has_one_account_however_the_address_is_written():
    with pytest.raises(SignatureError):
        operator(ADA.lower())


def test_amounts_beyond_64_bits_are_exact(database):
    amount = 2**200 + 1
    write(database, lambda db: post(db, deposit("d1", "lift", amount)))
    with database() as db:
        assert balance(db, pool("lift")) == amount


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_every_table_that_only_grows_is_guarded(database, table):
    with database() as db, db.begin():
        triggers = db.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"), {"t": table}
        )
        assert len(triggers.all()) == 3


@pytest.mark.parametrize("verb", ["DELETE FROM ledger_postings", "UPDATE ledger_postings SET amount_wei = '7'"])
def test_the_database_itself_refuses_to_change_a_posting(database, verb):
    write(database, lambda db: post(db, deposit("d1", "lift", 5)))
    with pytest.raises(DBAPIError, match="append-only"), database() as db, db.begin():
        db.execute(text(verb))
    with database() as db:
        assert balance(db, pool("lift")) == 5


def test_an_audit_finds_books_that_somebody_forged(database):
    write(database, lambda db: post(db, deposit("d1", "lift", 5)))
    with database() as db, db.begin():
        db.execute(text("DROP TRIGGER ledger_postings_no_update"))
        db.execute(update(PostingRow).where(PostingRow.account == pool("lift")).values(amount_wei=6))
    with pytest.raises(LedgerCorruptError), database() as db:
        audit(db)


def test_writers_at_the_same_time_neither_lose_nor_double_money(tmp_path: Path):
    engine = open_engine(url_below(tmp_path, "ledger"))
    with_tables(engine)
    database = open_database(engine)
    write(database, lambda db: post(db, deposit("d1", "lift", 40)))

    def pay(number: int) -> bool:
        transaction = episode_pay(f"e{number % 20}", "lift", ADDRESSES[number % 20 % 3], 1, number)
        return write(database, lambda db: post(db, transaction))

    with ThreadPoolExecutor(4) as threads:
        written = list(threads.map(pay, range(40)))
    with database() as db:
        assert sum(written) == 20
        assert balance(db, pool("lift")) == 20
        assert sum(balances(db, "operator:").values()) == 20
        assert audit(db) == 21
    engine.dispose()


class Books(RuleBasedStateMachine):
    """Any sequence of deposits and payments, against a plain dictionary."""

    posted = Bundle("posted")

    def __init__(self) -> None:
        super().__init__()
        self.database = memory()
        self.model: dict[str, int] = defaultdict(int)
        self.kept: list[Transaction] = []

    def teardown(self) -> None:
        self.database.kw["bind"].dispose()

    def apply(self, transaction: Transaction) -> bool:
        return write(self.database, lambda db: post(db, transaction))

    def keep(self, transaction: Transaction) -> Transaction:
        for posting in transaction.postings:
            self.model[posting.account] += posting.amount_wei
        self.kept.append(transaction)
        return transaction

    @rule(target=posted, task=st.sampled_from(["lift", "push"]), amount=AMOUNTS)
    def fund(self, task: str, amount: int) -> Transaction:
        transaction = deposit(str(len(self.kept)), task, amount)
        assert self.apply(transaction)
        return self.keep(transaction)

    @precondition(lambda self: self.kept)
    @rule(task=st.sampled_from(["lift", "push"]), address=st.sampled_from(ADDRESSES), amount=AMOUNTS, data=st.data())
    def pay(self, task: str, address: str, amount: int, data: st.DataObject) -> None:
        held = self.model[pool(task)]
        amount = data.draw(st.sampled_from([amount, max(held, 1), held + 1, max(held // 2, 1)]))
        transaction = episode_pay(f"e{len(self.kept)}", task, address, amount, 1)
        if amount > held:
            with pytest.raises(PoolEmptyError):
                self.apply(transaction)
        else:
            assert self.apply(transaction)
            self.keep(transaction)

    @rule(transaction=posted)
    def again(self, transaction: Transaction) -> None:
        assert not self.apply(transaction)

    @rule(transaction=posted, amount=AMOUNTS)
    def again_with_another_content(self, transaction: Transaction, amount: int) -> None:
        other = transfer(transaction.key, "deposit", VAULT, pool("other"), amount, 1)
        with pytest.raises(KeyReusedError):
            self.apply(other)

    @invariant()
    def the_books_are_the_model(self) -> None:
        with self.database() as db:
            found = balances(db)
            assert found == {name: total for name, total in self.model.items() if name in found}
            assert all(not total for name, total in self.model.items() if name not in found)
            assert sum(found.values()) == 0
            assert all(total >= 0 for name, total in found.items() if name != VAULT)
            assert audit(db) == len(self.kept)

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def another_order_ends_the_same(self, data: st.DataObject) -> None:
        waiting, database = list(data.draw(st.permutations(self.kept))), memory()
        while waiting:
            left = [one for one in waiting if not _booked(database, one)]
            assert len(left) < len(waiting)
            waiting = left
        with self.database() as mine, database() as other:
            assert balances(other) == balances(mine)
        database.kw["bind"].dispose()


def _booked(database: sessionmaker[Session], transaction: Transaction) -> bool:
    try:
        return write(database, lambda db: post(db, transaction))
    except LedgerError:
        return False


Books.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
test_any_sequence_of_events_keeps_every_promise = Books.TestCase
