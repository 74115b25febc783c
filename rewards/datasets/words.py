"""The words of a search for episodes, the same over HTTP, on the command line and in the page's address. Pure.

`WORDS` says what there is; HTTP's parameters, the command line's options and a test of the pages are made of it. A word
or a value that does not exist is refused, never ignored: a search that silently finds too much is worse than none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from recorder.hub.states import EpisodeState
from rewards.datasets.version import DatasetNameError, require_name
from sim.words import listed
from teleop.wire.driver import DriverKind

PARTS: Final = (
    "success",
    "object_path",
    "order",
    "pace",
    "flow",
    "control",
    "path_efficiency",
    "smoothness",
    "idle",
    "tracking",
)
"""The parts that a score's vector has, by any version of the rules."""
TRUST: Final = ("replayed", "witnessed")
"""`recorder.proof.bundle.TrustClass`, whose module is too heavy for a command line that starts."""
LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
TEXT_MAX: Final = 64
_AFTER_MAX: Final = 120
_DURATION_MAX_S: Final = 1e9
_NUMBER: Final = re.compile(r"\d{1,12}(\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_PPM: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Order(StrEnum):
    """Which episodes come first. An order by score or length lists those that have one."""

    NEWEST = "newest"
    OLDEST = "oldest"
    BEST = "best"
    WORST = "worst"
    LONGEST = "longest"
    SHORTEST = "shortest"


class UnknownFilterError(ValueError):
    """There is no such word."""


class FilterValueError(ValueError):
    """A word is followed by what it cannot mean."""


@dataclass(frozen=True, slots=True)
class DatasetName:
    """A data set, and which version of it; None: its newest."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        """Return it as it is written."""
        return self.name if self.version is None else f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class PartRange:
    """Which values of one part of the score's vector are wanted, both ends included, in parts per million."""

    part: str
    min_ppm: int | None = None
    max_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What is searched for; None matches anything."""

    task: str | None = None
    robot: str | None = None
    """Its address, as `operator`."""
    model: str | None = None
    operator: str | None = None
    success: bool | None = None
    state: EpisodeState | None = None
    trust: str | None = None
    driver: DriverKind | None = None
    practice: bool | None = None
    score_min_ppm: int | None = None
    score_max_ppm: int | None = None
    parts: tuple[PartRange, ...] = ()
    """In the order of `PARTS`."""
    duration_min_ms: int | None = None
    duration_max_ms: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    """Exclusive."""
    dataset: DatasetName | None = None
    order: Order = Order.NEWEST
    limit: int = LIMIT_DEFAULT
    after: str | None = None
    """The `next` of an earlier page."""

    @classmethod
    def of(cls, said: Iterable[tuple[str, str]], known: Collection[str] = ()) -> Words:
        """Read the words of a query; raise UnknownFilterError or FilterValueError, which name what there is.

        `known`: the words that may be said; all of them if it is left out.
        """
        given: dict[str, str] = {}
        for name, value in said:
            require_word(name, known or WORDS)
            if name in given:
                raise FilterValueError(f"{name} is given twice; give it once")
            given[name] = value
        read = {name: WORDS[name].read(name, value) for name, value in given.items()}
        plain: dict[str, Any] = {into: value for name, value in read.items() if (into := WORDS[name].into)}
        return cls(parts=_parts(read), **plain)


@dataclass(frozen=True, slots=True)
class Word:
    """One word: what it means, how its value is written and read."""

    meaning: str
    metavar: str
    """How its value is written."""
    schema: Mapping[str, Any]
    """The value's JSON Schema."""
    parse: Callable[[str], object]
    """Read a value; raise ValueError with what is expected instead."""
    into: str = ""
    """Which field of `Words` it is; empty for a part's."""
    filters: bool = True
    """False for order, limit and after, which say which of what was found is shown."""

    def read(self, name: str, value: str) -> object:
        """Return the value of this word, called `name`; raise FilterValueError."""
        try:
            return self.parse(value)
        except ValueError as error:
            raise FilterValueError(f"{name} must be {error}; got {value[:80]!r}") from error


def require_word(name: str, known: Collection[str]) -> str:
    """Return a word that exists; raise UnknownFilterError, which lists them."""
    if name not in known:
        raise UnknownFilterError(f"there is no word {name[:80]!r} to search with here; there are {listed(known)}")
    return name


def _parts(read: Mapping[str, Any]) -> tuple[PartRange, ...]:
    ranges = ((part, read.get(f"{part}_min"), read.get(f"{part}_max")) for part in PARTS)
    return tuple(PartRange(*one) for one in ranges if one[1:] != (None, None))


def _text(value: str) -> str:
    if not (0 < len(value) <= TEXT_MAX and value.isprintable()):
        raise ValueError(f"a name of 1 to {TEXT_MAX} characters, or left out")
    return value


def _address(value: str) -> str:
    from teleop.identity import SignatureError, require_address  # here: it loads cryptography

    try:
        return require_address(value)
    except SignatureError as error:
        raise ValueError("an address: 0x and 40 hex digits, in the capitals that the page shows") from error


def _one_of(values: tuple[str, ...], made: Callable[[str], object] = str) -> Callable[[str], object]:
    def parse(value: str) -> object:
        if value not in values:
            raise ValueError(listed(values, "or"))
        return made(value)

    return parse


def _number(value: str, most: float) -> float:
    if not _NUMBER.fullmatch(value) or not (0.0 <= float(value) <= most):
        raise ValueError(f"a number from 0 to {most:g}, such as 0.8")
    return float(value)


def _least_ppm(value: str) -> int:
    return math.ceil(round(_number(value, 1.0) * _PPM, 3))


def _most_ppm(value: str) -> int:
    return math.floor(round(_number(value, 1.0) * _PPM, 3))


def _least_ms(value: str) -> int:
    return math.ceil(round(_number(value, _DURATION_MAX_S) * 1000, 3))


def _most_ms(value: str) -> int:
    return math.floor(round(_number(value, _DURATION_MAX_S) * 1000, 3))


def _moment(value: str) -> int:
    """Return a moment in ms since 1970; a day begins at midnight, and what names no zone is UTC."""
    expected = "a date or a time in ISO 8601, such as 2026-11-27 or 2026-11-27T14:30:00Z"
    if not (len(value) <= 40 and value.isascii()):
        raise ValueError(expected)
    try:
        if len(value) == 10:
            day = date.fromisoformat(value)
            moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(expected) from error


def _dataset(value: str) -> DatasetName:
    name, at, version = value.partition("@")
    if at and not (version.isascii() and version.isdecimal() and len(version) <= 9 and int(version) > 0):
        raise ValueError("NAMESPACE/NAME, or NAMESPACE/NAME@VERSION with a version from 1 on")
    try:
        return DatasetName(require_name(name), int(version) if at else None)
    except DatasetNameError as error:
        raise ValueError("NAMESPACE/NAME, or NAMESPACE/NAME@VERSION, in small letters, digits, - and _") from error


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 4 and 1 <= int(value) <= LIMIT_MAX):
        raise ValueError(f"a number from 1 to {LIMIT_MAX}")
    return int(value)


