"""An episode of version 2 as arrays, from what a session handed to its recorder, without a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np

from recorder.file.episode import Episode
from recorder.file.layout import LIMIT_TYPE, NO_COMMAND
from recorder.file.meta import end_meta, start_meta
from recorder.file.rows import limit_rows
from recorder.proof.description import hash_description
from sim.robot import Observation, RobotModel
from teleop.steps import EpisodeEnd, EpisodeStart, Step


def episode_of(start: EpisodeStart, steps: Sequence[Step], end: EpisodeEnd) -> Episode:
    """Return the episode that a recorder makes of this, as FORMAT.md says, as far as a replay reads it."""
    meta = msgspec.structs.replace(start_meta(start, described(start.spec.model)), version=2, end=end_meta(end))
    seen = [start.initial, *(step.observed for step in steps)]
    arrays = observed(seen) | commands(steps)
    arrays["applied/joint_position"] = np.array([step.applied.joint_position for step in steps])
    arrays["applied/gripper"] = np.array([step.applied.gripper for step in steps])
    arrays["applied/ee_pose"] = np.array([step.applied_ee_pose for step in steps])
    arrays["safety"] = np.array([step.safety for step in steps], np.uint8)
    arrays["commanded/mode"] = np.array(
        [NO_COMMAND if step.commanded is None else step.commanded.mode for step in steps], np.uint8
    )
    rows = b"".join(limit_rows(step.index, step.limits) for step in steps)
    arrays["limits"] = np.frombuffer(rows, LIMIT_TYPE)
    return Episode(meta, meta.encode(), end_meta(end), arrays)


def observed(seen: Sequence[Observation]) -> dict[str, np.ndarray[Any, Any]]:
    """Return what N + 1 observations are in a file."""
    found = {f"observation/{name}": np.array([one.values[name] for one in seen]) for name in seen[0].values}
    found["progress"] = np.array([one.progress for one in seen], np.float64)
    found["success"] = np.array([one.success for one in seen], np.int8)
    return found


def commands(steps: Sequence[Step]) -> dict[str, np.ndarray[Any, Any]]:
    """Return `/commands`."""
    taken = [(step.index, one) for step in steps for one in step.commands]
    return {
        "commands/bytes": np.frombuffer(b"".join(one.data for _, one in taken), np.uint8),
        "commands/end": np.cumsum([len(one.data) for _, one in taken], dtype=np.uint32),
        "commands/t_arrived_mono_ns": np.array([one.arrived_ns for _, one in taken], np.int64),
        "commands/step": np.array([index for index, _ in taken], np.uint32),
        "commands/admitted": np.array([one.admitted for _, one in taken], np.uint8),
    }


@cache
def described(model: RobotModel) -> dict[str, str]:
    """Return the hashes of a robot's files."""
    return hash_description(model)
