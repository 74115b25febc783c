"""Writing one episode while it happens: start, append, finish. A crash loses at most the last half second."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import h5py
import numpy as np

from recorder.file.layout import Sizes
from recorder.file.meta import Meta, end_meta, start_meta
from recorder.file.part import Tables, create_part, finish
from recorder.file.rows import first_rows, step_rows
from sim.robot import Observation
from teleop.steps import EpisodeEnd, EpisodeStart, Step

COMMIT_EVERY_S: Final = 0.5


class WriterError(Exception):
    """An episode's events do not fit together; the recording ends."""


class StepOrderError(WriterError):
    """A step was dropped or came twice."""


class StepShapeError(WriterError):
    """A step's arrays are not those that the robot's spec promises."""


class EpisodeMismatchError(WriterError):
    """An end belongs to another episode, or counts other steps."""


def commit_steps(control_hz: float) -> int:
    """Return how many steps are brought to the disk together."""
    return max(1, round(COMMIT_EVERY_S * control_hz))


class EpisodeWriter:
    """One open recording. Not thread-safe: one thread starts, appends and finishes."""

    def __init__(self, part: Path, file: h5py.File, meta: Meta) -> None:
        """Take over a file made by `create_part`; use `start`."""
        self._part = part
        self._file = file
        self._tables = Tables(file)
        self._meta = meta
        self._shapes = dict(meta.spec.arrays)
        self._waiting: list[Step] = []
        self._committed = 0
        self._commit_steps = commit_steps(meta.spec.control_hz)

    @classmethod
    def start(cls, part: Path, start: EpisodeStart, urdf_sha256: dict[str, str]) -> EpisodeWriter:
        """Create the open file `part` (FileExistsError where it is there already) with the first observation."""
        meta = start_meta(start, urdf_sha256)
        _require_shapes(start.initial, dict(meta.spec.arrays), "the initial observation")
        writer = cls(part, create_part(part, meta), meta)
        writer._tables.append(first_rows(start))
        writer._tables.commit(0)
        return writer

    @property
    def episode(self) -> str:
        """The episode's id."""
        return self._meta.episode

    @property
    def steps(self) -> int:
        """How many steps were appended."""
        return self._committed + len(self._waiting)

    def append(self, step: Step) -> None:
        """Take the next step; it is on the disk within half a second of steps."""
        if step.index != self.steps:
            raise StepOrderError(f"{self.episode}: expected step {self.steps}, got {step.index}")
        _require_shapes(step.observed, self._shapes, f"step {step.index}")
        _require_applied(step, self._meta.spec.sizes)
        self._waiting.append(step)
        if len(self._waiting) >= self._commit_steps:
            self._commit()

    def finish(self, end: EpisodeEnd, clean: Path) -> None:
        """Write the finished file to `clean` and remove the open one."""
        if (end.episode, end.steps) != (self.episode, self.steps):
            expected = f"{self.episode} with {self.steps} steps"
            raise EpisodeMismatchError(f"expected the end of {expected}, got {end.episode} with {end.steps}")
        self._commit()
        self._file.close()
        finish(self._part, clean, end_meta(end))
        self._part.unlink()

    def abandon(self) -> None:
        """Close the open file where it is; what was committed can be recovered. Idempotent."""
        self._file.close()

    def _commit(self) -> None:
        if not self._waiting:
            return
        self._tables.append(step_rows(self._waiting, self._meta.spec.sizes))
        self._committed += len(self._waiting)
        self._waiting = []
        self._tables.commit(self._committed)


def _require_shapes(seen: Observation, shapes: dict[str, tuple[int, ...]], what: str) -> None:
    found = {name: np.shape(value) for name, value in seen.values.items()}
    if found != shapes:
        raise StepShapeError(f"expected {shapes} in {what}, got {found}")


def _require_applied(step: Step, sizes: Sizes) -> None:
    applied = step.applied.joint_position, step.applied.gripper, step.applied_ee_pose
    found = tuple(np.shape(array) for array in applied)
    expected = ((sizes.joints,), (sizes.hands,), (sizes.hands, 7))
    if found != expected:
        raise StepShapeError(f"expected joints, grippers, poses of {expected} in step {step.index}, got {found}")
