"""What is true of the rows that a search finds, and by which index SQLite finds them.

PostgreSQL counts how frequent values are, and chooses well. SQLite does not, and takes any index there is, even one
that leads through most of the table; so the choice is made here. What the words find is counted in each index, up to
`DRIVEN_MAX`: the one that finds least drives the search, and the rows that it finds are looked at for all the others.
If each finds more than that, the table is read row by row, which is faster than to follow an index through much of it;
whoever counts stops as soon as there is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, String, and_, func, literal, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from rewards.datasets.words import Order, Words
from rewards.tables import SearchedRow, WithdrawalRow

DRIVEN_MAX: Final = 10_000
"""If a word finds more than this, it drives no search: each row that an index finds costs several that are read."""
Column = InstrumentedAttribute[Any]
KEYS: Final[Mapping[Order, tuple[Column, bool]]] = {
    Order.NEWEST: (SearchedRow.created_ms, True),
    Order.OLDEST: (SearchedRow.created_ms, False),
    Order.BEST: (SearchedRow.score_ppm, True),
    Order.WORST: (SearchedRow.score_ppm, False),
    Order.LONGEST: (SearchedRow.duration_ms, True),
    Order.SHORTEST: (SearchedRow.duration_ms, False),
}
"""What an order is by, and whether it falls."""
SAME: Final[Mapping[str, Column]] = {
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
_WAYS: Final = (
    ("operator", "state", "created_ms"),
    ("robot", "state", "created_ms"),
    ("task", "state", "created_ms"),
    ("driver_kind", "trust", "model", "state", "created_ms"),
    ("state", "created_ms"),
    ("score_ppm",),
    ("duration_ms",),
    ("created_ms",),
)
"""The columns of each index, in its order: an index finds what the words say of its first columns."""
_INDEXED: Final = {columns[0] for columns in _WAYS}
_IN_ORDER: Final = _WAYS[:3]
"""Those that are in the order of time, for one state."""


@dataclass(frozen=True, slots=True)
class Term:
    """What the words say of one column."""

    column: Column
    test: Callable[[ColumnElement[Any]], ColumnElement[bool]]
    same: bool
    """Whether it is one value, and no range."""

    @property
    def by_index(self) -> ColumnElement[bool]:
        """The condition, so that an index may find what it is true of."""
        return self.test(self.column.expression)

    @property
    def by_row(self) -> ColumnElement[bool]:
        """The same, so that no index is followed for it."""
        return self.test(aside(self.column))


def aside(column: Column) -> ColumnElement[Any]:
    """Return a column's value without its index."""
    if column.key not in _INDEXED:
        return column.expression
    if isinstance(column.type, String):
        return type_coerce(column.expression.concat(""), column.type)
    return column + literal(0, BigInteger)


def terms(words: Words) -> list[Term]:
    """Return what the words say, but of data sets."""
    said = ((column, getattr(words, name)) for name, column in SAME.items())
    same = [Term(column, _equal(value), same=True) for column, value in said if value is not None]
    ranges = [one for one in _ranges(words) if one[1:] != (None, None)]
    return same + [Term(column, _between(least, most), same=False) for column, least, most in ranges]


def conditions(db: Session, found: Sequence[Term]) -> list[ColumnElement[bool]]:
    """Return what is true of a row, in whatever order rows are found."""
    by = found if chooses(db) else _driving(db, found)
    return [one.by_index if one in by else one.by_row for one in found]


def in_order(db: Session, found: Sequence[Term], order: Order) -> list[ColumnElement[bool]]:
    """Return what is true of a row, if an index is walked in an order until there are enough.

    SQLite would rather sort all that a word finds.
    """
    if chooses(db):
        return [one.by_index for one in found]
    key = KEYS[order][0].key
    ways = (_way(columns, found) for columns in _IN_ORDER) if key == "created_ms" else ()
    helps = next((way for way in ways if len(way) > 1), [])
    return [one.by_index if one.column.key == key or one in helps else one.by_row for one in found]


def chooses(db: Session) -> bool:
    """Whether the database chooses well by itself."""
    return db.get_bind().dialect.name == "postgresql"


def _driving(db: Session, found: Sequence[Term]) -> list[Term]:
    """Return those of the terms that find least by one index; none if each index finds much."""
    ways = [way for columns in _WAYS if (way := _way(columns, found))]
    if not ways:
        return []
    counted = db.execute(select(*(_counted(way) for way in ways))).one()
    least = min(range(len(ways)), key=lambda at: counted[at])
    return ways[least] if counted[least] <= DRIVEN_MAX else []


def _way(columns: Sequence[str], found: Sequence[Term]) -> list[Term]:
    """Return the terms by which an index finds rows: of its first columns, up to a range."""
    by_column = {one.column.key: one for one in found}
    way: list[Term] = []
    for name in columns:
        if name not in by_column:
            break
        way.append(by_column[name])
        if not by_column[name].same:
            break
    return way


def not_withdrawn() -> ColumnElement[bool]:
    """Return what is true of a row whose operator's consent has not ended."""
    return ~select(WithdrawalRow.episode).where(WithdrawalRow.episode == SearchedRow.episode).exists()


def _counted(way: Sequence[Term]) -> Any:
    found = select(literal(1)).select_from(SearchedRow).where(*(one.by_index for one in way))
    return select(func.count()).select_from(found.limit(DRIVEN_MAX + 1).subquery()).scalar_subquery()


def _equal(said: Any) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
    value = said.value if isinstance(said, Enum) else said
    return lambda at: at == value


def _between(least: int | None, most: int | None) -> Callable[[ColumnElement[Any]], ColumnElement[bool]]:
    """Return what is true of a column in a range, both ends included."""

    def test(at: ColumnElement[Any]) -> ColumnElement[bool]:
        ends = ([] if least is None else [at >= least]) + ([] if most is None else [at <= most])
        return and_(*ends)

    return test


def _ranges(words: Words) -> Iterator[tuple[Column, int | None, int | None]]:
    """Yield what has to lie between what, both ends included."""
    yield SearchedRow.score_ppm, words.score_min_ppm, words.score_max_ppm
    yield SearchedRow.duration_ms, words.duration_min_ms, words.duration_max_ms
    yield SearchedRow.created_ms, words.since_ms, None if words.until_ms is None else words.until_ms - 1
    for one in words.parts:
        yield getattr(SearchedRow, f"{one.part}_ppm"), one.min_ppm, one.max_ppm
