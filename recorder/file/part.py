"""The file that is open while an episode is recorded, and what becomes of it: a clean file, finished or recovered.

The open file is HDF5 in single-writer/multiple-reader mode. Rows become valid when `/committed` says so, and it says
so after they are on the disk; a crash at any instant leaves the committed rows readable (FORMAT.md, section 1.2).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import (
    EpisodeError,
    MetaInvalidError,
    MissingDatasetError,
    UnreadableFileError,
    opened,
    read_meta_bytes,
    require_format,
    require_members,
    require_size,
)
from recorder.file.files import move, sync_folder
from recorder.file.layout import FORMAT, VERSION, Column, columns
from recorder.file.meta import EndMeta, Meta, decode_meta
from recorder.file.superblock import SuperblockError, release
from teleop.wire.reasons import EndReason

PART_SUFFIX: Final = ".part.h5"
_CHUNK_ROWS: Final = 256

Arrays = Mapping[str, NDArray[Any]]


class NothingRecordedError(EpisodeError):
    """A crash came before the first step was on the disk: there is no episode to recover."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an open file holds: committed rows only."""

    meta: Meta
    steps: int
    arrays: Arrays


def create_part(path: Path, meta: Meta) -> h5py.File:
    """Create the open file with every dataset in it, and switch it to single-writer/multiple-reader."""
    data = meta.encode()
    if path.exists():
        raise FileExistsError(f"{path} is there already; recover it, or choose another episode")
    file = h5py.File(path, "x", libver="latest")
    _mark(file, data)
    for column in columns(meta.spec.sizes, meta.spec.arrays):
        shape, chunk = (0, *column.shape), (_CHUNK_ROWS, *column.shape)
        file.create_dataset(column.path, shape, column.dtype, maxshape=(None, *column.shape), chunks=chunk)
    file.create_dataset("committed", data=np.zeros(2, "<i8"))
    file.flush()
    sync_folder(path.parent)
    file.swmr_mode = True
    return file


class Tables:
    """The datasets of an open file, each looked up once.

    Rows go through HDF5's own calls: a recorder adds a few rows to each of some thirty datasets twice a second, and
    h5py's selections would cost seven times as much.
    """

    def __init__(self, file: h5py.File) -> None:
        """Look at a file that `create_part` made."""
        self._file = file
        self._datasets = {path: file[path].id for path in _paths(file) if path != "meta"}
        self._committed = self._datasets.pop("committed")
        self._counts = {path: dataset.shape[0] for path, dataset in self._datasets.items()}

    def append(self, rows: Arrays) -> None:
        """Add rows to the datasets; they do not count before `commit`."""
        for path, added in rows.items():
            if len(added):
                self._append(path, np.ascontiguousarray(added))

    def commit(self, steps: int) -> None:
        """Make all rows so far last, and count."""
        self._file.flush()
        os.fsync(self._file.id.get_vfd_handle())
        self._committed.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array((steps, self._counts["limits"]), "<i8"))
        self._file.flush()

    def _append(self, path: str, added: NDArray[Any]) -> None:
        dataset, count, inner = self._datasets[path], self._counts[path], added.shape[1:]
        dataset.set_extent((count + len(added), *inner))
        place = dataset.get_space()
        place.select_hyperslab((count, *(0 for _ in inner)), added.shape)
        dataset.write(h5py.h5s.create_simple(added.shape), place, added)
        self._counts[path] = count + len(added)


def _paths(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda path, item: found.append(path) if isinstance(item, h5py.Dataset) else None)
    return found


def read_part(path: Path) -> Part:
    """Read the committed rows of a closed or abandoned file; raise an EpisodeError where it is damaged.

    Not HDF5's own reading beside a writer: of a truncated file that tries again for minutes, and cannot be ended.
    """
    try:
        release(path)
    except SuperblockError as error:
        raise UnreadableFileError(str(error)) from error
    with opened(path) as file:
        require_format(file)
        try:
            meta = decode_meta(read_meta_bytes(file))
        except ValueError as error:
            raise MetaInvalidError(str(error)) from error
        expected = columns(meta.spec.sizes, meta.spec.arrays)
        require_members(file, {column.path for column in expected} | {"meta", "committed"})
        steps, limits = (int(count) for count in file["committed"][:])
        if steps == 0:
            raise NothingRecordedError(f"{path.name}: the crash came before the first step was kept")
        require_size(expected, steps, limits)
        return Part(meta, steps, {c.path: _committed(file, c, c.full_shape(steps, limits)) for c in expected})


def _committed(file: h5py.File, column: Column, shape: tuple[int, ...]) -> NDArray[Any]:
    dataset = file[column.path]
    if dataset.shape[0] < shape[0] or dataset.shape[1:] != shape[1:]:
        raise UnreadableFileError(f"expected {shape} in {column.path}, got {dataset.shape}: the file is damaged")
    found: NDArray[Any] = dataset[: shape[0]]
    return found


def write_clean(path: Path, meta: Meta, arrays: Arrays) -> None:
    """Write a finished file, whole or not at all; the same input gives the same bytes."""
    beside = path.with_name(path.name + ".tmp")
    with h5py.File(beside, "w") as file:
        _mark(file, meta.encode())
        for column in columns(meta.spec.sizes, meta.spec.arrays):
            if column.path not in arrays:
                raise MissingDatasetError(f"expected rows for {column.path}, got {sorted(arrays)}")
            file.create_dataset(column.path, data=arrays[column.path], dtype=column.dtype)
        file.flush()
        os.fsync(file.id.get_vfd_handle())
    move(beside, path)


def recover(part: Path, clean: Path) -> None:
    """Rewrite what a crash left as a finished, invalid episode (`host_lost`); `part` stays.

    Raises NothingRecordedError where no step had been committed, and another EpisodeError for a damaged file.
    """
    found = read_part(part)
    last_success = int(found.arrays["success"][-1])
    end = EndMeta(
        steps=found.steps,
        success=None if last_success < 0 else bool(last_success),
        reason=EndReason.HOST_LOST,
        t_mono_ns=str(found.arrays["time/t_observed_mono_ns"][-1]),
        t_wall_ns=str(found.arrays["time/t_wall_ns"][-1]),
    )
    write_clean(clean, msgspec.structs.replace(found.meta, end=end), found.arrays)


def finish(part: Path, clean: Path, end: EndMeta) -> None:
    """Rewrite a whole recording as a finished episode; `part` stays."""
    found = read_part(part)
    write_clean(clean, msgspec.structs.replace(found.meta, end=end), found.arrays)


def _mark(file: h5py.File, meta: bytes) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.create_dataset("meta", data=np.frombuffer(meta, "|u1"))
