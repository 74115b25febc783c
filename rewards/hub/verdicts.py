"""What the tables say: an episode's score and what became of its pay, and an operator's account. It only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.hub.tables import EpisodeRow
from recorder.proof.bundle import TrustClass
from rewards.ledger import ledger
from rewards.people.qualification import Check, from_json
from rewards.score.verdict import Score
from rewards.tables import PracticeRow, ScoreRow


@dataclass(frozen=True, slots=True)
class Verdict:
    """An episode's score and what became of its pay."""

    episode: str
    version: str
    score_ppm: int
    accepted: bool
    vector: Mapping[str, float]
    reasons: tuple[str, ...]
    price_wei: int
    pay_wei: int
    paid: bool
    """Whether the ledger has booked it; an accepted episode waits while its task's pool is empty."""
    practice: tuple[Check, ...] | None
    """The checks of a practice drive, which earns nothing; None for an episode of a qualified wallet."""
    awaiting_review: bool = False
    """A real robot's: that it happened as recorded is its host's word, and nothing is paid on that."""

    @property
    def scored(self) -> Score:
        """The score alone, without what became of its pay."""
        return Score(self.version, self.score_ppm, self.accepted, self.vector, self.reasons)


@dataclass(frozen=True, slots=True)
class Statement:
    """What an operator has earned, and where it is."""

    earned_wei: int
    settled_wei: int
    claimed_wei: int
    wallet_wei: int
    entries: tuple[ledger.Entry, ...]


def first_score(db: Session, episode: str) -> ScoreRow | None:
    """Return an episode's only score: by the version of the rules that its file determines, whatever came later."""
    return db.scalars(select(ScoreRow).where(ScoreRow.episode == episode)).first()


def verdict_of(db: Session, episode: str) -> Verdict | None:
    """Return an episode's score and what became of its pay; None if it has none."""
    row = first_score(db, episode)
    if row is None:
        return None
    trust = db.scalar(select(EpisodeRow.trust).where(EpisodeRow.episode == episode))
    practice = db.get(PracticeRow, episode)
    return Verdict(
        row.episode,
        row.version,
        row.score_ppm,
        row.accepted,
        row.vector,
        tuple(row.reasons),
        row.price_wei,
        row.pay_wei,
        ledger.booked(db, f"episode:{episode}"),
        None if practice is None else from_json(practice.checks),
        trust is TrustClass.WITNESSED,
    )
