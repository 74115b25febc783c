"""What the routes of data sets ask for and answer, as `/openapi.json` shows it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from recorder.file.layout import EPISODE_ID_MAX
from rewards.datasets.card import Card
from rewards.datasets.version import PPM, ChangeKind
from rewards.datasets.words import FILTERS, WORDS, Words
from rewards.hub.datasets.consent import Withdrawn
from rewards.hub.datasets.shelf import At
from rewards.hub.datasets.texts import DESCRIPTION_MAX, REASON_MAX, TITLE_MAX

IDS_MAX: Final = 10_000
"""How many episodes a request may name; a search may find more."""
READERS_MAX: Final = 500
_Text = Annotated[str, Field(max_length=DESCRIPTION_MAX)]
_Reason = Annotated[str, Field(max_length=REASON_MAX)]
_Ids = Annotated[list[Annotated[str, Field(max_length=EPISODE_ID_MAX)]], Field(max_length=IDS_MAX)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
SEARCHED: Final = (*FILTERS, "order")
"""The words that may say which episodes are to come."""


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SharesAsked(_Asked):
    """How the episodes are shared out, in parts of one."""

    train: _Share
    validation: _Share = 0.0
    test: _Share = 0.0


_PROPERTIES: Final[dict[str, Any]] = {
    name: {**WORDS[name].schema, "description": WORDS[name].meaning} for name in SEARCHED
}


class SearchAsked(BaseModel):
    """The words of `GET /api/episodes`; only verified episodes are found. Without words, none are."""

    # An unknown word is answered with those that there are, so what is extra is looked at.
    model_config = ConfigDict(extra="allow", json_schema_extra={"properties": _PROPERTIES})

    @property
    def words(self) -> Words | None:
        """The words that were said; None if there are none. Raises UnknownFilterError or FilterValueError."""
        said = {name: _text(value) for name, value in (self.model_extra or {}).items()}
        return Words.of(said.items(), SEARCHED) if said else None


class EpisodesAsked(_Asked):
    """Which episodes: by their ids, by a search, or both."""

    episodes: _Ids = []
    search: SearchAsked = SearchAsked()
    practice: bool = False
    """Whether practice drives may be among them."""


class CreateAsked(EpisodesAsked):
    """A data set that is to be made."""

    name: Annotated[str, Field(max_length=90)]
    title: Annotated[str, Field(max_length=TITLE_MAX)]
    description: _Text = ""
    licence: Annotated[str, Field(max_length=64)]
    splits: SharesAsked = SharesAsked(train=1.0)


class AppendAsked(EpisodesAsked):
    """Episodes that are to come."""

    reason: _Reason = ""


class WithdrawAsked(_Asked):
    """Episodes that are to go."""

    episodes: Annotated[_Ids, Field(min_length=1)]
    reason: _Reason = ""


class MergeAsked(_Asked):
    """A data set whose episodes are to come."""

    model_config = ConfigDict(extra="forbid", validate_by_name=False, validate_by_alias=True)

    other: Annotated[str, Field(alias="with", max_length=120)]
    """`NS/NAME@N`, or `NS/NAME` for its newest version."""
    reason: _Reason = ""
    practice: bool = False


class DescribeAsked(_Asked):
    """What is to be said of a data set; what is empty, or left out, stays."""

    title: Annotated[str, Field(max_length=TITLE_MAX)] = ""
    description: _Text = ""
    licence: Annotated[str, Field(max_length=64)] = ""
    reason: _Reason = ""


class ConsentAsked(_Asked):
    """Why an operator's consent to an episode ends."""

    reason: _Reason = ""


class SetReadersAsked(_Asked):
    """Which wallets may read a data set with its private episodes; all others no longer may."""

    readers: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=READERS_MAX)]


class SetReadersAnswer(BaseModel):
    """Which wallets its owner lets read a data set."""

    name: str
    readers: list[str]


class CountAnswer(BaseModel):
    """How many episodes have a value."""

    name: str
    episodes: int


class ChangeAnswer(BaseModel):
    """How a version differs from the one before it."""

    kind: ChangeKind
    reason: str
    merged: list[str]
    """Digests of the versions that were merged into this one."""


class SplitsAnswer(BaseModel):
    """The shares by which splits are given, in parts of one."""

    train: float
    validation: float
    test: float


class SetAnswer(BaseModel):
    """One version of a data set."""

    name: str
    version: int
    digest: str
    previous: str
    title: str
    description: str
    licence: str
    owner: str
    made_ms: int
    change: ChangeAnswer
    splits: SplitsAnswer
    episodes: int
    bytes: int
    duration_s: float
    tasks: list[CountAnswer]
    """Those of the most episodes first, as `models`."""
    models: list[CountAnswer]
    versions: int
    """How many there are."""
    released_ms: int | None
    private: bool
    """Whether it has private episodes: then its episodes and its card are for its owner and its readers."""
    card: Card | None
    """Null until it is made, in lists, and to whoever may not read it."""

    @classmethod
    def of(
        cls,
        found: At,
        contents: dict[str, dict[str, int]],
        versions: int,
        *,
        released_ms: int | None = None,
        card: Card | None = None,
    ) -> Self:
        """Return the answer for a version."""
        row = found.row
        return cls(
            name=found.dataset.name,
            version=row.version,
            digest=row.digest,
            previous=row.previous,
            title=row.title,
            description=row.description,
            licence=row.licence,
            owner=row.owner,
            made_ms=row.made_ms,
            change=ChangeAnswer(kind=ChangeKind(row.kind), reason=row.reason, merged=row.merged),
            splits=SplitsAnswer(
                train=row.train_ppm / PPM, validation=row.validation_ppm / PPM, test=row.test_ppm / PPM
            ),
            episodes=row.episodes,
            bytes=row.bytes,
            duration_s=row.duration_ms / 1000,
            tasks=_counts(contents["task"]),
            models=_counts(contents["model"]),
            versions=versions,
            released_ms=released_ms,
            private=row.private,
            card=card,
        )


class ShelfAnswer(BaseModel):
    """Some data sets, or versions of one."""

    sets: list[SetAnswer]
    next: str | None
    """`after` of the next page; null at the end."""


class WithdrawnAnswer(BaseModel):
    """An episode whose operator's consent has ended, and what that changed."""

    episode: str
    operator: str
    reason: str
    withdrawn_ms: int
    sets: list[str]
    """The versions that were made without it, as `NS/NAME@N`."""

    @classmethod
    def of(cls, found: Withdrawn, made: list[At]) -> Self:
        """Return the answer for a withdrawal."""
        named = [f"{one.dataset.name}@{one.row.version}" for one in made]
        said = {"episode": found.episode, "operator": found.operator, "reason": found.reason}
        return cls(**said, withdrawn_ms=found.withdrawn_ms, sets=named)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _counts(found: dict[str, int]) -> list[CountAnswer]:
    return [CountAnswer(name=name, episodes=count) for name, count in found.items()]
