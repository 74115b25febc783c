"""Searching the hub's episodes by the words of `rewards.datasets.words`, page by page, and whose neighbours they are.

A search reads one narrow table (`SearchedRow`), and of what it shows the episodes themselves. A page continues after a
row, not after a count. However wide a stranger's search is, it ends in `SEARCH_MAX_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as changed
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, defer

from recorder.hub import motions
from recorder.hub.catalogue import EpisodeView, UnknownEpisodeError, view
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from rewards.datasets.words import DatasetName, FilterValueError, Order, Words
from rewards.score.verdict import ONE_PPM
from rewards.tables import SearchedRow
from teleop.hub.db import Database, ending_in

TOTAL_MAX: Final = 10_000
"""Whatever is found beyond this is not counted."""
VALUES_MAX: Final = 100
"""How many values of a word are listed, those of the most episodes."""
SEARCH_MAX_S: Final = 2.0
"""What takes longer is ended; at a hundred thousand episodes a search takes a tenth of it."""
NEAREST: Final = 8
Members = Callable[[Session, DatasetName], "Select[tuple[str]]"]
"""Selects the episodes of a data set; raises FilterValueError if there is none."""


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
class Value:
    """A value of a word, and how many episodes have it."""

    value: str
    episodes: int


@dataclass(frozen=True, slots=True)
class Values:
    """What there is to search for, each word's values under the other words; at most 100, those of most episodes."""

    task: list[Value]
    model: list[Value]
    robot: list[Value]
    operator: list[Value]
    driver: list[Value]
    trust: list[Value]


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


_Column = InstrumentedAttribute[Any]
_KEYS: Final[Mapping[Order, tuple[_Column, bool]]] = {
    Order.NEWEST: (SearchedRow.created_ms, True),
    Order.OLDEST: (SearchedRow.created_ms, False),
    Order.BEST: (SearchedRow.score_ppm, True),
    Order.WORST: (SearchedRow.score_ppm, False),
    Order.LONGEST: (SearchedRow.duration_ms, True),
    Order.SHORTEST: (SearchedRow.duration_ms, False),
}
"""What an order is by, and whether it falls."""
_SAME: Final[Mapping[str, _Column]] = {
    "task": SearchedRow.task,
    "robot": SearchedRow.robot,
    "model": SearchedRow.model,
    "operator": SearchedRow.operator,
    "success": SearchedRow.success,
    "state": SearchedRow.state,
    "trust": SearchedRow.trust,
    "driver": SearchedRow.driver_kind,
    "practice": SearchedRow.practice,
}
_LEAST: Final[Mapping[str, _Column]] = {
    "score_min_ppm": SearchedRow.score_ppm,
    "duration_min_ms": SearchedRow.duration_ms,
    "since_ms": SearchedRow.created_ms,
}
_MOST: Final[Mapping[str, _Column]] = {
    "score_max_ppm": SearchedRow.score_ppm,
    "duration_max_ms": SearchedRow.duration_ms,
}
_COUNTED: Final = tuple(one.name for one in fields(Values))


