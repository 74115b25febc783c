"""Promises of the ledger to whoever reads its tables: fingerprints, locks, statements, and what an audit sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from rewards.ledger.ledger import (
    TRIES,
    VAULT,
    EarningsShrinkError,
    Entry,
    LedgerCorruptError,
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
from rewards.tables import PostingRow, TransactionRow
from teleop.hub.db import open_database, open_engine
from tests.databases import ON_SQLITE, unguard, url_below, with_tables
from tests.recorder.factory import fixed_key

pytestmark = pytest.mark.usefixtures("either_database")

ADA = fixed_key("ada").address
Database = sessionmaker[Session]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh ledger on disk."""
    engine = open_engine(url_below(tmp_path, "ledger"))
    with_tables(engine)
    yield open_database(engine)
    engine.dispose()


def put(database: Database, transaction: Transaction) -> bool:
    return write(database, lambda db: post(db, transaction))


def deposit(amount_wei: int, task: str = "lift", key: str = "d1") -> Transaction:
    return transfer(f"deposit:{key}", "deposit", VAULT, pool(task), amount_wei, 1)


def test_a_fingerprint_stays_the_same_from_one_version_to_the_next() -> None:
    """It is kept in the table, and what comes again after an upgrade must still be the same transaction."""
    pay = episode_pay("e1", "lift", "0x" + "11" * 20, 5, 2)
    assert pay.content_sha256 == "eaf44805e894bd19a1d3e99416a33eb962257b00473ef9d3c3077313b3b8d25a"


def test_neither_the_key_nor_the_time_nor_the_order_of_postings_is_part_of_a_fingerprint() -> None:
    one = Transaction("a", "gift", (Posting(VAULT, -5), Posting(pool("lift"), 5)), 1)
    same = Transaction("b", "gift", (Posting(pool("lift"), 5), Posting(VAULT, -5)), 2)
    assert one.content_sha256 == same.content_sha256
    for other in (
        Transaction("a", "loan", one.postings, 1),
        Transaction("a", "gift", one.postings, 1, "e1"),
        Transaction("a", "gift", (Posting(VAULT, -6), Posting(pool("lift"), 6)), 1),
        Transaction("a", "gift", (Posting(VAULT, -5), Posting(pool("push"), 5)), 1),
    ):
        assert other.content_sha256 != one.content_sha256


def test_a_row_says_all_of_its_transaction(database: Database) -> None:
    put(database, deposit(9))
    pay = episode_pay("e1", "lift", ADA, 5, 2)
    assert pay.key == "episode:e1"
    assert put(database, pay)
    with database() as db:
        row = db.get_one(TransactionRow, 2)
        kept = (row.key, row.kind, row.episode, row.time_ms, row.content_sha256)
        assert kept == ("episode:e1", "episode", "e1", 2, pay.content_sha256)
        assert booked(db, "episode:e1")
        assert not booked(db, "episode:e2")


def test_a_statement_is_the_newest_first_and_as_long_as_it_is_asked_for(database: Database) -> None:
    for number in range(1, 203):
        put(database, transfer(f"gift:{number}", "gift", VAULT, operator(ADA), number, 1000 + number))
    with database() as db:
        assert entries(db, operator(ADA), 2) == [Entry(1202, None, "gift", 202), Entry(1201, None, "gift", 201)]
        assert [entry.amount_wei for entry in entries(db, operator(ADA))] == list(range(202, 2, -1)), "200 of them"
        assert entries(db, operator(fixed_key("bob").address)) == []


def test_an_account_is_found_by_the_letters_of_its_name_and_not_by_a_pattern(database: Database) -> None:
    put(database, deposit(5, "a_b", "1"))
    put(database, deposit(7, "axb", "2"))
    with database() as db:
        assert balances(db, pool("a_")) == {pool("a_b"): 5}
        assert balances(db, "%") == {}


def test_an_account_without_postings_holds_nothing(database: Database) -> None:
    with database() as db:
        assert balance(db, pool("lift")) == 0


@pytest.mark.parametrize("left", [0, 1])
def test_a_pool_may_be_paid_out_to_the_last_wei(database: Database, left: int) -> None:
    put(database, deposit(5))
    put(database, episode_pay("e1", "lift", ADA, 5 - left, 2))
    with database() as db:
        assert (balance(db, pool("lift")), balance(db, operator(ADA))) == (left, 5 - left)


def test_a_pool_may_give_to_another_and_only_what_it_holds(database: Database) -> None:
    put(database, deposit(5))
    put(database, transfer("move:1", "move", pool("lift"), pool("push"), 2, 1))
    with pytest.raises(PoolEmptyError, match="holds 3 wei, but 4 must be paid"):
        put(database, transfer("move:2", "move", pool("lift"), pool("push"), 4, 1))


