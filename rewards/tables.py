"""The rewards tables: scores and what could not be scored, practice drives, starts, what is searched, the ledger.

Who was asked to judge which real robot's episode, what they said, and what is owed beside an operator's pay.

Data sets too: which wallet owns a namespace, versions, which episodes came and went with which version, whose operator
has withdrawn them, and the cards; what is done beside everything else, and what is released.

Foreign keys point only to this package or `recorder`. Scores, the ledger and data sets only ever grow: triggers on the
tables of `APPEND_ONLY` refuse UPDATE and DELETE, so that no later mistake can rewrite what somebody earned, or trained
on. Triggers on the episodes keep the table that is searched as they are, whoever writes them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

import recorder.hub.tables  # noqa: F401  scores refer to its episodes
from teleop.hub.db import Base, Wei

_Id = BigInteger().with_variant(Integer, "sqlite")


_UNSCORED: Final = text("state = 'verified' AND rules IS NULL")
PREPARED: Final = "prepared"
"""The state of a root that is published and not yet known to be on the chain; after that it is a `RootState`."""
OPEN: Final = "open"
"""The state of an episode that people still judge; after that it is a `rewards.people.reviews.Outcome`."""


class ScoreRow(Base):
    """The verdict on one episode by one version of the rules; a later version's stands beside it."""

    __tablename__ = "scores"

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    score_ppm: Mapped[int]
    accepted: Mapped[bool]
    vector: Mapped[dict[str, float]] = mapped_column(JSON)
    reasons: Mapped[list[str]] = mapped_column(JSON)
    task: Mapped[str] = mapped_column(String(64))
    operator: Mapped[str] = mapped_column(String(42))
    price_wei: Mapped[int] = mapped_column(Wei)
    pay_wei: Mapped[int] = mapped_column(Wei)
    """What an episode with this score earns in all."""
    scored_ms: Mapped[int] = mapped_column(BigInteger)
    costs: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    """Each a `rewards.score.verdict.Cost`; None, as the three below, if an earlier release scored it."""
    refused: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    """The gates that kept it from being accepted."""
    shown: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    segments: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    adds_wei: Mapped[int | None] = mapped_column(Wei)
    """What is booked for this score: the first one's pay, and what a later one earns more than all before it.

    None if an earlier release scored it: its pay.
    """
    rescored: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether the episode had a score already: the first one, by its own rules, is booked as `episode:<episode>`."""

    @property
    def owed_wei(self) -> int:
        """What is to be booked for it."""
        return self.pay_wei if self.adds_wei is None else self.adds_wei

    @property
    def key(self) -> str:
        """Its transaction's key in the ledger."""
        return f"episode:{self.episode}:rules-{self.version}" if self.rescored else f"episode:{self.episode}"


class UnscoredRow(Base):
    """A verified episode that could not be scored; it is tried again, less and less often."""

    __tablename__ = "unscored"

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    """The error's name, a colon and a sentence, for its operator."""
    tries: Mapped[int]
    next_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    """When it is tried again, at the latest; a hub that starts tries all of them."""


class UnpaidRow(Base):
    """A score that waits for its pay, because its task's pool was empty."""

    __tablename__ = "unpaid"
    __table_args__ = (ForeignKeyConstraint(["episode", "version"], ["scores.episode", "scores.version"]),)

    episode: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    scored_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    """When it was scored: those that wait longest are paid first."""


class RescoringRow(Base):
    """A job: score every verified episode by another version of the rules, in the order of the log."""

    __tablename__ = "rescorings"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    version: Mapped[str] = mapped_column(String(16))
    task: Mapped[str | None] = mapped_column(String(64))
    """None: of every task."""
    after_index: Mapped[int] = mapped_column(BigInteger)
    """The last place in the log that has been looked at; -1 at first."""
    until_index: Mapped[int] = mapped_column(BigInteger)
    """The last place that there was when the job began: what came later names its rules itself."""
    began_ms: Mapped[int] = mapped_column(BigInteger)
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)


