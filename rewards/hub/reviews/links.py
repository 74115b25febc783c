"""What there is between a reviewer and the author of an episode, from the tables, for `rewards.people.reviews.bar`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from rewards.hub.reviews.reviewers import Reviewer
from rewards.people.reviews import Between, Outcome, ReviewRules, quality
from rewards.tables import ReviewRow, UnderReviewRow

_REAL = ReviewRow.truth.is_(None)
_AGREES = case((ReviewRow.passed == ReviewRow.word, 1), else_=0)


def between(db: Session, one: Reviewer, row: UnderReviewRow, now_ms: int, rules: ReviewRules) -> Between:
    """Return what there is between somebody and the author of an episode that is to be judged."""
    since_ms, author = now_ms - rules.period_ms, row.author
    back = select(ReviewRow.episode).where(ReviewRow.reviewer == author, ReviewRow.author == one.address, _REAL)
    pair = select(func.count()).where(ReviewRow.reviewer == one.address, ReviewRow.author == author, _REAL)
    said = pair.where(ReviewRow.word.is_not(None))
    return Between(
        own=author == one.address,
        owner=row.owner == one.address,
        shared_robot=row.robot in one.drove or _drove(db, author, one.owns),
        judged_back=db.scalar(back.where(ReviewRow.reviewed_ms >= since_ms).limit(1)) is not None,
        ring=_ring(db, author, one.address, since_ms, rules),
        judged=db.scalar(pair.where(ReviewRow.reviewed_ms >= since_ms)) or 0,
        agreed=db.scalar(said.where(ReviewRow.passed == ReviewRow.word)) or 0,
        votes=db.scalar(said) or 0,
        reviewer_quality=one.quality,
        author_quality=_upheld(db, author, one.address),
    )


def _drove(db: Session, author: str, robots: frozenset[str]) -> bool:
    """Whether an author has driven one of these robots."""
    if not robots:
        return False
    mine = select(EpisodeRow.episode).where(EpisodeRow.operator == author, EpisodeRow.robot.in_(robots))
    return db.scalar(mine.limit(1)) is not None


def _habits(reviewer: str, since_ms: int, rules: ReviewRules) -> Select[Any]:
    """Select the authors whom somebody has judged several times in a period, and always as they said themselves."""
    mine = select(ReviewRow.author).where(ReviewRow.reviewer == reviewer, _REAL, ReviewRow.reviewed_ms >= since_ms)
    many, agreed = func.count() >= rules.habit_least, func.sum(_AGREES) == func.count()
    return mine.group_by(ReviewRow.author).having(many, agreed)


def _ring(db: Session, author: str, reviewer: str, since_ms: int, rules: ReviewRules) -> bool:
    """Whether the author judges somebody by habit who judges the reviewer by habit: three in a ring."""
    for middle in db.scalars(_habits(author, since_ms, rules)):
        if middle != reviewer and reviewer in db.scalars(_habits(middle, since_ms, rules)).all():
            return True
    return False


def _upheld(db: Session, author: str, without: str) -> float:
    """Return how often an author's word was upheld by people other than one of them."""
    theirs = select(ReviewRow.episode).where(ReviewRow.reviewer == without)
    decided = select(func.count()).where(
        UnderReviewRow.author == author,
        UnderReviewRow.said.is_not(None),
        UnderReviewRow.state.in_([Outcome.PASSED, Outcome.FAILED]),
        UnderReviewRow.episode.not_in(theirs),
    )
    as_said = case((UnderReviewRow.said.is_(True), Outcome.PASSED.value), else_=Outcome.FAILED.value)
    right = UnderReviewRow.state == as_said
    return quality(db.scalar(decided.where(right)) or 0, db.scalar(decided) or 0)
