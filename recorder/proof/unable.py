"""What keeps an episode from being checked here and now. It says nothing against it: it is checked again later.

A gate has three answers: *passed*, *refused* (`refusals.py`), and *unable*, which is this. Only a refusal is final.
"""

from __future__ import annotations

from typing import Final

from recorder.file.apart import ReaderLostError
from sim.physics.replay import ReplayMismatchError
from sim.robot import ActionShapeError, RobotError, UnstableWorldError

REFUTED: Final = (ReplayMismatchError, ActionShapeError, UnstableWorldError)
"""What a replay raises if the same engine gives another result. Whatever else it raises, it did not check anything."""
WORDS: Final = {
    "EngineMismatch": "the physics engine or the processor here differs from the one that recorded it",
    "DescriptionMismatch": "the robot's description here differs from the one that recorded it",
    "TaskMismatch": "the task has another version here",
    "UnknownRobot": "this robot's description is not here",
    "UnknownTask": "this task is not here",
    "OutOfMemory": "the worker that checked it ran out of memory",
    "ReaderLost": "the process that read the recording was interrupted",
    "StoreLost": "the place where the hub keeps its files does not answer as it should",
    "WorkerLost": "the worker that checked it was interrupted",
    "VerifierBroke": "something broke in the check itself",
}
"""Every reason, as a contributor reads it."""


class UnableError(Exception):
    """An episode could not be checked. `reason` is one of `WORDS`; `says` tells whoever runs the verifier why."""

    def __init__(self, reason: str, says: str) -> None:
        super().__init__(reason, says)
        self.reason, self.says = reason, says

    def __str__(self) -> str:
        return f"{self.reason}: {WORDS[self.reason]} ({self.says})"


def unable(error: Exception) -> UnableError:
    """Return what an error in a verifier is: what keeps it from checking."""
    if isinstance(error, UnableError):
        return error
    if isinstance(error, MemoryError):
        return UnableError("OutOfMemory", "MemoryError")
    if isinstance(error, ReaderLostError):
        return UnableError("ReaderLost", str(error))
    reason = type(error).__name__.removesuffix("Error")
    if isinstance(error, RobotError) and reason in WORDS:
        return UnableError(reason, str(error))
    return UnableError("VerifierBroke", f"{type(error).__name__}: {error}")