class StartRow(Base):
    """Where things stood when an episode began, to find drives from a like start. Made again from files and scores."""

    __tablename__ = "starts"
    __table_args__ = (
        Index(
            "ix_starts_like", "task", "task_version", "model", "simulated", "accepted", "cell", "score_ppm", "operator"
        ),
    )

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    task: Mapped[str] = mapped_column(String(64))
    task_version: Mapped[int]
    model: Mapped[str] = mapped_column(String(64))
    simulated: Mapped[bool]
    operator: Mapped[str] = mapped_column(String(42))
    cell: Mapped[str] = mapped_column(String(24))
    """Empty if nobody knows where things stood, or if its file cannot be read; `model` is empty too then."""
    things_m: Mapped[list[float] | None] = mapped_column(JSON(none_as_null=True))
    """x y z of each thing in the robot's base frame, one after the other, m."""
    duration_s: Mapped[float]
    version: Mapped[str] = mapped_column(String(16))
    """The newest version of the rules that it is scored by, which gives the two below."""
    accepted: Mapped[bool]
    score_ppm: Mapped[int]


class PracticeRow(Base):
    """An episode that a wallet drove before it qualified: checked, and never paid."""

    __tablename__ = "practices"

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    operator: Mapped[str] = mapped_column(String(42), index=True)
    passed: Mapped[bool]
    """The first that passed qualifies the wallet, for good."""
    checks: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """Each a `rewards.people.qualification.Check`."""
    checked_ms: Mapped[int] = mapped_column(BigInteger)


class SearchedRow(Base):
    """What an episode is searched by, in one narrow row: a search reads no manifests.

    The database copies the columns of `COPIED` from the episode, in the same transaction (`copying_statements`);
    `rewards.hub.searched` writes the others when it is scored.
    """

    __tablename__ = "searched"
    __table_args__ = (
        Index("ix_searched_created", "created_ms", "episode"),
        Index("ix_searched_score", "score_ppm", "episode"),
        Index("ix_searched_duration", "duration_ms", "episode"),
        Index("ix_searched_task", "task", "state", "created_ms", "episode"),
        Index("ix_searched_operator", "operator", "state", "created_ms", "episode"),
        Index("ix_searched_robot", "robot", "state", "created_ms", "episode"),
        Index("ix_searched_state", "state", "created_ms", "episode"),
        Index("ix_searched_kind", "driver_kind", "trust", "model", "state", "created_ms", "episode"),
        Index("ix_searched_unscored", "state", "rules", "episode", sqlite_where=_UNSCORED, postgresql_where=_UNSCORED),
    )

    episode: Mapped[str] = mapped_column(
        String(64), ForeignKey("episodes.episode", ondelete="CASCADE"), primary_key=True
    )
    state: Mapped[str] = mapped_column(String(16))
    robot: Mapped[str] = mapped_column(String(42))
    operator: Mapped[str] = mapped_column(String(42))
    task: Mapped[str] = mapped_column(String(64))
    model: Mapped[str | None] = mapped_column(String(64))
    driver_kind: Mapped[str | None] = mapped_column(String(8))
    trust: Mapped[str | None] = mapped_column(String(16))
    success: Mapped[bool | None]
    created_ms: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    practice: Mapped[bool] = mapped_column(default=False, server_default=false())
    rules: Mapped[str | None] = mapped_column(String(16))
    """The newest version of the rules that it is scored by, which gives everything below; None before it is scored."""
    score_ppm: Mapped[int | None]
    accepted: Mapped[bool | None]
    success_ppm: Mapped[int | None]
    """A part of the score's vector, as all that follow; None if those rules do not have it."""
    object_path_ppm: Mapped[int | None]
    order_ppm: Mapped[int | None]
    pace_ppm: Mapped[int | None]
    flow_ppm: Mapped[int | None]
    control_ppm: Mapped[int | None]
    path_efficiency_ppm: Mapped[int | None]
    smoothness_ppm: Mapped[int | None]
    idle_ppm: Mapped[int | None]
    tracking_ppm: Mapped[int | None]


