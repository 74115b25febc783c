"""What can be scored of an imported episode: all of it if its arrays are ours, else only what its source says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec

from recorder.file.episode import Episode
from recorder.file.layout import Rows
from rewards.score.score import facts_of, score
from rewards.score.teaching.integrity import Gate
from rewards.score.verdict import ONE_PPM, Score
from rewards.score.versions import NEWEST

_NEEDED: Final = {
    "applied/joint_position": "what the robot was given",
    "applied/gripper": "what the gripper was given",
    "progress": "how far the task had got",
}
_UNMEASURED: Final = frozenset(
    {
        Gate.UNMEASURABLE,
        Gate.STREAM_MISSING,
        Gate.NO_REFERENCE_SET,
        Gate.REFERENCE_OF_ANOTHER_VERSION,
        Gate.SUCCESS_UNKNOWN,
    }
)
"""Gates that refuse because something is not there: of an import, that is no fault of how it was driven."""


def scored(episode: Episode, rules: str = "") -> tuple[Score | None, str]:
    """Return the score of an imported episode; or None, and why there is none."""
    origin = episode.meta.origin
    if origin is None:
        raise ValueError(f"{episode.meta.episode} was not imported")
    missing = [what for path, what in _NEEDED.items() if path not in origin.values]
    if not episode.meta.spec.end_effectors:
        missing.append("where the hand is")
    if missing:
        return None, f"the source does not say {', '.join(missing)}"
    version = episode.meta.rules if episode.meta.rules is not msgspec.UNSET else NEWEST
    found = score(facts_of(episode if origin.final else _without_last(episode), rules or version))
    if _UNMEASURED.intersection(found.refused):
        return None, found.reasons[0] if found.reasons else "it cannot be measured"
    return found, ""


def imported_score_facts(episode: Episode) -> dict[str, Any]:
    """Return an imported episode's score and its parts, as columns of an export; nothing if it has no score."""
    found, _ = scored(episode)
    if found is None:
        return {}
    parts = {f"score_{name}": float(value) for name, value in found.vector.items()}
    return {"score": found.score_ppm / ONE_PPM, "score_version": found.version, **parts}


def _without_last(episode: Episode) -> Episode:
    """Return the episode up to its last observation that is known: its last action led nowhere that anyone saw."""
    steps = episode.steps - 1
    timed = {column.path for column in episode.meta.columns if column.rows in (Rows.STEP, Rows.OBSERVATION)}
    arrays = {path: array[:-1] if path in timed else array for path, array in episode.arrays.items()}
    arrays["success"] = arrays["success"].copy()
    arrays["success"][-1] = max(arrays["success"][-1], episode.arrays["success"][-1])  # said of the last action
    return replace(episode, end=msgspec.structs.replace(episode.end, steps=steps), arrays=arrays)
