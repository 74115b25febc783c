"""The ledger: append-only, double entry, exact. Every balance is derived from postings alone.

A transaction has two or more postings that sum to zero, and a key that names its event (`episode:<id>`,
`episode:<id>:rules-<version>`, either of these and `:owner`, `review:<id>:<reviewer>`, `deposit:<transaction>`), so
that no event is ever booked twice. Accounts:

    vault               where tokens enter; the only account below zero, by all that is owed to others
    pool:<task>         what is set aside to pay for a task
    operator:<address>  all that a wallet has ever earned, as operator, owner or reviewer; it only grows

What an operator has *claimed* is not booked here: only the chain knows it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import CTE, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from rewards.tables import PostingRow, TransactionRow
from teleop.hub.db import Database
from teleop.identity import require_address

T = TypeVar("T")

VAULT: Final = "vault"
POOL: Final = "pool:"
OPERATOR: Final = "operator:"
TRIES: Final = 8
_ACCOUNT: Final = re.compile(r"vault|pool:[A-Za-z0-9_.-]{1,64}|operator:0x[0-9A-Fa-f]{40}")


class LedgerError(Exception):
    """A transaction was not booked; subclasses say why. Nothing was written."""


class MalformedTransactionError(LedgerError):
    """Fewer than two postings, an account named twice or wrongly, an amount of zero, or a sum that is not zero."""


class KeyReusedError(LedgerError):
    """The key was booked before, with different content."""


class PoolEmptyError(LedgerError):
    """A pool holds less than is to be paid from it; it must be funded first."""


class EarningsShrinkError(LedgerError):
    """A posting would take away from an operator what was earned."""


class LedgerCorruptError(LedgerError):
    """The ledger does not add up: something wrote to it without this module."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One account's part: above zero, the account is owed more; below zero, less."""

    account: str
    amount_wei: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """One event of money."""

    key: str
    kind: str
    postings: tuple[Posting, ...]
    time_ms: int
    episode: str | None = None
    reason: str | None = None
    """Why, if the kind does not say it."""

    @property
    def content_sha256(self) -> str:
        """SHA-256 of what is booked; neither the key, the time, nor the order of postings counts."""
        postings = sorted((posting.account, str(posting.amount_wei)) for posting in self.postings)
        said = [self.kind, self.episode, postings, *([] if self.reason is None else [self.reason])]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _every_account() -> CTE:
    """Return all accounts, each found in the index after the one before: of a million postings, few are looked at."""
    first = select(func.min(PostingRow.account).label("account")).cte("accounts", recursive=True)
    after = select(func.min(PostingRow.account)).where(PostingRow.account > first.c.account).scalar_subquery()
    return first.union_all(select(after).where(first.c.account.is_not(None)))