COPIED: Final = (
    "state",
    "robot",
    "operator",
    "task",
    "model",
    "driver_kind",
    "trust",
    "success",
    "created_ms",
    "duration_ms",
)
"""What the database copies from an episode into the row that is searched."""


class UnderReviewRow(Base):
    """A real robot's episode that people judge, with what it is worth if they pass it."""

    __tablename__ = "under_review"
    __table_args__ = (
        Index("ix_under_review_state", "state", "opened_ms"),
        Index("ix_under_review_author", "author", "state"),
    )

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    author: Mapped[str] = mapped_column(String(42))
    """Who drove it."""
    robot: Mapped[str] = mapped_column(String(42), index=True)
    owner: Mapped[str] = mapped_column(String(42))
    task: Mapped[str] = mapped_column(String(64))
    said: Mapped[bool | None]
    """The author's word whether the task was done."""
    second: Mapped[bool]
    """Whether the hub has drawn that a second person is asked in any case."""
    score: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What it is worth if people pass it: a `rewards.score.verdict.Score` as plain JSON."""
    price_wei: Mapped[int] = mapped_column(Wei)
    shares: Mapped[dict[str, int] | None] = mapped_column(JSON(none_as_null=True))
    """What was published when it began: a `rewards.ledger.shares.Shares`; None if nothing was."""
    state: Mapped[str] = mapped_column(String(8))
    """`OPEN`, then a `rewards.people.reviews.Outcome`."""
    opened_ms: Mapped[int] = mapped_column(BigInteger)
    decided_ms: Mapped[int | None] = mapped_column(BigInteger)


class ReviewTaskRow(Base):
    """Somebody was asked about an episode; nobody is asked twice about the same one."""

    __tablename__ = "review_tasks"
    __table_args__ = (
        UniqueConstraint("episode", "reviewer"),
        Index("ix_review_tasks_reviewer", "reviewer", "assigned_ms"),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"))
    reviewer: Mapped[str] = mapped_column(String(42))
    truth: Mapped[bool | None]
    """The answer that the hub has computed; None for a real robot's episode."""
    counts: Mapped[bool]
    """Whether it is paid: not while all that somebody is shown has a known answer."""
    assigned_ms: Mapped[int] = mapped_column(BigInteger)
    due_ms: Mapped[int] = mapped_column(BigInteger)
    """Until when it is kept for them."""
    state: Mapped[str] = mapped_column(String(8))
    """`asked`, `answered` or `refused`."""


class ReviewRow(Base):
    """One person's judgement of an episode, signed by their wallet."""

    __tablename__ = "reviews"
    __table_args__ = (
        Index("ix_reviews_reviewer", "reviewer", "reviewed_ms"),
        Index("ix_reviews_author", "author", "reviewed_ms"),
    )

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(42), primary_key=True)
    author: Mapped[str] = mapped_column(String(42))
    word: Mapped[bool | None]
    """The author's."""
    passed: Mapped[bool]
    truth: Mapped[bool | None]
    """As in `ReviewTaskRow`."""
    reason: Mapped[str] = mapped_column(Text)
    seen: Mapped[dict[str, float]] = mapped_column(JSON)
    """What their client says that they looked at, s."""
    digest: Mapped[str] = mapped_column(String(66))
    """The episode's, as its operator signed it."""
    reviewed_ms: Mapped[int] = mapped_column(BigInteger)
    signature: Mapped[str] = mapped_column(String(132))
    """Over an `EpisodeReview` (rewards/typed_data.json)."""


class OwedRow(Base):
    """What is owed beside an operator's pay: to a robot's owner, or to a reviewer. Its key is its transaction's."""

    __tablename__ = "owed"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    """`owner` or `review`, as the transaction's."""
    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), index=True)
    task: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(42))
    amount_wei: Mapped[int] = mapped_column(Wei)
    owed_ms: Mapped[int] = mapped_column(BigInteger)


class OwedWaitingRow(Base):
    """What is owed and has found its pool empty, until it is booked: so nobody reads all that was ever owed."""

    __tablename__ = "owed_waiting"

    key: Mapped[str] = mapped_column(String(200), ForeignKey("owed.key"), primary_key=True)


