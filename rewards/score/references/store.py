"""What accepted drives of a task look like: a reference set, as it is kept in a file and as the rules read it.

Exports `ReferenceSet`, `reference_set` and the reasons why there is none. A set has a number, which a version of the
rules names; a set of a number never changes, so that yesterday's score can be computed tomorrow. `DIGESTS` holds the
SHA-256 of every file: a damaged or exchanged one is not used.

A file is NumPy's `.npz` of R drives, P picked samples, D features and S stages:

| array | shape | type | |
| --- | --- | --- | --- |
| `number`, `task_version` | () | i8 | the set's number; the version of the task |
| `features` | (D,) | text | their names, in order |
| `centre`, `scale` | (D,) | f8 | a feature's number is (value - centre) / scale x 16, rounded, within one byte |
| `points` | (P, D) | i1 | those numbers |
| `stage`, `drive` | (P,) | i2 | of which stage and of which drive each is |
| `usual` | (S,) | f8 | how far a sample of a drive is from the other drives': 95 of 100 are at most so far |
| `share` | (S,) | f8 | the stage's share of what is done in a drive |
| `moving_s` | (R, S) | f4 | how long something moved in each stage |
| `idle_s`, `strained` | (R,) | f4 | how long nothing did; the share of time in which a limit cut something |
| `undone` | (R,) | i2 | how often a stage was undone |
| `things` | (H,) | text | the things that can be moved |
| `slip_m`, `fall_m` | (R,) | f4 | how far a thing slipped in the fingers, and fell when it was let go, at most |
| `holds` | (R, H) | i2 | how often each was held |
| `information` | (2,) | f8 | mean and spread of the drives' mutual information |
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rewards.score.fixed import Array
from rewards.score.references.digests import DIGESTS
from rewards.score.teaching.nearest import columns_of

STEPS_A_SPREAD: Final = 16
"""Into how many steps the spread of a feature is cut."""
WHOLE_MAX: Final = 127
ACTIONS: Final = ("towards_", "aside_", "up_", "sent_")
"""What the names of an action's features begin with."""


class ReferenceSetError(Exception):
    """There is no reference set for an episode; subclasses say why."""


class NoReferenceSetError(ReferenceSetError):
    """Nobody has made a set for this task."""


class ReferenceVersionError(ReferenceSetError):
    """The set is of another version of the task, or of another number."""


class ReferenceDamagedError(ReferenceSetError):
    """The set's file is not what it was when the rules were published."""


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """How a task is done well; R drives, P points, D features, S stages."""

    number: int
    task: str
    task_version: int
    features: tuple[str, ...]
    centre: Array
    scale: Array
    points: NDArray[np.int8]
    stage: NDArray[np.int16]
    drive: NDArray[np.int16]
    usual: Array
    share: Array
    moving_s: NDArray[np.float32]
    idle_s: NDArray[np.float32]
    strained: NDArray[np.float32]
    undone: NDArray[np.int16]
    slip_m: NDArray[np.float32]
    fall_m: NDArray[np.float32]
    holds: Mapping[str, NDArray[np.int16]]
    information: Array
    columns: Mapping[int, NDArray[np.int32]]
    """The points of each stage, (D, P of it): what drives are compared with."""

    @property
    def stages(self) -> int:
        """S."""
        return len(self.share)

    @property
    def states(self) -> int:
        """How many of the D features are of the state; the others are of the action."""
        return sum(not name.startswith(ACTIONS) for name in self.features)

    @property
    def holds_usual(self) -> dict[str, int]:
        """How often each thing is held at most."""
        return {name: int(quantile(counts, 95)) for name, counts in self.holds.items()}

    @property
    def undone_usual(self) -> int:
        """How often a stage is undone at most."""
        return int(quantile(self.undone, 95))

    @property
    def slip_usual_m(self) -> float:
        """How far a thing slips at most."""
        return quantile(self.slip_m, 95)

    @property
    def fall_usual_m(self) -> float:
        """From how high a thing is let go at most."""
        return quantile(self.fall_m, 95)

    @property
    def usual_s(self) -> float:
        """How long a drive takes, from the first motion until the task is done, without pauses: the median."""
        return math.fsum(quantile(self.moving_s[:, stage], 50) for stage in range(self.stages))

    def whole(self, values: Array) -> NDArray[np.int32]:
        """Return features (P, D) as whole numbers, which everybody subtracts and adds alike."""
        steps = np.floor((values - self.centre) / self.scale * STEPS_A_SPREAD + 0.5)
        found: NDArray[np.int32] = np.clip(steps, -WHOLE_MAX, WHOLE_MAX).astype(np.int32)
        return found


