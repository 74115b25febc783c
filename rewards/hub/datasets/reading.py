"""Who may read a version of a data set that has private episodes, and what its owner may let others read.

A version that has any is private as to its content: its owner and its readers see which episodes those are. A right by
a data set lasts for as long as the data set has the episode, its owner names the reader, and this owner may read the
episode at first hand: nobody passes on what they only read by somebody else's data set.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Select, and_, delete, select
from sqlalchemy.orm import Session

from recorder.hub.readers import Asker, Readers, What, closed_to, not_first_hand
from recorder.hub.tables import EpisodeRow
from rewards.hub.datasets import members
from rewards.hub.datasets.refusals import NotTheNamespaceError, PrivateDatasetError, PrivateEpisodesError
from rewards.hub.datasets.shelf import At, at, newest
from rewards.ledger import ledger
from rewards.tables import DatasetRow, MemberRow, NamespaceRow, RemovalRow, SetReaderRow, VersionRow
from teleop.clock import now_ms
from teleop.hub.db import Database

_NOTED_S: Final = 600.0
"""A wallet that reads file after file of a released version is noted once in this time."""
_NOTED_MAX: Final = 1000


class ByDatasets:
    """Who reads an episode by a data set: a `recorder.hub.readers.Beside`."""

    def lets(self, db: Session, episode: str, wallet: str) -> bool:
        """Return whether a data set lets a wallet read an episode."""
        owners = {row.owner for row in db.execute(_holding(episode).where(SetReaderRow.wallet == wallet))}
        return any(not not_first_hand(db, [episode], owner) for owner in owners)

    def named(self, db: Session, episode: str) -> dict[str, str]:
        """Return the wallets that data sets let read an episode, each with a data set."""
        rows = db.execute(_holding(episode).order_by(DatasetRow.name.desc())).all()
        may = {owner: not not_first_hand(db, [episode], owner) for owner in {row.owner for row in rows}}
        return {row.wallet: row.name for row in rows if may[row.owner]}


def _holding(episode: str) -> Select[*tuple[Any, ...]]:
    """Select the readers of the data sets whose newest version has an episode, with the data set and its owner."""
    gone = and_(RemovalRow.dataset == MemberRow.dataset, RemovalRow.place == MemberRow.place)
    return (
        select(SetReaderRow.wallet, DatasetRow.name, NamespaceRow.owner)
        .join(MemberRow, MemberRow.dataset == SetReaderRow.dataset)
        .join(DatasetRow, DatasetRow.id == SetReaderRow.dataset)
        .join(NamespaceRow, NamespaceRow.namespace == DatasetRow.namespace)
        .outerjoin(RemovalRow, gone)
        .where(MemberRow.episode == episode, RemovalRow.place.is_(None))
    )


def sees(db: Session, found: At, wallet: str | None) -> bool:
    """Return whether a wallet may see which episodes a version has: anybody, if none of them is private."""
    if not found.row.private:
        return True
    return wallet is not None and (wallet == _owner(db, found) or reads(db, found, wallet))


def reads(db: Session, found: At, wallet: str | None) -> bool:
    """Return whether a wallet may read all episodes of a version: anybody, if none of them is private."""
    if not found.row.private:
        return True
    if wallet is None:
        return False
    pairs = _pairs(db, found)
    if not closed_to(db, pairs, wallet):
        return True
    named = db.get(SetReaderRow, (found.dataset.id, wallet)) is not None
    return named and not closed_to(db, pairs, _owner(db, found))


def require_seen(db: Session, found: At, wallet: str | None) -> None:
    """Raise PrivateDatasetError unless a wallet may see which episodes a version has."""
    if not sees(db, found, wallet):
        raise PrivateDatasetError(_stranger(found, wallet))


def require_read(db: Session, found: At, wallet: str | None) -> None:
    """Raise PrivateDatasetError unless a wallet may read all episodes of a version."""
    if not reads(db, found, wallet):
        raise PrivateDatasetError(_stranger(found, wallet))


def require_readable(db: Session, episodes: Iterable[str], wallet: str) -> None:
    """Raise PrivateEpisodesError if a wallet may not read some of these private episodes."""
    by_datasets = ByDatasets()
    first = not_first_hand(db, list(episodes), wallet)
    if closed := [one for one in first if not by_datasets.lets(db, one, wallet)]:
        raise PrivateEpisodesError(closed)


class SetReaders:
    """The readers of data sets, and what they are given. Blocking: call it off the event loop."""

    def __init__(self, database: Database, readers: Readers, clock_ms: Callable[[], int] = now_ms) -> None:
        self._database, self._readers, self._clock_ms = database, readers, clock_ms
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def of(self, name: str, wallet: str) -> tuple[str, list[str]]:
        """Return a data set's name and readers, to its owner and to them; raise a DatasetRefusedError."""
        with self._database() as db:
            found = at(db, name)
            named = _readers(db, found.dataset.id)
            if wallet != _owner(db, found) and wallet not in named:
                raise PrivateDatasetError(f"only the owner of {found.dataset.name} and its readers see who they are")
            return found.dataset.name, named

    def put(self, name: str, owner: str, wallets: Sequence[str]) -> list[str]:
        """Let these wallets read a data set, and no others, as its owner; raise a DatasetRefusedError."""
        return ledger.write(self._database, partial(self._put, name=name, owner=owner, wallets=wallets))

    def closed(self, digests: Sequence[str], asker: Asker) -> frozenset[str]:
        """Return which of these versions whoever asks may not read; note that they are given the others."""
        with self._database() as db:
            rows = list(db.scalars(select(VersionRow).where(VersionRow.digest.in_(digests), VersionRow.private)))
            if not rows:
                return frozenset()
            wallet = asker.wallet()
            found = [At(db.get_one(DatasetRow, row.dataset), row) for row in rows]
            closed = frozenset(one.row.digest for one in found if not reads(db, one, wallet))
        if wallet is not None:
            for one in found:
                if one.row.digest not in closed:
                    self._note_now_and_then(one, wallet, asker.purpose)
        return closed

    def require(self, named: str, asker: Asker, *, note: bool = False) -> None:
        """Raise a DatasetRefusedError unless whoever asks may read all of a version; note that it is given to them."""
        with self._database() as db:
            found = at(db, named)
            if not found.row.private:
                return
            wallet = asker.wallet()
            require_read(db, found, wallet)
        if note and wallet is not None:
            self._note(found, wallet, asker.purpose)

    def _note_now_and_then(self, found: At, wallet: str, purpose: str) -> None:
        key, now_s = (wallet, found.row.digest), time.monotonic()
        if now_s - self._noted.get(key, -_NOTED_S) < _NOTED_S:
            return
        self._note(found, wallet, purpose)
        self._noted[key] = now_s
        while len(self._noted) > _NOTED_MAX:
            self._noted.popitem(last=False)

    def _note(self, found: At, wallet: str, purpose: str) -> None:
        said = f"{found.dataset.name}@{found.row.version}" + (f": {purpose}" if purpose else "")
        with self._database() as db:
            ids = list(db.scalars(_private(found, select(MemberRow.episode))))
        self._readers.note_all(ids, wallet, What.EXPORT, said)

    def _put(self, db: Session, *, name: str, owner: str, wallets: Sequence[str]) -> list[str]:
        dataset = db.scalars(select(DatasetRow).where(DatasetRow.id == at(db, name).dataset.id).with_for_update()).one()
        found = newest(db, dataset)
        if owner != _owner(db, found):
            raise NotTheNamespaceError(f"only {_owner(db, found)}, who owns {dataset.namespace}, names its readers")
        wanted = list(dict.fromkeys(wallets))
        if wanted:
            ids = list(db.scalars(_private(found, select(MemberRow.episode))))
            if closed := not_first_hand(db, ids, owner):
                raise PrivateEpisodesError(closed)
        named = set(_readers(db, dataset.id))
        gone = SetReaderRow.dataset == dataset.id, SetReaderRow.wallet.in_(named - set(wanted))
        db.execute(delete(SetReaderRow).where(*gone))
        new = [one for one in wanted if one not in named]
        db.add_all(SetReaderRow(dataset=dataset.id, wallet=one, added_ms=self._clock_ms()) for one in new)
        db.flush()
        return _readers(db, dataset.id)


def _readers(db: Session, dataset: int) -> list[str]:
    rows = select(SetReaderRow.wallet).where(SetReaderRow.dataset == dataset)
    return list(db.scalars(rows.order_by(SetReaderRow.added_ms, SetReaderRow.wallet)))


def _owner(db: Session, found: At) -> str:
    return db.get_one(NamespaceRow, found.dataset.namespace).owner


def _private(found: At, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Narrow a query of members to the private ones of a version."""
    return members.within(query, found.row.dataset, found.row.version).where(MemberRow.private)


def _pairs(db: Session, found: At) -> set[tuple[str, str]]:
    """Return whose private episodes a version has: each robot with each operator."""
    both = select(EpisodeRow.robot, EpisodeRow.operator).join(MemberRow, MemberRow.episode == EpisodeRow.episode)
    query = _private(found, both).order_by(None).distinct()
    return {(row.robot, row.operator) for row in db.execute(query)}


def _stranger(found: At, wallet: str | None) -> str:
    who = "sign in as one of them" if wallet is None else f"{wallet} is not one of them"
    what = f"{found.dataset.name}@{found.row.version} has private episodes"
    return f"{what}: it is given to its owner and to the readers that they name, if these may read them; {who}"
