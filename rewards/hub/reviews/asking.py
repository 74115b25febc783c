"""Somebody asks for something to review, and the hub chooses what: one episode at a time, for half an hour.

Some have an answer that the hub has computed (a simulated robot's success), and nothing says which.
"""

from __future__ import annotations

import random
from typing import Final

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.hub.reviews.links import between
from rewards.hub.reviews.reviewers import ASKED, REFUSED, Reviewer, counts
from rewards.people.reviews import Count, ReviewRules, Standing, bar, count
from rewards.tables import OPEN, ReviewRow, ReviewTaskRow, UnderReviewRow, WithdrawalRow
from teleop.hub.tables import RobotReaderRow

LOOKED_AT: Final = 256
"""How many of the oldest open episodes are looked through for one that somebody may judge."""


class NotAReviewerError(Exception):
    """This wallet may not review."""


class RefusedTooOftenError(Exception):
    """This wallet has refused so many tasks today that it would be choosing whom it judges."""


class NotAskedError(Exception):
    """This wallet is not asked about that episode now."""


def require_reviewer(one: Reviewer, rules: ReviewRules) -> None:
    """Raise NotAReviewerError if a wallet may not review, with what is missing."""
    if one.standing is Standing.LOST:
        worse = "too many of your answers differed from what the hub has computed"
        raise NotAReviewerError(f"you are not asked to review any more: {worse}. Write to the platform's operator")
    if not one.qualified:
        raise NotAReviewerError("expected a wallet that has passed its first drive; drive any simulated robot first")
    if one.accepted < rules.episodes_least:
        drive = f"drive {rules.episodes_least - one.accepted} more with any simulated robot"
        needed = f"expected {rules.episodes_least} accepted episodes, and you have {one.accepted}"
        raise NotAReviewerError(f"{needed}: {drive}, and then come back")


def held(db: Session, address: str, now_ms: int) -> ReviewTaskRow | None:
    """Return what a wallet is asked about now."""
    mine = select(ReviewTaskRow).where(
        ReviewTaskRow.reviewer == address, ReviewTaskRow.state == ASKED, ReviewTaskRow.due_ms > now_ms
    )
    return db.scalar(mine.order_by(ReviewTaskRow.id).limit(1))


def ask(db: Session, one: Reviewer, now_ms: int, draw: random.Random, rules: ReviewRules) -> ReviewTaskRow | None:
    """Return what a wallet is asked about: what it is asked already, or something new; None if there is nothing.

    Raises NotAReviewerError or RefusedTooOftenError.
    """
    require_reviewer(one, rules)
    if (there := held(db, one.address, now_ms)) is not None:
        return there
    if one.refused >= rules.refusals_a_day:
        said = f"you have refused {one.refused} tasks, or let them run out, in 24 hours"
        raise RefusedTooOftenError(f"{said}; come back tomorrow, and judge whatever comes")
    trusted = one.standing is Standing.TRUSTED
    real = _real(db, one, now_ms, draw, rules) if trusted else None
    if trusted and real is None:
        return None  # known answers are not handed out to be farmed
    known = _known(db, one, draw) if real is None or draw.randrange(rules.known_in) == 0 else None
    if known is not None:
        episode, truth = known.episode, known.success
    elif real is not None:
        episode, truth = real.episode, None
    else:
        return None
    due_ms = now_ms + rules.lease_ms
    asked = {"episode": episode, "reviewer": one.address, "assigned_ms": now_ms, "due_ms": due_ms, "state": ASKED}
    row = ReviewTaskRow(**asked, truth=truth, counts=trusted)
    db.add(row)
    db.flush()
    return row


def refuse(db: Session, address: str, episode: str, now_ms: int) -> None:
    """Give a task back. It costs nothing, and does not come again. Raises NotAskedError."""
    require_asked(db, address, episode, now_ms).state = REFUSED


def require_asked(db: Session, address: str, episode: str, now_ms: int) -> ReviewTaskRow:
    """Return a wallet's open task; raise NotAskedError if it is not asked about that episode now."""
    row = db.scalar(select(ReviewTaskRow).where(ReviewTaskRow.episode == episode, ReviewTaskRow.reviewer == address))
    if row is None:
        raise NotAskedError("nobody chooses what they review: ask for the next one, and judge that")
    if row.state != ASKED:
        raise NotAskedError(f"you have {row.state} this one already; ask for the next one")
    if row.due_ms <= now_ms:
        raise NotAskedError("the time for this one has run out, so somebody else is asked; ask for the next one")
    return row


