"""What is wrong with the cameras of an episode, told while it is driven: to the owner's log once, to the hub as it is.

The camera process says what its films show; that the process itself has ended, its host sees.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from msgspec.structs import replace

from teleop.cameras.film import Trouble
from teleop.cameras.orders import Troubled
from teleop.steps import EpisodeStart
from teleop.wire.signalling import TIMES_MAX, CameraTroubled, Message, PictureTrouble

_log = structlog.get_logger()
_SAYS: Final = {
    Trouble.MISSING: "pictures are missing: the camera gives fewer than it was asked for",
    Trouble.FROZEN: "its picture is frozen",
    Trouble.BLACK: "its picture is black",
    Trouble.DROPPED: "pictures are dropped: this computer, or its disk, is too slow for them",
    Trouble.LOST: "it gives no pictures",
}
_NAMES: Final[Mapping[Trouble, PictureTrouble]] = {
    Trouble.MISSING: "missing",
    Trouble.FROZEN: "frozen",
    Trouble.BLACK: "black",
    Trouble.DROPPED: "dropped",
    Trouble.LOST: "lost",
}
_KEPT: Final = 2
"""The films of an episode may end after the next one has begun."""


class Troubles:
    """The newest trouble of each kind of each camera, in the last episodes. Any thread may call every method."""

    def __init__(self, report: Callable[[Message], None]) -> None:
        """`report` tells the hub."""
        self._report, self._lock = report, threading.Lock()
        self._t_first_ns: dict[str, int] = {}
        self._told: dict[tuple[str, str, Trouble], CameraTroubled] = {}

    def begin(self, start: EpisodeStart) -> None:
        """An episode is recorded from now on."""
        with self._lock:
            self._t_first_ns[start.episode] = start.t_mono_ns
            while len(self._t_first_ns) > _KEPT:
                over = next(iter(self._t_first_ns))
                del self._t_first_ns[over]
                self._told = {key: told for key, told in self._told.items() if key[0] != over}

    def take(self, news: Troubled) -> None:
        """Tell what is new."""
        with self._lock:
            t_first_ns = self._t_first_ns.get(news.episode)
            if t_first_ns is None:
                return
            key = news.episode, news.camera, news.trouble
            before = self._told.get(key)
            told = _told(news, t_first_ns, before)
            self._told[key] = told
        if before is None:
            says = _SAYS[news.trouble]
            _log.warning("a camera has trouble while an episode is recorded", camera=news.camera, says=says)
        self._report(told)

    def lose(self, episode: str, cameras: Sequence[str], now_ns: int) -> None:
        """No process reads these cameras now: they are lost, if they were not already, and nothing else is wrong."""
        for camera in cameras:
            with self._lock:
                lasting = {
                    trouble: told.from_s
                    for (of, name, trouble), told in self._told.items()
                    if (of, name) == (episode, camera) and told.until_s is None
                }
                t_first_ns = self._t_first_ns.get(episode, now_ns)
            for trouble in lasting.keys() - {Trouble.LOST}:
                t_from_ns = t_first_ns + round(lasting[trouble] * 1e9)
                self.take(Troubled(episode, camera, trouble, t_from_ns, now_ns, over=True))
            if Trouble.LOST not in lasting:
                self.take(Troubled(episode, camera, Trouble.LOST, now_ns, now_ns, over=False))


def _told(news: Troubled, t_first_ns: int, before: CameraTroubled | None) -> CameraTroubled:
    """Return what is told: the stretch that is under way goes on, or is over; or it has come again."""
    from_s, to_s = (_seconds(t_ns - t_first_ns) for t_ns in (news.t_from_ns, news.t_to_ns))
    until_s = to_s if news.over else None
    if before is None:
        return CameraTroubled(news.episode, news.camera, _NAMES[news.trouble], 1, from_s, until_s)
    again = before.until_s is not None
    return replace(before, times=min(before.times + again, TIMES_MAX), from_s=from_s, until_s=until_s)


def _seconds(ns: int) -> float:
    return round(max(0, ns) * 1e-9, 3)
