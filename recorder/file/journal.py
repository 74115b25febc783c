"""What is written while an episode is recorded: a journal of rows that stays readable after a crash at any instant.

A journal is a head (`/meta` without its end) and records, each with a checksum over everything before it (FORMAT.md,
section 1.2). It can be read up to its first damage. `finish` turns it into the episode's file, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import EpisodeError, MetaInvalidError, UnreadableFileError, require_size
from recorder.file.films import Pieces, Room, lost_footage, read_footage
from recorder.file.hdf5 import new_file
from recorder.file.layout import FORMAT, LIMIT_TYPE, META_BYTES_MAX, VERSIONS, Column, Counts, Rows
from recorder.file.meta import EndMeta, Meta, canonical, decode_meta
from recorder.file.rows import COMMAND_HEAD, FIRST_ROWS, STEP_ROWS, row_type
from teleop.cameras.film import FilmError, film_of, films_of
from teleop.files import move
from teleop.records import RecordFile, RecordsError, read_head, records
from teleop.wire.reasons import EndReason

JOURNAL_SUFFIX: Final = ".journal"
_MAGIC: Final = b"armshare-journal"
_END: Final = msgspec.json.Decoder(EndMeta)

Arrays = Mapping[str, NDArray[Any]]
Stored = Mapping[str, NDArray[Any] | Pieces]
"""Dataset path -> its values; those of pictures may lie in several places."""


class Kind(IntEnum):
    """What a record holds. A journal of version 1 has no commands."""

    FIRST = 0
    """The observation before the first step; always the first record."""
    STEP = 1
    """A step's row, then the rows that it adds to `/limits`."""
    END = 2
    """`end` of /meta; always the last record."""
    COMMANDS = 3
    """The commands that the step after it takes."""


class NothingRecordedError(EpisodeError):
    """A crash came before the first step was on disk: there is no episode to recover."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What a journal holds, up to its first damage."""

    meta: Meta
    steps: int
    end: EndMeta | None
    """None if the recording was cut off before it."""
    arrays: Arrays


def open_journal(path: Path, meta: Meta, *, durable: bool = True) -> RecordFile:
    """Create a journal; raise FileExistsError if it already exists."""
    return RecordFile(path, _MAGIC, meta.version, meta.encode(), sync_name=durable)


def read_journal(path: Path) -> Journal:
    """Read a journal up to its first damage.

    Raises UnreadableFileError or MetaInvalidError if not even its head is whole, NothingRecordedError if it has no
    step, and TooLargeError if it has more than an episode may.
    """
    data = memoryview(path.read_bytes())
    meta, at, crc = _read_head(path, data)
    columns = meta.columns
    found = _Found(meta.version, row_type(columns, FIRST_ROWS), row_type(columns, STEP_ROWS))
    for kind, body in records(data, at, crc):
        try:
            found.take(kind, body)
        except ValueError as error:
            raise UnreadableFileError(f"{path.name}: a record is whole, but does not fit its robot: {error}") from error
        if kind == Kind.END:
            break
    if not found.steps:
        raise NothingRecordedError(f"{path.name}: the recording was cut off before the first step was kept")
    require_size([column for column in columns if not column.camera], found.counts)
    return Journal(meta, found.counts.steps, found.end, found.arrays(columns))


