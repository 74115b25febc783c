"""Writing one episode as it happens: start, append, end. A crash loses at most the last half second."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from recorder.file.journal import Kind, end_record, open_journal
from recorder.file.layout import Sizes
from recorder.file.meta import Meta, end_meta, start_meta
from recorder.file.rows import RowEncoder, command_rows, limit_rows, note_row
from sim.robot import Observation
from teleop.records import RecordFile
from teleop.steps import EpisodeEnd, EpisodeStart, Note, Step

COMMIT_EVERY_S: Final = 0.5


class WriterError(Exception):
    """An episode's events do not fit together; the recording ends."""


class StepOrderError(WriterError):
    """A step is missing or came twice."""


class StepShapeError(WriterError):
    """A step's arrays do not have the shapes that the robot's spec promises."""


class EpisodeMismatchError(WriterError):
    """An end belongs to another episode, or has a different number of steps."""


def commit_steps(control_hz: float) -> int:
    """Return how many steps are committed to disk together."""
    return max(1, round(COMMIT_EVERY_S * control_hz))


class EpisodeWriter:
    """One open recording. Not thread-safe: one thread starts, appends and ends."""

    def __init__(self, journal: RecordFile, meta: Meta, *, durable: bool = True) -> None:
        """Take over a new journal; call `start` instead."""
        self._journal, self._meta = journal, meta
        self._commit = journal.commit if durable else journal.flush
        self._rows = RowEncoder(meta.spec, len(meta.task.stages))
        self._shapes = dict(meta.spec.arrays)
        self._applied = _applied_shapes(meta.spec.sizes)
        self._steps = 0
        self._commit_steps = commit_steps(meta.spec.control_hz)

    @classmethod
    def start(
        cls, journal: Path, start: EpisodeStart, urdf_sha256: dict[str, str], *, durable: bool = True
    ) -> EpisodeWriter:
        """Create the file `journal` (FileExistsError if it already exists) with the first observation.

        If it need not be `durable`, as a crash ends what could be driven again anyhow, nothing waits for the disk.
        """
        meta = start_meta(start, urdf_sha256)
        _require_shapes(start.initial, dict(meta.spec.arrays), "the initial observation")
        file = open_journal(journal, meta, durable=durable)
        try:
            writer = cls(file, meta, durable=durable)
            file.add(Kind.FIRST, writer._rows.first(start))
            writer._commit()
        except BaseException:
            file.close()
            journal.unlink(missing_ok=True)
            raise
        return writer

    @property
    def episode(self) -> str:
        """The episode's id."""
        return self._meta.episode

    @property
    def steps(self) -> int:
        """How many steps have been appended."""
        return self._steps

    def append(self, step: Step) -> None:
        """Append the next step; it is on disk after at most half a second of steps."""
        if step.index != self._steps:
            raise StepOrderError(f"{self.episode}: expected step {self._steps}, got {step.index}")
        _require_shapes(step.observed, self._shapes, f"step {step.index}")
        _require_applied(step, self._applied)
        if step.commands:
            self._journal.add(Kind.COMMANDS, command_rows(step.commands))
        limits = limit_rows(step.index, step.limits) if step.limits else b""
        self._journal.add(Kind.STEP, self._rows.step(step), limits)
        self._steps += 1
        if self._steps % self._commit_steps == 0:
            self._commit()

    def note(self, note: Note) -> None:
        """Keep what was said; it is on disk with the steps around it."""
        self._journal.add(Kind.NOTE, note_row(note))

    def end(self, end: EpisodeEnd) -> None:
        """Record how it ended, and close the journal; `journal.finish` then makes the episode's file from it."""
        if (end.episode, end.steps) != (self.episode, self.steps):
            expected = f"{self.episode} with {self.steps} steps"
            raise EpisodeMismatchError(f"expected the end of {expected}, got {end.episode} with {end.steps}")
        self._journal.add(Kind.END, end_record(end_meta(end)))
        self._commit()
        self._journal.close()

    def abandon(self) -> None:
        """Close the journal as it is; what was committed can be recovered. Idempotent."""
        self._journal.close()


def _require_shapes(seen: Observation, shapes: dict[str, tuple[int, ...]], what: str) -> None:
    found = {name: value.shape for name, value in seen.values.items()}
    if found != shapes:
        raise StepShapeError(f"expected {shapes} in {what}, got {found}")


def _applied_shapes(sizes: Sizes) -> tuple[tuple[int, ...], ...]:
    return (sizes.joints,), (sizes.hands,), (sizes.hands, 7)


def _require_applied(step: Step, expected: tuple[tuple[int, ...], ...]) -> None:
    found = step.applied.joint_position.shape, step.applied.gripper.shape, step.applied_ee_pose.shape
    if found != expected:
        raise StepShapeError(f"expected joints, grippers, poses of {expected} in step {step.index}, got {found}")
