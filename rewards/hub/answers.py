"""What the rewards routes answer, as `/openapi.json` shows it. Amounts are decimal strings, in wei."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel

from rewards.chain.payouts import Paid, Root
from rewards.hub.verdicts import Statement, Verdict
from rewards.people.operators import NOT_QUALIFIED, PRACTICE, Operator
from rewards.people.qualification import NEEDS, Check, passed
from rewards.score.verdict import ONE_PPM


class CheckAnswer(BaseModel):
    """One thing that the first drive must show."""

    name: str
    passed: bool
    measured: float
    sentence: str

    @classmethod
    def of(cls, check: Check) -> Self:
        """Return the answer for a check."""
        return cls(name=check.name, passed=check.passed, measured=check.measured, sentence=check.sentence)


class PracticeAnswer(BaseModel):
    """An episode of a wallet that was not qualified yet: checked, and not paid."""

    reason: Literal["not_qualified"]
    sentence: str
    passed: bool
    checks: list[CheckAnswer]

    @classmethod
    def of(cls, checks: tuple[Check, ...]) -> Self:
        """Return the answer for a practice drive's checks."""
        said = [CheckAnswer.of(one) for one in checks]
        return cls(reason=NOT_QUALIFIED, sentence=PRACTICE, passed=passed(checks), checks=said)


class ScoreAnswer(BaseModel):
    """An episode's score and what became of its pay."""

    episode: str
    version: str
    score: float
    score_ppm: int
    accepted: bool
    vector: dict[str, float]
    reasons: list[str]
    price: str
    pay: str
    paid: bool
    practice: PracticeAnswer | None
    awaiting_review: bool
    """A real robot's episode, which is not paid before people have reviewed it."""

    @classmethod
    def of(cls, found: Verdict) -> Self:
        """Return the answer for a verdict."""
        return cls(
            episode=found.episode,
            version=found.version,
            score=found.score_ppm / ONE_PPM,
            score_ppm=found.score_ppm,
            accepted=found.accepted,
            vector=dict(found.vector),
            reasons=list(found.reasons),
            price=str(found.price_wei),
            pay=str(found.pay_wei),
            paid=found.paid,
            practice=None if found.practice is None else PracticeAnswer.of(found.practice),
            awaiting_review=found.awaiting_review,
        )


class NeedsAnswer(BaseModel):
    """What the first drive must show."""

    moved_m: float
    rest_s: float
    duration_s: float
    limited: float


class OperatorAnswer(BaseModel):
    """Whether a wallet's accepted episodes are paid, and what it has shown."""

    address: str
    qualified: bool
    since_ms: int | None
    episode: str | None
    checks: list[CheckAnswer]
    shown: list[str]
    needs: NeedsAnswer

    @classmethod
    def of(cls, address: str, found: Operator) -> Self:
        """Return the answer for a wallet."""
        return cls(
            address=address,
            qualified=found.qualified,
            since_ms=found.since_ms,
            episode=found.episode,
            checks=[CheckAnswer.of(one) for one in found.checks],
            shown=list(found.shown),
            needs=NeedsAnswer.model_validate(NEEDS),
        )


class EntryAnswer(BaseModel):
    """One line of a statement."""

    time_ms: int
    episode: str | None
    kind: str
    amount: str


class BalanceAnswer(BaseModel):
    """What an operator has earned, and where it is."""

    address: str
    earned: str
    settled: str
    claimed: str
    wallet: str
    entries: list[EntryAnswer]

    @classmethod
    def of(cls, address: str, found: Statement) -> Self:
        """Return the answer for a wallet's statement."""
        return cls(
            address=address,
            earned=str(found.earned_wei),
            settled=str(found.settled_wei),
            claimed=str(found.claimed_wei),
            wallet=str(found.wallet_wei),
            entries=[
                EntryAnswer(time_ms=one.time_ms, episode=one.episode, kind=one.kind, amount=str(one.amount_wei))
                for one in found.entries
            ],
        )


class RootAnswer(BaseModel):
    """One payout root."""

    root: str
    index: int | None
    total: str
    payees: int
    state: str
    transaction: str | None
    created_ms: int

    @classmethod
    def of(cls, root: Root) -> Self:
        """Return the answer for a root."""
        return cls(
            root=root.root,
            index=root.index,
            total=str(root.total_wei),
            payees=root.payees,
            state=root.state,
            transaction=root.transaction,
            created_ms=root.created_ms,
        )


class ClaimAnswer(BaseModel):
    """What the vault has paid."""

    transaction: str
    amount: str
    claimed: str
    wallet: str

    @classmethod
    def of(cls, paid: Paid) -> Self:
        """Return the answer for a claim."""
        return cls(
            transaction=paid.transaction,
            amount=str(paid.amount_wei),
            claimed=str(paid.claimed_wei),
            wallet=str(paid.wallet_wei),
        )
