"""Makes versions of data sets: each change is one transaction, and no version is ever changed or lost.

Two who change a data set at once get two versions, one after the other: the second is made of the first. Before any
other change, what its operator has withdrawn goes, in a version of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from recorder.file.layout import EPISODE_ID
from recorder.hub.states import EpisodeState
from rewards.datasets.splits import Joining, assign
from rewards.datasets.version import (
    Change,
    ChangeKind,
    DatasetNameError,
    Shares,
    Split,
    require_name,
)
from rewards.datasets.words import Words
from rewards.hub.datasets import members
from rewards.hub.datasets.candidates import Candidate, candidates, chunks
from rewards.hub.datasets.next import Next, make
from rewards.hub.datasets.reading import require_readable, require_seen
from rewards.hub.datasets.refusals import (
    DatasetNameInvalidError,
    DatasetThereError,
    LicencesDifferError,
    NoEpisodesError,
    NothingNewError,
    NotInDatasetError,
    NotTheNamespaceError,
    TooManyDatasetsError,
    TooManyEpisodesError,
    TooManyNamespacesError,
    TornEpisodesError,
    UnknownDatasetError,
)
from rewards.hub.datasets.shelf import At, at, newest
from rewards.hub.datasets.texts import REASON_MAX, Described, described, text
from rewards.ledger import ledger
from rewards.tables import DatasetRow, MemberRow, NamespaceRow, WithdrawalRow
from teleop.clock import now_ms
from teleop.hub.db import Database

T = TypeVar("T")

EPISODES_MAX: Final = 100_000
"""Of one version."""
NAMESPACES_MAX: Final = 20
"""Of one wallet."""
DATASETS_MAX: Final = 200
"""Of one namespace."""
Find = Callable[[Words, int], Sequence[str]]
"""Returns the episodes that a search finds, at most so many; `rewards.hub.search.Search.episodes` is one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which episodes are to come: those of these ids, and those that a search finds."""

    episodes: tuple[str, ...] = ()
    search: Words | None = None
    """Only verified episodes are found, and practice drives only if that is asked for."""
    practice: bool = False
    """Whether practice drives may be among them."""

    @property
    def any_practice(self) -> bool:
        """Whether practice drives were asked for."""
        return self.practice or (self.search is not None and self.search.practice is True)


class Changes:
    """Blocking: call it off the event loop. Every method raises a DatasetRefusedError, and has then done nothing."""

    def __init__(
        self, database: Database, find: Find, clock_ms: Callable[[], int] = now_ms, episodes_max: int = EPISODES_MAX
    ) -> None:
        self._database, self._find, self._clock_ms, self._episodes_max = database, find, clock_ms, episodes_max

    def create(self, owner: str, name: str, said: Described, chosen: Chosen, shares: Shares) -> At:
        """Make the first version of a data set."""
        try:
            require_name(name)
        except DatasetNameError as error:
            raise DatasetNameInvalidError(str(error)) from error
        asked = partial(self._create, owner=owner, name=name, said=said, shares=shares)
        return self._write(partial(asked, chosen=self._looked_up(chosen, owner)))

    def append(self, owner: str, name: str, chosen: Chosen, reason: str) -> At:
        """Add episodes at the end."""
        asked = partial(self._append, owner=owner, name=name, reason=_reason(reason))
        return self._write(partial(asked, chosen=self._looked_up(chosen, owner)))

    def withdraw(self, owner: str, name: str, episodes: Sequence[str], reason: str) -> At:
        """Take episodes out."""
        return self._write(partial(self._withdraw, owner=owner, name=name, episodes=episodes, reason=_reason(reason)))

    def merge(self, owner: str, name: str, other: str, reason: str, *, practice: bool) -> At:
        """Add what another data set has, `NS/NAME` or `NS/NAME@N`, with its splits."""
        return self._write(
            partial(self._merge, owner=owner, name=name, other=other, reason=_reason(reason), practice=practice)
        )

    def describe(self, owner: str, name: str, reason: str, **said: str) -> At:
        """Change the `title`, the `description` or the `licence`; what is empty, or left out, stays."""
        return self._write(partial(self._describe, owner=owner, name=name, said=said, reason=_reason(reason)))

    def without_withdrawn(self, dataset: int) -> At | None:
        """Take out what its operator has withdrawn; None if there is nothing of that."""
        return self._write(partial(self._without_withdrawn, dataset=dataset))

    def _write(self, work: Callable[[Session], T]) -> T:
        return ledger.write(self._database, work)

    def _create(self, db: Session, *, owner: str, name: str, said: Described, chosen: Chosen, shares: Shares) -> At:
        self._own_namespace(db, owner, name.partition("/")[0])
        if db.scalar(select(DatasetRow.id).where(DatasetRow.name == name)) is not None:
            raise DatasetThereError(f"{name} is there already: append to it, or choose another name")
        self._require_place(db, name.partition("/")[0])
        dataset = DatasetRow(name=name, namespace=name.partition("/")[0], made_ms=self._clock_ms())
        db.add(dataset)
        db.flush()
        found = self._chosen(db, chosen)
        if not found:
            raise NoEpisodesError("expected at least one episode: name some, or search for what there is")
        what = Next(dataset, None, owner, said, shares, Change(ChangeKind.CREATED, ""))
        return self._with(db, what, found, lenient=chosen.search is not None)

    def _append(self, db: Session, *, owner: str, name: str, chosen: Chosen, reason: str) -> At:
        what = self._owned(db, owner, name, Change(ChangeKind.APPENDED, reason))
        found = self._new(db, what, self._chosen(db, chosen))
        return self._with(db, what, found, lenient=chosen.search is not None)

    def _withdraw(self, db: Session, *, owner: str, name: str, episodes: Sequence[str], reason: str) -> At:
        what = self._owned(db, owner, name, Change(ChangeKind.WITHDRAWN, reason))
        wanted = list(dict.fromkeys(episodes))
        there = _places(db, what, [one for one in wanted if EPISODE_ID.fullmatch(one)])
        if lost := [one for one in wanted if one not in there]:
            raise NotInDatasetError(lost)
        if not there:
            raise NothingNewError("expected episodes to take out, got none")
        return make(db, replace(what, removed=tuple(there.values())), self._clock_ms())

    def _merge(self, db: Session, *, owner: str, name: str, other: str, reason: str, practice: bool) -> At:
        source = at(db, other)
        require_seen(db, source, owner)
        change = Change(ChangeKind.MERGED, reason, (source.row.digest,))
        what = self._owned(db, owner, name, change)
        if source.row.licence != what.described.licence:
            both = f"{name} is given under {what.described.licence}, and {other} under {source.row.licence}"
            raise LicencesDifferError(f"{both}: give both under one licence first, if you may")
        every = members.each(db, source.dataset.id, source.row.version)
        wanted = {one.member.episode: one.member.split for one in every}
        gone = _withdrawn_of(db, source)
        ids = [one for one in wanted if one not in gone]
        found = self._new(db, what, candidates(db, ids, practice=practice))
        return self._with(db, what, found, wanted)

    def _describe(self, db: Session, *, owner: str, name: str, said: Mapping[str, str], reason: str) -> At:
        what = self._owned(db, owner, name, Change(ChangeKind.DESCRIBED, reason))
        given = {field: value for field, value in said.items() if value}
        then = described(**(asdict(what.described) | given))
        if then == what.described:
            raise NothingNewError(f"{name} has this title, description and licence already")
        return make(db, replace(what, described=then), self._clock_ms())

    def _without_withdrawn(self, db: Session, *, dataset: int) -> At | None:
        locked = (
            select(DatasetRow).where(DatasetRow.id == dataset).with_for_update()
        )  # nobody else changes it meanwhile
        found = newest(db, db.scalars(locked).one())
        gone = _withdrawn_of(db, found)
        if not gone:
            return None
        reasons = dict.fromkeys(reason for _, reason in gone.values() if reason)
        said = "; ".join(["their operators' consent has ended", *reasons])[:REASON_MAX]
        owner = db.get_one(NamespaceRow, found.dataset.namespace).owner
        what = Next.after(found, owner, Change(ChangeKind.WITHDRAWN, said))
        return make(db, replace(what, removed=tuple(place for place, _ in gone.values())), self._clock_ms())

    def _own_namespace(self, db: Session, owner: str, namespace: str) -> None:
        row = db.get(NamespaceRow, namespace)
        if row is not None and row.owner == owner:
            return
        if row is not None:
            raise NotTheNamespaceError(f"{namespace} belongs to {row.owner}: choose another name before the slash")
        held = db.scalar(select(func.count()).select_from(NamespaceRow).where(NamespaceRow.owner == owner)) or 0
        if held >= NAMESPACES_MAX:
            raise TooManyNamespacesError(f"a wallet may have {NAMESPACES_MAX} namespaces, and yours has that many")
        db.add(NamespaceRow(namespace=namespace, owner=owner, made_ms=self._clock_ms()))
        db.flush()

    def _require_place(self, db: Session, namespace: str) -> None:
        mine = select(func.count()).select_from(DatasetRow).where(DatasetRow.namespace == namespace)
        if (db.scalar(mine) or 0) >= DATASETS_MAX:
            raise TooManyDatasetsError(f"a namespace may have {DATASETS_MAX} data sets, and {namespace} has that many")

    def _owned(self, db: Session, owner: str, name: str, change: Change) -> Next:
        """Return the version that comes next, as its owner may make it: without what has been withdrawn."""
        dataset = at(db, name).dataset
        row = db.get_one(NamespaceRow, dataset.namespace)
        if row.owner != owner:
            raise NotTheNamespaceError(f"{name} can only be changed by {row.owner}, who owns {row.namespace}")
        found = self._without_withdrawn(db, dataset=dataset.id) or newest(db, dataset)
        return Next.after(found, owner, change)

    def _looked_up(self, chosen: Chosen, owner: str) -> Chosen:
        """Return it with what its search finds: before the transaction, which checks each of them again.

        What is private is never found: it is named, so that nobody's data set is private by a chance.
        """
        found: Sequence[str] = ()
        if chosen.search is not None:
            if chosen.search.dataset is not None:
                self._require_seen(str(chosen.search.dataset), owner)
            words = replace(chosen.search, state=EpisodeState.VERIFIED)
            if not chosen.any_practice:  # what has no score yet may turn out to be practice
                words = replace(words, practice=False, score_min_ppm=words.score_min_ppm or 0)
            found = self._find(words, self._episodes_max + 1)
        ids = tuple(dict.fromkeys((*chosen.episodes, *found)))
        self._require_room(len(ids))
        return replace(chosen, episodes=ids)

    def _require_seen(self, name: str, owner: str) -> None:
        with self._database() as db, suppress(UnknownDatasetError):  # which the search itself names
            require_seen(db, at(db, name), owner)

    def _chosen(self, db: Session, chosen: Chosen) -> list[Candidate]:
        return candidates(db, chosen.episodes, practice=chosen.any_practice)

    def _new(self, db: Session, what: Next, found: list[Candidate]) -> list[Candidate]:
        there = _places(db, what, [one.episode for one in found])
        return [one for one in found if one.episode not in there]

    def _with(
        self,
        db: Session,
        what: Next,
        found: list[Candidate],
        wanted: Mapping[str, Split] | None = None,
        *,
        lenient: bool = False,
    ) -> At:
        """Make a version with these episodes too. `lenient`: leave out what would leak, instead of refusing it."""
        require_readable(db, [one.episode for one in found if one.private], what.owner)
        joining = [Joining(one.episode, one.start, one.motion, (wanted or {}).get(one.episode)) for one in found]
        assigned = assign(what.shares, _groups(db, what.dataset.id, found), joining)
        if assigned.torn and not lenient:
            raise TornEpisodesError(assigned.torn)
        added = tuple((one, assigned.splits[one.episode]) for one in found if one.episode in assigned.splits)
        if not added:
            raise NothingNewError(f"{what.dataset.name} would have no episode that it does not have already")
        self._require_room(len(added) + (0 if what.previous is None else what.previous.episodes))
        return make(db, replace(what, added=added), self._clock_ms())

    def _require_room(self, count: int) -> None:
        if count > self._episodes_max:
            raise TooManyEpisodesError(
                f"expected at most {self._episodes_max} episodes in a version, got {count}: make several data sets"
            )


def _reason(given: str) -> str:
    return text("reason", given, REASON_MAX)


def _places(db: Session, what: Next, episodes: Sequence[str]) -> dict[str, int]:
    """Return which of these episodes the version before has, and in which places."""
    if what.previous is None:
        return {}
    found: dict[str, int] = {}
    for some in chunks(episodes):
        query = select(MemberRow.episode, MemberRow.place).where(MemberRow.episode.in_(some))
        rows = db.execute(members.within(query, what.dataset.id, what.previous.version))
        found.update((row.episode, row.place) for row in rows)
    return found


def _withdrawn_of(db: Session, found: At) -> dict[str, tuple[int, str]]:
    """Return what of a version its operators have withdrawn: episode -> its place, and why."""
    query = select(MemberRow.episode, MemberRow.place, WithdrawalRow.reason).join(
        WithdrawalRow, WithdrawalRow.episode == MemberRow.episode
    )
    rows = db.execute(members.within(query, found.dataset.id, found.row.version))
    return {row.episode: (row.place, row.reason) for row in rows}


def _groups(db: Session, dataset: int, found: Sequence[Candidate]) -> dict[str, Split]:
    """Return in which splits the data set has, or ever had, episodes that began or moved like these."""
    starts, motions = [one.start for one in found], [one.motion for one in found if one.motion is not None]
    columns: tuple[InstrumentedAttribute[Any], ...] = MemberRow.start, MemberRow.motion
    groups: dict[str, Split] = {}
    for column, values in zip(columns, (starts, motions), strict=True):
        for some in chunks(values):
            query = select(column, MemberRow.split).where(MemberRow.dataset == dataset, column.in_(some)).distinct()
            groups.update((key, Split(split)) for key, split in db.execute(query))
    return groups
