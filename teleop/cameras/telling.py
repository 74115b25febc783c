"""Which trouble of a film is told while it goes on: at once what lasts, and what was short once it is over.

`Telling` has no thread and no clock. What it tells is an event of the film, as far as it goes, and whether it is over;
each event is told at most twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from teleop.cameras.film import FilmEvent, Trouble

LASTS_NS: Final = 500_000_000
"""Trouble that lasts this long is told while it goes on."""

Tell = Callable[[FilmEvent, bool], None]
"""Takes an event, and whether it is over."""


class Telling:
    """What has been told of one film."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._under_way: set[Trouble] = set()
        """What was told, and is not over."""
        self._silent_ns: int | None = None
        """Since when no picture has come, if that was told."""
        self._as_lost_ns: int | None = None
        """When a silence began that was told: the film has it as `missing`, if the device was there all the time."""

    def silent(self, since_ns: int, now_ns: int) -> None:
        """No picture has come for a while; nobody knows yet whether the device is gone."""
        if self._silent_ns is None:
            self._silent_ns = since_ns
            self._tell(FilmEvent(since_ns, now_ns, Trouble.LOST, 0), False)

    def seen(self, t_ns: int, under_way: Collection[FilmEvent], over: Collection[FilmEvent]) -> None:
        """A picture was taken then; what is wrong now, and what is over since the picture before."""
        self._speak_again(t_ns, under_way, over)
        for event in over:
            self._under_way.discard(event.trouble)
            if event.trouble is Trouble.LOST or event.t_from_ns != self._as_lost_ns:
                self._tell(event, True)
        for event in under_way:
            lasts = event.t_to_ns - event.t_from_ns >= LASTS_NS
            if lasts and event.trouble not in self._under_way and event.t_from_ns != self._as_lost_ns:
                self._under_way.add(event.trouble)
                self._tell(event, False)

    def ended(self, over: Collection[FilmEvent]) -> None:
        """The film has ended, and with it whatever was wrong."""
        self._silent_ns = None
        self.seen(0, (), over)

    def _speak_again(self, t_ns: int, under_way: Collection[FilmEvent], over: Collection[FilmEvent]) -> None:
        """If a silence was told, and is not an event of its own in the film, tell that it is over."""
        since_ns, self._silent_ns = self._silent_ns, None
        if since_ns is None or any(event.trouble is Trouble.LOST for event in over):
            return
        self._as_lost_ns = since_ns
        missed = next((event.pictures for event in under_way if event.t_from_ns == since_ns), 0)
        self._tell(FilmEvent(since_ns, t_ns, Trouble.LOST, missed), True)