@dataclass(slots=True)
class _Found:
    """What the records of a journal add up to."""

    version: int
    first_type: np.dtype
    step_type: np.dtype
    first: bytes = b""
    steps: bytearray = field(default_factory=bytearray)
    limits: bytearray = field(default_factory=bytearray)
    end: EndMeta | None = None
    commands: _Commands = field(default_factory=lambda: _Commands())
    next: memoryview | None = None
    """The commands that the next step takes: if that never came, they do not count."""

    @property
    def counts(self) -> Counts:
        """How many of everything there are."""
        steps = len(self.steps) // self.step_type.itemsize
        limits = len(self.limits) // LIMIT_TYPE.itemsize
        return Counts(steps, limits, len(self.commands.end), len(self.commands.data))

    def take(self, kind: int, body: memoryview) -> None:
        """Take the next record; raise ValueError if it is not a valid one."""
        size = self.step_type.itemsize
        if kind == Kind.STEP and self.first and len(body) >= size and (len(body) - size) % LIMIT_TYPE.itemsize == 0:
            self._step(body, size)
        elif kind == Kind.COMMANDS and self.version > 1 and self.first and self.next is None:
            self.next = body
        elif kind == Kind.FIRST and not self.first and len(body) == self.first_type.itemsize:
            self.first = bytes(body)
        elif kind == Kind.END and self.next is None:
            self.end = _END.decode(body)
        else:
            raise ValueError(f"expected a step of {size} bytes or more, got kind {kind} of {len(body)} bytes")

    def _step(self, body: memoryview, size: int) -> None:
        if self.next is not None:
            self.commands.take(self.next, len(self.steps) // size)
            self.next = None
        self.steps += body[:size]
        self.limits += body[size:]

    def arrays(self, columns: Sequence[Column]) -> Arrays:
        """Return every dataset of an episode but those of its cameras."""
        before, rows = np.frombuffer(self.first, self.first_type), np.frombuffer(self.steps, self.step_type)
        commands = self.commands.arrays()
        made: dict[str, NDArray[Any]] = {}
        for column in columns:
            if column.camera:
                continue
            if column.path in commands:
                made[column.path] = commands[column.path].astype(column.dtype, copy=False)
            elif column.rows is Rows.LIMIT:
                made[column.path] = np.frombuffer(self.limits, LIMIT_TYPE)
            elif column.rows is Rows.STEP:
                made[column.path] = np.ascontiguousarray(rows[column.path])
            else:
                made[column.path] = np.concatenate([before[column.path], rows[column.path]])
        return made


@dataclass(slots=True)
class _Commands:
    """The commands of a journal's whole steps."""

    data: bytearray = field(default_factory=bytearray)
    end: list[int] = field(default_factory=list)
    arrived_ns: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    admitted: list[int] = field(default_factory=list)

    def take(self, body: memoryview, step: int) -> None:
        """Take those of one step; raise ValueError if they do not fill the record."""
        at = 0
        while at < len(body):
            if len(body) - at < COMMAND_HEAD.size:
                raise ValueError(f"expected a command, got {len(body) - at} bytes")
            arrived_ns, admitted, size = COMMAND_HEAD.unpack_from(body, at)
            at += COMMAND_HEAD.size + size
            if at > len(body):
                raise ValueError(f"expected a command of {size} bytes, got {size - (at - len(body))}")
            self.data += body[at - size : at]
            self.end.append(len(self.data))
            self.arrived_ns.append(arrived_ns)
            self.step.append(step)
            self.admitted.append(admitted)

    def arrays(self) -> Arrays:
        """Return the datasets of `/commands`."""
        return {
            "commands/bytes": np.frombuffer(self.data, np.uint8),
            "commands/end": np.array(self.end, np.uint32),
            "commands/t_arrived_mono_ns": np.array(self.arrived_ns, np.int64),
            "commands/step": np.array(self.step, np.uint32),
            "commands/admitted": np.array(self.admitted, np.uint8),
        }


def _read_head(path: Path, data: memoryview) -> tuple[Meta, int, int]:
    """Return what the head says, where it ends, and the checksum so far."""
    try:
        version, head, at, crc = read_head(data, _MAGIC, META_BYTES_MAX)
    except RecordsError as error:
        raise UnreadableFileError(f"{path.name}: expected a journal: {error}") from error
    if version not in VERSIONS:
        raise UnreadableFileError(f"{path.name}: expected a journal of version {VERSIONS}, got version {version}")
    try:
        meta = decode_meta(head)
    except ValueError as error:
        raise MetaInvalidError(f"{path.name}: {error}") from error
    if meta.version != version:
        raise MetaInvalidError(f"{path.name}: the journal has version {version}, its /meta {meta.version}")
    return meta, at, crc


def finish(
    journal: Path,
    clean: Path,
    cut: EndReason = EndReason.HOST_LOST,
    set_aside: Callable[[Path, Exception], None] | None = None,
) -> bool:
    """Write the episode of a journal and its films to `clean`, then remove them; return whether the journal was whole.

    One that was cut off becomes an invalid episode, for the reason `cut`, with the steps that it has. A film that
    cannot be read is given to `set_aside`, and its camera was lost. Raises as `read_journal`, or OSError if the disk
    takes no more.
    """
    found = read_journal(journal)
    whole = found.end is not None and found.end.steps == found.steps
    end = found.end if whole else _cut_off(found, cut)
    arrays = {**found.arrays, **_footage(journal, found, set_aside)}
    write_clean(clean, msgspec.structs.replace(found.meta, end=end), arrays)
    forget(journal)
    return whole


def forget(journal: Path) -> None:
    """Remove a journal and its films, as far as they are there."""
    journal.unlink(missing_ok=True)
    for film in films_of(journal):
        film.unlink(missing_ok=True)


def _footage(journal: Path, found: Journal, set_aside: Callable[[Path, Exception], None] | None) -> Stored:
    """Return the datasets of an episode's cameras."""
    seen = found.arrays["time/t_observed_mono_ns"]
    span, left = (int(seen[0]), int(seen[-1])), Room()
    made: dict[str, NDArray[Any] | Pieces] = {}
    for name, camera in found.meta.recorded.items():
        film = film_of(journal, name)
        try:
            footage = read_footage(film, name, camera, span, left)
        except FileNotFoundError:
            footage = lost_footage(name, camera, span)
        except FilmError as error:
            if set_aside is not None:
                set_aside(film, error)
            footage = lost_footage(name, camera, span)
        made |= footage.arrays
        left = left.less(footage.nbytes, footage.decoding_ns)
    return made


def end_record(end: EndMeta) -> bytes:
    """Return the body of the last record."""
    return canonical(end)


def _cut_off(found: Journal, reason: EndReason) -> EndMeta:
    last_success = int(found.arrays["success"][-1])
    return EndMeta(
        steps=found.steps,
        success=None if last_success < 0 else bool(last_success),
        reason=reason,
        t_mono_ns=str(found.arrays["time/t_observed_mono_ns"][-1]),
        t_wall_ns=str(found.arrays["time/t_wall_ns"][-1]),
        notes=msgspec.UNSET if found.meta.version == 1 else [],
    )


def write_clean(path: Path, meta: Meta, arrays: Stored) -> None:
    """Write a finished file, whole or not at all; the same input gives the same bytes."""
    beside = path.with_name(path.name + ".tmp")
    try:
        with new_file(beside) as new:
            new.root.attrs["format"] = FORMAT
            new.root.attrs["version"] = meta.version
            add = _Datasets(new.root)
            add("meta", np.frombuffer(meta.encode(), "|u1"))
            for column in meta.columns:
                add(column.path, arrays[column.path])
            new.root.flush()
            new.require_written()
            add.put_pieces(new.descriptor)
            os.fsync(new.descriptor)
        move(beside, path)
    except Exception:
        beside.unlink(missing_ok=True)
        raise


class _Datasets:
    """Adds contiguous datasets through HDF5's own calls: h5py's take twice as long, beside a control loop."""

    def __init__(self, file: h5py.File) -> None:
        self._file, self._groups = file, {"": file.id}
        self._how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._how.set_obj_track_times(False)  # the same input gives the same bytes
        self._early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        self._early.set_obj_track_times(False)
        self._early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        self._early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        self._pieces: list[tuple[int, Pieces]] = []
        """What is still to be put in the file, and where."""

    def __call__(self, path: str, values: NDArray[Any] | Pieces) -> None:
        if isinstance(values, Pieces):
            made = self._create(path, np.dtype("|u1"), (values.nbytes,), self._early)
            if values.nbytes:
                self._pieces.append((made.get_offset(), values))
            return
        made = self._create(path, values.dtype, values.shape, self._how)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, values)

    def _create(self, path: str, dtype: np.dtype, shape: tuple[int, ...], how: Any) -> Any:
        group, _, name = path.rpartition("/")
        if group not in self._groups:
            self._groups[group] = self._file.create_group(group).id
        kind, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple(shape)
        return h5py.h5d.create(self._groups[group], name.encode(), kind, space, dcpl=how)

    def put_pieces(self, descriptor: int) -> None:
        """Write the pieces to where HDF5 has left room for them, without gathering them in memory first."""
        for at, pieces in self._pieces:
            pieces.write(descriptor, at)
