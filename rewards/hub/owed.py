"""What is owed beside an operator's pay, to a robot's owner or to a reviewer: noted once, booked as the pool can give.

It is noted in the transaction of what it follows from, so a crash leaves both or neither, and its key is that of its
entry in the ledger, so it is paid once.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from rewards.ledger import ledger
from rewards.tables import OwedRow, TransactionRow
from teleop.hub.db import Database

OWNER: Final = "owner"
REVIEW: Final = "review"
_log = structlog.get_logger()


def owe(db: Session, row: OwedRow) -> bool:
    """Note what is owed, and book it if its pool can give it; return whether it is new. Nothing is owed for nothing."""
    if row.amount_wei == 0 or db.get(OwedRow, row.key) is not None:
        return False
    db.add(row)
    db.flush()
    _book(db, row)
    return True


def pay_waiting(database: Database) -> int:
    """Pay what found its pool empty, oldest first; return how many were paid. Blocks."""
    booked = select(TransactionRow.id).where(TransactionRow.key == OwedRow.key).exists()
    with database() as db:
        waiting = db.scalars(select(OwedRow).where(~booked).order_by(OwedRow.owed_ms, OwedRow.key)).all()
    return sum(ledger.write(database, partial(_book, row=row)) for row in waiting)


def _book(db: Session, row: OwedRow) -> bool:
    pay = ledger.share_pay(row.key, row.kind, row.episode, row.task, row.address, row.amount_wei, row.owed_ms)
    try:
        return ledger.post(db, pay)
    except ledger.PoolEmptyError as error:
        _log.warning("a share waits for its pay", key=row.key, reason=str(error))
        return False
