"""The datasets of an episode file, as data: path, type, shape and rows, for each version (FORMAT.md, section 1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np

from sim.motion.limits import Limit

FORMAT: Final = "armshare-episode"
VERSION: Final = 2
"""What the writer makes."""
VERSIONS: Final = (1, 2)
"""What a reader reads. Version 1 has no commands as they came, no pictures, and does not say when a step began."""

STEPS_MAX: Final = 432_000
"""An hour at 120 Hz."""
JOINTS_MAX: Final = 64
HANDS_MAX: Final = 8
LIMITS_MAX: Final = 4_000_000
COMMANDS_MAX: Final = 1_000_000
"""An hour at 250 a second, above which a hub drops them; checking them takes 5 s and 250 MiB."""
META_BYTES_MAX: Final = 1 << 20
VALUES_BYTES_MAX: Final = 512 << 20
"""Of all datasets but the pictures."""
PICTURES_MAX: Final = 432_000
"""Of one camera."""
CAMERA_EVENTS_MAX: Final = 65_536
"""Of one camera."""
PICTURES_BYTES_MAX: Final = 4 << 30
"""Of all cameras."""
BESIDE_BYTES_MAX: Final = 256 << 10
"""What HDF5 itself may need in a file as the writer makes it; ours needs a tenth."""
FILE_BYTES_MAX: Final = PICTURES_BYTES_MAX + VALUES_BYTES_MAX + META_BYTES_MAX + BESIDE_BYTES_MAX
"""Of a file as the writer makes it."""

NO_COMMAND: Final = 255
UNKNOWN_SUCCESS: Final = -1
UNKNOWN_STAGE: Final = -1
STAGE_SLACK: Final = 1e-9
"""What is added to progress times stages before it is rounded down: a third of three stages is one."""
RULES: Final = tuple(Limit)
"""A rule code in `/limits` is an index into this."""
LIMIT_TYPE: Final = np.dtype(
    [("step", "<u4"), ("rule", "|u1"), ("axis", "<i2"), ("requested", "<f8"), ("applied", "<f8")]
)
EVENT_TYPE: Final = np.dtype([("t_from_ns", "<i8"), ("t_to_ns", "<i8"), ("trouble", "|u1"), ("pictures", "<u4")])
"""One row of a camera's events."""
EPISODE_ID_MAX: Final = 64
"""Characters."""
EPISODE_ID: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{EPISODE_ID_MAX - 1}}}")
ARRAY_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
CAMERA_NAME: Final = EPISODE_ID
CAMERAS_GROUP: Final = "cameras"
IMPORTED_ACTION: Final = "imported/action"
"""Only in an imported episode."""


class EpisodeIdError(ValueError):
    """A text is not a valid episode id."""


class Rows(Enum):
    """What each row of a dataset stands for."""

    STEP = "step"
    OBSERVATION = "observation"
    """One more than there are steps: the last row is the final observation."""
    LIMIT = "limit event"
    COMMAND = "command"
    COMMAND_BYTE = "byte of a command"
    PICTURE = "picture"
    PICTURE_BYTE = "byte of a picture"
    CAMERA_EVENT = "camera event"


@dataclass(frozen=True, slots=True)
class CameraCounts:
    """How many there are of what a camera's rows stand for."""

    pictures: int
    """F."""
    picture_bytes: int
    """B, how long they are together."""
    events: int
    """G."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are in an episode of what a row may stand for."""

    steps: int
    """N."""
    limits: int
    """E, the number of limit events."""
    commands: int = 0
    """M, the number of commands."""
    command_bytes: int = 0
    """B, how long they are together."""
    cameras: Mapping[str, CameraCounts] = field(default_factory=dict)

    def rows(self, kind: Rows, camera: str = "") -> int:
        """Return how many rows a dataset of this kind has; KeyError if there is no such camera."""
        if camera:
            one = self.cameras[camera]
            pictures = {Rows.PICTURE: one.pictures, Rows.PICTURE_BYTE: one.picture_bytes, Rows.CAMERA_EVENT: one.events}
            return pictures[kind]
        return {
            Rows.STEP: self.steps,
            Rows.OBSERVATION: self.steps + 1,
            Rows.LIMIT: self.limits,
            Rows.COMMAND: self.commands,
            Rows.COMMAND_BYTE: self.command_bytes,
        }[kind]


@dataclass(frozen=True, slots=True)
class Column:
    """One dataset; `shape` is the shape of one row."""

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]
    rows: Rows
    camera: str = ""
    """Whose pictures the rows are about; empty if they are about no camera."""

    def full_shape(self, counts: Counts) -> tuple[int, ...]:
        """Return the dataset's shape in an episode with this many rows of each kind."""
        return (counts.rows(self.rows, self.camera), *self.shape)

    def nbytes(self, counts: Counts) -> int:
        """Return the size of its values in such an episode."""
        return self.dtype.itemsize * int(np.prod(self.full_shape(counts), dtype=object))


