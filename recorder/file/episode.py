"""Reading an episode file. It may come from anyone: nothing is read before its path, type and size are checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import (
    FORMAT,
    LIMITS_MAX,
    META_BYTES_MAX,
    STEPS_MAX,
    VALUES_BYTES_MAX,
    VERSION,
    Column,
    columns,
)
from recorder.file.meta import EndMeta, Meta, decode_meta
from sim.robot import Vector

_GROUP_MEMBERS_MAX: Final = 512
_CHUNK_BYTES_MAX: Final = 16 << 20
_FILTERS: Final = frozenset({1, 2, 3, 32000})
"""HDF5's numbers of gzip, shuffle, Fletcher-32 and lzf."""


class EpisodeError(Exception):
    """A file is not an episode; subclasses say why."""


class FileMissingError(EpisodeError):
    """There is no such file."""


class UnreadableFileError(EpisodeError):
    """Not HDF5, or truncated, or damaged inside."""


class FormatVersionError(EpisodeError):
    """HDF5, but not an episode of a known version."""


class MetaInvalidError(EpisodeError):
    """`/meta` is not what FORMAT.md says, or the episode has no end."""


class MissingDatasetError(EpisodeError):
    """A dataset is missing."""


class UnknownDatasetError(EpisodeError):
    """The file holds something that FORMAT.md does not name."""


class DatasetTypeError(EpisodeError):
    """A dataset has the wrong type."""


class DatasetShapeError(EpisodeError):
    """A dataset has the wrong shape."""


class ForbiddenStorageError(EpisodeError):
    """A dataset's bytes are outside the file, or need a filter that a reader must not load."""


class TooLargeError(EpisodeError):
    """More steps, limit events or bytes than a reader accepts."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One recorded demonstration. N steps, J joints; the arrays are read-only."""

    meta: Meta
    meta_bytes: bytes
    end: EndMeta
    arrays: Mapping[str, NDArray[Any]]
    """Dataset path (without leading slash) -> array, exactly those of FORMAT.md."""

    @property
    def steps(self) -> int:
        """N."""
        return self.end.steps

    @property
    def applied_joint_position(self) -> Vector:
        """(N, J) float64, rad: what the robot was given."""
        return self.arrays["applied/joint_position"]

    @property
    def applied_gripper(self) -> Vector:
        """(N, K) float64, openings in [0, 1]."""
        return self.arrays["applied/gripper"]

    @property
    def applied_ee_pose(self) -> Vector:
        """(N, K, 7) float64, m and quaternion."""
        return self.arrays["applied/ee_pose"]

    @property
    def t_observed_ns(self) -> NDArray[np.int64]:
        """(N+1,) int64, monotonic ns: when each observation had arrived."""
        return self.arrays["time/t_observed_mono_ns"]

    @property
    def t_sent_ns(self) -> NDArray[np.int64]:
        """(N,) int64, monotonic ns: when each action was handed to the robot."""
        return self.arrays["time/t_sent_mono_ns"]

    def observation(self, name: str) -> Vector:
        """Return (N+1, ...) float64: row t was seen before action t. KeyError if the robot has no such array."""
        return self.arrays[f"observation/{name}"]

    @property
    def observations(self) -> dict[str, Vector]:
        """Name -> (N+1, ...) float64, for every observation array."""
        return {array.name: self.observation(array.name) for array in self.meta.spec.observation}


