"""Steps as rows: everything one step adds to the datasets, as one packed row of a journal (FORMAT.md, section 1.2)."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import NO_COMMAND, RULES, STAGE_SLACK, UNKNOWN_STAGE, UNKNOWN_SUCCESS, VERSION, Column, Rows
from recorder.file.meta import SpecMeta
from sim.motion.control import LimitEvent
from sim.robot import Observation
from teleop.steps import EpisodeStart, Note, Step, Taken

STEP_ROWS: Final = frozenset({Rows.STEP, Rows.OBSERVATION})
"""The kinds of dataset that have a row for each step."""
FIRST_ROWS: Final = frozenset({Rows.OBSERVATION})
"""The kinds of dataset that have a row before the first step."""
_RULE_CODES: Final = {rule: code for code, rule in enumerate(RULES)}
_LIMIT: Final = struct.Struct("<IBhdd")
"""One row of `LIMIT_TYPE`."""
COMMAND_HEAD: Final = struct.Struct("<qBH")
"""What comes before each command in a journal: when it arrived, whether it was admitted, and its size."""
NOTE_HEAD: Final = struct.Struct("<q")
"""What comes before a note's text in a journal: when it came."""
_FLOATS_FIRST: Final = {"<f8": 0, "<f4": 1}
_CODES: Final = {"|u1": "B", "|i1": "b", "<u2": "H", "<u4": "I", "<u8": "Q", "<i8": "q"}
"""An integer's type -> its letter in a `struct` format."""


def row_type(columns: Iterable[Column], rows: Collection[Rows]) -> np.dtype:
    """Return the packed type of one row of those of these datasets that have such rows.

    First come f64, then f32, then integers, each sorted by path.
    """
    return np.dtype([(column.path, column.dtype, column.shape) for column in _in_a_row(columns, rows)])


class RowEncoder:
    """Packs steps of one episode, in place: what a method returns is valid until the next call."""

    def __init__(self, spec: SpecMeta, stages: int) -> None:
        """Lay out the row of a robot's steps, and that of its first observation, at a task of so many stages."""
        self._stages = stages
        self._names = sorted(name for name, _ in spec.arrays)
        columns = spec.columns(VERSION)
        self._step, self._first = (_Row(_in_a_row(columns, kinds)) for kinds in (STEP_ROWS, FIRST_ROWS))

    def first(self, start: EpisodeStart) -> bytearray:
        """Return the row of the observation before the first step."""
        seen, row = start.initial, self._first
        np.concatenate([seen.values[name].ravel() for name in self._names], out=row.floats[:-1])
        row.floats[-1] = np.nan if seen.progress is None else seen.progress
        told = self._stage(seen), _success(seen)
        row.numbers.pack_into(row.data, row.numbers_at, *told, start.t_mono_ns, start.t_wall_ns)
        return row.data

    def step(self, step: Step) -> bytearray:
        """Return a step's row; the shapes of its arrays must have been checked."""
        seen, row, command = step.observed, self._step, step.commanded
        applied = step.applied_ee_pose.ravel(), step.applied.gripper, step.applied.joint_position
        np.concatenate([*applied, *(seen.values[name].ravel() for name in self._names)], out=row.floats[:-1])
        row.floats[-1] = np.nan if seen.progress is None else seen.progress
        row.values.fill(np.nan)
        if command is None:
            commanded = 0, 0, 0, 0, NO_COMMAND, 0, 0, 0
        else:
            kept = command.values[: len(row.values)]
            row.values[: len(kept)] = kept
            commanded = (
                len(command.values),
                command.dead_man,
                command.epoch,
                command.intervention,
                command.mode,
                command.seen,
                command.seq,
                command.t_client_us,
            )
        times = step.t_began_ns, step.t_observed_ns, step.t_sent_ns, step.t_wall_ns
        told = step.safety, self._stage(seen), _success(seen)
        row.numbers.pack_into(row.data, row.numbers_at, *commanded, *told, *times)
        return row.data

    def _stage(self, seen: Observation) -> int:
        return stage_of(seen.progress, self._stages)


def limit_rows(index: int, limits: Sequence[LimitEvent]) -> bytes:
    """Return the rows of `/limits` that step `index` adds."""
    return b"".join(_LIMIT.pack(index, _RULE_CODES[e.rule], e.axis, e.requested, e.applied) for e in limits)


def command_rows(commands: Sequence[Taken]) -> bytes:
    """Return commands as a journal has them."""
    return b"".join(COMMAND_HEAD.pack(c.arrived_ns, c.admitted, len(c.data)) + c.data for c in commands)


def note_row(note: Note) -> bytes:
    """Return a note as a journal has it."""
    return NOTE_HEAD.pack(note.t_mono_ns) + note.text.encode()


class _Row:
    """One row's bytes: its f64 and f32 values as arrays, and its integers after them."""

    def __init__(self, found: Sequence[Column]) -> None:
        sizes = {kind: sum(int(np.prod(c.shape)) for c in found if c.dtype == kind) for kind in _FLOATS_FIRST}
        self.numbers = struct.Struct("<" + "".join(_CODES[c.dtype.str] for c in found if c.dtype.str in _CODES))
        self.numbers_at = 8 * sizes["<f8"] + 4 * sizes["<f4"]
        self.data = bytearray(self.numbers_at + self.numbers.size)
        self.floats = np.frombuffer(self.data, "<f8", sizes["<f8"])
        self.values = np.frombuffer(self.data, "<f4", sizes["<f4"], offset=8 * sizes["<f8"])


def _in_a_row(columns: Iterable[Column], rows: Collection[Rows]) -> list[Column]:
    """Return those of these datasets that have such rows, in their order in one row."""
    found = [column for column in columns if column.rows in rows]
    return sorted(found, key=lambda column: _FLOATS_FIRST.get(column.dtype.str, len(_FLOATS_FIRST)))


def stage_of(progress: float | None, stages: int) -> int:
    """Return how many of a task's stages are done; -1 if nobody knows."""
    if progress is None or not stages or math.isnan(progress):
        return UNKNOWN_STAGE
    return math.floor(min(max(progress, 0.0), 1.0) * stages + STAGE_SLACK)


def stages_of(progress: NDArray[np.float64], stages: int) -> NDArray[np.int8]:
    """Return the same for each of many."""
    known = ~np.isnan(progress) if stages else np.zeros(len(progress), np.bool_)
    done = (np.clip(np.where(known, progress, 0.0), 0.0, 1.0) * stages + STAGE_SLACK).astype(np.int8)  # rounds down
    return np.where(known, done, np.int8(UNKNOWN_STAGE))


def _success(seen: Observation) -> int:
    return UNKNOWN_SUCCESS if seen.success is None else int(seen.success)
