"""What the hub itself hears of each episode while it is driven: when the robot was ready, whether its operator finished
it, and how it ended. It is kept beside the ticket, and held against what the host says of it later.

All of it belongs to the hub's event loop, but for `of`. What is not written yet is answered from memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from teleop.wire import signalling

OPEN_MAX: Final = 16
"""Of how many episodes of one robot the end may be outstanding: a host that never says it keeps no more in memory."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What has been heard of one episode so far; wall clock, except that `ended_ms` is measured from `ready_ms`."""

    episode: str
    robot: str
    ready_ms: int | None = None
    ready_mono_ms: int | None = None
    finish_ms: int | None = None
    """When the hub passed on that its operator finished it."""
    said: bool | None = None
    """Whether the task was done, in the word of its operator at that moment."""
    ended_ms: int | None = None
    ended: Mapping[str, Any] | None = None
    closed: bool = False
    """Whether nothing more can be heard of it."""

    @property
    def columns(self) -> dict[str, Any]:
        """What is written beside the ticket."""
        ended = None if self.ended is None else dict(self.ended)
        heard = {"ready_ms": self.ready_ms, "finish_ms": self.finish_ms, "said": self.said}
        return {**heard, "ended_ms": self.ended_ms, "ended": ended}


class Hearing:
    """Every episode of which more may be heard, or of which not everything is written yet."""

    def __init__(
        self, put: Callable[[Heard], None], now_ms: Callable[[], int], monotonic_ms: Callable[[], int]
    ) -> None:
        """`put` writes what was heard, after what was put before, and says so by `written`."""
        self._put, self._now_ms, self._monotonic_ms = put, now_ms, monotonic_ms
        self._kept: dict[str, Heard] = {}

    def of(self, episode: str) -> Heard | None:
        """Return what was heard of an episode; None if all of it is in the table. Any thread may ask."""
        return self._kept.get(episode)

    def begun(self, robot: str, episode: str) -> None:
        """A robot has been asked for an episode."""
        outstanding = [one for one in self._kept.values() if one.robot == robot and not one.closed]
        for oldest in outstanding[: -OPEN_MAX + 1]:
            self._close(oldest)
        self._kept[episode] = Heard(episode, robot)

    def ready(self, robot: str, episode: str) -> None:
        """The robot is ready. Only the first time counts."""
        found = self._open(robot, episode)
        if found is not None and found.ready_ms is None:
            ready_ms, ready_mono_ms = self._now_ms(), self._monotonic_ms()
            self._kept[episode] = dataclasses.replace(found, ready_ms=ready_ms, ready_mono_ms=ready_mono_ms)

    def finished(self, robot: str, episode: str, said: bool | None = None) -> None:
        """The operator's `finish` was passed on. It is written at once: without it, nobody believes `finished`.

        Only the first time counts, and so does what was said with it.
        """
        found = self._open(robot, episode)
        if found is not None and found.finish_ms is None:
            self._change(dataclasses.replace(found, finish_ms=self._now_ms(), said=said))

    def ended(self, robot: str, message: signalling.Ended) -> None:
        """The host says that it is over, and how. Only the first time counts."""
        found = self._open(robot, message.episode)
        if found is None:
            return
        said = {name: value for name, value in msgspec.to_builtins(message).items() if name not in ("type", "episode")}
        ended_ms = self._now_ms()
        if found.ready_ms is not None and found.ready_mono_ms is not None:
            ended_ms = found.ready_ms + self._monotonic_ms() - found.ready_mono_ms
        self._change(dataclasses.replace(found, ended_ms=ended_ms, ended=said, closed=True))

    def lost(self, robot: str) -> None:
        """The robot's host is gone: nothing more is heard of what was open."""
        for found in list(self._kept.values()):
            if found.robot == robot and not found.closed:
                self._close(found)

    def written(self, heard: Heard) -> None:
        """All that was heard up to then is in the table."""
        if heard.closed and self._kept.get(heard.episode) is heard:
            del self._kept[heard.episode]

    def _open(self, robot: str, episode: str) -> Heard | None:
        found = self._kept.get(episode)
        return None if found is None or found.robot != robot or found.closed else found

    def _close(self, found: Heard) -> None:
        self._change(dataclasses.replace(found, closed=True))

    def _change(self, heard: Heard) -> None:
        self._kept[heard.episode] = heard
        self._put(heard)
