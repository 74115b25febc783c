"""Where things stood when an episode began, so that drives from a like start can be found. Pure.

Two starts are as far apart as the thing that stood farthest from where it stood in the other. Starts that are alike
have the same cell, or neighbouring ones: the mean place of all things is no farther apart than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from rewards.score.versions import SECOND, moved_s

if TYPE_CHECKING:
    from recorder.file.episode import Episode

LIKE_M: Final = 0.05
"""Starts that are no farther apart than this are alike; the edge of a cell, too."""
_POSES: Final = ("_pose", "_poses")
_FAR_M: Final = 1000.0
"""No thing of a task is farther from its robot."""


@dataclass(frozen=True, slots=True)
class Start:
    """The start of an episode, and how long it took."""

    task: str
    task_version: int
    model: str
    simulated: bool
    things_m: tuple[float, ...] | None
    """x y z of each thing in the robot's base frame at the first observation, in the order of their arrays' names.

    None if nobody knows: a real robot observes its things only if it has arrays for them.
    """
    duration_s: float

    @property
    def cell(self) -> str:
        """The cell that it is in; empty if nobody knows."""
        return "" if self.things_m is None else _cell(*_column_row(self.things_m))


def start_of(episode: Episode) -> Start:
    """Return an episode's start."""
    task, steps_s = episode.meta.task, moved_s(episode, SECOND)
    return Start(
        task=task.name,
        task_version=task.version,
        model=episode.meta.robot.model,
        simulated=episode.meta.robot.simulated,
        things_m=_things_m(episode),
        duration_s=float(steps_s[-1]),
    )


def _things_m(episode: Episode) -> tuple[float, ...] | None:
    """Return where things stood; a simulated robot has an array for every thing, so it may have none."""
    spec, seen = episode.meta.spec, episode.observations
    hands = {end.pose for end in spec.end_effectors}
    names = [array.name for array in spec.observation if array.name.endswith(_POSES) and array.shape[-1] == 7]
    things = [seen[name][0].reshape(-1, 7)[:, :3] for name in sorted(set(names) - hands)]
    if not things and not episode.meta.robot.simulated:
        return None
    things_m = np.concatenate([one.reshape(-1) for one in things]) if things else np.zeros(0)
    return tuple(things_m.tolist()) if np.all(np.abs(things_m) <= _FAR_M) else None


def apart_m(one: Sequence[float], other: Sequence[float]) -> float:
    """Return how far apart two starts are, m; infinity if they do not have the same things."""
    if len(one) != len(other):
        return math.inf
    places = zip(_places(one), _places(other), strict=True)
    return max((math.dist(here, there) for here, there in places), default=0.0)


def start_cells(things_m: Sequence[float]) -> tuple[str, ...]:
    """Return the nine cells that hold every start which is like this one."""
    column, row = _column_row(things_m)
    return tuple(_cell(column + x, row + y) for x in (-1, 0, 1) for y in (-1, 0, 1))


def _cell(column: int, row: int) -> str:
    return f"{column},{row}"


def _column_row(things_m: Sequence[float]) -> tuple[int, int]:
    places = _places(things_m)
    if not places:
        return 0, 0
    mean = (math.fsum(place[axis] for place in places) / len(places) for axis in (0, 1))
    column, row = (math.floor(value / LIKE_M) for value in mean)
    return column, row


def _places(things_m: Sequence[float]) -> list[Sequence[float]]:
    return [things_m[at : at + 3] for at in range(0, len(things_m), 3)]
