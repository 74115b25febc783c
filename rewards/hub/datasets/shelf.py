"""Finds data sets and their versions, and lists them, newest first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from rewards.datasets.version import NAME
from rewards.hub.datasets.refusals import UnknownDatasetError
from rewards.hub.search import CursorError
from rewards.tables import ContentRow, DatasetRow, MemberRow, RemovalRow, VersionRow

PAGE_MAX: Final = 200
_AT: Final = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class At:
    """A version of a data set, as the tables have it."""

    dataset: DatasetRow
    row: VersionRow


@dataclass(frozen=True, slots=True)
class Shelf:
    """Some data sets, each in its newest version, and the cursor of the next page, or None at the end."""

    found: list[At]
    next: str | None


def at(db: Session, named: str) -> At:
    """Return the version that is called `NS/NAME@N`, or the newest of `NS/NAME`; raise UnknownDatasetError."""
    said = _AT.fullmatch(named)
    dataset = None if said is None else db.scalar(select(DatasetRow).where(DatasetRow.name == said[1]))
    if said is None or dataset is None:
        raise UnknownDatasetError(f"there is no data set called {named[:120]!r} here: write NAMESPACE/NAME, or with @N")
    found = newest(db, dataset)
    if said[2] is None or int(said[2]) == found.row.version:
        return found
    row = db.get(VersionRow, (dataset.id, int(said[2])))
    if row is None:
        raise UnknownDatasetError(f"{dataset.name} has the versions 1 to {found.row.version}, got {said[2]}")
    return At(dataset, row)


def newest(db: Session, dataset: DatasetRow) -> At:
    """Return the newest version."""
    rows = select(VersionRow).where(VersionRow.dataset == dataset.id)
    return At(dataset, db.scalars(rows.order_by(VersionRow.version.desc()).limit(1)).one())


def versions(db: Session, dataset: DatasetRow, limit: int, before: int | None = None) -> Shelf:
    """Return versions of a data set, newest first, from before one on."""
    rows = select(VersionRow).where(VersionRow.dataset == dataset.id)
    if before is not None:
        rows = rows.where(VersionRow.version < before)
    found = list(db.scalars(rows.order_by(VersionRow.version.desc()).limit(limit + 1)))
    more = str(found[limit - 1].version) if len(found) > limit else None
    return Shelf([At(dataset, row) for row in found[:limit]], more)


def shelf(
    db: Session, *, query: str = "", task: str = "", episode: str = "", limit: int = 50, after: str | None = None
) -> Shelf:
    """Return data sets: with every word of `query` in their name, title or description, of a task, with an episode.

    Raises CursorError.
    """
    wanted = _newest()
    if not (query + task + episode).isprintable():
        return Shelf([], None)  # no text here has what nobody can see, and PostgreSQL refuses to look for some of it
    for word in query.split()[:10]:
        columns = DatasetRow.name, VersionRow.title, VersionRow.description
        wanted = wanted.where(or_(*(column.icontains(word, autoescape=True) for column in columns)))
    if task:
        same = ContentRow.dataset == VersionRow.dataset, ContentRow.version == VersionRow.version
        there = select(ContentRow.value).where(*same, ContentRow.kind == "task", ContentRow.value == task)
        wanted = wanted.where(there.exists())
    if episode:  # which ones a private version has is for its readers
        wanted = wanted.where(DatasetRow.id.in_(_with(episode)), VersionRow.private.is_(False))
    if after is not None:
        made_ms, dataset = _cursor(after)
        older = and_(VersionRow.made_ms == made_ms, VersionRow.dataset < dataset)
        wanted = wanted.where(or_(VersionRow.made_ms < made_ms, older))
    order = VersionRow.made_ms.desc(), VersionRow.dataset.desc()
    rows = db.execute(wanted.order_by(*order).limit(limit + 1)).all()
    shown = [At(row[0], row[1]) for row in rows[:limit]]
    more = f"{shown[-1].row.made_ms}.{shown[-1].dataset.id}" if len(rows) > limit else None
    return Shelf(shown, more)


def contents(db: Session, found: Sequence[At]) -> dict[tuple[int, int], dict[str, dict[str, int]]]:
    """Return how many episodes of each task and model these have: (data set, version) -> kind -> value -> count."""
    made: dict[tuple[int, int], dict[str, dict[str, int]]] = {
        (one.row.dataset, one.row.version): {"task": {}, "model": {}} for one in found
    }
    rows = select(ContentRow).where(tuple_(ContentRow.dataset, ContentRow.version).in_(list(made)))
    for row in db.scalars(rows.order_by(ContentRow.episodes.desc(), ContentRow.value)):
        made[row.dataset, row.version][row.kind][row.value] = row.episodes
    return made


def counts(db: Session, found: Sequence[At]) -> dict[int, int]:
    """Return how many versions each data set has."""
    ids = {one.dataset.id for one in found}
    rows = select(VersionRow.dataset, func.max(VersionRow.version)).where(VersionRow.dataset.in_(ids))
    return {row[0]: row[1] for row in db.execute(rows.group_by(VersionRow.dataset))}


def _newest() -> Select[DatasetRow, VersionRow]:
    last = select(VersionRow.dataset, func.max(VersionRow.version).label("version")).group_by(VersionRow.dataset)
    one = last.subquery()
    newest_ones = select(DatasetRow, VersionRow).join(VersionRow, VersionRow.dataset == DatasetRow.id)
    return newest_ones.join(one, and_(one.c.dataset == VersionRow.dataset, one.c.version == VersionRow.version))


def _with(episode: str) -> Select[int]:
    """Select the data sets whose newest version has an episode."""
    gone = and_(RemovalRow.dataset == MemberRow.dataset, RemovalRow.place == MemberRow.place)
    placed = select(MemberRow.dataset).outerjoin(RemovalRow, gone)
    return placed.where(MemberRow.episode == episode, RemovalRow.place.is_(None))


def _cursor(after: str) -> tuple[int, int]:
    made_ms, _, dataset = after.partition(".")
    if not all(one.isascii() and one.isdecimal() and len(one) <= 18 for one in (made_ms, dataset)):
        raise CursorError(f"expected the `next` of an earlier page, got {after[:80]!r}")
    return int(made_ms), int(dataset)