_accounts: Final = _every_account()
_LAST_WEI: Final = (
    select(PostingRow.balance_wei)
    .where(PostingRow.account == _accounts.c.account)
    .order_by(PostingRow.sequence.desc())
    .limit(1)
    .correlate(_accounts)
    .scalar_subquery()
    .label("balance_wei")
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account's statement."""

    time_ms: int
    episode: str | None
    kind: str
    amount_wei: int
    reason: str | None = None


def pool(task: str) -> str:
    """Return the account that pays for a task."""
    return POOL + task


def operator(address: str) -> str:
    """Return an operator's account; raise SignatureError unless `address` is checksummed."""
    return OPERATOR + require_address(address)


def transfer(key: str, kind: str, source: str, target: str, amount_wei: int, time_ms: int) -> Transaction:
    """Return the transaction that moves `amount_wei` from one account to another."""
    return Transaction(key, kind, (Posting(source, -amount_wei), Posting(target, amount_wei)), time_ms)


def episode_pay(episode: str, task: str, address: str, amount_wei: int, time_ms: int) -> Transaction:
    """Return the transaction that pays an operator for an episode, from the task's pool."""
    postings = (Posting(pool(task), -amount_wei), Posting(operator(address), amount_wei))
    return Transaction(f"episode:{episode}", "episode", postings, time_ms, episode)


def rescored_pay(
    key: str, episode: str, task: str, address: str, amount_wei: int, time_ms: int, reason: str, kind: str = "rescored"
) -> Transaction:
    """Return the transaction that pays an operator what later rules give for an episode beyond what it was paid.

    `kind`: `rescored`, or `reviewed` if people have passed it.
    """
    postings = (Posting(pool(task), -amount_wei), Posting(operator(address), amount_wei))
    return Transaction(key, kind, postings, time_ms, episode, reason)


def share_pay(key: str, kind: str, episode: str, task: str, address: str, amount_wei: int, time_ms: int) -> Transaction:
    """Return the transaction that pays a robot's owner, or a reviewer, beside an episode's operator."""
    postings = (Posting(pool(task), -amount_wei), Posting(operator(address), amount_wei))
    return Transaction(key, kind, postings, time_ms, episode)


def post(db: Session, transaction: Transaction) -> bool:
    """Book `transaction` in the caller's database transaction; return whether it is new.

    The same key with the same content changes nothing. If it cannot be booked, raises a LedgerError and books
    nothing. Run it inside `write`, so that a collision with another writer is tried again.
    """
    _require_sound(transaction)
    booked = db.scalar(select(TransactionRow).where(TransactionRow.key == transaction.key))
    if booked is not None:
        if booked.content_sha256 != transaction.content_sha256:
            raise KeyReusedError(
                f"{transaction.key!r} is booked with another content (transaction {booked.id}); "
                "correct it with a new transaction under a new key"
            )
        return False
    postings = [_row(db, posting) for posting in transaction.postings]
    row = TransactionRow(
        key=transaction.key,
        kind=transaction.kind,
        episode=transaction.episode,
        time_ms=transaction.time_ms,
        content_sha256=transaction.content_sha256,
        reason=transaction.reason,
    )
    db.add(row)
    db.flush()
    for posting in postings:
        posting.transaction_id = row.id
    db.add_all(postings)
    db.flush()
    return True


def write(database: Database, work: Callable[[Session], T]) -> T:
    """Run `work` in one database transaction and return its result; start over if another writer was faster."""
    for _ in range(TRIES - 1):
        try:
            return _once(database, work)
        except IntegrityError:
            continue
    return _once(database, work)


def _once(database: Database, work: Callable[[Session], T]) -> T:
    with database() as db, db.begin():
        if db.get_bind().dialect.name == "sqlite":  # takes its one lock before reading, so that no writer is faster
            db.connection().exec_driver_sql("BEGIN IMMEDIATE")
        return work(db)


def booked(db: Session, key: str) -> bool:
    """Return whether `key` is in the ledger."""
    return db.scalar(select(TransactionRow.id).where(TransactionRow.key == key)) is not None


def balance(db: Session, account: str) -> int:
    """Return an account's balance, in wei; 0 if it has no postings."""
    last = _last(db, account)
    return 0 if last is None else last.balance_wei


def balances(db: Session, prefix: str = "") -> dict[str, int]:
    """Return the balance of every account whose name starts with `prefix`, in wei."""
    rows = db.execute(select(_accounts.c.account, _LAST_WEI).where(_accounts.c.account.is_not(None)))
    return {row.account: row.balance_wei for row in rows if row.account.startswith(prefix)}


def entries(db: Session, account: str, limit: int = 200) -> list[Entry]:
    """Return an account's newest postings, newest first."""
    rows = (
        select(TransactionRow, PostingRow.amount_wei)
        .join(PostingRow, PostingRow.transaction_id == TransactionRow.id)
        .where(PostingRow.account == account)
        .order_by(PostingRow.sequence.desc())
        .limit(limit)
    )
    found = db.execute(rows)
    return [Entry(row.time_ms, row.episode, row.kind, amount_wei, row.reason) for row, amount_wei in found]


def audit(db: Session) -> int:
    """Sum every posting from scratch; return how many transactions there are. Raises LedgerCorruptError."""
    sums: dict[str, int] = {}
    counts: dict[str, int] = {}
    open_wei: dict[int, int] = {}
    for row in db.scalars(select(PostingRow).order_by(PostingRow.id)):
        sums[row.account] = sums.get(row.account, 0) + row.amount_wei
        counts[row.account] = counts.get(row.account, 0) + 1
        open_wei[row.transaction_id] = open_wei.get(row.transaction_id, 0) + row.amount_wei
        if (row.balance_wei, row.sequence) != (sums[row.account], counts[row.account]):
            raise LedgerCorruptError(
                f"posting {row.id} of {row.account}: expected balance {sums[row.account]} at place "
                f"{counts[row.account]}, got {row.balance_wei} at {row.sequence}"
            )
    unbalanced = [transaction for transaction, total in open_wei.items() if total]
    if unbalanced:
        raise LedgerCorruptError(f"transactions {unbalanced[:10]} do not sum to zero")
    return len(open_wei)


def _require_sound(transaction: Transaction) -> None:
    accounts = [posting.account for posting in transaction.postings]
    amounts = [posting.amount_wei for posting in transaction.postings]
    fault = None
    if not all(_ACCOUNT.fullmatch(account) for account in accounts):
        fault = f"expected accounts named vault, pool:<task> or operator:0x.., got {accounts}"
    elif len(accounts) < 2 or len(set(accounts)) < len(accounts):
        fault = f"expected two or more different accounts, got {accounts}"
    elif 0 in amounts or sum(amounts) != 0:
        fault = f"expected amounts that sum to zero and are not zero, got {amounts}"
    if fault:
        raise MalformedTransactionError(f"{transaction.key!r}: {fault}")


def _row(db: Session, posting: Posting) -> PostingRow:
    account, amount_wei = posting.account, posting.amount_wei
    last = _last(db, account)
    before = 0 if last is None else last.balance_wei
    after = before + amount_wei
    if account.startswith(OPERATOR) and amount_wei < 0:
        raise EarningsShrinkError(f"{account} has earned {before} wei, and {-amount_wei} cannot be taken back")
    if account.startswith(POOL) and after < 0:
        raise PoolEmptyError(f"{account} holds {before} wei, but {-amount_wei} must be paid from it: fund it")
    return PostingRow(
        account=account,
        sequence=1 if last is None else last.sequence + 1,
        amount_wei=amount_wei,
        balance_wei=after,
    )


def _last(db: Session, account: str) -> PostingRow | None:
    mine = select(PostingRow).where(PostingRow.account == account)
    return db.scalar(mine.order_by(PostingRow.sequence.desc()).limit(1))