def quantile(values: NDArray[np.float32] | NDArray[np.int16] | Array, percent: int) -> float:
    """Return the nearest-rank quantile of (N,), N at least 1."""
    ranked = np.sort(values)
    return float(ranked[max(-(-percent * len(ranked) // 100) - 1, 0)])


def reference_set(number: int, task: str, task_version: int) -> ReferenceSet:
    """Return the set of this number for this version of a task; raise a ReferenceSetError."""
    found = _shipped(number, task)
    if found.task_version != task_version:
        of = f"reference set {number} for {task!r} is of version {found.task_version} of that task"
        raise ReferenceVersionError(f"{of}, and the episode of version {task_version}")
    return found


@cache
def _shipped(number: int, task: str) -> ReferenceSet:
    digest = DIGESTS.get(number, {}).get(task)
    if digest is None:
        raise NoReferenceSetError(f"reference set {number} has nothing on the task {task!r}")
    path = files("rewards.score.references") / str(number) / f"{task}.npz"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReferenceDamagedError(f"the file of reference set {number} for {task!r} is missing: {error}") from error
    return parsed(data, number, task, digest)


def parsed(data: bytes, number: int, task: str, digest: str) -> ReferenceSet:
    """Return the set in a file; raise ReferenceDamagedError, or ReferenceVersionError if it is of another number."""
    what = f"reference set {number} for {task!r}"
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise ReferenceDamagedError(f"expected {what} with the SHA-256 {digest}, got {found}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            rows = {name: arrays[name] for name in arrays.files}
        result = _of(rows, task)
    except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise ReferenceDamagedError(f"{what} is no reference set: {error}") from error
    if result.number != number:
        raise ReferenceVersionError(f"expected {what}, got a set of number {result.number}")
    return result


def _of(rows: Mapping[str, NDArray[Any]], task: str) -> ReferenceSet:
    names = [str(name) for name in rows["things"].tolist()]
    return ReferenceSet(
        number=int(rows["number"]),
        task=task,
        task_version=int(rows["task_version"]),
        features=tuple(str(name) for name in rows["features"].tolist()),
        holds={name: rows["holds"][:, column] for column, name in enumerate(names)},
        columns=columns_of(rows["points"], rows["stage"]),
        **{name: rows[name] for name in _PLAIN},
    )


def packed(found: ReferenceSet) -> bytes:
    """Return the file of a set."""
    names = sorted(found.holds)
    counts = [found.holds[name] for name in names]
    file = io.BytesIO()
    np.savez_compressed(
        file,
        number=np.int64(found.number),
        task_version=np.int64(found.task_version),
        features=np.array(found.features),
        things=np.array(names, dtype=np.str_),
        holds=np.stack(counts, axis=1) if names else np.zeros((len(found.idle_s), 0), np.int16),
        **{name: getattr(found, name) for name in _PLAIN},
    )
    return file.getvalue()


_PLAIN: Final = (
    *("centre", "scale", "points", "stage", "drive", "usual", "share", "moving_s", "idle_s", "strained", "undone"),
    *("slip_m", "fall_m", "information"),
)
