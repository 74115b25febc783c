"""Whether what is driven with a robot can be checked here later: asked as soon as its host says what the robot is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Why a simulated robot's episodes of one task cannot be checked here."""

    reason: str
    """As a held episode has it: a name (FORMAT.md, section 6.1), a colon, and a sentence without its full stop."""
    detail: str
    """What whoever runs the host can do something about."""


Checkable = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Unchecked]]]
"""Return, of a simulated robot's descriptor, the tasks that cannot be checked, and why; it may take its time."""


async def everything(_descriptor: Mapping[str, Any]) -> Mapping[str, Unchecked]:
    """Say that everything can be checked."""
    return {}
