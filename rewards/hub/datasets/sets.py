"""The data sets of a hub, as everything else asks for them: versions, members, what was withdrawn. It only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Final

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from rewards.datasets.version import DatasetVersion, Split, document
from rewards.datasets.words import DatasetName, FilterValueError
from rewards.hub.datasets import members
from rewards.hub.datasets.refusals import UnknownDatasetError
from rewards.hub.datasets.shelf import At, at
from rewards.hub.search import Found, found_of
from rewards.tables import CardRow, MemberRow, RemovalRow, VersionRow, WithdrawalRow
from teleop.hub.db import Database

PAGE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class InSet(Found):
    """An episode of a version: all that a search shows of it, and what it is for."""

    split: Split
    place: int
    """`after` of a page goes on after it."""
    withdrawn: bool
    """Whether its operator's consent has ended since: the newest version does not have it."""


@dataclass(frozen=True, slots=True)
class InSetPage:
    """Some of a version's episodes."""

    episodes: list[InSet]
    next: int | None
    """`after` of the next page; None at the end."""
    total: int


class Sets:
    """Blocking: call it off the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self, name: str, number: int | None = None) -> DatasetVersion | None:
        """Return a version, whole, or the newest; None if there is no such data set, or no such version of it."""
        with self._database() as db:
            try:
                found = at(db, name if number is None else f"{name}@{number}")
            except UnknownDatasetError:
                return None
            every = tuple(one.member for one in members.each(db, found.dataset.id, found.row.version))
            return msgspec.structs.replace(members.head(found.dataset, found.row), episodes=every)

    def newest(self, name: str) -> DatasetVersion | None:
        """Return the newest version, whole; None if there is no such data set."""
        return self.version(name)

    def document(self, named: str) -> Iterator[bytes]:
        """Yield the canonical bytes of `NS/NAME@N`, piece by piece; raise UnknownDatasetError before the first."""
        with self._database() as db:
            found = at(db, named)
            every = members.each(db, found.dataset.id, found.row.version)
            yield from document(members.head(found.dataset, found.row), (one.member for one in every))

    def page(self, named: str, limit: int, after: int = -1) -> InSetPage:
        """Return some episodes of `NS/NAME@N`, in its order; raise UnknownDatasetError."""
        with self._database() as db:
            found = at(db, named)
            placed = members.page(db, found.dataset.id, found.row.version, min(limit, PAGE_MAX) + 1, after)
            shown = placed[: min(limit, PAGE_MAX)]
            ids = [one.member.episode for one in shown]
            rows = {one.episode: one for one in found_of(db, ids)}
            gone = set(db.scalars(select(WithdrawalRow.episode).where(WithdrawalRow.episode.in_(ids))))
            episodes = [_in_set(rows[one.member.episode], one, one.member.episode in gone) for one in shown]
        return InSetPage(episodes, shown[-1].place if len(placed) > len(shown) else None, found.row.episodes)

    def withdrawn(self, digests: Sequence[str]) -> frozenset[str]:
        """Return which of these versions have an episode whose operator's consent has ended."""
        with self._database() as db:
            return frozenset(one for one in digests if self._has_withdrawn(db, one))

    def _has_withdrawn(self, db: Session, digest: str) -> bool:
        row = db.scalar(select(VersionRow).where(VersionRow.digest == digest))
        if row is None:
            return False
        gone = select(MemberRow.episode).join(WithdrawalRow, WithdrawalRow.episode == MemberRow.episode)
        return db.scalar(members.within(gone, row.dataset, row.version).limit(1)) is not None


def of_dataset(db: Session, name: DatasetName) -> Select[str]:
    """Select the episodes of a data set, for a search; raise FilterValueError if there is no such data set."""
    try:
        found = at(db, str(name))
    except UnknownDatasetError as error:
        raise FilterValueError(f"dataset must be one of this hub's: {error}") from error
    gone = RemovalRow.dataset == MemberRow.dataset, RemovalRow.place == MemberRow.place
    there = MemberRow.dataset == found.dataset.id, MemberRow.added <= found.row.version
    removed = select(RemovalRow.place).where(*gone, RemovalRow.version <= found.row.version).exists()
    return select(MemberRow.episode).where(*there, ~removed)


def card_of(db: Session, found: At) -> bytes | None:
    """Return a version's card, as it is kept; None if it is not made yet."""
    return db.scalar(select(CardRow.card).where(CardRow.digest == found.row.digest))


def _in_set(found: Found, placed: members.Placed, withdrawn: bool) -> InSet:
    said = {one.name: getattr(found, one.name) for one in fields(Found)}
    return InSet(**said, split=placed.member.split, place=placed.place, withdrawn=withdrawn)
