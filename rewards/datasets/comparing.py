"""Where a card says something else than one that was made again of the same files. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from rewards.datasets.card import Card, Recorded
from rewards.datasets.facts import Numbers

_SHADES: Final = 0.03
"""By how much drawn colours, in [0, 1], may differ on another machine."""


def differences(said: Card, found: Card, ignored: Sequence[str] = ()) -> list[str]:
    """Return in words where a card says something else than another that was made of the same version's files.

    `ignored`: fields that nobody can know from the files. Numbers may differ by the last bits of a processor's
    arithmetic.
    """
    plain = [msgspec.to_builtins(one) for one in (said, found)]
    for one in plain:
        for name in ignored:
            one.pop(name)
    return list(_differing("", *plain))


def drawn_differences(said: Sequence[Recorded], found: Sequence[Recorded]) -> list[str]:
    """Return in words where a card says something else of drawn pictures than those that were drawn here show.

    Another machine's renderer may shade an edge otherwise, so numbers may differ by a few shades.
    """
    there = {(one.model, one.name): one for one in found}
    wrong = []
    for one in said:
        other = there.get((one.model, one.name))
        if other is None or other.numbers is None or one.numbers is None or not _alike(one.numbers, other.numbers):
            wrong.append(
                f"drawn: the card says of {one.name} of {one.model} what its pictures, drawn again, do not show"
            )
    return wrong


def _alike(one: Numbers, other: Numbers) -> bool:
    pairs = [
        pair
        for name in ("mean", "std", "q10", "q50", "q90")
        for pair in zip(getattr(one, name), getattr(other, name), strict=False)
    ]
    return len(one.mean) == len(other.mean) and all(abs(a - b) <= _SHADES for a, b in pairs)


def _differing(path: str, said: Any, found: Any) -> list[str]:
    here = path or "the card"
    if isinstance(said, dict) and isinstance(found, dict):
        names = sorted(said.keys() | found.keys())
        pairs = [(f"{path}.{name}".lstrip("."), said.get(name), found.get(name)) for name in names]
        return [line for pair in pairs for line in _differing(*pair)]
    if isinstance(said, list) and isinstance(found, list) and len(said) == len(found):
        pairs = [(f"{path}[{at}]", *pair) for at, pair in enumerate(zip(said, found, strict=True))]
        return [line for pair in pairs for line in _differing(*pair)]
    numbers = isinstance(said, int | float) and isinstance(found, int | float)
    if said == found or (numbers and math.isclose(said, found, rel_tol=1e-9, abs_tol=1e-12)):
        return []
    return [f"{here}: the card says {_short(said)}, and the episodes say {_short(found)}"]


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
