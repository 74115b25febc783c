"""Searching the hub's episodes by the words of `rewards.datasets.words`, page by page, and whose neighbours they are.

A search reads one narrow table (`SearchedRow`), and of what it shows the episodes themselves. A page continues after a
row, not after a count. However wide a stranger's search is, it ends in `SEARCH_MAX_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as changed
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, literal, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session, defer

from recorder.hub import motions
from recorder.hub.catalogue import EpisodeView, UnknownEpisodeError, view
from recorder.hub.states import EpisodeState
from recorder.hub.tables import EpisodeRow
from rewards.datasets.words import DatasetName, FilterValueError, Order, Words
from rewards.score.verdict import ONE_PPM
from rewards.tables import SearchedRow, WithdrawalRow
from teleop.hub.db import Database, ending_in

TOTAL_MAX: Final = 10_000
"""Whatever is found beyond this is not counted."""
VALUES_MAX: Final = 100
"""How many values of a word are listed, those of the most episodes."""
SEARCH_MAX_S: Final = 2.0
"""What takes longer is ended; at a hundred thousand episodes a search takes a tenth of it."""
NEAREST: Final = 8
Members = Callable[[Session, DatasetName], Select[str]]
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
_COUNTED: Final = tuple(one.name for one in fields(Values))
_ANY: Final = Words()


class Search:
    """Finds episodes. Blocking: call it off the event loop."""

    def __init__(self, database: Database, members: Members | None = None, max_s: float = SEARCH_MAX_S) -> None:
        """`members` knows the data sets; without it there are none."""
        self._database, self._members, self._max_s = database, members, max_s

    def page(self, words: Words) -> FoundPage:
        """Return a page; raise CursorError, FilterValueError (an unknown data set), or SlowQueryError."""
        with self._database() as db, ending_in(db, self._max_s):
            many = _count(db, self.where(db, words, walked=False))
            rows = db.scalars(self._ordered(db, words, walked=many > TOTAL_MAX).limit(words.limit + 1)).all()
            found = _found(db, rows[: words.limit])
        return FoundPage(found, _next(words, rows), min(many, TOTAL_MAX), many > TOTAL_MAX)

    def values(self, words: Words) -> Values:
        """Return the values that there are of each word under the others; raises as `page` does."""
        said = [name for name in _COUNTED if getattr(words, name) is not None]
        with self._database() as db, ending_in(db, self._max_s):
            found = self._counted(db, words, [name for name in _COUNTED if name not in said])
            for name in said:
                without: dict[str, Any] = {name: None}
                found |= self._counted(db, changed(words, **without), [name])
        return Values(**{name: found[name] for name in _COUNTED})

    def episodes(self, words: Words, limit: int) -> list[str]:
        """Return the first `limit` episodes that are found, in their order; raises as `page` does."""
        with self._database() as db, ending_in(db, self._max_s):
            many = _count(db, self.where(db, words, walked=False))
            rows = db.scalars(self._ordered(db, words, walked=many > TOTAL_MAX).limit(limit))
            return [row.episode for row in rows]

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
        found: list[ColumnElement[bool]] = [_not_withdrawn()]
        found += [column == said for name, column in _SAME.items() if (said := getattr(words, name)) is not None]
        for column, least, most in _ranges(words):
            at = column if walked or column is SearchedRow.created_ms else _unindexed(column)
            found += [at >= least] if least is not None else []
            found += [at <= most] if most is not None else []
        if words.dataset is not None:
            found.append(SearchedRow.episode.in_(self._of_dataset(db, words.dataset)))
        if _KEYS[words.order][0] is not SearchedRow.created_ms:
            found.append(_KEYS[words.order][0].is_not(None))
        return found

    def _ordered(self, db: Session, words: Words, *, walked: bool) -> Select[SearchedRow]:
        """Select what is found after the cursor, in its order.

        If it is much, so that a page's is soon found, an index is walked; of little, all is found first, and sorted.
        """
        key, falls = _KEYS[words.order]
        at: ColumnElement[Any] = key.expression if walked else _unindexed(key)
        found = select(SearchedRow).where(*self.where(db, words, walked=walked), *_after(words, at, falls))
        return found.order_by(*(end.desc() if falls else end for end in (at, SearchedRow.episode)))

    def _of_dataset(self, db: Session, name: DatasetName) -> Select[str]:
        if self._members is None:
            raise FilterValueError(f"dataset must be one of this hub's; there are none, got {str(name)!r}")
        return self._members(db, name)

    def _counted(self, db: Session, words: Words, names: Sequence[str]) -> dict[str, list[Value]]:
        """Count the episodes of each value of some words, by what is found once, or of all from their indexes."""
        if not names:
            return {}
        columns = {name: _SAME[name].label(name) for name in names}
        where = self.where(db, words, walked=False)
        plain = changed(words, state=None) == _ANY
        few = None if plain else select(*columns.values()).where(*where).cte("few")
        parts = []
        for name in names:
            value = columns[name].element if few is None else few.c[name]
            counted = select(literal(name).label("word"), value.label("value"), func.count().label("many"))
            counted = counted.where(*(where if few is None else ()), value.is_not(None), value != "").group_by(value)
            parts.append(counted.order_by(func.count().desc(), value).limit(VALUES_MAX).subquery())
        found: dict[str, list[Value]] = {name: [] for name in names}
        for word, text, many in db.execute(union_all(*(select(part) for part in parts))):
            found[word].append(Value(text, many))
        return {name: sorted(some, key=lambda one: (-one.episodes, one.value)) for name, some in found.items()}


def _ranges(words: Words) -> Iterator[tuple[_Column, int | None, int | None]]:
    """Yield what has to lie between what, both ends included."""
    yield SearchedRow.score_ppm, words.score_min_ppm, words.score_max_ppm
    yield SearchedRow.duration_ms, words.duration_min_ms, words.duration_max_ms
    yield SearchedRow.created_ms, words.since_ms, None if words.until_ms is None else words.until_ms - 1
    for one in words.parts:
        yield getattr(SearchedRow, f"{one.part}_ppm"), one.min_ppm, one.max_ppm


def _unindexed(column: _Column) -> ColumnElement[Any]:
    """Return a column's value without its index: a range that holds much of the table is read faster row by row."""
    return column + literal(0)


