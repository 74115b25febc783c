"""Which episodes an operator has withdrawn: no search finds them, so they are listed here, for that operator."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from rewards.hub.search import CursorError, Found, found_of
from rewards.tables import WithdrawalRow

_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class WithdrawnFound(Found):
    """An episode that its operator has withdrawn: what a search showed of it, and why and when that ended."""

    withdrawn_ms: int
    why: str
    """What its operator said; `reason` is how the drive ended."""


@dataclass(frozen=True, slots=True)
class WithdrawnPage:
    """Some of an operator's withdrawn episodes."""

    episodes: list[WithdrawnFound]
    next: str | None
    """`after` of the next page; None at the end."""


def withdrawn(db: Session, operator: str, limit: int, after: str | None = None) -> WithdrawnPage:
    """Return what an operator has withdrawn, the last one first; raise CursorError."""
    at, episode = WithdrawalRow.withdrawn_ms, WithdrawalRow.episode
    wanted = select(WithdrawalRow).where(WithdrawalRow.operator == operator)
    if after is not None:
        last_ms, last = _cursor(after)
        wanted = wanted.where(or_(at < last_ms, and_(at == last_ms, episode < last)))
    rows = db.scalars(wanted.order_by(at.desc(), episode.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    found = {one.episode: one for one in found_of(db, [row.episode for row in shown])}
    more = f"{shown[-1].withdrawn_ms}.{shown[-1].episode}" if len(rows) > limit else None
    return WithdrawnPage([_one(found[row.episode], row) for row in shown], more)


def _one(found: Found, row: WithdrawalRow) -> WithdrawnFound:
    said = {one.name: getattr(found, one.name) for one in fields(Found)}
    return WithdrawnFound(**said, withdrawn_ms=row.withdrawn_ms, why=row.reason)


def _cursor(after: str) -> tuple[int, str]:
    withdrawn_ms, _, episode = after.partition(".")
    number = withdrawn_ms.isascii() and withdrawn_ms.isdecimal() and len(withdrawn_ms) <= _DIGITS_MAX
    if not (number and episode.isascii() and episode.isprintable() and episode):
        raise CursorError(f"expected the `next` of an earlier page, got {after[:80]!r}")
    return int(withdrawn_ms), episode