def read_episode(path: Path) -> Episode:
    """Read a finished episode file; raise an EpisodeError that says what is wrong unless all of it is sound."""
    with _opened(path) as file:
        _require_format(file)
        members = _members(file)
        meta_bytes = _read_meta_bytes(members)
        meta = _decode(meta_bytes)
        if meta.end is None:
            raise MetaInvalidError(f"{meta.episode}: expected an `end` in /meta; recover the file first")
        expected = columns(meta.spec.sizes, meta.spec.arrays)
        _require_members(set(members), {column.path for column in expected} | {"meta"})
        shape = _dataset(members, "limits").shape
        limits = int(shape[0]) if shape else 0
        require_size(expected, meta.end.steps, limits)
        arrays = {c.path: _read(members, c, c.full_shape(meta.end.steps, limits)) for c in expected}
    return Episode(meta, meta_bytes, meta.end, arrays)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open for reading; raise FileMissingError, or UnreadableFileError for anything that HDF5 cannot read."""
    if not path.exists():
        raise FileMissingError(f"There is no episode at {path.parent}: an episode is a folder with {path.name} in it.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{path.name} is no whole HDF5 file: {error}") from error


def _require_format(file: h5py.File) -> None:
    """Raise FormatVersionError unless the root attributes say that this is an episode of this version."""
    found = (file.attrs.get("format"), file.attrs.get("version"))
    if not (isinstance(found[0], str) and isinstance(found[1], np.integer) and found == (FORMAT, VERSION)):
        raise FormatVersionError(f"expected format {FORMAT!r} version {VERSION}, got {found[0]!r} {found[1]!r}")


def _read_meta_bytes(members: Mapping[str, Any]) -> bytes:
    """Return `/meta`; raise an EpisodeError if it is not a one-dimensional, short array of bytes."""
    dataset = _dataset(members, "meta")
    if dataset.dtype != np.uint8 or len(dataset.shape) != 1:
        raise DatasetTypeError(f"expected /meta of type u1 and one dimension, got {dataset.dtype}")
    if dataset.shape[0] > META_BYTES_MAX:
        raise TooLargeError(f"expected at most {META_BYTES_MAX} bytes of /meta, got {dataset.shape[0]}")
    _require_storage(dataset)
    return bytes(dataset[:])


def _require_members(found: set[str], expected: set[str]) -> None:
    """Raise unless the file has exactly these datasets."""
    if missing := sorted(expected - found):
        raise MissingDatasetError(f"expected the datasets {missing}, which are not in the file")
    if unknown := sorted(found - expected):
        raise UnknownDatasetError(f"expected only the datasets of FORMAT.md, got also {unknown[:8]}")


def require_size(expected: tuple[Column, ...], steps: int, limits: int) -> None:
    """Raise TooLargeError unless an episode of this length may be read."""
    if not 1 <= steps <= STEPS_MAX or limits > LIMITS_MAX:
        raise TooLargeError(f"expected 1 to {STEPS_MAX} steps, {LIMITS_MAX} limits, got {steps}, {limits}")
    size = sum(c.dtype.itemsize * int(np.prod(c.full_shape(steps, limits), dtype=object)) for c in expected)
    if size > VALUES_BYTES_MAX:
        raise TooLargeError(f"expected at most {VALUES_BYTES_MAX} bytes of values, got {size}")


def _members(file: h5py.File) -> dict[str, Any]:
    """Return path -> object, following hard links only, at most one group deep; each is opened once."""
    found: dict[str, Any] = {}
    for name, item in _children(file):
        if isinstance(item, h5py.Group):
            found |= {f"{name}/{inner}": each for inner, each in _children(item)}
        else:
            found[name] = item
    return found


def _children(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    if len(group) > _GROUP_MEMBERS_MAX:
        raise UnknownDatasetError(f"expected at most {_GROUP_MEMBERS_MAX} members, got {len(group)}")
    links = group.id.links
    for name in list(group.id):
        if links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise ForbiddenStorageError(f"expected hard links only, got another at {group.name}/{name!r}")
        yield name.decode(errors="surrogateescape"), group[name]


def _dataset(members: Mapping[str, Any], path: str) -> h5py.Dataset:
    if path not in members:
        raise MissingDatasetError(f"expected the dataset {path}, which is not in the file")
    found = members[path]
    if not isinstance(found, h5py.Dataset):
        raise DatasetTypeError(f"expected a dataset at {path}, got a {type(found).__name__}")
    return found


def _read(members: Mapping[str, Any], column: Column, shape: tuple[int, ...]) -> NDArray[Any]:
    dataset = _dataset(members, column.path)
    if dataset.dtype != column.dtype:
        raise DatasetTypeError(f"expected {column.path} of type {column.dtype}, got {dataset.dtype}")
    if dataset.shape != shape:
        raise DatasetShapeError(f"expected {column.path} of shape {shape}, got {dataset.shape}")
    _require_storage(dataset)
    array: NDArray[Any] = np.empty(shape, column.dtype)
    if array.size:
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    array.flags.writeable = False
    return array


def _require_storage(dataset: h5py.Dataset) -> None:
    made = dataset.id.get_create_plist()
    filters = {made.get_filter(index)[0] for index in range(made.get_nfilters())}
    if dataset.is_virtual or made.get_external_count() or not filters <= _FILTERS:
        raise ForbiddenStorageError(f"{dataset.name}: expected plain storage, got filters {sorted(filters)}")
    if dataset.chunks and int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize > _CHUNK_BYTES_MAX:
        raise ForbiddenStorageError(f"{dataset.name}: expected chunks up to {_CHUNK_BYTES_MAX} bytes")


def _decode(data: bytes) -> Meta:
    try:
        return decode_meta(data)
    except ValueError as error:  # MetaError, EpisodeIdError
        raise MetaInvalidError(str(error)) from error
