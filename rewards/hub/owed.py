"""What is owed beside an operator's pay, to a robot's owner or to a reviewer: noted once, booked as the pool can give.

It is noted in the transaction of what it follows from, so a crash leaves both or neither, and its key is that of its
entry in the ledger, so it is paid once.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rewards.ledger import ledger
from rewards.tables import OwedRow, OwedWaitingRow
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
    unpaid = select(OwedRow).join(OwedWaitingRow, OwedWaitingRow.key == OwedRow.key)
    with database() as db:
        waiting = db.scalars(unpaid.order_by(OwedRow.owed_ms, OwedRow.key)).all()
    return sum(ledger.write(database, partial(_book, row=row)) for row in waiting)


def _book(db: Session, row: OwedRow) -> bool:
    pay = ledger.share_pay(row.key, row.kind, row.episode, row.task, row.address, row.amount_wei, row.owed_ms)
    try:
        new = ledger.post(db, pay)
    except ledger.PoolEmptyError as error:
        db.merge(OwedWaitingRow(key=row.key))
        _log.warning("a share waits for its pay", key=row.key, reason=str(error))
        return False
    db.execute(delete(OwedWaitingRow).where(OwedWaitingRow.key == row.key))
    return new