def _after(value: str) -> str:
    if not (0 < len(value) <= _AFTER_MAX and value.isascii() and value.isprintable()):
        raise ValueError("the `next` of an earlier page")
    return value


def _named(name: str, meaning: str) -> Word:
    return Word(meaning, "NAME", {"type": "string", "minLength": 1, "maxLength": TEXT_MAX}, _text, name)


def _chosen(name: str, meaning: str, values: Iterable[str], made: Callable[[str], object] = str) -> Word:
    known = tuple(values)
    schema = {"type": "string", "enum": list(known)}
    return Word(meaning, "|".join(known), schema, _one_of(known, made), name)


def _wallet(name: str, meaning: str) -> Word:
    return Word(meaning, "ADDRESS", {"type": "string", "pattern": "^0x[0-9A-Fa-f]{40}$"}, _address, name)


def _share(meaning: str, name: str, parse: Callable[[str], object]) -> Word:
    return Word(meaning, "0..1", {"type": "number", "minimum": 0, "maximum": 1}, parse, name)


def _seconds(meaning: str, name: str, parse: Callable[[str], object]) -> Word:
    return Word(meaning, "SECONDS", {"type": "number", "minimum": 0, "maximum": _DURATION_MAX_S}, parse, name)


def _when(meaning: str, name: str) -> Word:
    return Word(meaning, "DATE", {"type": "string", "maxLength": 40}, _moment, name)


_BOOL: Final = ("true", "false")
_TRUE: Final = "true".__eq__
WORDS: Final[Mapping[str, Word]] = {
    "task": _named("task", "Of this task."),
    "robot": _wallet("robot", "Of this robot, by its address."),
    "model": _named("model", "Of this model of robot."),
    "operator": _wallet("operator", "Of this operator, by address."),
    "success": _chosen("success", "Whether the task was done at the end.", _BOOL, _TRUE),
    "state": _chosen("state", "In this state.", (one.value for one in EpisodeState), EpisodeState),
    "trust": _chosen("trust", "What it rests on: a replay by the hub, or its host's word.", TRUST),
    "driver": _chosen("driver", "Who or what drove.", (one.value for one in DriverKind), DriverKind),
    "practice": _chosen("practice", "Whether it was unpaid practice.", _BOOL, _TRUE),
    "score_min": _share("With a score of at least this.", "score_min_ppm", _least_ppm),
    "score_max": _share("With a score of at most this.", "score_max_ppm", _most_ppm),
    **{
        f"{part}_{end}": _share(f"With at {which} this in the score's part {part}.", "", parse)
        for part in PARTS
        for end, which, parse in (("min", "least", _least_ppm), ("max", "most", _most_ppm))
    },
    "duration_min_s": _seconds("At least so long.", "duration_min_ms", _least_ms),
    "duration_max_s": _seconds("At most so long.", "duration_max_ms", _most_ms),
    "since": _when("Begun at this date or time, or later.", "since_ms"),
    "until": _when("Begun before this date or time.", "until_ms"),
    "dataset": Word("In this data set.", "NS/NAME[@N]", {"type": "string", "maxLength": 92}, _dataset, "dataset"),
    "order": Word(
        "Which come first; by score or length, only those that have one.",
        "|".join(Order),
        {"type": "string", "enum": [one.value for one in Order], "default": Order.NEWEST.value},
        _one_of(tuple(one.value for one in Order), Order),
        "order",
        filters=False,
    ),
    "limit": Word(
        f"How many at most, up to {LIMIT_MAX}.",
        "N",
        {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
        _limit,
        "limit",
        filters=False,
    ),
    "after": Word(
        "Those after an earlier page: its `next`.",
        "NEXT",
        {"type": "string", "maxLength": _AFTER_MAX},
        _after,
        "after",
        filters=False,
    ),
}
"""Every word, in the order in which they are listed."""
FILTERS: Final = tuple(name for name, word in WORDS.items() if word.filters)
