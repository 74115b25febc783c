"""Steps as rows: the arrays that a run of steps adds to an episode file, by dataset path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import LIMIT_TYPE, NO_COMMAND, RULES, UNKNOWN_SUCCESS, Sizes
from sim.robot import Observation
from teleop.steps import EpisodeStart, Step
from teleop.wire.messages import Command

Arrays = Mapping[str, NDArray[Any]]


def first_rows(start: EpisodeStart) -> Arrays:
    """Return the one row that the observation datasets have before the first step."""
    return _observed([start.initial], [start.t_mono_ns], [start.t_wall_ns])


def step_rows(steps: Sequence[Step], sizes: Sizes) -> Arrays:
    """Return the n rows that n >= 1 steps add to each dataset; of `limits`, any number."""
    observed = [step.observed for step in steps]
    rows = dict(_observed(observed, [s.t_observed_ns for s in steps], [s.t_wall_ns for s in steps]))
    rows |= _commanded([step.commanded for step in steps], sizes.command_values)
    rows["time/t_sent_mono_ns"] = np.array([step.t_sent_ns for step in steps], "<i8")
    rows["applied/joint_position"] = np.array([step.applied.joint_position for step in steps], "<f8")
    rows["applied/gripper"] = np.array([step.applied.gripper for step in steps], "<f8")
    rows["applied/ee_pose"] = np.array([step.applied_ee_pose for step in steps], "<f8")
    rows["safety"] = np.array([step.safety for step in steps], "|u1")
    rows["limits"] = np.array([row for step in steps for row in _limits(step)], LIMIT_TYPE)
    return rows


def _observed(seen: Sequence[Observation], t_mono_ns: Sequence[int], t_wall_ns: Sequence[int]) -> Arrays:
    rows = {f"observation/{name}": np.array([one.values[name] for one in seen], "<f8") for name in seen[0].values}
    rows["time/t_observed_mono_ns"] = np.array(t_mono_ns, "<i8")
    rows["time/t_wall_ns"] = np.array(t_wall_ns, "<i8")
    known = [UNKNOWN_SUCCESS if one.success is None else int(one.success) for one in seen]
    rows["success"] = np.array(known, "|i1")
    rows["progress"] = np.array([np.nan if one.progress is None else one.progress for one in seen], "<f8")
    return rows


def _commanded(commands: Sequence[Command | None], width: int) -> Arrays:
    values = np.full((len(commands), width), np.nan, "<f4")
    for row, command in zip(values, commands, strict=True):
        if command is not None:
            kept = command.values[:width]
            row[: len(kept)] = kept
    return {
        "commanded/values": values,
        "commanded/mode": np.array([NO_COMMAND if c is None else c.mode for c in commands], "|u1"),
        "commanded/count": np.array([0 if c is None else len(c.values) for c in commands], "<u2"),
        "commanded/seq": np.array([0 if c is None else c.seq for c in commands], "<u4"),
        "commanded/seen": np.array([0 if c is None else c.seen for c in commands], "<u4"),
        "commanded/epoch": np.array([0 if c is None else c.epoch for c in commands], "<u4"),
        "commanded/dead_man": np.array([0 if c is None else c.dead_man for c in commands], "|u1"),
        "commanded/t_client_us": np.array([0 if c is None else c.t_client_us for c in commands], "<u8"),
    }


def _limits(step: Step) -> list[tuple[int, int, int, float, float]]:
    return [(step.index, RULES.index(e.rule), e.axis, e.requested, e.applied) for e in step.limits]
