"""What the rewards routes answer, as `/openapi.json` shows it. Amounts are decimal strings, in wei."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from recorder.hub.catalogue import DriverView
from rewards.chain.payouts import Paid, Root
from rewards.hub.owed import OWNER, REVIEW
from rewards.hub.rescoring import Progress
from rewards.hub.starts import Best
from rewards.hub.verdicts import Review, Scored, Statement, Verdict
from rewards.people.operators import NOT_QUALIFIED, PRACTICE, Operator
from rewards.people.qualification import NEEDS, Check, passed
from rewards.score.verdict import ONE_PPM, Cost, Segment, SegmentKind
from teleop.wire.driver import DriverKind


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


class CostAnswer(BaseModel):
    """What one part of the score cost, and the stretch that cost most of it."""

    part: str
    points: float
    """Of the price of a perfect drive, in [0, 1]."""
    sentence: str
    from_s: float | None
    """From the first observation, s; null, as `until_s`, if it was no moment but the whole drive."""
    until_s: float | None

    @classmethod
    def of(cls, cost: Cost) -> Self:
        """Return the answer for a cost."""
        points = cost.ppm / ONE_PPM
        return cls(part=cost.part, points=points, sentence=cost.sentence, from_s=cost.from_s, until_s=cost.until_s)


class SegmentAnswer(BaseModel):
    """What a stretch of an episode was; seconds from its first observation."""

    kind: SegmentKind
    from_s: float
    until_s: float

    @classmethod
    def of(cls, segment: Segment) -> Self:
        """Return the answer for a segment."""
        return cls(kind=segment.kind, from_s=segment.from_s, until_s=segment.until_s)


class VersionAnswer(BaseModel):
    """An episode's score by one version of the rules."""

    version: str
    score: float
    pay: str
    """What it adds to the scores before it, in wei: the first one's pay, or what a later one pays more."""
    paid: bool
    """Whether that is booked."""
    scored_ms: int
    costs: list[CostAnswer]
    """What cost what by that version, the largest first."""

    @classmethod
    def of(cls, found: Scored) -> Self:
        """Return the answer for a score."""
        return cls(
            version=found.version,
            score=found.score_ppm / ONE_PPM,
            pay=str(found.adds_wei),
            paid=found.paid,
            scored_ms=found.scored_ms,
            costs=[CostAnswer.of(one) for one in found.costs],
        )


class ReviewAnswer(BaseModel):
    """A real robot's episode, as people judge it."""

    state: Literal["open", "passed", "failed", "tied", "refused"]
    score: float
    """What it is worth if they pass it, in [0, 1]."""
    reasons: list[str]
    """First why nobody is asked (`refused`), and then what would raise that score."""
    decided_ms: int | None

    @classmethod
    def of(cls, found: Review) -> Self:
        """Return the answer for a review."""
        said = {"state": found.state, "score": found.score_ppm / ONE_PPM, "decided_ms": found.decided_ms}
        return cls.model_validate({**said, "reasons": list(found.reasons)})


