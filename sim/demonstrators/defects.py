"""What can be wrong with a demonstration, how much of it, and when it really happened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """A way in which a demonstration falls short of a clean one, though the task may still be done in the end."""

    NOISE = "noise"
    """The hand shakes all the time."""
    HESITATION = "hesitation"
    """The hand stops for seconds, on its way and before it grasps."""
    DETOUR = "detour"
    """The hand goes round by somewhere it need not go."""
    EARLY_RELEASE = "early_release"
    """The object is let go too early, and falls."""
    WRONG_OBJECT = "wrong_object"
    """Another object is taken first, and put back."""
    DROP_AND_REGRASP = "drop_and_regrasp"
    """The object is dropped on its way, and taken again."""
    NEAR_FAILURE = "near_failure"
    """The object slips in the hand, and is held just in time."""
    SLOW = "slow"
    """All motion is slower, at a strength of 1 eight times."""


THROUGHOUT: Final = frozenset({Kind.NOISE, Kind.SLOW})
"""Those that last from the first step to the last."""


class DefectError(ValueError):
    """A defect that cannot be, or not at this task; the message says why."""


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect, and how much of it there is to be."""

    kind: Kind
    strength: float = 1.0
    """In (0, 1]."""

    def __post_init__(self) -> None:
        if not 0.0 < self.strength <= 1.0:
            raise DefectError(f"A defect's strength is above 0 and at most 1, and {self.strength} is not.")


@dataclass(frozen=True, slots=True)
class Event:
    """A defect that happened, in steps of the episode, from 0."""

    kind: Kind
    start: int
    stop: int
    """The first step after it."""
    turn: int | None = None
    """The step from which it was being put right; None if there was nothing to put right, or it never came to that."""


class Diary:
    """Notes what happens in one episode, step by step."""

    def __init__(self) -> None:
        self.now = 0
        """The step that is being decided on."""
        self._pages: list[Page] = []

    def begin(self, kind: Kind) -> Page:
        """Open a page for something that may be happening from now on."""
        page = Page(self, kind, self.now)
        self._pages.append(page)
        return page

    def events(self, steps: int) -> tuple[Event, ...]:
        """Return what really happened in an episode of `steps` steps until now, the first first."""
        found = [page.event(steps) for page in self._pages if page.happened]
        return tuple(sorted(found, key=lambda event: (event.start, event.kind)))


class Page:
    """Something that may be happening: it is an event once it is marked as happened."""

    def __init__(self, diary: Diary, kind: Kind, start: int) -> None:
        self._diary, self.kind, self._start = diary, kind, start
        self._turn: int | None = None
        self._stop: int | None = None
        self.happened = False

    def turn(self) -> None:
        """From now on it is being put right, until it is closed again."""
        self._turn, self._stop = self._diary.now, None

    def close(self) -> None:
        """It is over; without this it lasts until the episode ends."""
        self._stop = self._diary.now

    def event(self, steps: int) -> Event:
        """Return it as it is after `steps` steps."""
        return Event(self.kind, self._start, steps if self._stop is None else min(self._stop, steps), self._turn)