def test_not_a_single_wei_of_earnings_is_taken_back_even_among_other_postings(database: Database) -> None:
    put(database, transfer("gift", "gift", VAULT, operator(ADA), 5, 1))
    back = Transaction("back", "fix", (Posting(operator(ADA), -1), Posting(pool("lift"), 2), Posting(VAULT, -1)), 1)
    with pytest.raises(EarningsShrinkError, match="earned 5 wei, and 1 cannot be taken back"):
        put(database, back)
    with database() as db:
        assert (balance(db, operator(ADA)), balance(db, pool("lift"))) == (5, 0)


@pytest.mark.parametrize(
    "postings",
    [
        [(VAULT, -1), (pool("lift"), 1), (pool("push"), 0)],
        [(VAULT, -2), (pool("lift"), 1), (pool("lift"), 1)],
        [(VAULT, -2), (pool("lift"), 1)],
        [(VAULT, 1)],
        [(VAULT, -1), (pool(""), 1)],
        [(VAULT, -1), (pool("a" * 65), 1)],
    ],
)
def test_postings_of_zero_of_one_account_twice_or_of_another_sum_are_refused(
    database: Database, postings: list[tuple[str, int]]
) -> None:
    with pytest.raises(MalformedTransactionError, match="'k'"):
        put(database, Transaction("k", "test", tuple(Posting(*one) for one in postings), 1))
    with database() as db:
        assert balances(db) == {}


def test_a_transaction_may_have_three_postings(database: Database) -> None:
    parts = (Posting(VAULT, -3), Posting(pool("lift"), 1), Posting(pool("push"), 2))
    assert put(database, Transaction("k", "test", parts, 1))
    with database() as db:
        assert balances(db) == {VAULT: -3, pool("lift"): 1, pool("push"): 2}
        assert audit(db) == 1


# --- writers at the same time


@pytest.mark.parametrize("collisions", [0, 1, TRIES - 1])
def test_a_writer_that_collides_starts_over_and_returns_what_its_last_try_did(
    database: Database, collisions: int
) -> None:
    tries: list[int] = []

    def work(_db: Session) -> int:
        tries.append(len(tries))
        if len(tries) <= collisions:
            raise IntegrityError("INSERT", {}, Exception("another writer was faster"))
        return len(tries)

    assert write(database, work) == collisions + 1


def test_a_writer_that_always_collides_gives_up_with_the_collision(database: Database) -> None:
    tries: list[int] = []

    def work(_db: Session) -> None:
        tries.append(1)
        raise IntegrityError("INSERT", {}, Exception("another writer was faster"))

    with pytest.raises(IntegrityError):
        write(database, work)
    assert len(tries) == TRIES


def test_nothing_of_a_failed_try_is_kept(database: Database) -> None:
    def work(db: Session) -> None:
        post(db, deposit(5))
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        write(database, work)
    with database() as db:
        assert balances(db) == {}


@ON_SQLITE
def test_a_writer_holds_the_books_from_its_first_look_on(database: Database) -> None:
    """Or two writers read the same balance, and the second one's work was for nothing."""

    def work(db: Session) -> None:
        balance(db, VAULT)
        with database() as other:
            other.execute(text("PRAGMA busy_timeout=0"))
            with pytest.raises(OperationalError, match="locked"):
                other.connection().exec_driver_sql("BEGIN IMMEDIATE")

    write(database, work)


# --- what an audit sees


def forged(database: Database, account: str, **values: int) -> None:
    """Change the only posting of an account, as whoever holds the disk can."""
    with database() as db, db.begin():
        unguard(db, "ledger_postings")
        db.execute(update(PostingRow).where(PostingRow.account == account).values(**values))


@pytest.mark.parametrize("values", [{"amount_wei": 6}, {"balance_wei": 6}, {"sequence": 2}])
def test_an_audit_sees_an_amount_a_balance_and_a_place_that_were_changed(
    database: Database, values: dict[str, int]
) -> None:
    put(database, deposit(5))
    with database() as db:
        assert audit(db) == 1
    forged(database, pool("lift"), **values)
    with pytest.raises(LedgerCorruptError, match="of pool:lift: expected balance"), database() as db:
        audit(db)


def test_an_audit_sees_money_from_nowhere_whose_balance_fits(database: Database) -> None:
    put(database, deposit(5))
    put(database, deposit(7, "push", "d2"))
    forged(database, pool("push"), amount_wei=8, balance_wei=8)
    with pytest.raises(LedgerCorruptError, match=r"\[2\] do not sum to zero"), database() as db:
        audit(db)


def test_an_audit_of_empty_books_finds_nothing_wrong(database: Database) -> None:
    with database() as db:
        assert audit(db) == 0
