"""From a score to its pay: both are written in one database transaction, and pay that its pool cannot give waits.

An episode's first score is by its own rules, and pays. A score by later rules stands beside it, and adds what it earns
more than all before it: so what was paid stays paid, and however often an episode is scored, it earns the highest of
its scores once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from rewards.hub import owed
from rewards.hub.verdicts import first_score, scores
from rewards.ledger import ledger
from rewards.ledger.shares import Shares
from rewards.people import operators
from rewards.people.qualification import Check
from rewards.score.verdict import ONE_PPM
from rewards.score.versions import REVIEWED
from rewards.tables import OwedRow, PracticeRow, ScoreRow, UnpaidRow
from teleop.hub.db import Database

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns the robot that an episode was driven on, and what was published of their share when it began."""

    address: str
    shares: Shares


def keep(db: Session, row: ScoreRow, checks: tuple[Check, ...] | None, owner: Owner | None = None) -> bool:
    """Write an episode's first score, and book its pay, unless it has one; return whether the score is new.

    If `checks` is given, the episode of a wallet that is not qualified is practice. `owner` is paid beside its
    operator.
    """
    if first_score(db, row.episode) is not None:
        return False
    if operators.practised(db, row.episode, row.operator, checks, row.scored_ms):
        row.pay_wei = 0
    row.rescored, row.adds_wei = False, row.pay_wei
    _add(db, row, owner)
    return True


def keep_reviewed(db: Session, row: ScoreRow, owner: Owner | None = None) -> None:
    """Write what an episode is worth that people have passed, and book all of it: nothing was paid for it before.

    Run it once, in the transaction that decides it.
    """
    row.rescored, row.adds_wei = True, row.pay_wei
    _add(db, row, owner)


def keep_beside(db: Session, row: ScoreRow, owner: Owner | None = None) -> bool:
    """Write a score by other rules beside those that an episode has, and book what it adds; return whether it is new.

    An episode without a first score gets none. What was practice stays unpaid.
    """
    _hold(db, row.episode)
    before = scores(db, row.episode)
    if not before or row.version in [one.version for one in before]:
        return False
    if db.get(PracticeRow, row.episode) is not None:
        row.pay_wei = 0
    row.rescored, row.adds_wei = True, max(0, row.pay_wei - max(one.pay_wei for one in before))
    _add(db, row, owner)
    return True


def pay_waiting(database: Database) -> int:
    """Pay accepted episodes, and then shares, that found their pool empty, oldest first; return how many. Blocks."""
    oldest = select(UnpaidRow.episode, UnpaidRow.version).order_by(
        UnpaidRow.scored_ms, UnpaidRow.episode, UnpaidRow.version
    )
    with database() as db:
        waiting = [row for key in db.execute(oldest) if (row := db.get(ScoreRow, tuple(key))) and row.accepted]
    return sum(ledger.write(database, partial(_pay, row=row)) for row in waiting) + owed.pay_waiting(database)


def _add(db: Session, row: ScoreRow, owner: Owner | None) -> None:
    db.add(row)
    db.flush()
    _pay(db, row)
    if owner is not None and owner.address != row.operator:
        share_wei = owner.shares.owner_wei(row.owed_wei)
        named = {"episode": row.episode, "task": row.task, "address": owner.address, "amount_wei": share_wei}
        owed.owe(db, OwedRow(key=f"{row.key}:{owed.OWNER}", kind=owed.OWNER, owed_ms=row.scored_ms, **named))


def _hold(db: Session, episode: str) -> None:
    """Let nobody else write a score of this episode until the transaction is over: what it adds depends on them.

    SQLite has one writer at a time anyway.
    """
    db.execute(select(EpisodeRow.episode).where(EpisodeRow.episode == episode).with_for_update())


def _pay(db: Session, row: ScoreRow) -> bool:
    """Book what a score adds; return whether it was booked now. If the pool is empty, it waits."""
    if row.owed_wei == 0:
        return False
    who = row.episode, row.task, row.operator, row.owed_wei, row.scored_ms
    pay = _beside(row, who) if row.rescored else ledger.episode_pay(*who)
    try:
        new = ledger.post(db, pay)
    except ledger.PoolEmptyError as error:
        db.merge(UnpaidRow(episode=row.episode, version=row.version, scored_ms=row.scored_ms))
        _log.warning("a score waits for its pay", episode=row.episode, version=row.version, reason=str(error))
        return False
    db.execute(delete(UnpaidRow).where(UnpaidRow.episode == row.episode, UnpaidRow.version == row.version))
    return new


def _beside(row: ScoreRow, who: tuple[str, str, str, int, int]) -> ledger.Transaction:
    kind = "reviewed" if row.version == REVIEWED else "rescored"
    return ledger.rescored_pay(row.key, *who, _reason(row), kind)


def _reason(row: ScoreRow) -> str:
    """Say why more is paid. It is made of the score alone, so that a second try says the same."""
    before_wei, price = row.pay_wei - row.owed_wei, row.price_wei
    return (
        f"version {row.version} of the rules scores it {row.score_ppm / ONE_PPM:.6f}, which pays {row.pay_wei} wei of "
        f"{price}; the best score before paid {before_wei} wei"
    )
