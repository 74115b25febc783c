"""Which episodes a version has, in their order: read page by page, or one after the other, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Shares, Split
from rewards.tables import DatasetRow, MemberRow, RemovalRow, VersionRow

_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class Placed:
    """An episode in its place in a version."""

    place: int
    member: Member
    task: str
    model: str
    duration_ms: int
    private: bool


def within(query: Select[*tuple[Any, ...]], dataset: int, version: int) -> Select[*tuple[Any, ...]]:
    """Narrow a query of members to those of a version, in its order."""
    same = RemovalRow.dataset == MemberRow.dataset, RemovalRow.place == MemberRow.place
    query = query.outerjoin(RemovalRow, and_(*same, RemovalRow.version <= version))
    there = MemberRow.dataset == dataset, MemberRow.added <= version, RemovalRow.place.is_(None)
    return query.where(*there).order_by(MemberRow.place)


def page(db: Session, dataset: int, version: int, limit: int, after: int = -1) -> list[Placed]:
    """Return at most `limit` members of a version, of the places after one."""
    columns = (MemberRow.place, MemberRow.episode, MemberRow.digest, MemberRow.sha256, MemberRow.size, MemberRow.split)
    more = (MemberRow.task, MemberRow.model, MemberRow.duration_ms, MemberRow.private)
    wanted = select(*columns, *more).select_from(MemberRow)
    rows = db.execute(within(wanted, dataset, version).where(MemberRow.place > after).limit(limit))
    return [
        Placed(row.place, Member(row.episode, row.digest, row.sha256, row.size, Split(row.split)), *row[-4:])
        for row in rows
    ]


def each(db: Session, dataset: int, version: int) -> Iterator[Placed]:
    """Yield the members of a version."""
    after = -1
    while found := page(db, dataset, version, _AT_ONCE, after):
        yield from found
        after = found[-1].place


def head(dataset: DatasetRow, row: VersionRow) -> DatasetVersion:
    """Return a version without its members."""
    return DatasetVersion(
        format=FORMAT,
        name=dataset.name,
        version=row.version,
        previous=row.previous,
        title=row.title,
        description=row.description,
        licence=row.licence,
        owner=row.owner,
        made_ms=row.made_ms,
        change=Change(ChangeKind(row.kind), row.reason, tuple(row.merged)),
        episodes=(),
        shares=Shares(row.train_ppm, row.validation_ppm, row.test_ppm),
    )
