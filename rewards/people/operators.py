"""Which wallets are paid: a wallet's drives are practice until they pass every check, and paid from the next one on.

What was practice stays practice: it is never paid, not even under later rules.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from rewards.people.qualification import LASTING, Check, from_json, passed, with_shown
from rewards.tables import PracticeRow

NOT_QUALIFIED: Final = "not_qualified"
"""Why a practice drive earns nothing."""
PRACTICE: Final = (
    "The first drive is practice: it is scored and earns nothing. What it has shown stays shown; once every check has "
    "passed, the accepted drives after that are paid."
)


@dataclass(frozen=True, slots=True)
class Operator:
    """Whether a wallet's accepted episodes are paid."""

    qualified: bool
    """Also true if the platform asks for no first drive."""
    since_ms: int | None
    """When one of its drives passed; None if none has."""
    episode: str | None
    """Its last practice drive."""
    checks: tuple[Check, ...]
    """The checks of that drive."""
    shown: tuple[str, ...]
    """Which `qualification.LASTING` checks its practice drives have passed."""


def practised(db: Session, episode: str, address: str, checks: tuple[Check, ...] | None, now_ms: int) -> bool:
    """Return whether an episode is practice, and keep its checks; run it in the transaction that keeps the score.

    If `checks` is None, the platform asks for no first drive: only an episode that already was practice still is.
    """
    if db.get(PracticeRow, episode) is not None:
        return True
    if checks is None or _since_ms(db, address) is not None:
        return False
    checks = with_shown(checks, _shown(db, address))
    plain = [asdict(one) for one in checks]
    db.add(PracticeRow(episode=episode, operator=address, passed=passed(checks), checks=plain, checked_ms=now_ms))
    return True


def read(db: Session, address: str, *, required: bool) -> Operator:
    """Return what is known about a wallet, even one never seen before. `required`: whether a first drive is."""
    since_ms = _since_ms(db, address)
    mine = select(PracticeRow).where(PracticeRow.operator == address)
    last = db.scalar(mine.order_by(PracticeRow.checked_ms.desc(), PracticeRow.passed.desc()).limit(1))
    return Operator(
        qualified=since_ms is not None or not required,
        since_ms=since_ms,
        episode=None if last is None else last.episode,
        checks=() if last is None else from_json(last.checks),
        shown=_shown(db, address),
    )


def _shown(db: Session, address: str) -> tuple[str, ...]:
    practices = db.scalars(select(PracticeRow.checks).where(PracticeRow.operator == address))
    found = {one.name for checks in practices for one in from_json(checks) if one.passed}
    return tuple(name for name in LASTING if name in found)


def _since_ms(db: Session, address: str) -> int | None:
    passing = select(func.min(PracticeRow.checked_ms)).where(PracticeRow.operator == address, PracticeRow.passed)
    return db.scalar(passing)
