"""Writes one version: what came, what went, what it adds up to, and the digest of its document."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from rewards.datasets.version import Change, Member, Shares, Split, document
from rewards.hub.datasets import members
from rewards.hub.datasets.candidates import Candidate
from rewards.hub.datasets.shelf import At
from rewards.hub.datasets.texts import Described
from rewards.tables import ContentRow, DatasetRow, MemberRow, RemovalRow, VersionRow


@dataclass(frozen=True, slots=True)
class Next:
    """A version that is to be made of the one before it."""

    dataset: DatasetRow
    previous: VersionRow | None
    owner: str
    described: Described
    shares: Shares
    change: Change
    added: tuple[tuple[Candidate, Split], ...] = ()
    removed: tuple[int, ...] = ()
    """Places."""

    @classmethod
    def after(cls, found: At, owner: str, change: Change) -> Self:
        """Return the version after one, as yet with nothing changed."""
        row = found.row
        shares = Shares(row.train_ppm, row.validation_ppm, row.test_ppm)
        return cls(found.dataset, row, owner, Described(row.title, row.description, row.licence), shares, change)

    @property
    def version(self) -> int:
        """Its number."""
        return 1 if self.previous is None else self.previous.version + 1


def make(db: Session, what: Next, clock_ms: int) -> At:
    """Write a version; raise IntegrityError if another was faster."""
    made_ms = clock_ms if what.previous is None else max(clock_ms, what.previous.made_ms)
    row = _row(what, made_ms)
    _move(db, what)
    digest, counted = hashlib.sha256(), _Counted()
    head = members.head(what.dataset, row)
    for piece in document(head, counted.each(members.each(db, what.dataset.id, row.version))):
        digest.update(piece)
    row.digest, row.episodes, row.bytes = digest.hexdigest(), counted.episodes, counted.bytes
    row.duration_ms, row.private = counted.duration_ms, counted.private
    db.add(row)
    db.flush()
    _contents(db, row, counted)
    return At(what.dataset, row)


def _row(what: Next, made_ms: int) -> VersionRow:
    said, shares, change = what.described, what.shares, what.change
    return VersionRow(
        dataset=what.dataset.id,
        version=what.version,
        previous="" if what.previous is None else what.previous.digest,
        title=said.title,
        description=said.description,
        licence=said.licence,
        owner=what.owner,
        made_ms=made_ms,
        kind=change.kind.value,
        reason=change.reason,
        merged=list(change.merged),
        train_ppm=shares.train,
        validation_ppm=shares.validation,
        test_ppm=shares.test,
    )


def _move(db: Session, what: Next) -> None:
    """Write who came and who went."""
    dataset, version = what.dataset.id, what.version
    if what.removed:
        gone = [{"dataset": dataset, "place": place, "version": version} for place in sorted(what.removed)]
        db.execute(insert(RemovalRow), gone)
    if what.added:
        last = db.scalar(select(func.max(MemberRow.place)).where(MemberRow.dataset == dataset))
        first = 0 if last is None else last + 1
        db.execute(insert(MemberRow), [_member(what, place, *one) for place, one in enumerate(what.added, first)])


def _member(what: Next, place: int, one: Candidate, split: Split) -> dict[str, Any]:
    where = {"dataset": what.dataset.id, "place": place, "added": what.version, "split": split.value}
    return where | asdict(one)


class _Counted:
    """Counts what passes by."""

    def __init__(self) -> None:
        self.episodes = self.bytes = self.duration_ms = 0
        self.private = False
        self.contents: Counter[tuple[str, str]] = Counter()

    def each(self, placed: Iterable[members.Placed]) -> Iterator[Member]:
        """Yield the members."""
        for one in placed:
            self.episodes += 1
            self.bytes += one.member.size
            self.duration_ms += one.duration_ms
            self.private = self.private or one.private
            self.contents.update((("task", one.task), ("model", one.model)))
            yield one.member


def _contents(db: Session, row: VersionRow, counted: _Counted) -> None:
    same = {"dataset": row.dataset, "version": row.version}
    found = [
        {**same, "kind": kind, "value": value, "episodes": count} for (kind, value), count in counted.contents.items()
    ]
    if found:
        db.execute(insert(ContentRow), found)
