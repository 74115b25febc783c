"""Searching the hub's episodes by the words of `rewards.datasets.words`, page by page, and whose neighbours they are.

A search reads one narrow table (`SearchedRow`), and of what it shows the episodes themselves. A page continues after a
row, not after a count. However wide a stranger's search is, it ends in `SEARCH_MAX_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, String, and_, func, literal, or_, select, union_all
from sqlalchemy.orm import Session, defer

from recorder.hub import motions
from recorder.hub.catalogue import EpisodeView, UnknownEpisodeError, view
from recorder.hub.readers import private_of
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from rewards.datasets.words import DatasetName, FilterValueError, Words
from rewards.hub.counting import Counts, Values
from rewards.hub.narrowing import KEYS, conditions, in_order, not_withdrawn, terms
from rewards.score.verdict import ONE_PPM
from rewards.tables import SearchedRow, WithdrawalRow
from teleop.hub.db import Database, ending_in

TOTAL_MAX: Final = 10_000
"""Whatever is found beyond this is not counted."""
SEARCH_MAX_S: Final = 2.0
"""What takes longer is ended; at a hundred thousand episodes a search takes a tenth of it."""
NEAREST: Final = 8
Members = Callable[[Session, DatasetName], Select[str]]
"""Selects the episodes of a data set; raises FilterValueError if there is none."""
_Place = tuple[str, int]
"""An episode, and what the order is by."""


class CursorError(ValueError):
    """`after` is not what an earlier page of this search gave as `next`."""


@dataclass(frozen=True, slots=True)
class Found(EpisodeView):
    """One episode that was found: all that anyone may see of it, and what it scored."""

    score: float | None
    """In [0, 1], by `rules`; None, as `rules` and `accepted`, before it is scored."""
    rules: str | None
    """The newest version of the rules that it is scored by."""
    accepted: bool | None
    practice: bool
    """Whether it was unpaid practice."""


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Some of the episodes that a search finds."""

    episodes: list[Found]
    next: str | None
    """`after` of the next page; None at the end."""
    total: int
    """How many there are, counted up to 10,000."""
    more: bool
    """Whether there are more than that."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The verified episodes before and after another; None at an end."""

    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Near:
    """An episode whose hands went a similar way."""

    episode: str
    apart_m: float
    """The root mean square over the way."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The verified episodes beside one: in time, of the same task and of the same operator, and in motion."""

    task: Beside
    operator: Beside
    motion: list[Near]
    """The nearest first; empty if its motion is not kept."""


class Search:
    """Finds episodes. Blocking: call it off the event loop."""

    def __init__(self, database: Database, members: Members | None = None, max_s: float = SEARCH_MAX_S) -> None:
        """`members` knows the data sets; without it there are none."""
        self._database, self._members, self._max_s = database, members, max_s
        self._counts = Counts()

    def page(self, words: Words) -> FoundPage:
        """Return a page; raise CursorError, FilterValueError (an unknown data set), or SlowQueryError."""
        with self._database() as db, ending_in(db, self._max_s):
            many, some = self._first(db, words, words.limit + 1)
            found = _found(db, some[: words.limit])
        return FoundPage(found, _next(words, some), min(many, TOTAL_MAX), many > TOTAL_MAX)

    def values(self, words: Words) -> Values:
        """Return the values that there are of each word under the others; raises as `page` does."""
        with self._database() as db, ending_in(db, self._max_s):
            return self._counts.values(db, words, lambda said, newest: self.where(db, said, walked=newest))

    def episodes(self, words: Words, limit: int) -> list[str]:
        """Return the first `limit` episodes that are found and not private, in their order; raises as `page` does."""
        with self._database() as db, ending_in(db, self._max_s):
            found = [episode for episode, _ in self._first(db, words, limit)[1]]
        private = frozenset(private_of(self._database, found))
        return [one for one in found if one not in private]

    def neighbours(self, episode: str) -> Neighbours:
        """Return what is beside an episode; raise UnknownEpisodeError, or SlowQueryError."""
        with self._database() as db, ending_in(db, self._max_s):
            here = db.get(SearchedRow, episode)
            if here is None:
                raise UnknownEpisodeError(f"expected an episode of this hub, got {episode[:80]!r}")
            return Neighbours(
                task=_beside(db, here, SearchedRow.task == here.task),
                operator=_beside(db, here, SearchedRow.operator == here.operator),
                motion=_near(db, episode),
            )

    def where(self, db: Session, words: Words, *, walked: bool) -> list[ColumnElement[bool]]:
        """Return what is true of a row that the words find; raise FilterValueError if they name no data set.

        `walked`: whether the rows are taken in their order until there are enough, so that an index may be walked.
        """
        said = terms(words)
        found = in_order(db, said, words.order) if walked else conditions(db, said)
        found.append(not_withdrawn())
        if words.parts:  # what a private drive's parts are is for those who may read it
            found.append(_not_private())
        if words.dataset is not None:
            found.append(SearchedRow.episode.in_(self._of_dataset(db, words.dataset)))
        if KEYS[words.order][0] is not SearchedRow.created_ms:
            found.append(KEYS[words.order][0].is_not(None))
        return found

    def _first(self, db: Session, words: Words, limit: int) -> tuple[int, list[_Place]]:
        """Return how many are found, counted up to one more than `TOTAL_MAX`, and the first after the cursor.

        If that is little, it is found once, and sorted; if it is much, an index is walked in the order.
        """
        key, falls = KEYS[words.order]
        few = select(SearchedRow.episode.label("episode"), key.label("key"))
        few_rows = few.where(*self.where(db, words, walked=False)).limit(TOTAL_MAX + 1).cte("few")
        many = select(func.count()).select_from(few_rows).scalar_subquery()
        at = few_rows.c.key
        first = select(few_rows.c.episode, at).where(many <= TOTAL_MAX, *_after(words, at, few_rows.c.episode, falls))
        first = first.order_by(*_ordered(at, few_rows.c.episode, falls)).limit(limit)
        told = select(literal(None, String).label("episode"), many.label("key"))
        counted, some = 0, []
        for episode, value in db.execute(union_all(told, select(first.subquery()))):
            if episode is None:
                counted = value
            else:
                some.append((episode, value))
        if counted <= TOTAL_MAX:
            return counted, sorted(some, key=lambda one: (one[1], one[0]), reverse=falls)
        walked = select(SearchedRow.episode, key).where(*self.where(db, words, walked=True))
        walked = walked.where(*_after(words, key.expression, SearchedRow.episode, falls))
        rows = db.execute(walked.order_by(*_ordered(key.expression, SearchedRow.episode, falls)).limit(limit))
        return counted, [(episode, value) for episode, value in rows]

    def _of_dataset(self, db: Session, name: DatasetName) -> Select[str]:
        if self._members is None:
            raise FilterValueError(f"dataset must be one of this hub's; there are none, got {str(name)!r}")
        return self._members(db, name)


