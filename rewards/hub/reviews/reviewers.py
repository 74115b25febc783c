"""Who may review: what the tables say of a wallet's drives and of its known answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.people import operators
from rewards.people.reviews import DAY_MS, Known, ReviewRules, Standing, quality, standing
from rewards.tables import ReviewRow, ReviewTaskRow, ScoreRow
from teleop.hub.tables import RobotRow

ASKED: Final = "asked"
ANSWERED: Final = "answered"
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A wallet that asks for something to review, and whether it may."""

    address: str
    qualified: bool
    """Whether what it drives is paid."""
    accepted: int
    """How many of its episodes with robots that the hub replays were accepted."""
    standing: Standing
    known: int
    """How many known answers it has given."""
    quality: float
    """How often it is right, by those."""
    refused: int
    """How many tasks it has refused, or let run out, in 24 hours."""
    owns: frozenset[str]
    """Its real robots."""
    drove: frozenset[str]
    """The real robots that it has driven."""

    def may(self, rules: ReviewRules) -> bool:
        """Whether it is asked at all."""
        return self.qualified and self.accepted >= rules.episodes_least and self.standing is not Standing.LOST


def reviewer(db: Session, address: str, *, required: bool, now_ms: int, rules: ReviewRules) -> Reviewer:
    """Return what is known of a wallet. `required`: whether a first drive qualifies operators here."""
    answers = known_answers(db, address, rules)
    right = sum(one.right for one in answers)
    known = select(func.count()).where(ReviewRow.reviewer == address, ReviewRow.truth.is_not(None))
    return Reviewer(
        address=address,
        qualified=operators.read(db, address, required=required).qualified,
        accepted=_accepted(db, address),
        standing=standing(answers, rules),
        known=db.scalar(known) or 0,
        quality=quality(right, len(answers)),
        refused=_refused(db, address, now_ms),
        owns=frozenset(db.scalars(select(RobotRow.address).where(RobotRow.owner == address, _real()))),
        drove=frozenset(
            db.scalars(
                select(EpisodeRow.robot)
                .join(RobotRow, RobotRow.address == EpisodeRow.robot)
                .where(EpisodeRow.operator == address, _real())
                .distinct()
            )
        ),
    )


def known_answers(db: Session, address: str, rules: ReviewRules) -> list[Known]:
    """Return a wallet's newest known answers, the oldest first."""
    mine = select(ReviewRow.passed, ReviewRow.truth).where(ReviewRow.reviewer == address, ReviewRow.truth.is_not(None))
    newest = mine.order_by(ReviewRow.reviewed_ms.desc(), ReviewRow.episode).limit(rules.known_window)
    return [Known(row.passed, bool(row.truth)) for row in reversed(db.execute(newest).all())]


def counts(db: Session, address: str, rules: ReviewRules) -> bool:
    """Whether a wallet's votes count: a vote of somebody who has lost the right is struck as long as it is open."""
    return standing(known_answers(db, address, rules), rules) is Standing.TRUSTED


def _real() -> ColumnElement[bool]:
    return RobotRow.simulated.is_(False)


def _accepted(db: Session, address: str) -> int:
    mine = (
        select(func.count())
        .select_from(ScoreRow)
        .join(EpisodeRow, EpisodeRow.episode == ScoreRow.episode)
        .where(
            ScoreRow.operator == address,
            ScoreRow.accepted,
            ScoreRow.rescored.is_(False),
            EpisodeRow.trust == TrustClass.REPLAYED,
        )
    )
    return db.scalar(mine) or 0


def _refused(db: Session, address: str, now_ms: int) -> int:
    ran_out = (ReviewTaskRow.state == ASKED) & (ReviewTaskRow.due_ms <= now_ms)
    lately = select(func.count()).where(
        ReviewTaskRow.reviewer == address,
        ReviewTaskRow.assigned_ms > now_ms - DAY_MS,
        (ReviewTaskRow.state == REFUSED) | ran_out,
    )
    return db.scalar(lately) or 0
