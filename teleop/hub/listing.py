"""The list of robots as it is sent: everyone in a lobby asks for all of them every two seconds.

A robot's part is made again only if the robot, or who is at it, is another. Robots are read again once this hub has
changed one, and otherwise every `READ_EVERY_S`, as another hub may have.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from teleop.hub.answers import RobotAnswer
from teleop.hub.leases.docks import Presence
from teleop.hub.tables import RobotRow

READ_EVERY_S: Final = 2.0
_NOTHING: Final[Mapping[str, str]] = {}
Card = Callable[[RobotRow, Mapping[str, Presence], Mapping[str, str]], dict[str, Any]]
"""Returns what the lobby shows of a robot: who is at it now, or at which silent hub it was."""


class Robots(Protocol):
    """Where the robots are; `teleop.hub.robots.registry.Registry` is one."""

    changes: int
    """How often this hub has changed a robot."""

    def robots(self) -> list[RobotRow]:
        """Return every robot that its owner has not removed, by name."""


class Listing:
    """Makes the list. For many threads."""

    def __init__(self, registry: Robots, card: Card, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._registry, self._card, self._clock_s = registry, card, clock_s
        self._making = threading.Lock()
        self._rows: list[RobotRow] = []
        self._read: tuple[int, float] = (-1, 0.0)
        """As of how many changes they were read, and until when that counts."""
        self._parts: dict[str, tuple[RobotRow, Presence | str | None, bytes]] = {}

    def json(self, online: Mapping[str, Presence], unknown: Mapping[str, str] = _NOTHING) -> bytes:
        """Return the list, as JSON; `online`: who is at the robots now; `unknown`: at which silent hub a robot was."""
        with self._making:
            self._look()
            parts = {row.address: self._part(row, online, unknown) for row in self._rows}
            self._parts = parts
        return b"[" + b",".join(part for _, _, part in parts.values()) + b"]"

    def _look(self) -> None:
        """Read the robots, if that is due."""
        changes, until_s = self._read
        now_s, changed = self._clock_s(), self._registry.changes
        if changes == changed and now_s < until_s:
            return
        self._rows = self._registry.robots()
        self._read = changed, now_s + READ_EVERY_S

    def _part(
        self, row: RobotRow, online: Mapping[str, Presence], unknown: Mapping[str, str]
    ) -> tuple[RobotRow, Presence | str | None, bytes]:
        here = online.get(row.address) or unknown.get(row.address)
        kept = self._parts.get(row.address)
        if kept is not None and kept[1] == here and (kept[0] is row or _same(kept[0], row)):
            return row, kept[1], kept[2]
        made = RobotAnswer.model_validate(self._card(row, online, unknown)).model_dump_json().encode()
        if isinstance(here, Presence):
            here = replace(here, unchecked=dict(here.unchecked))
        return row, here, made


def _same(one: RobotRow, other: RobotRow) -> bool:
    """Whether two rows of a robot, read at different times, say the same."""
    names = ("name", "model", "owner", "simulated")
    return one.descriptor is other.descriptor and all(getattr(one, name) == getattr(other, name) for name in names)