def counted(db: Session, row: UnderReviewRow, rules: ReviewRules) -> Count:
    """Return what the votes on an episode come to; those of people who have lost the right are left out."""
    given = db.execute(select(ReviewRow.reviewer, ReviewRow.passed).where(ReviewRow.episode == row.episode)).all()
    votes = [vote.passed for vote in given if counts(db, vote.reviewer, rules)]
    return count(row.said, votes, second=row.second, rules=rules)


def _real(db: Session, one: Reviewer, now_ms: int, draw: random.Random, rules: ReviewRules) -> UnderReviewRow | None:
    """Return an episode that a wallet may judge, drawn from the oldest ones; None if there is none."""
    asked = select(ReviewTaskRow.episode).where(ReviewTaskRow.reviewer == one.address)
    waiting = (
        select(UnderReviewRow)
        .join(EpisodeRow, EpisodeRow.episode == UnderReviewRow.episode)
        .where(
            UnderReviewRow.state == OPEN,
            UnderReviewRow.author != one.address,
            UnderReviewRow.owner != one.address,
            UnderReviewRow.episode.not_in(asked),
            UnderReviewRow.episode.not_in(select(WithdrawalRow.episode)),
            EpisodeRow.state == EpisodeState.VERIFIED,
            EpisodeRow.erased_ms.is_(None),
            or_(EpisodeRow.private.is_(False), EpisodeRow.robot.in_(read_by(one.address))),
        )
        .order_by(UnderReviewRow.opened_ms, UnderReviewRow.episode)
        .limit(LOOKED_AT)
        .with_for_update(of=UnderReviewRow)
    )
    rows = list(db.scalars(waiting))
    draw.shuffle(rows)
    for row in rows:
        if bar(between(db, one, row, now_ms, rules), rules) is None and _room(db, row, now_ms, rules):
            return row
    return None


def read_by(address: str) -> Select[str]:
    """Return the robots whose owner lets a wallet read what is private: nobody else is shown it."""
    return select(RobotReaderRow.robot).where(RobotReaderRow.wallet == address)


def _room(db: Session, row: UnderReviewRow, now_ms: int, rules: ReviewRules) -> bool:
    """Whether more people are to be asked than are being asked."""
    open_tasks = select(func.count()).where(
        ReviewTaskRow.episode == row.episode, ReviewTaskRow.state == ASKED, ReviewTaskRow.due_ms > now_ms
    )
    return counted(db, row, rules).wants > (db.scalar(open_tasks) or 0)


def _known(db: Session, one: Reviewer, draw: random.Random) -> EpisodeRow | None:
    """Return an episode whose success the hub has computed, drawn among those that a wallet has not been asked about.

    Done or not is drawn first: so many are done that who passes everything would mostly be right.
    """
    first = draw.random() < 0.5
    asked = select(ReviewTaskRow.episode).where(ReviewTaskRow.reviewer == one.address)
    last = db.scalar(select(func.max(EpisodeRow.log_index)))
    pivot = 0 if last is None else draw.randint(0, last)
    for truth in (first, not first):
        suitable = select(EpisodeRow).where(
            EpisodeRow.state == EpisodeState.VERIFIED,
            EpisodeRow.trust == TrustClass.REPLAYED,
            EpisodeRow.success.is_(truth),
            EpisodeRow.operator != one.address,
            EpisodeRow.private.is_(False),
            EpisodeRow.erased_ms.is_(None),
            EpisodeRow.digest.is_not(None),
            EpisodeRow.episode.not_in(asked),
            EpisodeRow.episode.not_in(select(WithdrawalRow.episode)),
        )
        after = suitable.where(EpisodeRow.log_index >= pivot).order_by(EpisodeRow.log_index).limit(1)
        before = suitable.where(EpisodeRow.log_index < pivot).order_by(EpisodeRow.log_index.desc()).limit(1)
        if (found := db.scalar(after) or db.scalar(before)) is not None:
            return found
    return None