class Search:
    """Finds episodes. Blocking: call it off the event loop."""

    def __init__(self, database: Database, members: Members | None = None, max_s: float = SEARCH_MAX_S) -> None:
        """`members` knows the data sets; without it there are none."""
        self._database, self._members, self._max_s = database, members, max_s

    def page(self, words: Words) -> FoundPage:
        """Return a page; raise CursorError, FilterValueError (an unknown data set), or SlowQueryError."""
        with self._database() as db, ending_in(db, self._max_s):
            where = self.where(db, words)
            key, falls = _KEYS[words.order]
            shown = select(SearchedRow).where(*where, *_after(words, key, falls))
            ends = [key, SearchedRow.episode]
            shown = shown.order_by(*(end.desc() if falls else end for end in ends)).limit(words.limit + 1)
            rows = db.scalars(shown).all()
            many = _count(db, where)
            found = _found(db, rows[: words.limit])
        return FoundPage(found, _next(words, rows), min(many, TOTAL_MAX), many > TOTAL_MAX)

    def values(self, words: Words) -> Values:
        """Return the values that there are of each word under the others; raises as `page` does."""
        with self._database() as db, ending_in(db, self._max_s):
            return Values(**{name: self._counted(db, words, name) for name in _COUNTED})

    def episodes(self, words: Words, limit: int) -> list[str]:
        """Return the first `limit` episodes that are found, in their order, whatever `after` says; raises as `page`."""
        with self._database() as db, ending_in(db, self._max_s):
            key, falls = _KEYS[words.order]
            ends = [end.desc() if falls else end for end in (key, SearchedRow.episode)]
            found = select(SearchedRow.episode).where(*self.where(db, words)).order_by(*ends).limit(limit)
            return list(db.scalars(found))

    def neighbours(self, episode: str) -> Neighbours:
        """Return what is beside an episode; raise UnknownEpisodeError, or SlowQueryError."""
        with self._database() as db, ending_in(db, self._max_s):
            here = db.get(SearchedRow, episode)
            if here is None:
                raise UnknownEpisodeError(f"expected an episode of this hub, got {episode[:80]!r}")
            return Neighbours(
                task=_beside(db, here, SearchedRow.task == here.task),
                operator=_beside(db, here, SearchedRow.operator == here.operator),
                motion=[Near(one.episode, one.distance) for one in motions.nearest(db, episode, NEAREST)],
            )

    def where(self, db: Session, words: Words) -> list[ColumnElement[bool]]:
        """Return what is true of a row that the words find; raise FilterValueError if they name no data set."""
        said = {name: getattr(words, name) for name in (*_SAME, *_LEAST, *_MOST)}
        found: list[ColumnElement[bool]] = []
        found += [column == said[name] for name, column in _SAME.items() if said[name] is not None]
        found += [column >= said[name] for name, column in _LEAST.items() if said[name] is not None]
        found += [column <= said[name] for name, column in _MOST.items() if said[name] is not None]
        for one in words.parts:
            column = getattr(SearchedRow, f"{one.part}_ppm")
            found += [column >= one.min_ppm] if one.min_ppm is not None else []
            found += [column <= one.max_ppm] if one.max_ppm is not None else []
        if words.until_ms is not None:
            found.append(SearchedRow.created_ms < words.until_ms)
        if words.dataset is not None:
            found.append(SearchedRow.episode.in_(self._of_dataset(db, words.dataset)))
        if _KEYS[words.order][0] is not SearchedRow.created_ms:
            found.append(_KEYS[words.order][0].is_not(None))
        return found

    def _of_dataset(self, db: Session, name: DatasetName) -> Select[tuple[str]]:
        if self._members is None:
            raise FilterValueError(f"dataset must be one of this hub's; there are none, got {str(name)!r}")
        return self._members(db, name)

    def _counted(self, db: Session, words: Words, name: str) -> list[Value]:
        """Count the episodes of each value of a word, under the other words."""
        column, count = _SAME[name], func.count()
        where = self.where(db, changed(words, **{name: None}))
        counted = select(column, count).where(*where, column.is_not(None), column != "").group_by(column)
        rows = db.execute(counted.order_by(count.desc(), column).limit(VALUES_MAX))
        return [Value(str(value), many) for value, many in rows]


def _count(db: Session, where: Sequence[ColumnElement[bool]]) -> int:
    some = select(SearchedRow.episode).where(*where).limit(TOTAL_MAX + 1).subquery()
    return db.scalar(select(func.count()).select_from(some)) or 0


def _after(words: Words, key: _Column, falls: bool) -> list[ColumnElement[bool]]:
    """Return what is true of a row after the cursor."""
    if words.after is None:
        return []
    order, _, rest = words.after.partition(".")
    number, _, episode = rest.partition(".")
    if not (order == words.order and number.isdecimal() and number.isascii() and len(number) <= 18 and episode):
        raise CursorError(
            f"expected the `next` of an earlier page with the same words, the order too, got {words.after[:80]!r}"
        )
    at = int(number)
    if falls:
        return [key <= at, or_(key < at, and_(key == at, SearchedRow.episode < episode))]
    return [key >= at, or_(key > at, and_(key == at, SearchedRow.episode > episode))]


def _next(words: Words, rows: Sequence[SearchedRow]) -> str | None:
    if len(rows) <= words.limit:
        return None
    last = rows[words.limit - 1]
    return f"{words.order}.{getattr(last, _KEYS[words.order][0].key)}.{last.episode}"


def _found(db: Session, rows: Sequence[SearchedRow]) -> list[Found]:
    wanted = select(EpisodeRow).where(EpisodeRow.episode.in_([row.episode for row in rows]))
    episodes = {row.episode: row for row in db.scalars(wanted.options(defer(EpisodeRow.manifest)))}
    return [_one(episodes[row.episode], row) for row in rows]


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
    beside = select(episode).where(same, verified).limit(1)
    return Beside(
        next=db.scalar(beside.where(*later).order_by(at, episode)),
        previous=db.scalar(beside.where(*earlier).order_by(at.desc(), episode.desc())),
    )
