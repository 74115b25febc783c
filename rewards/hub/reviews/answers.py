"""What the routes of review take and answer, as `/openapi.json` shows it. Amounts are decimal strings, in wei."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rewards.people.reviews import Standing

REASON_MAX = 280


class SeenBody(BaseModel):
    """What a client says that it showed, s: its own word, and no more than that."""

    model_config = ConfigDict(extra="forbid")

    pictures_s: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    replay_s: Annotated[float, Field(ge=0, le=1e6)] = 0.0


class ReviewBody(BaseModel):
    """A reviewer's answer; the signature is over an `EpisodeReview` (rewards/typed_data.json)."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    passed: Annotated[bool, Field(alias="pass")]
    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""
    seen: SeenBody
    reviewed_ms: Annotated[int, Field(ge=0, le=2**53)]
    signature: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{130}$")]


class StandingAnswer(BaseModel):
    """Whether a wallet is asked to review, and what is missing if it is not."""

    address: str
    may: bool
    why_not: str
    """A sentence; empty if it may."""
    standing: Standing
    accepted: int
    """How many of its episodes with robots that the hub replays were accepted."""
    accepted_least: int
    known: int
    """How many known answers it has given."""
    refusals_left: int
    """How many tasks it may still refuse, or let run out, in the next 24 hours."""
    waiting: int
    """How many episodes wait for reviewers, of anybody."""


class TaskAnswer(BaseModel):
    """What a reviewer is asked about. Nothing here says whether the hub knows the answer."""

    episode: str
    digest: str
    """What is signed as `episodeDigest`."""
    task: str
    instruction: str
    """What the operator was asked to do."""
    duration_ms: int
    assigned_ms: int
    soonest_ms: int
    """From when on an answer is taken, by the hub's clock."""
    due_ms: int
    """Until when it is kept for this reviewer."""
    pay: str
    """What a review is paid that agrees with what is found; 0 while everything has a known answer."""


class NextAnswer(BaseModel):
    """What a reviewer is asked about now; null if nothing waits that they may judge."""

    task: TaskAnswer | None


class KeptAnswer(BaseModel):
    """A review was kept. Whether it was right is never said."""

    episode: str
    kept: Literal[True] = True


class RefusedAnswer(BaseModel):
    """A task was given back."""

    refusals_left: int


class SignedReview(BaseModel):
    """One person's judgement, which anyone can check: `signature` is over an `EpisodeReview` of these values."""

    reviewer: str
    passed: bool
    reason: str
    seen: dict[str, float]
    reviewed_ms: int
    signature: str


class ReviewsAnswer(BaseModel):
    """What people made of an episode. What each of them said is shown once it is decided: nobody follows another."""

    episode: str
    digest: str
    state: Literal["open", "passed", "failed", "tied", "refused"]
    said: bool | None
    """The operator's word; null before it is decided, too."""
    votes: int
    wants: int
    """How many more votes could decide it."""
    decided_ms: int | None
    reviews: list[SignedReview]