def _near(db: Session, episode: str) -> list[Near]:
    here = db.get(EpisodeRow, episode)
    if here is None or here.private:  # how like it moved to what anyone can see would say how it moved
        return []
    near = [Near(one.episode, one.distance) for one in motions.nearest(db, episode, NEAREST)]
    ids = [one.episode for one in near]
    hidden = set(db.scalars(select(WithdrawalRow.episode).where(WithdrawalRow.episode.in_(ids))))
    hidden |= set(db.scalars(select(EpisodeRow.episode).where(EpisodeRow.episode.in_(ids), EpisodeRow.private)))
    return [one for one in near if one.episode not in hidden]


def _not_private() -> ColumnElement[bool]:
    """Return what is true of a row whose episode everybody may read."""
    return ~select(EpisodeRow.episode).where(EpisodeRow.episode == SearchedRow.episode, EpisodeRow.private).exists()


def _after(words: Words, key: ColumnElement[Any], episode: Any, falls: bool) -> list[ColumnElement[bool]]:
    """Return what is true of a row after the cursor."""
    if words.after is None:
        return []
    order, _, rest = words.after.partition(".")
    number, _, last = rest.partition(".")
    if not (order == words.order and number.isdecimal() and number.isascii() and len(number) <= 18 and last):
        raise CursorError(
            f"expected the `next` of an earlier page with the same words, the order too, got {words.after[:80]!r}"
        )
    at = literal(int(number), BigInteger)  # whatever a stranger makes up, it is no error of the database's
    if falls:
        return [key <= at, or_(key < at, and_(key == at, episode < last))]
    return [key >= at, or_(key > at, and_(key == at, episode > last))]


def _ordered(key: ColumnElement[Any], episode: Any, falls: bool) -> list[Any]:
    return [end.desc() if falls else end for end in (key, episode)]


def _next(words: Words, some: Sequence[_Place]) -> str | None:
    if len(some) <= words.limit:
        return None
    episode, key = some[words.limit - 1]
    return f"{words.order}.{key}.{episode}"


def found_of(db: Session, episodes: Sequence[str]) -> list[Found]:
    """Return what a search shows of these episodes."""
    return _found(db, [(episode, 0) for episode in episodes])


def _found(db: Session, some: Sequence[_Place]) -> list[Found]:
    ids = [episode for episode, _ in some]
    there = select(EpisodeRow, SearchedRow).join(SearchedRow, SearchedRow.episode == EpisodeRow.episode)
    rows = db.execute(there.where(EpisodeRow.episode.in_(ids)).options(defer(EpisodeRow.manifest)))
    found = {episode.episode: _one(episode, row) for episode, row in rows}
    return [found[episode] for episode in ids if episode in found]


def _one(episode: EpisodeRow, row: SearchedRow) -> Found:
    seen = view(episode)
    return Found(
        **{one.name: getattr(seen, one.name) for one in fields(EpisodeView)},
        score=None if row.score_ppm is None else row.score_ppm / ONE_PPM,
        rules=row.rules,
        accepted=row.accepted,
        practice=row.practice,
    )


def _beside(db: Session, here: SearchedRow, same: ColumnElement[bool]) -> Beside:
    verified = SearchedRow.state == EpisodeState.VERIFIED.value
    at, episode = SearchedRow.created_ms, SearchedRow.episode
    later = [at >= here.created_ms, or_(at > here.created_ms, episode > here.episode)]
    earlier = [at <= here.created_ms, or_(at < here.created_ms, episode < here.episode)]
    beside = select(episode).where(same, verified, not_withdrawn()).limit(1)
    return Beside(
        next=db.scalar(beside.where(*later).order_by(at, episode)),
        previous=db.scalar(beside.where(*earlier).order_by(at.desc(), episode.desc())),
    )
