"""Versions of data sets as whole documents, read from the tables, for what writes or gives them out."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from sqlalchemy import and_, or_, select

from rewards.datasets.version import NAME, DatasetVersion
from rewards.hub.datasets import members, shelf
from rewards.hub.datasets.refusals import UnknownDatasetError
from rewards.tables import MemberRow, RemovalRow, VersionRow, WithdrawalRow
from teleop.hub.db import Database

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class ShelvedVersions:
    """A `rewards.hub.exports.releases.Versions`. Every call blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self, name: str, number: int) -> DatasetVersion | None:
        """Return a version; None if there is no such data set, or no such version of it."""
        return self._read(f"{name}@{number}") if NAME.fullmatch(name) and _NUMBER.fullmatch(str(number)) else None

    def newest(self, name: str) -> DatasetVersion | None:
        """Return the newest version; None if there is no such data set."""
        return self._read(name) if NAME.fullmatch(name) else None

    def withdrawn(self, digests: Sequence[str]) -> frozenset[str]:
        """Return which of these versions have an episode whose operator has withdrawn it."""
        gone = and_(RemovalRow.dataset == MemberRow.dataset, RemovalRow.place == MemberRow.place)
        held = (
            select(VersionRow.digest)
            .join(MemberRow, and_(MemberRow.dataset == VersionRow.dataset, MemberRow.added <= VersionRow.version))
            .join(WithdrawalRow, WithdrawalRow.episode == MemberRow.episode)
            .outerjoin(RemovalRow, gone)
            .where(VersionRow.digest.in_(digests))
            .where(or_(RemovalRow.place.is_(None), RemovalRow.version > VersionRow.version))
        )
        with self._database() as db:
            return frozenset(db.scalars(held.distinct()))

    def _read(self, named: str) -> DatasetVersion | None:
        with self._database() as db:
            try:
                found = shelf.at(db, named)
            except UnknownDatasetError:
                return None
            episodes = tuple(one.member for one in members.each(db, found.row.dataset, found.row.version))
            return msgspec.structs.replace(members.head(found.dataset, found.row), episodes=episodes)
