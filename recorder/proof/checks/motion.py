"""Whether an episode's numbers are possible for its robot: clocks, limits, speed. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from recorder.file.episode import Episode

TOLERANCE_RAD: Final = 1e-6
"""Allowance for rounding in the clamping arithmetic, far below any encoder's step."""


def problem(episode: Episode) -> str | None:
    """Return the first impossible thing, as a sentence, or None."""
    for check in (_finite, _clocks, _beginnings, _limit_events, _positions, _speeds, _gripper):
        if (found := check(episode)) is not None:
            return found
    return None


def _finite(episode: Episode) -> str | None:
    paths = [f"observation/{name}" for name in episode.observations]
    for path in [*paths, "applied/joint_position", "applied/gripper", "applied/ee_pose"]:
        bad = np.argwhere(~np.isfinite(episode.arrays[path]))
        if len(bad):
            return f"{path}{bad[0].tolist()}: expected a finite number, got {episode.arrays[path][tuple(bad[0])]}"
    return None


def _clocks(episode: Episode) -> str | None:
    seen, sent = episode.t_observed_ns, episode.t_sent_ns
    forward = (seen[1:] > seen[:-1]) & (sent >= seen[:-1]) & (sent <= seen[1:])
    if forward.all():
        return None
    at = int(np.argmin(forward))
    times = f"{seen[at]}, {sent[at]}, {seen[at + 1]}"
    return f"step {at}: expected observation, sending and next observation in this order, got {times} ns"


def _beginnings(episode: Episode) -> str | None:
    """A period begins with what was seen before it, except the first, which begins the recording; and then it sends."""
    if episode.meta.version == 1:
        return None
    seen, began, sent = episode.t_observed_ns, episode.t_began_ns, episode.t_sent_ns
    wrong = np.flatnonzero((began > sent) | (np.arange(episode.steps) > 0) & (began < seen[:-1]))
    if not len(wrong):
        return None
    at = wrong[0]
    times = f"{seen[at]}, {began[at]}, {sent[at]}"
    return f"step {at}: expected observation, beginning and sending in this order, got {times} ns"


def _limit_events(episode: Episode) -> str | None:
    steps = episode.arrays["limits"]["step"].astype(np.int64)
    if (np.diff(steps) < 0).any() or (steps >= episode.steps).any():
        return f"expected limit events ordered by step, below {episode.steps}"
    return None


def _positions(episode: Episode) -> str | None:
    spec, applied = episode.meta.spec, episode.applied_joint_position
    low, high = np.array(spec.joint_lower_rad), np.array(spec.joint_upper_rad)
    wider = TOLERANCE_RAD + np.array(spec.resolution_rad)
    bad = np.argwhere((applied < low - wider) | (applied > high + wider))
    if not len(bad):
        return None
    step, joint = bad[0]
    limits = f"[{low[joint]}, {high[joint]}]"
    return f"step {step}, {spec.joint_names[joint]}: expected within {limits} rad, got {applied[step, joint]}"


def _speeds(episode: Episode) -> str | None:
    """A target must be within one period's reach of the previous target, or of where the arm was seen before it.

    Either may have been rounded to the joint's resolution by half of it.
    """
    spec, applied = episode.meta.spec, episode.applied_joint_position
    reach = np.array(spec.joint_velocity_max_rad_s) / spec.control_hz + TOLERANCE_RAD + np.array(spec.resolution_rad)
    seen = episode.observation("joint_position")[:-1]
    before = np.vstack([seen[:1], applied[:-1]])
    bad = np.argwhere((np.abs(applied - before) > reach) & (np.abs(applied - seen) > reach))
    if not len(bad):
        return None
    step, joint = bad[0]
    moved = abs(applied[step, joint] - before[step, joint])
    return f"step {step}, {spec.joint_names[joint]}: expected at most {reach[joint]} rad a period, got {moved}"


def _gripper(episode: Episode) -> str | None:
    opening = episode.applied_gripper
    bad = np.argwhere((opening < 0.0) | (opening > 1.0))
    if not len(bad):
        return None
    step, hand = bad[0]
    return f"step {step}: expected gripper {hand}'s opening in [0, 1], got {opening[step, hand]}"