class ScoreAnswer(BaseModel):
    """An episode's score by its own rules and what became of its pay; `versions` has those by others, too."""

    episode: str
    version: str
    score: float
    score_ppm: int
    accepted: bool
    vector: dict[str, float]
    reasons: list[str]
    refused: list[str]
    """The gates that kept it from being accepted, in the order of their sentences in `reasons`; docs/scoring.md names
    them. Versions 1 and 2 of the rules name none."""
    costs: list[CostAnswer]
    """The largest first; versions 1 and 2 of the rules have none."""
    shown: dict[str, float]
    """What helps an operator and is not paid by, in its own units."""
    segments: list[SegmentAnswer]
    versions: list[VersionAnswer]
    """The first is the one above, then in the order in which they came."""
    price: str
    pay: str
    paid: bool
    practice: PracticeAnswer | None
    awaiting_review: bool
    """A real robot's episode, which is not paid before people have reviewed it."""
    review: ReviewAnswer | None
    """What people make of it; null for any other, and if an earlier release scored it."""
    withheld: bool = False
    """Whether the episode is private, and whoever asks may not read it: then what the score was found by is empty."""

    def withholding(self) -> Self:
        """Return what everybody may know of a private episode's score: what it is, and what it pays."""
        empty: dict[str, Any] = {"vector": {}, "shown": {}, "reasons": [], "refused": [], "costs": [], "segments": []}
        versions = [one.model_copy(update={"costs": []}) for one in self.versions]
        practice = None if self.practice is None else self.practice.model_copy(update={"checks": []})
        review = None if self.review is None else self.review.model_copy(update={"reasons": []})
        said = {"versions": versions, "practice": practice, "review": review, "withheld": True}
        return self.model_copy(update=empty | said)

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
            refused=list(found.refused),
            costs=[CostAnswer.of(one) for one in found.costs],
            shown=dict(found.shown),
            segments=[SegmentAnswer.of(one) for one in found.segments],
            versions=[VersionAnswer.of(one) for one in found.versions],
            price=str(found.price_wei),
            pay=str(found.pay_wei),
            paid=found.paid,
            practice=None if found.practice is None else PracticeAnswer.of(found.practice),
            awaiting_review=found.awaiting_review,
            review=None if found.review is None else ReviewAnswer.of(found.review),
        )


class DriverAnswer(BaseModel):
    """Who or what drove, as its operator said; `name` and `sha256` are empty for a person."""

    kind: DriverKind
    name: str
    sha256: str


class BestAnswer(BaseModel):
    """The best accepted drive from a like start."""

    episode: str
    score: float
    """By the newest version of the rules that it is scored by."""
    duration_s: float
    apart_m: float
    """By how much the thing that stood farthest off stood elsewhere."""
    driver: DriverAnswer | None
    """Null if an earlier release began it."""

    @classmethod
    def of(cls, found: Best, driver: DriverView | None) -> Self:
        """Return the answer for a drive, and who drove it."""
        return cls(
            episode=found.episode,
            score=found.score_ppm / ONE_PPM,
            duration_s=found.duration_s,
            apart_m=found.apart_m,
            driver=None if driver is None else DriverAnswer(kind=driver.kind, name=driver.name, sha256=driver.sha256),
        )


class RescoringAsked(BaseModel):
    """By which version of the rules to score, and the episodes of which task; empty or left out: of every task."""

    model_config = ConfigDict(extra="forbid")

    rules: Annotated[str, Field(min_length=1, max_length=16)]
    task: Annotated[str, Field(max_length=64)] = ""


class RescoringAnswer(BaseModel):
    """A job that scores every verified episode by another version of the rules, and how far it is."""

    id: int
    rules: str
    task: str | None
    state: Literal["running", "done"]
    episodes: int
    seen: int
    """How many of them have been looked at."""
    failed: int
    """How many of those could not be scored: the hub's log says why, and another job tries them again."""
    added: int
    """To how many of those the new score adds pay."""
    pay: str
    """How much it adds, in wei, booked or waiting for its pool."""
    began_ms: int
    ended_ms: int | None

    @classmethod
    def of(cls, found: Progress) -> Self:
        """Return the answer for a job."""
        return cls(
            id=found.id,
            rules=found.version,
            task=found.task,
            state="running" if found.ended_ms is None else "done",
            episodes=found.episodes,
            seen=found.seen,
            failed=found.failed,
            added=found.added,
            pay=str(found.added_wei),
            began_ms=found.began_ms,
            ended_ms=found.ended_ms,
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


_ROLES: Final[dict[str, Literal["operator", "owner", "reviewer"]]] = {OWNER: "owner", REVIEW: "reviewer"}
"""Of the ledger's kinds; every other one is an operator's."""


class EntryAnswer(BaseModel):
    """One line of a statement."""

    time_ms: int
    episode: str | None
    kind: str
    role: Literal["operator", "owner", "reviewer"]
    """In which role the wallet earned it."""
    amount: str
    reason: str | None
    """Why it was booked, if the kind does not say it."""


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
                EntryAnswer(
                    time_ms=one.time_ms,
                    episode=one.episode,
                    kind=one.kind,
                    role=_ROLES.get(one.kind, "operator"),
                    amount=str(one.amount_wei),
                    reason=one.reason,
                )
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
