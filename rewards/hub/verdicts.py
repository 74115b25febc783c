"""What the tables say: an episode's scores and what became of their pay, and an operator's account. It only reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.ledger import ledger
from rewards.people.qualification import Check, from_json
from rewards.score.verdict import Cost, Score, Segment, SegmentKind
from rewards.tables import OPEN, PracticeRow, ScoreRow, UnderReviewRow, UnscoredRow


@dataclass(frozen=True, slots=True)
class Scored:
    """An episode's score by one version of the rules."""

    version: str
    score_ppm: int
    adds_wei: int
    """What it pays beyond the scores before it."""
    paid: bool
    """Whether the ledger has booked that."""
    scored_ms: int
    costs: tuple[Cost, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """A real robot's episode, as people judge it."""

    state: str
    """`open`, a `rewards.people.reviews.Outcome`, or `refused`: nobody is asked, as it could not be paid anyway."""
    score_ppm: int
    """What it is worth if they pass it."""
    reasons: tuple[str, ...]
    """First why nobody is asked, and then what would raise that score."""
    decided_ms: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An episode's score by its own rules and what became of its pay, with the scores by other rules."""

    episode: str
    version: str
    score_ppm: int
    accepted: bool
    vector: Mapping[str, float]
    reasons: tuple[str, ...]
    refused: tuple[str, ...]
    """The gates that kept it from being accepted; versions 1 and 2 name none."""
    costs: tuple[Cost, ...]
    shown: Mapping[str, float]
    segments: tuple[Segment, ...]
    price_wei: int
    pay_wei: int
    paid: bool
    """Whether the ledger has booked it; an accepted episode waits while its task's pool is empty."""
    versions: tuple[Scored, ...]
    """The first is the one above, then in the order in which they came."""
    practice: tuple[Check, ...] | None
    """The checks of a practice drive, which earns nothing; None for an episode of a qualified wallet."""
    awaiting_review: bool = False
    """A real robot's: that it happened as recorded is its host's word, and nothing is paid on that."""
    review: Review | None = None
    """What people make of it; None if nobody is asked."""

    @property
    def scored(self) -> Score:
        """The score alone, without what became of its pay."""
        said = self.version, self.score_ppm, self.accepted, self.vector, self.reasons
        return Score(*said, self.costs, self.shown, self.segments, self.refused)


@dataclass(frozen=True, slots=True)
class Unscored:
    """Why a verified episode has no score, and when it is tried again."""

    reason: str
    tries: int
    next_ms: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What an operator has earned, and where it is."""

    earned_wei: int
    settled_wei: int
    claimed_wei: int
    wallet_wei: int
    entries: tuple[ledger.Entry, ...]


def scores(db: Session, episode: str) -> Sequence[ScoreRow]:
    """Return an episode's scores: the first one, by its own rules, and then in the order in which they came."""
    found = db.scalars(select(ScoreRow).where(ScoreRow.episode == episode)).all()
    return sorted(found, key=lambda row: (row.rescored, row.scored_ms, row.version))


def first_score(db: Session, episode: str) -> ScoreRow | None:
    """Return an episode's first score: by the version of the rules that its file determines, whatever came later."""
    return next(iter(scores(db, episode)), None)


def verdict_of(db: Session, episode: str) -> Verdict | None:
    """Return an episode's scores and what became of their pay; None if it has none."""
    rows = scores(db, episode)
    if not rows:
        return None
    row = rows[0]
    trust = db.scalar(select(EpisodeRow.trust).where(EpisodeRow.episode == episode))
    practice, judged = db.get(PracticeRow, episode), db.get(UnderReviewRow, episode)
    return Verdict(
        episode=row.episode,
        version=row.version,
        score_ppm=row.score_ppm,
        accepted=row.accepted,
        vector=row.vector,
        reasons=tuple(row.reasons),
        refused=tuple(row.refused or ()),
        costs=_costs(row),
        shown=row.shown or {},
        segments=tuple(_segment(one) for one in row.segments or ()),
        price_wei=row.price_wei,
        pay_wei=row.pay_wei,
        paid=ledger.booked(db, row.key),
        versions=tuple(_scored(db, one) for one in rows),
        practice=None if practice is None else from_json(practice.checks),
        awaiting_review=trust is TrustClass.WITNESSED and (judged is None or judged.state == OPEN),
        review=None if judged is None else _review(judged),
    )


def _review(row: UnderReviewRow) -> Review:
    return Review(row.state, row.score["score_ppm"], tuple(row.score["reasons"]), row.decided_ms)


def unscored_of(db: Session, episode: str) -> Unscored | None:
    """Return why an episode could not be scored; None if nothing kept it from that."""
    row = db.get(UnscoredRow, episode)
    return None if row is None else Unscored(row.reason, row.tries, row.next_ms)


def _scored(db: Session, row: ScoreRow) -> Scored:
    paid = ledger.booked(db, row.key)
    return Scored(row.version, row.score_ppm, row.owed_wei, paid, row.scored_ms, _costs(row))


def _costs(row: ScoreRow) -> tuple[Cost, ...]:
    return tuple(Cost(**one) for one in row.costs or ())


def _segment(said: Mapping[str, Any]) -> Segment:
    return Segment(SegmentKind(said["kind"]), said["from_s"], said["until_s"])
