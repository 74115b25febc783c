"""A reviewer's answer: checked, kept with its signature, counted; and once an episode is decided, everyone is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from rewards.hub import owed, paying, searched
from rewards.hub.reviews.asking import counted, require_asked
from rewards.hub.reviews.reviewers import ANSWERED, counts
from rewards.ledger.shares import Shares
from rewards.people.reviews import Outcome, ReviewRules, looked, soonest_ms
from rewards.score.verdict import ONE_PPM
from rewards.tables import OPEN, OwedRow, ReviewRow, ReviewTaskRow, ScoreRow, UnderReviewRow
from teleop.hub.tables import TicketRow
from teleop.identity import Domain, Statement, load_statements

EPISODE_REVIEW: Final[Statement] = load_statements("rewards")["EpisodeReview"]
SKEW_MS: Final = 5 * 60_000
"""How far the time in a reviewer's statement may be from the hub's."""


class TooSoonError(Exception):
    """Nobody can have looked at the episode in that time."""

    def __init__(self, again_s: float) -> None:
        super().__init__(f"look at the whole episode first; an answer is taken in {again_s:.0f} s")
        self.again_s = again_s


class UnseenError(Exception):
    """By the client's own word, the episode was hardly looked at."""


class ReviewClockError(Exception):
    """The time in the statement is not now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer says of an episode."""

    reviewer: str
    episode: str
    passed: bool
    reason: str
    seen: Mapping[str, float]
    """`pictures_s` and `replay_s`: what their client says that it showed."""
    reviewed_ms: int
    signature: str

    def statement(self, digest: str) -> dict[str, Any]:
        """Return what is signed."""
        return {
            "episodeId": self.episode,
            "episodeDigest": bytes.fromhex(digest.removeprefix("0x")),
            "reviewer": self.reviewer,
            "passed": self.passed,
            "reason": self.reason,
            "reviewedMs": self.reviewed_ms,
        }


def answer(db: Session, said: Answer, domain: Domain, now_ms: int, rules: ReviewRules) -> None:
    """Keep an answer, and decide the episode if it is enough.

    Raises NotAskedError, TooSoonError, UnseenError, ReviewClockError or SignatureError; nothing is kept then.
    """
    task = require_asked(db, said.reviewer, said.episode, now_ms)
    episode = db.get_one(EpisodeRow, said.episode)
    digest = _checked(said, task, episode, domain, now_ms, rules)
    under = None if task.truth is not None else _locked(db, said.episode)
    db.add(
        ReviewRow(
            episode=said.episode,
            reviewer=said.reviewer,
            author=episode.operator,
            word=None if under is None else under.said,
            passed=said.passed,
            truth=task.truth,
            reason=said.reason,
            seen=dict(said.seen),
            digest=digest,
            reviewed_ms=said.reviewed_ms,
            signature=said.signature,
        )
    )
    task.state = ANSWERED
    db.flush()
    if under is not None:
        _decide(db, under, now_ms, rules)
    elif task.counts and said.passed is task.truth:
        _pay_known(db, said, now_ms)


def _checked(
    said: Answer, task: ReviewTaskRow, episode: EpisodeRow, domain: Domain, now_ms: int, rules: ReviewRules
) -> str:
    """Return the digest that the answer is signed for."""
    duration_ms, digest = episode.duration_ms or 0, episode.digest or ""
    early_ms = task.assigned_ms + soonest_ms(duration_ms, rules) - now_ms
    if early_ms > 0:
        raise TooSoonError(early_ms / 1000)
    if not looked(said.seen["pictures_s"], said.seen["replay_s"], duration_ms, rules):
        raise UnseenError("your page says that it showed hardly anything of the episode: play it, and then answer")
    if abs(said.reviewed_ms - now_ms) > SKEW_MS:
        raise ReviewClockError("the statement's time is more than five minutes off the hub's: set this clock right")
    EPISODE_REVIEW.require(said.reviewer, domain, said.statement(digest), said.signature)
    return digest


def _locked(db: Session, episode: str) -> UnderReviewRow:
    """Return an episode that is judged, and let nobody else decide it meanwhile (SQLite has one writer anyway)."""
    return db.scalars(select(UnderReviewRow).where(UnderReviewRow.episode == episode).with_for_update()).one()


def _decide(db: Session, under: UnderReviewRow, now_ms: int, rules: ReviewRules) -> None:
    outcome = counted(db, under, rules).outcome
    if outcome is None or under.state != OPEN:
        return
    under.state, under.decided_ms = outcome.value, now_ms
    db.flush()
    if outcome is Outcome.PASSED:
        _pay_operator(db, under, now_ms)
    shares = Shares.of(under.shares)
    fee_wei = shares.reviewer_wei(under.price_wei)
    for vote in db.scalars(select(ReviewRow).where(ReviewRow.episode == under.episode)):
        agrees = outcome is (Outcome.PASSED if vote.passed else Outcome.FAILED)
        if agrees and counts(db, vote.reviewer, rules):
            _owe(db, under.episode, under.task, vote.reviewer, fee_wei, now_ms)


def _pay_operator(db: Session, under: UnderReviewRow, now_ms: int) -> None:
    """Write the score of an episode that people have passed, which pays its operator, and its robot's owner."""
    worth = under.score
    row = ScoreRow(
        episode=under.episode,
        version=worth["version"],
        score_ppm=worth["score_ppm"],
        accepted=True,
        vector=worth["vector"],
        reasons=list(worth["reasons"]),
        refused=[],
        costs=list(worth["costs"]),
        shown=worth["shown"],
        segments=list(worth["segments"]),
        task=under.task,
        operator=under.author,
        price_wei=under.price_wei,
        pay_wei=under.price_wei * worth["score_ppm"] // ONE_PPM,
        scored_ms=now_ms,
    )
    paying.keep_reviewed(db, row, paying.Owner(under.owner, Shares.of(under.shares)))
    searched.keep(db, under.episode)


def _pay_known(db: Session, said: Answer, now_ms: int) -> None:
    """Pay for an answer that the hub knew, as for any other: nobody is to learn which those are by their pay."""
    ticket = db.get(TicketRow, said.episode)
    if ticket is not None and ticket.price_wei is not None:
        fee_wei = Shares.of(ticket.shares).reviewer_wei(ticket.price_wei)
        _owe(db, said.episode, ticket.task, said.reviewer, fee_wei, now_ms)


def _owe(db: Session, episode: str, task: str, reviewer: str, amount_wei: int, now_ms: int) -> None:
    key = f"{owed.REVIEW}:{episode}:{reviewer}"
    named = {"episode": episode, "task": task, "address": reviewer, "amount_wei": amount_wei}
    owed.owe(db, OwedRow(key=key, kind=owed.REVIEW, owed_ms=now_ms, **named))
