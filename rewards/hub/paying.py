"""From a score to its pay: both are written in one database transaction, and pay that its pool cannot give waits."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from rewards.hub.verdicts import first_score
from rewards.ledger import ledger
from rewards.people import operators
from rewards.people.qualification import Check
from rewards.tables import ScoreRow, TransactionRow
from teleop.hub.db import Database

_log = structlog.get_logger()


def keep(db: Session, row: ScoreRow, checks: tuple[Check, ...] | None) -> bool:
    """Write a score with its pay, unless it is already written; return whether it was paid now.

    If `checks` is given, the episode of a wallet that is not qualified is practice.
    """
    if first_score(db, row.episode) is not None:
        return False
    if operators.practised(db, row.episode, row.operator, checks, row.scored_ms):
        row.pay_wei = 0
    db.add(row)
    db.flush()
    return _pay(db, row)


def pay_waiting(database: Database) -> int:
    """Pay accepted episodes that found their pool empty, oldest first; return how many. Blocks."""
    with database() as db:
        waiting = db.scalars(_unpaid()).all()
    return sum(ledger.write(database, partial(_pay, row=row)) for row in waiting)


def _unpaid() -> Select[Any]:
    """Select accepted scores that the ledger has not paid, oldest first."""
    paid = select(TransactionRow.episode).where(TransactionRow.episode.is_not(None))
    owed = select(ScoreRow).where(ScoreRow.accepted, ScoreRow.pay_wei != 0, ScoreRow.episode.not_in(paid))
    return owed.order_by(ScoreRow.scored_ms, ScoreRow.episode)


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
