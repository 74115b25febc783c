"""Which version of the rules an episode is scored by: it follows from its file, the same for everybody, for good.

Versions 1 and 2 differ in one thing: the clock that a simulated robot's metrics are computed on (docs/scoring.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from rewards.score.fixed import Array

if TYPE_CHECKING:
    from recorder.file.episode import Episode
    from recorder.file.meta import Meta

FIRST: Final = "1"
"""Everything is measured on the host's clock."""
SECOND: Final = "2"
"""A simulated robot's motion is measured in its simulation's time."""
THIRD: Final = "3"
"""What a drive teaches: `rewards.score.teaching`."""
NEWEST: Final = SECOND
"""The rules in force: what begins now is scored by them."""
VERSIONS: Final = (FIRST, SECOND, THIRD)
_FIRST_FORMAT: Final = 1
"""Episodes of this format were driven when the first version was the only one."""


def version_of(meta: Meta) -> str:
    """Return the version that an episode is scored by, whenever that is done.

    A host cannot choose: a hub refuses a format older than what it asked for, and a robot that is simulated otherwise
    than it was registered.
    """
    return FIRST if meta.version == _FIRST_FORMAT else SECOND


def measured_s(episode: Episode) -> Array:
    """Return the host's clock at each observation, s from the first one: (N+1,)."""
    t_ns = episode.t_observed_ns
    since: Array = (t_ns - t_ns[0]) / 1e9
    return since


def moved_s(episode: Episode, version: str) -> Array:
    """Return the clock that the motion is measured on, s from the first observation: (N+1,).

    A simulation does exactly one control period in each step, however unevenly its host takes them.
    """
    if version == FIRST or not episode.meta.robot.simulated:
        return measured_s(episode)
    simulated: Array = np.arange(episode.steps + 1) / episode.meta.spec.control_hz
    return simulated
