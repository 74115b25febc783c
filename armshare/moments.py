"""What a score cost and when, as a terminal says it: sentences from a hub or a file are shown, and never obeyed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.markup import escape

WIDTH: Final = 60
"""Letters of a line of time."""
NOTICED_S: Final = 0.15
"""A stretch that was shorter is noticed by nobody, unless it was a mistake or a recovery."""
TOLD: Final = 0.0005
"""Costs below this share of the price round to 0.0 of 100."""
SENTENCE_MAX: Final = 600
KINDS: Final = {
    "mistake": ("x", "mistake"),
    "recovery": ("r", "recovery, which costs nothing"),
    "limited": ("l", "limited"),
    "slow": ("s", "slow"),
    "idle": ("i", "idle"),
    "tail": ("t", "after the task was done"),
}
"""Each kind's letter on the line of time, and its word; where stretches overlap, the first kind here is shown."""
_ALWAYS: Final = ("mistake", "recovery")
SHOWN: Final = {
    "duration_s": ("time", "{:.1f} s"),
    "idle_s": ("stood still", "{:.1f} s"),
    "limited": ("reduced by a safety limit", "{:.0%}"),
    "recoveries": ("recoveries", "{:.0f}"),
    "progress": ("how far the task was", "{:.0%}"),
    "path_efficiency": ("directness of the path", "{:.0%}"),
    "smoothness": ("smoothness (-2.5 is smooth)", "{:.1f}"),
    "mutual_information": ("consistency with good drives", "{:.2f}"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What one part of a score cost, ready to be shown."""

    part: str
    points: float
    """Of 1, a perfect drive."""
    sentence: str
    from_s: float | None
    until_s: float | None

    @property
    def moment(self) -> str:
        """When it was: `at 0:04`, `0:04 to 0:09` or `the whole drive`."""
        return moment_of(self.from_s, self.until_s)


def plain(text: str) -> str:
    """Return what a stranger wrote as text that does nothing to a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:SENTENCE_MAX]


def clock(seconds: float) -> str:
    """Return minutes and seconds: 83.4 is 1:23."""
    minutes, whole = divmod(int(seconds), 60)
    return f"{minutes}:{whole:02}"


def moment_of(from_s: float | None, until_s: float | None) -> str:
    """Say when something was."""
    if from_s is None:
        return "the whole drive"
    begun, ended = clock(from_s), clock(from_s if until_s is None else until_s)
    return f"at {begun}" if begun == ended else f"{begun} to {ended}"


def worst(cost: Told) -> str:
    """Say the one thing that cost most, and when; with markup."""
    return f"cost most: [bold]-{100 * cost.points:.1f}[/bold] of 100, {cost.moment}: {escape(plain(cost.sentence))}"


def costs_of(answer: Mapping[str, Any]) -> list[Told]:
    """Return what to tell of a hub's costs, the largest first; what cannot be is left out. An older hub has none."""
    costs = answer.get("costs")
    read = [_told(one) for one in (costs if isinstance(costs, list) else [])]
    return sorted((one for one in read if one is not None), key=lambda one: -one.points)


def _told(one: object) -> Told | None:
    if not isinstance(one, Mapping):
        return None
    part, sentence, points = one.get("part"), one.get("sentence"), _number(one.get("points"))
    if not (isinstance(part, str) and isinstance(sentence, str) and sentence):
        return None
    if points is None or not TOLD <= points <= 1.0:
        return None
    from_s, until_s = _number(one.get("from_s")), _number(one.get("until_s"))
    if from_s is None or until_s is None or not 0.0 <= from_s <= until_s:
        from_s = until_s = None
    return Told(plain(part), points, plain(sentence), from_s, until_s)


def _number(value: object) -> float | None:
    """Return a finite number, or None if it is anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def noticed(segments: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the stretches that a person can notice."""
    return [one for one in segments if one["kind"] in _ALWAYS or one["until_s"] - one["from_s"] >= NOTICED_S]


def line_of_time(segments: Sequence[Mapping[str, Any]], length_s: float) -> str:
    """Return a drive as letters, one for each sixtieth of it: a dot for ordinary driving."""
    letters = ["."] * WIDTH
    for kind in reversed(KINDS):
        for one in segments:
            if one["kind"] == kind and length_s > 0.0:
                first = min(int(WIDTH * one["from_s"] / length_s), WIDTH - 1)
                last = min(max(math.ceil(WIDTH * one["until_s"] / length_s), first + 1), WIDTH)
                letters[first:last] = KINDS[kind][0] * (last - first)
    return "".join(letters)


def legend(segments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what each letter of a line of time is, and when that was."""
    for kind, (letter, word) in KINDS.items():
        when = [moment_of(one["from_s"], one["until_s"]) for one in segments if one["kind"] == kind]
        if when:
            more = f" and {len(when) - 6} more" if len(when) > 6 else ""
            yield f"{letter}  {word}: {', '.join(when[:6])}{more}"


def shown_of(shown: Mapping[str, float]) -> Iterator[str]:
    """Say what is not paid by, each with its unit."""
    for name, value in shown.items():
        word, form = SHOWN.get(name, (plain(name).replace("_", " "), "{:.2f}"))
        yield f"{word}: {form.format(value)}"
