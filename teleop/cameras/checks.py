"""What is wrong with a camera's pictures: missing, frozen, black, late, dropped, lost. It has no thread and no clock.

`Checks` sees every picture of a film in order, and says what is wrong with it (`Mark`); what is wrong for a while
becomes one event (`FilmEvent`) once it is over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from teleop.cameras.capture import Shot
from teleop.cameras.encoders import Image
from teleop.cameras.film import FilmEvent, Mark, Trouble

_DARK: Final = 16
"""No pixel of a black picture is brighter."""
_LATE_PERIODS: Final = 1.5
_TOGETHER_NS: Final = 1_000_000_000
"""Trouble that comes again within this time is the same event."""
_SPARSE: Final = 16
"""Every which row and column is looked at first: that is enough for nearly all pictures."""
_MARKED: Final = {Trouble.FROZEN: Mark.FROZEN, Trouble.BLACK: Mark.BLACK}


class Checks:
    """The checks of one film."""

    def __init__(self, fps: float, t_first_ns: int, *, still: bool, depth: bool) -> None:
        """`still`: two pictures may well be the same; `depth`: a picture without any distance is black."""
        self._period_ns, self._still, self._dark = 1e9 / fps, still, 0 if depth else _DARK
        self._t_first_ns, self._seen_ns, self._kept_ns = t_first_ns, t_first_ns, 0
        """When the newest picture was taken, whether it was kept or not; and the newest one that was kept."""
        self._taken_over = False
        """Whether no picture has come since another process ended in the middle."""
        self._image: Image | None = None
        self._open: dict[Trouble, FilmEvent] = {}
        self._over: list[FilmEvent] = []

    def see(self, shot: Shot) -> Mark:
        """Return what is wrong with the next picture."""
        t_ns, marks = shot.t_captured_ns, Mark(0)
        if self._kept_ns and t_ns - self._kept_ns > _LATE_PERIODS * self._period_ns:
            marks |= Mark.LATE
        if not self._still and self._image is not None and _same(self._image, shot.image):
            marks |= Mark.FROZEN
        if _no_brighter(shot.image, self._dark):
            marks |= Mark.BLACK
        self._gap(t_ns, lost=shot.reopened)
        for trouble, mark in _MARKED.items():
            if mark in marks:
                self._go_on(trouble, t_ns if trouble is Trouble.BLACK else self._kept_ns, t_ns, 1)
            else:
                self._close(trouble, t_ns)
        self._close(Trouble.DROPPED, t_ns)
        self._image, self._kept_ns = shot.image, t_ns
        return marks

    def dropped(self, shot_ns: int, *, reopened: bool = False) -> None:
        """Take note of a picture, taken then, that came and could not be kept."""
        self._gap(shot_ns, lost=reopened)
        self._go_on(Trouble.DROPPED, shot_ns, shot_ns, 1)

    def go_on(self, last_ns: int) -> None:
        """Go on after another process ended in the middle, whose last picture was taken then."""
        self._seen_ns = self._kept_ns = last_ns
        self._taken_over = True

    def end(self, t_last_ns: int) -> None:
        """Nothing more comes, and there should have been pictures until then."""
        if t_last_ns - self._seen_ns > _LATE_PERIODS * self._period_ns:
            self._lost(t_last_ns)
        self._over += self._open.values()
        self._open.clear()

    def take(self) -> list[FilmEvent]:
        """Return the events that are over, once."""
        over, self._over = self._over, []
        return over

    @property
    def under_way(self) -> list[FilmEvent]:
        """What is wrong now, or was a moment ago."""
        return list(self._open.values())

    @property
    def seen_ns(self) -> int:
        """When the newest picture was taken; before any, the first observation's time."""
        return max(self._seen_ns, self._t_first_ns)

    def _gap(self, t_ns: int, *, lost: bool) -> None:
        """Take note of the time between the newest picture and the one before it."""
        taken_over, self._taken_over = self._taken_over, False
        late = t_ns - self._seen_ns > _LATE_PERIODS * self._period_ns
        if taken_over or (late and lost):
            self._lost(t_ns)
        elif not late:
            self._close(Trouble.MISSING, t_ns)
        else:
            since_ns, pictures = self._missed(t_ns)
            self._go_on(Trouble.MISSING, since_ns, t_ns, pictures)
        self._seen_ns = t_ns

    def _lost(self, t_to_ns: int) -> None:
        since_ns, pictures = self._missed(t_to_ns)
        self._over.append(FilmEvent(since_ns, t_to_ns, Trouble.LOST, pictures))

    def _missed(self, t_to_ns: int) -> tuple[int, int]:
        """Return since when nothing came, in this episode, and how many pictures should have."""
        since_ns = min(max(self._seen_ns, self._t_first_ns), t_to_ns)
        return since_ns, max(0, round((t_to_ns - since_ns) / self._period_ns) - 1)

    def _go_on(self, trouble: Trouble, t_from_ns: int, t_to_ns: int, pictures: int) -> None:
        event = self._open.get(trouble)
        if event is None:
            self._open[trouble] = FilmEvent(t_from_ns, t_to_ns, trouble, pictures)
        else:
            self._open[trouble] = replace(event, t_to_ns=t_to_ns, pictures=event.pictures + pictures)

    def _close(self, trouble: Trouble, now_ns: int) -> None:
        event = self._open.get(trouble)
        if event is not None and now_ns - event.t_to_ns > _TOGETHER_NS:
            self._over.append(self._open.pop(trouble))


def _same(one: Image, other: Image) -> bool:
    return np.array_equal(one[::_SPARSE, ::_SPARSE], other[::_SPARSE, ::_SPARSE]) and np.array_equal(one, other)


def _no_brighter(image: Image, most: int) -> bool:
    return bool(image[::_SPARSE, ::_SPARSE].max() <= most and image.max() <= most)
