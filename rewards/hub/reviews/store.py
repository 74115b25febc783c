"""Reviews in the database: each method is one transaction, and blocks."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from rewards.hub.reviews import asking, voting
from rewards.hub.reviews.answers import NextAnswer, ReviewsAnswer, SignedReview, StandingAnswer, TaskAnswer
from rewards.hub.reviews.asking import NotAReviewerError
from rewards.hub.reviews.reviewers import Reviewer, reviewer
from rewards.hub.reviews.voting import Answer
from rewards.ledger import ledger
from rewards.ledger.shares import Shares
from rewards.people.reviews import RULES, ReviewRules, soonest_ms
from rewards.tables import OPEN, ReviewRow, ReviewTaskRow, UnderReviewRow
from teleop.clock import now_ms
from teleop.hub.db import Database
from teleop.hub.tables import DescriptionRow, TicketRow
from teleop.identity import Domain

T = TypeVar("T")


class UnknownReviewError(Exception):
    """Nobody reviews that episode."""


class Reviews:
    """Who is asked about what, and what they said."""

    def __init__(
        self,
        database: Database,
        domain: Domain,
        *,
        qualification: bool,
        clock_ms: Callable[[], int] = now_ms,
        rules: ReviewRules = RULES,
        draw: random.Random | None = None,
    ) -> None:
        """`qualification`: whether a first drive qualifies operators here. `draw`: where chance comes from."""
        self._database, self._domain, self._qualification = database, domain, qualification
        self._clock_ms, self._rules = clock_ms, rules
        self._draw = draw or random.SystemRandom()

    def standing(self, address: str) -> StandingAnswer:
        """Return whether a wallet is asked to review."""
        with self._database() as db:
            one = self._reviewer(db, address)
            waiting = db.scalar(select(func.count()).where(UnderReviewRow.state == OPEN)) or 0
        try:
            asking.require_reviewer(one, self._rules)
            why_not = ""
        except NotAReviewerError as error:
            why_not = str(error)
        return StandingAnswer(
            address=address,
            may=not why_not,
            why_not=why_not,
            standing=one.standing,
            accepted=one.accepted,
            accepted_least=self._rules.episodes_least,
            known=one.known,
            refusals_left=max(0, self._rules.refusals_a_day - one.refused),
            waiting=waiting,
        )

    def next(self, address: str) -> NextAnswer:
        """Return what a wallet is asked about; raise NotAReviewerError or RefusedTooOftenError."""
        return self._write(partial(self._next, address))

    def refuse(self, address: str, episode: str) -> int:
        """Give a task back, and return how many more may be refused today; raise NotAskedError."""

        def work(db: Session) -> int:
            asking.refuse(db, address, episode, self._clock_ms())
            db.flush()
            return max(0, self._rules.refusals_a_day - self._reviewer(db, address).refused)

        return self._write(work)

    def answer(self, said: Answer) -> None:
        """Keep an answer; raises what `voting.answer` raises."""
        self._write(lambda db: voting.answer(db, said, self._domain, self._clock_ms(), self._rules))

    def reviews(self, episode: str) -> ReviewsAnswer:
        """Return what people made of an episode; raise UnknownReviewError if nobody is asked about it."""
        with self._database() as db:
            under = db.get(UnderReviewRow, episode)
            if under is None:
                raise UnknownReviewError(
                    f"nobody reviews {episode!r}: only a real robot's verified episode is reviewed"
                )
            wants = asking.counted(db, under, self._rules).wants if under.state == OPEN else 0
            votes = db.scalars(
                select(ReviewRow).where(ReviewRow.episode == episode).order_by(ReviewRow.reviewed_ms)
            ).all()
            digest = db.get_one(EpisodeRow, episode).digest or ""
        decided = under.state != OPEN
        return ReviewsAnswer.model_validate(
            {
                "episode": episode,
                "digest": digest,
                "state": under.state,
                "said": under.said if decided else None,
                "votes": len(votes),
                "wants": wants,
                "decided_ms": under.decided_ms,
                "reviews": [_signed(vote) for vote in votes] if decided else [],
            }
        )

    def _next(self, address: str, db: Session) -> NextAnswer:
        one = self._reviewer(db, address)
        task = asking.ask(db, one, self._clock_ms(), self._draw, self._rules)
        return NextAnswer(task=None if task is None else self._told(db, task))

    def _told(self, db: Session, task: ReviewTaskRow) -> TaskAnswer:
        episode, ticket = db.get_one(EpisodeRow, task.episode), db.get(TicketRow, task.episode)
        price_wei = 0 if ticket is None or ticket.price_wei is None else ticket.price_wei
        shares = Shares.of(None if ticket is None else ticket.shares)
        duration_ms = episode.duration_ms or 0
        return TaskAnswer(
            episode=task.episode,
            digest=episode.digest or "",
            task=episode.task,
            instruction=_instruction(db, ticket),
            duration_ms=duration_ms,
            assigned_ms=task.assigned_ms,
            soonest_ms=task.assigned_ms + soonest_ms(duration_ms, self._rules),
            due_ms=task.due_ms,
            pay=str(shares.reviewer_wei(price_wei) if task.counts else 0),
        )

    def _reviewer(self, db: Session, address: str) -> Reviewer:
        return reviewer(db, address, required=self._qualification, now_ms=self._clock_ms(), rules=self._rules)

    def _write(self, work: Callable[[Session], T]) -> T:
        return ledger.write(self._database, work)


def _instruction(db: Session, ticket: TicketRow | None) -> str:
    """Return what the operator was asked to do, as the robot's host described it; empty if nobody knows."""
    described = None if ticket is None or ticket.description is None else db.get(DescriptionRow, ticket.description)
    tasks = [] if described is None else described.described.get("tasks", [])
    return next((str(one["instruction"]) for one in tasks if ticket is not None and one["name"] == ticket.task), "")


def _signed(row: ReviewRow) -> SignedReview:
    return SignedReview(
        reviewer=row.reviewer,
        passed=row.passed,
        reason=row.reason,
        seen=row.seen,
        reviewed_ms=row.reviewed_ms,
        signature=row.signature,
    )