@dataclass(frozen=True, slots=True)
class Place:
    """One dataset of an episode: its path, its type, and its whole shape."""

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]
    mapped: bool = False
    """Whether its values are not read, but stay in the file."""

    @property
    def nbytes(self) -> int:
        """The size of its values."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=object))


def require_episode_id(text: str) -> str:
    """Return `text` if it may name an episode (and so a folder); raise EpisodeIdError otherwise."""
    if not EPISODE_ID.fullmatch(text):
        raise EpisodeIdError(f"expected 1 to {EPISODE_ID_MAX} letters, digits, - or _, got {text[:80]!r}")
    return text


@dataclass(frozen=True, slots=True)
class Sizes:
    """What in a robot's spec gives the datasets their shapes."""

    joints: int
    """J, the number of joints."""
    hands: int
    """K, the number of end effectors."""
    base: bool
    """Whether there is a mobile base."""

    @property
    def command_values(self) -> int:
        """C, how many values of a command are kept: as many as the longest mode has."""
        return max(8 * self.hands + (2 if self.base else 0), self.joints + self.hands)


def columns(
    version: int, sizes: Sizes, observation: Sequence[tuple[str, tuple[int, ...]]], cameras: Iterable[str] = ()
) -> tuple[Column, ...]:
    """Return every dataset but `/meta`, by path, for a robot of these sizes, observation arrays and cameras."""
    made = [_column(f"observation/{name}", "<f8", Rows.OBSERVATION, *shape) for name, shape in observation]
    made += [
        _column("time/t_observed_mono_ns", "<i8", Rows.OBSERVATION),
        _column("time/t_wall_ns", "<i8", Rows.OBSERVATION),
        _column("time/t_sent_mono_ns", "<i8", Rows.STEP),
        _column("success", "|i1", Rows.OBSERVATION),
        _column("progress", "<f8", Rows.OBSERVATION),
        _column("commanded/mode", "|u1", Rows.STEP),
        _column("commanded/values", "<f4", Rows.STEP, sizes.command_values),
        _column("commanded/count", "<u2", Rows.STEP),
        _column("commanded/seq", "<u4", Rows.STEP),
        _column("commanded/seen", "<u4", Rows.STEP),
        _column("commanded/epoch", "<u4", Rows.STEP),
        _column("commanded/dead_man", "|u1", Rows.STEP),
        _column("commanded/t_client_us", "<u8", Rows.STEP),
        _column("applied/joint_position", "<f8", Rows.STEP, sizes.joints),
        _column("applied/gripper", "<f8", Rows.STEP, sizes.hands),
        _column("applied/ee_pose", "<f8", Rows.STEP, sizes.hands, 7),
        _column("safety", "|u1", Rows.STEP),
        Column("limits", LIMIT_TYPE, (), Rows.LIMIT),
    ]
    if version > 1:
        made += [
            _column("time/t_began_mono_ns", "<i8", Rows.STEP),
            _column("commands/bytes", "|u1", Rows.COMMAND_BYTE),
            _column("commands/end", "<u4", Rows.COMMAND),
            _column("commands/t_arrived_mono_ns", "<i8", Rows.COMMAND),
            _column("commands/step", "<u4", Rows.COMMAND),
            _column("commands/admitted", "|u1", Rows.COMMAND),
            _column("commanded/intervention", "|u1", Rows.STEP),
            _column("stage", "|i1", Rows.OBSERVATION),
        ]
        made += [column for name in cameras for column in _camera(name)]
    return tuple(sorted(made, key=lambda column: column.path.encode()))


def with_action(found: Iterable[Column], size: int) -> tuple[Column, ...]:
    """Return the datasets of an imported episode: the same, and the source's actions of `size` numbers."""
    made = (*found, _column(IMPORTED_ACTION, "<f8", Rows.STEP, size))
    return tuple(sorted(made, key=lambda column: column.path.encode()))


def _camera(name: str) -> Iterator[Column]:
    """Yield the datasets of one camera."""
    kinds: dict[str, tuple[str | np.dtype, Rows]] = {
        "bytes": ("|u1", Rows.PICTURE_BYTE),
        "end": ("<i8", Rows.PICTURE),
        "t_captured_mono_ns": ("<i8", Rows.PICTURE),
        "t_arrived_mono_ns": ("<i8", Rows.PICTURE),
        "key": ("|u1", Rows.PICTURE),
        "marks": ("|u1", Rows.PICTURE),
        "events": (EVENT_TYPE, Rows.CAMERA_EVENT),
    }
    for kind, (dtype, rows) in kinds.items():
        yield Column(camera_path(name, kind), np.dtype(dtype), (), rows, name)


def camera_path(name: str, kind: str) -> str:
    """Return the path of one of a camera's datasets."""
    return f"{CAMERAS_GROUP}/{name}/{kind}"


def _column(path: str, dtype: str, rows: Rows, *shape: int) -> Column:
    return Column(path, np.dtype(dtype), shape, rows)
