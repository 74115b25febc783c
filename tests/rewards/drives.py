"""Episodes as plain arrays, for tests that need no file: a hand that follows a path in x, with the arm in
step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from recorder.file.journal import finish
from recorder.file.writer import EpisodeWriter
from rewards.score.fixed import Array
from rewards.score.metrics import EpisodeFacts
from rewards.score.versions import SECOND
from teleop.steps import EpisodeEnd, EpisodeStart, Step
from tests.recorder.factory import fake_episode

HZ = 20.0


def smooth_step(seconds: float, hz: float = HZ) -> Array:
    """Return a minimum-jerk movement from 0 to 1."""
    at = np.linspace(0.0, 1.0, round(seconds * hz) + 1)
    return 10 * at**3 - 15 * at**4 + 6 * at**5


def facts_along(position_m: Array, gripper: Array | None = None, hz: float = HZ, **changes: Any) -> EpisodeFacts:
    """Return a successful episode whose hand was at `position_m` (N+1, 3), one row each 1 / hz."""
    count = len(position_m)
    opening = (np.ones(count) if gripper is None else gripper).reshape(count, 1)
    joint_rad = np.column_stack([position_m[:, 0], position_m[:, 1] - position_m[:, 2]])
    facts = EpisodeFacts(
        episode="e1",
        task="lift",
        success=True,
        valid=True,
        end_reason="finished",
        control_hz=hz,
        t_s=np.arange(count) / hz,
        ee_position_m=position_m,
        joint_rad=joint_rad,
        gripper=opening,
        applied_rad=joint_rad[1:],
        applied_gripper=opening[1:],
        limited=np.zeros(count - 1, dtype=bool),
        version=SECOND,
    )
    return replace(facts, **changes)


def line(*metres: float, seconds: float = 2.0) -> Array:
    """Return the path of a hand that visits x = `metres`, one smooth movement each: (N+1, 3)."""
    parts = [np.array([metres[0]])]
    parts += [a + (b - a) * smooth_step(seconds)[1:] for a, b in pairwise(metres)]
    x = np.concatenate(parts)
    return np.column_stack([x, np.zeros_like(x), np.zeros_like(x)])


def good_drive(**changes: Any) -> EpisodeFacts:
    """Return a smooth, straight, unpaused, successful episode."""
    return facts_along(line(0.0, 0.4), **changes)


def recorded(folder: Path, **changes: Any) -> Path:
    """Return the file of a recorded episode of the fake arm, 60 steps long."""
    return write_episode(folder, *fake_episode(steps=60, **changes))


def write_episode(folder: Path, start: EpisodeStart, steps: list[Step], end: EpisodeEnd) -> Path:
    """Record an episode as a host does; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{start.episode}.h5"
    journal = folder / f"{start.episode}.journal"
    writer = EpisodeWriter.start(journal, start, {})
    for step in steps:
        writer.append(step)
    writer.end(end)
    finish(journal, file)
    return file