class TransactionRow(Base):
    """One event of money; its postings sum to zero."""

    __tablename__ = "ledger_transactions"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(32))
    episode: Mapped[str | None] = mapped_column(String(64), index=True)
    time_ms: Mapped[int] = mapped_column(BigInteger)
    content_sha256: Mapped[str] = mapped_column(String(64))
    """Of kind, episode, postings and reason: these must be the same if a key comes again."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it was booked, if the kind does not say it."""


class PostingRow(Base):
    """One account's part of a transaction; `sequence` numbers an account's postings, so that writers collide."""

    __tablename__ = "ledger_postings"
    __table_args__ = (UniqueConstraint("account", "sequence"),)

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(_Id, ForeignKey("ledger_transactions.id"), index=True)
    account: Mapped[str] = mapped_column(String(120))
    sequence: Mapped[int]
    amount_wei: Mapped[int] = mapped_column(Wei)
    balance_wei: Mapped[int] = mapped_column(Wei)
    """The sum of the account's amounts up to and including this one."""


class RootRow(Base):
    """One payout root. Written before it is sent to the chain, so that a crash cannot lose it."""

    __tablename__ = "payout_roots"

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """1, 2, 3, ...: each root has the leaves of the one before it, and its own."""
    root: Mapped[str] = mapped_column(String(66), unique=True)
    total_wei: Mapped[int] = mapped_column(Wei)
    payees: Mapped[int]
    log_size: Mapped[int] = mapped_column(BigInteger)
    log_hash: Mapped[str] = mapped_column(String(66))
    """The episode log's size and tree hash that the root anchors."""
    state: Mapped[str] = mapped_column(String(16))
    """`PREPARED`, then a `rewards.ledger.settle.RootState`."""
    chain_index: Mapped[int | None]
    transaction: Mapped[str | None] = mapped_column(String(66))
    created_ms: Mapped[int] = mapped_column(BigInteger)


class LeafRow(Base):
    """A leaf that a root set or raised: an operator's cumulative pay from then on."""

    __tablename__ = "payout_leaves"

    address: Mapped[str] = mapped_column(String(42), primary_key=True)
    position: Mapped[int] = mapped_column(ForeignKey("payout_roots.position"), primary_key=True)
    cumulative_wei: Mapped[int] = mapped_column(Wei)


class NamespaceRow(Base):
    """The first half of data sets' names: the wallet that made the first data set in it owns it, for good."""

    __tablename__ = "dataset_namespaces"

    namespace: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(42), index=True)
    made_ms: Mapped[int] = mapped_column(BigInteger)


class DatasetRow(Base):
    """A data set: its name. All that changes is in its versions."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(81), unique=True)
    """`NAMESPACE/NAME`."""
    namespace: Mapped[str] = mapped_column(String(40), ForeignKey("dataset_namespaces.namespace"), index=True)
    made_ms: Mapped[int] = mapped_column(BigInteger)


class SetReaderRow(Base):
    """A wallet that a data set's owner lets read it, for as long as the row is here."""

    __tablename__ = "dataset_readers"

    dataset: Mapped[int] = mapped_column(_Id, ForeignKey("datasets.id"), primary_key=True)
    wallet: Mapped[str] = mapped_column(String(42), primary_key=True)
    added_ms: Mapped[int] = mapped_column(BigInteger)