def _near(db: Session, episode: str) -> list[Near]:
    near = [Near(one.episode, one.distance) for one in motions.nearest(db, episode, NEAREST)]
    gone = select(WithdrawalRow.episode).where(WithdrawalRow.episode.in_([one.episode for one in near]))
    withdrawn = set(db.scalars(gone))
    return [one for one in near if one.episode not in withdrawn]


def _not_withdrawn() -> ColumnElement[bool]:
    """Return what is true of a row whose operator's consent has not ended."""
    return SearchedRow.episode.not_in(select(WithdrawalRow.episode))


def _count(db: Session, where: Sequence[ColumnElement[bool]]) -> int:
    some = select(SearchedRow.episode).where(*where).limit(TOTAL_MAX + 1).subquery()
    return db.scalar(select(func.count()).select_from(some)) or 0


def _after(words: Words, key: ColumnElement[Any], falls: bool) -> list[ColumnElement[bool]]:
    """Return what is true of a row after the cursor."""
    if words.after is None:
        return []
    order, _, rest = words.after.partition(".")
    number, _, episode = rest.partition(".")
    if not (order == words.order and number.isdecimal() and number.isascii() and len(number) <= 18 and episode):
        raise CursorError(
            f"expected the `next` of an earlier page with the same words, the order too, got {words.after[:80]!r}"
        )
    at = literal(int(number), BigInteger)  # whatever a stranger makes up, it is no error of the database's
    if falls:
        return [key <= at, or_(key < at, and_(key == at, SearchedRow.episode < episode))]
    return [key >= at, or_(key > at, and_(key == at, SearchedRow.episode > episode))]


def _next(words: Words, rows: Sequence[SearchedRow]) -> str | None:
    if len(rows) <= words.limit:
        return None
    last = rows[words.limit - 1]
    return f"{words.order}.{getattr(last, _KEYS[words.order][0].key)}.{last.episode}"


def found_of(db: Session, episodes: Sequence[str]) -> list[Found]:
    """Return what a search shows of these episodes."""
    return _found(db, db.scalars(select(SearchedRow).where(SearchedRow.episode.in_(episodes))).all())


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
    beside = select(episode).where(same, verified, _not_withdrawn()).limit(1)
    return Beside(
        next=db.scalar(beside.where(*later).order_by(at, episode)),
        previous=db.scalar(beside.where(*earlier).order_by(at.desc(), episode.desc())),
    )
