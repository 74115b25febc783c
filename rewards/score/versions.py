"""Which version of the rules an episode is scored by: it follows from its file, the same for everybody, for good.

The hub names the rules in force when an episode begins, and the file repeats that name; files of earlier releases name
none, and their format says it. Versions 1 and 2 differ in one thing: the clock that a simulated robot's metrics are
computed on (docs/scoring.md, section 2).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
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
NEWEST: Final = THIRD
"""The rules in force: what begins now is scored by them."""
VERSIONS: Final = (FIRST, SECOND, THIRD)
REVIEWED: Final = "review-1"
"""What a real robot's episode is worth if people pass it (`rewards.score.reviewed`): no file names it, and it stands
beside the others."""
_FIRST_FORMAT: Final = 1
"""Episodes of this format were driven when the first version was the only one."""


class UnknownRulesError(ValueError):
    """There are no rules of that name here."""

    def __init__(self, version: str, known: Collection[str] = VERSIONS) -> None:
        super().__init__(
            f"expected one of the versions of the rules {', '.join(known)}, got {version!r}: a newer release has it, "
            "or nobody does; update armshare"
        )
        self.version, self.known = version, tuple(known)

    def __reduce__(self) -> tuple[type[UnknownRulesError], tuple[str, tuple[str, ...]]]:
        """Pickle it by what it was made of, as a worker that scores does."""
        return UnknownRulesError, (self.version, self.known)


def version_of(meta: Meta) -> str:
    """Return the version that an episode is scored by, whenever that is done; raise UnknownRulesError.

    A host cannot choose: a hub refuses other rules than it named when the episode began, a format older than what it
    asked for, and a robot that is simulated otherwise than it was registered.
    """
    if meta.rules is msgspec.UNSET:
        return FIRST if meta.version == _FIRST_FORMAT else SECOND
    return require_known(meta.rules)


def require_known(version: str, known: Collection[str] = VERSIONS) -> str:
    """Return the version of the rules; raise UnknownRulesError if it is not one of them."""
    if version not in known:
        raise UnknownRulesError(version, known)
    return version


def newness(version: str, versions: Sequence[str] = VERSIONS) -> int:
    """Return how new a version of the rules is among `versions`, oldest first: what people found is newer than all."""
    if version == REVIEWED:
        return len(versions)
    return versions.index(version) if version in versions else -1


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