class VersionRow(Base):
    """One version of a data set, and what it adds up to; its members are in `MemberRow`."""

    __tablename__ = "dataset_versions"

    dataset: Mapped[int] = mapped_column(_Id, ForeignKey("datasets.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    previous: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    licence: Mapped[str] = mapped_column(String(64))
    owner: Mapped[str] = mapped_column(String(42))
    made_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    kind: Mapped[str] = mapped_column(String(16))
    """A `rewards.datasets.version.ChangeKind`, with its `reason` and `merged`."""
    reason: Mapped[str] = mapped_column(Text)
    merged: Mapped[list[str]] = mapped_column(JSON)
    train_ppm: Mapped[int]
    validation_ppm: Mapped[int]
    test_ppm: Mapped[int]
    episodes: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    """Of all episode files together."""
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    private: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether any of its episodes is: then it is given only to those who may read it."""


class MemberRow(Base):
    """An episode's place in a data set, from the version that added it on; a row of `RemovalRow` ends that."""

    __tablename__ = "dataset_members"
    __table_args__ = (
        Index("ix_dataset_members_start", "dataset", "start"),
        Index("ix_dataset_members_motion", "dataset", "motion"),
    )

    dataset: Mapped[int] = mapped_column(_Id, ForeignKey("datasets.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0, 1, ...: the order in which they came; no place is given twice."""
    added: Mapped[int]
    """The first version that has it."""
    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), index=True)
    digest: Mapped[str] = mapped_column(String(66))
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    split: Mapped[str] = mapped_column(String(16))
    start: Mapped[str] = mapped_column(String(64))
    """What episodes that began alike share (`rewards.datasets.splits`): all of them are in one split."""
    motion: Mapped[str | None] = mapped_column(String(64))
    """What those that moved alike share; None if no other verified episode can."""
    task: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(64))
    duration_ms: Mapped[int] = mapped_column(BigInteger)
    private: Mapped[bool] = mapped_column(default=False, server_default=false())
    """As the episode is, which never changes."""


class RemovalRow(Base):
    """From which version on a data set has no longer what was in a place."""

    __tablename__ = "dataset_removals"

    dataset: Mapped[int] = mapped_column(_Id, ForeignKey("datasets.id"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]


class ContentRow(Base):
    """How many episodes of a task, or with a model of robot, a version has."""

    __tablename__ = "dataset_contents"
    __table_args__ = (Index("ix_dataset_contents_value", "kind", "value"),)

    dataset: Mapped[int] = mapped_column(_Id, ForeignKey("datasets.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    """`task` or `model`."""
    value: Mapped[str] = mapped_column(String(64), primary_key=True)
    episodes: Mapped[int]


class WithdrawalRow(Base):
    """A verified episode whose operator's consent has ended: no new version of any data set has it."""

    __tablename__ = "withdrawals"

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    operator: Mapped[str] = mapped_column(String(42))
    reason: Mapped[str] = mapped_column(Text)
    withdrawn_ms: Mapped[int] = mapped_column(BigInteger)


class CardRow(Base):
    """A version's card, by the version's digest; never changed."""

    __tablename__ = "dataset_cards"

    digest: Mapped[str] = mapped_column(String(64), ForeignKey("dataset_versions.digest"), primary_key=True)
    card: Mapped[bytes] = mapped_column(LargeBinary)
    """The canonical bytes of a `rewards.datasets.card.Card`."""
    made_ms: Mapped[int] = mapped_column(BigInteger)


class EpisodeFactsRow(Base):
    """What a card needs of an episode's file, so that it is read once. Made again if `version` is an older one's."""

    __tablename__ = "episode_facts"

    episode: Mapped[str] = mapped_column(String(64), ForeignKey("episodes.episode"), primary_key=True)
    version: Mapped[int]
    facts: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON of `rewards.datasets.facts.Facts`."""


class JobRow(Base):
    """Something that a hub does beside everything else, for whoever asked: an export, or a release."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_state", "state", "created_ms"), Index("ix_jobs_wallet", "wallet", "created_ms"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The first digits of the SHA-256 of what is asked for: the same request is the same job."""
    kind: Mapped[str] = mapped_column(String(16))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    wallet: Mapped[str] = mapped_column(String(42))
    state: Mapped[str] = mapped_column(String(8))
    """A `rewards.hub.jobs.JobState`."""
    what: Mapped[str] = mapped_column(String(16), default="")
    """What is being done now, such as `writing`."""
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    """Of how many episodes it is done."""
    tries: Mapped[int] = mapped_column(default=0)
    """How often it was begun."""
    error: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Of the archive that it made; None if there is none, or none any more."""
    created_ms: Mapped[int] = mapped_column(BigInteger)
    """When it was asked for, the last time that it was begun from the beginning."""
    ended_ms: Mapped[int | None] = mapped_column(BigInteger)
    used_ms: Mapped[int | None] = mapped_column(BigInteger)
    """When somebody last asked for its archive."""


class ReleaseRow(Base):
    """A version of a data set that is given out as Hugging Face gives data sets out."""

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("name", "version"),)

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(81))
    version: Mapped[int]
    job: Mapped[str] = mapped_column(String(32), ForeignKey("jobs.id"))
    bytes: Mapped[int] = mapped_column(BigInteger)
    released_ms: Mapped[int] = mapped_column(BigInteger)


APPEND_ONLY: Final = (
    "scores",
    "practices",
    "reviews",
    "owed",
    "ledger_transactions",
    "ledger_postings",
    "payout_leaves",
    "dataset_namespaces",
    "datasets",
    "dataset_versions",
    "dataset_members",
    "dataset_removals",
    "dataset_contents",
    "withdrawals",
    "dataset_cards",
)


def unique_keys(table: str) -> list[tuple[str, ...]]:
    """Return the columns of each key of a table: the primary one, and then the others, by name."""
    found = Base.metadata.tables[table]
    others = [
        tuple(column.name for column in one.columns) for one in found.constraints if isinstance(one, UniqueConstraint)
    ]
    others += [(column.name,) for column in found.columns if column.unique]
    return [tuple(column.name for column in found.primary_key.columns), *sorted(set(others))]


def append_only_statements(table: str, dialect: str) -> tuple[str, ...]:
    """Return the SQL statements that make `table` refuse UPDATE and DELETE, and SQLite's INSERT OR REPLACE.

    That deletes the row in its way without calling a trigger of DELETE.
    """
    if dialect == "sqlite":
        refused = f"SELECT RAISE(ABORT, '{table} is append-only')"
        verbs = tuple(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN {refused}; END"
            for verb in ("UPDATE", "DELETE")
        )
        there = " OR ".join(" AND ".join(f"{name} = NEW.{name}" for name in key) for key in unique_keys(table))
        replacing = f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {there})"
        return (*verbs, f"CREATE TRIGGER {table}_no_replace {replacing} BEGIN {refused}; END")
    if dialect == "postgresql":
        return (
            "CREATE OR REPLACE FUNCTION armshare_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION armshare_append_only()",
        )
    return ()


def _guard(table: Table, connection: Any, **_: object) -> None:
    for statement in append_only_statements(table.name, connection.dialect.name):
        connection.exec_driver_sql(statement)


for _name in APPEND_ONLY:
    event.listen(Base.metadata.tables[_name], "after_create", _guard)


def copying_statements(dialect: str) -> tuple[str, ...]:
    """Return the SQL statements that make the database keep `searched` as the episodes are."""
    names, new = ", ".join(("episode", *COPIED)), ", ".join(f"NEW.{name}" for name in ("episode", *COPIED))
    inserted = f"INSERT INTO searched ({names}) VALUES ({new})"
    updated = f"UPDATE searched SET {', '.join(f'{name} = NEW.{name}' for name in COPIED)} WHERE episode = NEW.episode"
    verbs = ("insert", "INSERT", inserted), ("update", f"UPDATE OF {', '.join(COPIED)}", updated)
    if dialect == "sqlite":
        return tuple(
            f"CREATE TRIGGER episodes_searched_{name} AFTER {verb} ON episodes BEGIN {statement}; END"
            for name, verb, statement in verbs
        )
    if dialect == "postgresql":
        return tuple(
            part
            for name, verb, statement in verbs
            for part in (
                f"CREATE OR REPLACE FUNCTION armshare_searched_{name}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN {statement}; RETURN NULL; END $$",
                f"CREATE TRIGGER episodes_searched_{name} AFTER {verb} ON episodes "
                f"FOR EACH ROW EXECUTE FUNCTION armshare_searched_{name}()",
            )
        )
    return ()


def _copy(_table: Table, connection: Any, **_: object) -> None:
    for statement in copying_statements(connection.dialect.name):
        connection.exec_driver_sql(statement)


event.listen(Base.metadata.tables["searched"], "after_create", _copy)
