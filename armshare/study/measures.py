"""Everything that might say how good an episode is, each so that more is better: scores, their parts, length, SPARC.

Each is taken as driven, from the file as the hub takes it, and once more at equal length: of the same motion spread
over as many steps as every other drive of its task, so that nothing that merely counts time can tell drives apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import Rows
from rewards.score.metrics import measure
from rewards.score.score import facts_of, score
from rewards.score.verdict import ONE_PPM, Score
from rewards.score.versions import THIRD

if TYPE_CHECKING:
    from recorder.file.episode import Episode

Array = NDArray[np.float64]

JUDGED: Final = THIRD
"""The version of the rules that a study is about."""
SCORE: Final = "score"
BEFORE: Final = "score of version 2"
LENGTH: Final = "shortness"
SPARC: Final = "SPARC"
_LESS_IS_BETTER: Final = frozenset({"duration_s", "recoveries"})
_BEFORE: Final = "2"
_MANY: Final = frozenset({Rows.STEP, Rows.OBSERVATION})


def measures(episode: Episode, version: str = JUDGED) -> dict[str, float]:
    """Return every measure of an episode, by name; one that does not exist for it is left out."""
    newest, before = scored(episode, version), scored(episode, _BEFORE)
    found: dict[str, float | None] = {SCORE: paid(newest), BEFORE: paid(before)}
    found |= {f"part: {name}": value for name, value in newest.vector.items()}
    for name, value in newest.shown.items():
        found[f"shown: {name}"] = -value if name in _LESS_IS_BETTER else value
    found |= {LENGTH: -float(episode.steps), SPARC: measure(facts_of(episode, _BEFORE)).sparc}
    found |= {f"version 2: {name}": value for name, value in before.vector.items()}
    return {name: value for name, value in found.items() if value is not None and np.isfinite(value)}


def paid(verdict: Score) -> float:
    """Return what part of the price a verdict pays: nothing, if the episode is not accepted."""
    return verdict.score_ppm / ONE_PPM if verdict.accepted else 0.0


def scored(episode: Episode, version: str) -> Score:
    """Return the verdict of a version of the rules on an episode that was read from its file."""
    return score(facts_of(episode, version))


def at_length(episode: Episode, steps: int) -> Episode:
    """Return the same motion in `steps` steps: what changes evenly is interpolated, the rest is the nearest row's."""
    before = episode.steps
    arrays: dict[str, NDArray[Any]] = dict(episode.arrays)
    for column in episode.meta.columns:
        if column.rows in _MANY:
            last = before - (column.rows is Rows.STEP)
            count = steps + (column.rows is Rows.OBSERVATION)
            arrays[column.path] = _spread(column.path, arrays[column.path], np.linspace(0.0, last, count))
    arrays |= _clocks(arrays, steps, episode.meta.spec.control_hz)
    arrays["limits"] = _limits(arrays["limits"], before, steps)
    end = msgspec.structs.replace(episode.end, steps=steps)
    return dataclasses.replace(episode, end=end, arrays=arrays)


def _spread(path: str, values: NDArray[Any], at: Array) -> NDArray[Any]:
    """Return the rows of `values` at fractions of rows `at`."""
    nearest = values[np.rint(at).astype(np.intp)]
    if not path.startswith(("observation/", "applied/", "progress")) or path == "applied/gripper":
        return nearest
    low = np.floor(at).astype(np.intp)
    high = np.minimum(low + 1, len(values) - 1)
    part = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    upper = values[high]
    if values.shape[-1:] == (7,) and path.endswith("_pose"):
        upper = upper.copy()
        flipped = (values[low][..., 3:] * upper[..., 3:]).sum(-1, keepdims=True) < 0.0
        upper[..., 3:] = np.where(flipped, -upper[..., 3:], upper[..., 3:])  # a quaternion and its negative are one
    mixed: NDArray[Any] = (1.0 - part) * values[low] + part * upper
    if values.shape[-1:] == (7,) and path.endswith("_pose"):
        mixed[..., 3:] /= np.linalg.norm(mixed[..., 3:], axis=-1, keepdims=True)
    return mixed


def _clocks(arrays: Mapping[str, NDArray[Any]], steps: int, control_hz: float) -> dict[str, NDArray[Any]]:
    """Return the clocks of as many even periods."""
    since = np.rint(np.arange(steps + 1) * 1e9 / control_hz).astype(np.int64)
    found = {"time/t_observed_mono_ns": since, "time/t_wall_ns": since}
    found |= {"time/t_sent_mono_ns": since[:-1], "time/t_began_mono_ns": since[:-1]}
    return {path: arrays[path][0] + values for path, values in found.items() if path in arrays}


def _limits(events: NDArray[Any], before: int, steps: int) -> NDArray[Any]:
    """Return a limit event for each step that stands for one that had it."""
    of = np.rint(np.linspace(0.0, before - 1, steps)).astype(np.intp)
    found = [np.flatnonzero(of == step) for step in events["step"]]
    made = np.repeat(events, [len(rows) for rows in found])
    made["step"] = np.concatenate([*found, np.empty(0, np.intp)])
    return made
