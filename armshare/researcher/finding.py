"""`armshare episodes`: which episodes a hub has, by the words of its search, and what to see of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from rich.table import Table

from sim.words import listed

_PAGE: Final = 200
_SHOWN: Final = ("when", "episode", "task", "model", "operator", "driver", "length", "success", "score", "trust")
_NUMBERS: Final = ("length", "score")
_LESS: Final = ("episode", "task", "length", "success", "score")
"""What is shown where there is not room for all."""
WHOLE: Final = 140
"""Characters that a line with all of it has at the most."""
_VALUES: Final = 8
"""How many values of a word are named if nothing was found."""


def pages(client: httpx.Client, words: Mapping[str, str], limit: int) -> Iterator[dict[str, Any]]:
    """Yield pages of at most `limit` episodes in all; raise what `client_of` turns into sentences."""
    asked, left = dict(words), limit
    while left > 0:
        page = client.get("/api/episodes", params={**asked, "limit": str(min(_PAGE, left))}).raise_for_status().json()
        yield page
        left -= len(page["episodes"])
        if not page["next"] or not page["episodes"]:
            return
        asked["after"] = page["next"]


def find(client: httpx.Client, words: Mapping[str, str], limit: int) -> dict[str, Any]:
    """Return what the hub answers, of at most `limit` episodes, as if that were one page."""
    found = list(pages(client, words, limit))
    last = found[-1]
    return {**last, "episodes": [one for page in found for one in page["episodes"]]}


def table(found: Mapping[str, Any], width: int = WHOLE) -> Table:
    """Return the episodes as a table of at most so many characters a line: all that is shown, or the most of it."""
    made = Table(box=None, pad_edge=False)
    shown = _SHOWN if width >= WHOLE else _LESS
    for name in shown:
        made.add_column(name, no_wrap=True, justify="right" if name in _NUMBERS else "left")
    for one in found["episodes"]:
        row = dict(zip(_SHOWN, _row(one), strict=True))
        made.add_row(*(row[name] for name in shown))
    return made


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    operator = str(one["operator"])
    score = "" if one["score"] is None else f"{one['score']:.3f}{'' if one['accepted'] else ', rejected'}"
    return (
        datetime.fromtimestamp(one["created_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M"),
        str(one["episode"]),
        str(one["task"]),
        one["model"] or "",
        f"{operator[:6]}…{operator[-4:]}",
        "" if one["driver"] is None else str(one["driver"]["kind"]),
        "" if one["duration_s"] is None else f"{one['duration_s']:.1f} s",
        {True: "yes", False: "no", None: ""}[one["success"]],
        f"{score}{', practice' if one['practice'] else ''}",
        _standing(one),
    )


def _standing(one: Mapping[str, Any]) -> str:
    if one.get("withdrawn_ms") is not None:
        return f"withdrawn {datetime.fromtimestamp(one['withdrawn_ms'] / 1000, UTC):%Y-%m-%d}"
    return str(one["trust"] or one["state"])


def said(client: httpx.Client, words: Mapping[str, str], found: Mapping[str, Any]) -> Iterator[str]:
    """Say how many there are, and how to see others; if there are none, which there could be."""
    shown = len(found["episodes"])
    if not shown:
        yield f"no episodes found{for_words(words)}{there_are(client, words)}"
        return
    total = f"more than {found['total']:,}" if found["more"] else f"{found['total']:,}"
    yield f"{shown:,} of {total} episodes"
    if found["next"]:
        yield f"The next: --after {found['next']}"


def there_are(client: httpx.Client, words: Mapping[str, str]) -> str:
    """Return, as the end of a sentence, which values there are of each word that finds nothing under the others."""
    filters = {name: value for name, value in words.items() if name not in ("order", "limit", "after")}
    values = client.get("/api/episodes/words", params=filters).raise_for_status().json()
    said = ""
    for name in filters:
        there = [one["value"] for one in values.get(name, ())]
        if there and filters[name] not in there:
            more = [f"{len(there) - _VALUES} more"] if len(there) > _VALUES else []
            said += f"; of {name} there are {listed([*there[:_VALUES], *more])}"
    return said


def for_words(words: Mapping[str, str]) -> str:
    """Return what was asked for, as the end of a sentence."""
    named = [f"{name} {value}" for name, value in words.items()]
    return f" for {listed(named)}" if named else ""
