"""Which values there are of each word, and how many episodes have them: what the page's filters show.

Without a filter (or by state alone) all are counted, in the indexes; of a large hub that takes a second, so what was
counted is kept for a while. With filters, the newest `COUNTED_MAX` that they find are counted, and it is said if there
are more: however many episodes a hub has, that costs about the same.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from rewards.datasets.words import Words
from rewards.hub.narrowing import SAME, aside, chooses
from rewards.tables import SearchedRow, WithdrawalRow

VALUES_MAX: Final = 100
"""How many values of a word are listed, those of the most episodes."""
COUNTED_MAX: Final = 10_000
KEPT_FROM: Final = 50_000
"""From so many episodes on, what was counted is kept."""
KEPT_S: Final = 60.0
WORDS: Final = ("task", "model", "robot", "operator", "driver", "trust")
_ALONE: Final = ("task", "robot", "operator")
_TOGETHER: Final = ("driver", "trust", "model")
"""These have few values, and one index: one pass counts all three."""
_ANY: Final = Words()
_Counts = dict[str, Counter[str]]
"""Word -> value -> how many episodes."""
Where = Callable[[Words, bool], list[ColumnElement[bool]]]
"""Returns what is true of a row that the words find; the flag: whether the newest are walked."""


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
    more: bool
    """Whether the words find more than the newest 10,000 episodes, so that only those were counted."""


class Counts:
    """Counts, and keeps what took long. For many threads."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._counting = threading.Lock()
        self._kept: dict[Words, tuple[float, _Counts]] = {}

    def values(self, db: Session, words: Words, where: Where) -> Values:
        """Return the values that there are of each word under the others."""
        said = [name for name in WORDS if getattr(words, name) is not None]
        found: dict[str, list[Value]] = {}
        more = False
        for names, under in [([name for name in WORDS if name not in said], words), *_without(words, said)]:
            counts, beyond = self._under(db, under, where, names)
            more = more or beyond
            found |= {name: _most(counts[name]) for name in names}
        return Values(**{name: found[name] for name in WORDS}, more=more)

    def _under(self, db: Session, words: Words, where: Where, names: Sequence[str]) -> tuple[_Counts, bool]:
        if replace(words, state=None) == _ANY:
            return self._all(db, words), False
        return _newest(db, words, where, names)

    def _all(self, db: Session, words: Words) -> _Counts:
        """Count all of a state, or of any; who comes while others count waits for what they find."""
        with self._counting:
            until_s, counts = self._kept.get(words, (0.0, {}))
            if self._clock_s() < until_s:
                return counts
            counts = _all(db, words)
            if counts["task"].total() >= KEPT_FROM:
                self._kept[words] = self._clock_s() + KEPT_S, counts
            return counts


def _without(words: Words, said: Sequence[str]) -> list[tuple[list[str], Words]]:
    """Return each word that is said, with all the others."""
    changes: list[dict[str, Any]] = [{name: None} for name in said]
    return [([name], replace(words, **change)) for name, change in zip(said, changes, strict=True)]


def _all(db: Session, words: Words) -> _Counts:
    """Count by whole indexes, and take off the few that are withdrawn."""
    same = [] if words.state is None else [_state(db) == words.state.value]
    counts: _Counts = {name: Counter() for name in WORDS}
    for names in (*((name,) for name in _ALONE), _TOGETHER):
        columns = [SAME[name] for name in names]
        grouped = select(*columns, func.count()).where(*same).group_by(*columns)
        _add(counts, names, db.execute(grouped).all())
    gone = SearchedRow.episode.in_(select(WithdrawalRow.episode))
    columns = [SAME[name] for name in WORDS]
    withdrawn = select(*columns, -func.count()).where(gone, *same).group_by(*columns)
    _add(counts, WORDS, db.execute(withdrawn).all())
    return counts


def _state(db: Session) -> ColumnElement[Any]:
    """Return the state, so that SQLite walks the index of what is counted, and not that of the state."""
    return SearchedRow.state.expression if chooses(db) else aside(SearchedRow.state)


def _newest(db: Session, words: Words, where: Where, names: Sequence[str]) -> tuple[_Counts, bool]:
    """Count what the words find; if that is more than `COUNTED_MAX`, the newest."""
    columns = [SAME[name] for name in names]
    dense = chooses(db)
    if not dense:
        some = select(SearchedRow.episode).where(*where(words, False)).limit(COUNTED_MAX + 1).subquery()
        dense = (db.scalar(select(func.count()).select_from(some)) or 0) > COUNTED_MAX
    wanted = select(*columns).where(*where(words, dense)).limit(COUNTED_MAX + 1)
    if dense:
        wanted = wanted.order_by(SearchedRow.created_ms.desc(), SearchedRow.episode.desc())
    rows = db.execute(wanted).all()
    counts: _Counts = {name: Counter() for name in names}
    for name, values in zip(names, zip(*rows[:COUNTED_MAX], strict=True), strict=False):
        counts[name].update(values)
    return counts, len(rows) > COUNTED_MAX


def _add(counts: Mapping[str, Counter[str]], names: Sequence[str], rows: Sequence[Any]) -> None:
    for *values, many in rows:
        for name, value in zip(names, values, strict=True):
            counts[name][value] += many


def _most(counts: Mapping[str, int]) -> list[Value]:
    there = [Value(value, many) for value, many in counts.items() if value and many > 0]
    return sorted(there, key=lambda one: (-one.episodes, one.value))[:VALUES_MAX]
