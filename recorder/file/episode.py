"""Reading an episode file. It may come from anyone: nothing is read before its path, type and size are checked.

Here it is read in this process; `apart.py` reads a stranger's in one of its own, with limits.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.file import commands as sent
from recorder.file.commands import CommandRow
from recorder.file.layout import (
    BESIDE_BYTES_MAX,
    CAMERA_EVENTS_MAX,
    CAMERAS_GROUP,
    COMMANDS_MAX,
    FORMAT,
    LIMITS_MAX,
    META_BYTES_MAX,
    PICTURES_BYTES_MAX,
    PICTURES_MAX,
    STEPS_MAX,
    VALUES_BYTES_MAX,
    VERSIONS,
    CameraCounts,
    Column,
    Counts,
    Place,
    Rows,
    camera_path,
)
from recorder.file.meta import EndMeta, Meta, decode_meta
from recorder.file.storage import map_pictures, offset_of, put_pictures
from recorder.pictures.channel import Pictures
from sim.robot import Vector
from teleop.cameras.film import PICTURE_BYTES_MAX
from teleop.files import NotRegularError, open_regular

_GROUP_MEMBERS_MAX: Final = 512
_CHUNK_BYTES_MAX: Final = 16 << 20
_GZIP, _SHUFFLE, _FLETCHER32, _LZF = 1, 2, 3, 32000
"""HDF5's numbers of filters."""
STORED_FILTERS: Final = frozenset({_GZIP, _SHUFFLE, _FLETCHER32, _LZF})
_COMPRESSION: Final = frozenset({_GZIP, _LZF})
_ATTRIBUTES: Final = frozenset({"format", "version"})
"""The root's; nothing else has any."""
_COMMENT: Final = 0x0D
"""HDF5's number of the message in an object's header that holds a comment."""
_PACKED_TIMES_MAX: Final = 4
"""How far pictures may be compressed once more: they hardly can be, and a reader copies them before it sees them."""
_BLOCK_BYTES: Final = 64 << 10
_OPEN_FILES: Final = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


class EpisodeError(Exception):
    """A file is not an episode; subclasses say why."""


class FileMissingError(EpisodeError):
    """There is no such file."""


class NotAFileError(EpisodeError):
    """A folder, a link, a pipe, a socket or a device is in the file's place."""


class UnreadableFileError(EpisodeError):
    """Not HDF5, or truncated, or damaged inside."""


class FormatVersionError(EpisodeError):
    """HDF5, but not an episode of a known version."""


class MetaInvalidError(EpisodeError):
    """`/meta` is not what FORMAT.md says, or the episode has no end."""


class ImportedEpisodeError(EpisodeError):
    """It was imported from another format, so nobody signed it; only who says that imports will do reads it."""


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


class UnboundDataError(EpisodeError):
    """The file carries something that the content root does not bind: attributes, comments, or bytes of its own."""


class CommandsUncutError(EpisodeError):
    """`/commands/end` does not cut `/commands/bytes` into commands."""


class PicturesUncutError(EpisodeError):
    """A camera's `end` does not cut its `bytes` into pictures."""


class TooLargeError(EpisodeError):
    """More steps, limit events, commands or bytes than a reader accepts, or more memory or time than it gives."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One recorded demonstration. N steps, J joints; the arrays are read-only.

    Pictures lie in the file, which is mapped: they take no memory, and the file must not be changed meanwhile.
    """

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

    @property
    def t_began_ns(self) -> NDArray[np.int64]:
        """(N,) int64, monotonic ns: when each period began. KeyError in version 1, which does not say it."""
        return self.arrays["time/t_began_mono_ns"]

    def commands(self) -> Iterator[CommandRow]:
        """Yield every command as it came, in order; in version 1, which did not keep them, not one."""
        return sent.commands(self.arrays)

    @property
    def newest_command(self) -> NDArray[np.int64]:
        """(N,) int64: the newest admitted command at each step, counted as `commands` yields them; -1 if none yet."""
        return sent.newest_admitted(self.arrays, self.steps)

    @property
    def pictures(self) -> dict[str, Pictures]:
        """What each camera recorded, by its name; nothing if `drawn`."""
        return {name: self._pictures(name) for name in self.meta.recorded}

    @property
    def drawn(self) -> bool:
        """Whether pictures are drawn from the states: of every simulated robot, unless it was imported with some."""
        return self.meta.robot.simulated and not self.meta.recorded

    def _pictures(self, name: str) -> Pictures:
        camera = self.meta.recorded[name]
        kinds = "bytes", "end", "t_captured_mono_ns", "key"
        data, end, captured, key = (self.arrays[camera_path(name, kind)] for kind in kinds)
        size = camera.width, camera.height
        alone = key.astype(np.bool_)
        return Pictures(name, camera.codec, *size, camera.fps, data, end, captured, alone, camera.depth_unit_m)

    def observation(self, name: str) -> Vector:
        """Return (N+1, ...) float64: row t was seen before action t. KeyError if the robot has no such array."""
        return self.arrays[f"observation/{name}"]

    @property
    def observations(self) -> dict[str, Vector]:
        """Name -> (N+1, ...) float64, for every observation array."""
        return {array.name: self.observation(array.name) for array in self.meta.spec.observation}


def _require_recorded(meta: Meta, *, imported: bool) -> None:
    """Raise ImportedEpisodeError for an imported episode, unless these are wanted too."""
    if meta.origin is not None and not imported:
        come = f"it was imported from {meta.origin.source} ({meta.origin.format}, episode {meta.origin.index})"
        raise ImportedEpisodeError(f"{meta.episode} is unsigned: {come}, so nobody vouches for it, nor can replay it")


def read_episode(path: Path, *, imported: bool = False) -> Episode:
    """Read a finished episode file; raise an EpisodeError that says what is wrong unless all of it is sound.

    One that was imported is read only if that is said to do.
    """
    descriptor = open_episode(path)
    try:
        with opened(descriptor, path.name) as file, tempfile.TemporaryFile() as copies:
            found = inspect(file, imported=imported)
            read = [place for place in found.places if not place.mapped]
            arrays = {place.path: _read(found.datasets[place.path], place) for place in read}
            require_cut(arrays)
            require_pictures_cut(found.counts, arrays)
            stored = put_pictures(found.places, found.datasets, copies.fileno())
            arrays |= map_pictures(found.places, stored, descriptor, copies.fileno())
    finally:
        os.close(descriptor)
    return Episode(found.meta, found.meta_bytes, found.end, {place.path: arrays[place.path] for place in found.places})


def require_cut(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise CommandsUncutError unless `/commands/end` cuts `/commands/bytes` into commands."""
    try:
        sent.require_bounds(arrays)
    except sent.CommandBoundsError as error:
        raise CommandsUncutError(str(error)) from error


def require_pictures_cut(counts: Counts, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise PicturesUncutError unless the `end` of each camera cuts its `bytes` into pictures."""
    for name, camera in counts.cameras.items():
        size, end = camera.picture_bytes, arrays[camera_path(name, "end")]
        if not _cuts(end, size):
            most = f"pictures of 1 to {PICTURE_BYTES_MAX} bytes"
            raise PicturesUncutError(f"{name}: expected `end` to cut {size} bytes into {most}, to the last byte")


def _cuts(end: NDArray[np.int64], size: int) -> bool:
    if not len(end):
        return size == 0
    if int(end.min()) < 0 or int(end.max()) > size:  # so that no difference leaves its type
        return False
    sizes = np.diff(end, prepend=0)
    return int(end[-1]) == size and bool(((sizes > 0) & (sizes <= PICTURE_BYTES_MAX)).all())


def open_episode(path: Path) -> int:
    """Return a descriptor of an episode's file, for the caller to close; raise FileMissingError or NotAFileError."""
    try:
        return open_regular(path)
    except FileNotFoundError as error:
        said = f"There is no episode at {path.parent}: an episode is a folder with {path.name} in it."
        raise FileMissingError(said) from error
    except NotRegularError as error:
        raise NotAFileError(str(error)) from error


def places(meta: Meta, counts: Counts) -> tuple[Place, ...]:
    """Return every dataset of such an episode but `/meta`; raise TooLargeError if it may not be read."""
    expected = meta.columns
    require_size(expected, counts)
    return tuple(Place(one.path, one.dtype, one.full_shape(counts), one.rows is Rows.PICTURE_BYTE) for one in expected)


@dataclass(frozen=True, slots=True)
class Inspected:
    """What an open file holds: all of it checked, and nothing but `/meta` read."""

    meta: Meta
    meta_bytes: bytes
    end: EndMeta
    counts: Counts
    places: tuple[Place, ...]
    datasets: Mapping[str, h5py.Dataset]

    @property
    def nbytes(self) -> int:
        """The size of all values."""
        return sum(place.nbytes for place in self.places)


@contextmanager
def opened(descriptor: int, name: str) -> Iterator[h5py.File]:
    """Open for reading; raise UnreadableFileError for anything that HDF5 cannot read."""
    try:
        with h5py.File(f"{_OPEN_FILES}/{descriptor}", "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"{name} is not a complete HDF5 file: {error}") from error


def inspect(file: h5py.File, *, plain: bool = False, imported: bool = False) -> Inspected:
    """Check everything but the values; raise an EpisodeError. With `plain`, the file must be as the writer makes it.

    One that was imported is refused, unless that is said to do.
    """
    version = _require_format(file)
    members = _members(file, plain=plain)
    meta_bytes = _read_meta_bytes(members)
    meta = _decode(meta_bytes)
    _require_recorded(meta, imported=imported)
    if meta.end is None:
        raise MetaInvalidError(f"{meta.episode}: expected an `end` in /meta; recover the file first")
    if meta.version != version:
        raise MetaInvalidError(f"{meta.episode}: the file has version {version}, its /meta {meta.version}")
    _require_members(set(members), {column.path for column in meta.columns} | {"meta"})
    counts = _counts(meta, meta.end.steps, members)
    found = places(meta, counts)
    datasets = {place.path: _dataset(members, place.path) for place in found}
    for place in found:
        _require_place(datasets[place.path], place)
        if plain and place.mapped and offset_of(datasets[place.path], place) is None:
            raise ForbiddenStorageError(f"{place.path}: expected values as the writer stores them, in one piece")
        there = datasets[place.path].id.get_storage_size()
        if place.mapped and place.nbytes > _PACKED_TIMES_MAX * there + _BLOCK_BYTES:
            raise ForbiddenStorageError(f"{place.path}: expected {place.nbytes} bytes, and the file has only {there}")
    inspected = Inspected(meta, meta_bytes, meta.end, counts, found, datasets)
    if plain:
        _require_nothing_beside(file, len(meta_bytes) + inspected.nbytes)
    return inspected


def read_into(dataset: h5py.Dataset, array: NDArray[Any]) -> None:
    """Read all values of a dataset into an array of its shape."""
    if array.size:
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, array)


def _read(dataset: h5py.Dataset, place: Place) -> NDArray[Any]:
    array: NDArray[Any] = np.empty(place.shape, place.dtype)
    read_into(dataset, array)
    array.flags.writeable = False
    return array


def _counts(meta: Meta, steps: int, members: Mapping[str, Any]) -> Counts:
    """Return how many there are of what the rows stand for; those that `/meta` does not say, by the datasets."""
    limits = _length(members, "limits")
    if meta.version == 1:
        return Counts(steps, limits)
    cameras = {
        name: CameraCounts(*(_length(members, camera_path(name, kind)) for kind in ("end", "bytes", "events")))
        for name in meta.recorded
    }
    return Counts(steps, limits, _length(members, "commands/end"), _length(members, "commands/bytes"), cameras)


def _length(members: Mapping[str, Any], path: str) -> int:
    shape = _dataset(members, path).shape
    return int(shape[0]) if shape else 0


def _require_format(file: h5py.File) -> int:
    """Return the version; raise unless the root attributes say that this is an episode of one, and nothing else."""
    if file.userblock_size:
        raise UnboundDataError(f"expected an HDF5 file from its first byte, got {file.userblock_size} bytes before it")
    _require_bare(file, attributes=len(_ATTRIBUTES))
    kind, version = file.attrs.get("format"), file.attrs.get("version")
    known = isinstance(kind, str) and kind == FORMAT
    if not (known and isinstance(version, np.integer) and version in VERSIONS):
        raise FormatVersionError(f"expected format {FORMAT!r} of version {VERSIONS}, got {kind!r} {version!r}")
    return int(version)


def _require_nothing_beside(file: h5py.File, values: int) -> None:
    """Raise unless the values are in the file, byte for byte, with nothing else of any size."""
    size = file.id.get_filesize()
    if values > size:
        raise TooLargeError(f"expected {values} bytes of values in the file, which has {size}")
    if size > values + BESIDE_BYTES_MAX:
        raise UnboundDataError(f"expected at most {BESIDE_BYTES_MAX} bytes beside the values, got {size - values}")


def _read_meta_bytes(members: Mapping[str, Any]) -> bytes:
    """Return `/meta`; raise an EpisodeError if it is not a one-dimensional, short array of bytes."""
    dataset = _dataset(members, "meta")
    if dataset.dtype != np.uint8 or len(dataset.shape) != 1:
        raise DatasetTypeError(f"expected /meta of type u1 and one dimension, got {dataset.dtype}")
    if dataset.shape[0] > META_BYTES_MAX:
        raise TooLargeError(f"expected at most {META_BYTES_MAX} bytes of /meta, got {dataset.shape[0]}")
    return bytes(dataset[:])


def _require_members(found: set[str], expected: set[str]) -> None:
    """Raise unless the file has exactly these datasets."""
    if missing := sorted(expected - found):
        raise MissingDatasetError(f"expected the datasets {missing}, which are not in the file")
    if unknown := sorted(found - expected):
        raise UnknownDatasetError(f"expected only the datasets of FORMAT.md, got also {unknown[:8]}")


def require_size(expected: Sequence[Column], counts: Counts) -> None:
    """Raise TooLargeError unless an episode of this length may be read."""
    steps, limits, commands = counts.steps, counts.limits, counts.commands
    if not 1 <= steps <= STEPS_MAX or limits > LIMITS_MAX or commands > COMMANDS_MAX:
        most = f"1 to {STEPS_MAX} steps, {LIMITS_MAX} limits, {COMMANDS_MAX} commands"
        raise TooLargeError(f"expected {most}, got {steps}, {limits}, {commands}")
    for name, camera in counts.cameras.items():
        if camera.pictures > PICTURES_MAX or camera.events > CAMERA_EVENTS_MAX:
            most = f"{PICTURES_MAX} pictures and {CAMERA_EVENTS_MAX} events"
            raise TooLargeError(f"{name}: expected at most {most}, got {camera.pictures} and {camera.events}")
    if (pictures := sum(camera.picture_bytes for camera in counts.cameras.values())) > PICTURES_BYTES_MAX:
        raise TooLargeError(f"expected at most {PICTURES_BYTES_MAX} bytes of pictures, got {pictures}")
    size = sum(column.nbytes(counts) for column in expected if column.rows is not Rows.PICTURE_BYTE)
    if size > VALUES_BYTES_MAX:
        raise TooLargeError(f"expected at most {VALUES_BYTES_MAX} bytes of values, got {size}")


def _members(file: h5py.File, *, plain: bool) -> dict[str, Any]:
    """Return path -> object, following hard links only; each is opened once.

    Groups are opened one deep, and two deep for the cameras, of which there are few.
    """
    found: dict[str, Any] = {}
    for name, item in _children(file, plain=plain):
        if not isinstance(item, h5py.Group):
            found[name] = item
            continue
        for inner, each in _children(item, plain=plain):
            if name == CAMERAS_GROUP and isinstance(each, h5py.Group):
                found |= {f"{name}/{inner}/{last}": leaf for last, leaf in _children(each, plain=plain)}
            else:
                found[f"{name}/{inner}"] = each
    return found


def _children(group: h5py.Group, *, plain: bool) -> Iterator[tuple[str, Any]]:
    if len(group) > _GROUP_MEMBERS_MAX:
        raise UnknownDatasetError(f"expected at most {_GROUP_MEMBERS_MAX} members, got {len(group)}")
    links = group.id.links
    for name in list(group.id):
        if links.get_info(name).type != h5py.h5l.TYPE_HARD:
            raise ForbiddenStorageError(f"expected hard links only, got another at {group.name}/{name!r}")
        item = group[name]
        if isinstance(item, h5py.Dataset):
            _require_storage(item, plain=plain)  # before its shape: to know that of a virtual one, HDF5 opens others
        _require_bare(item)
        yield name.decode(errors="surrogateescape"), item


def _require_bare(item: Any, attributes: int = 0) -> None:
    """Raise unless an object has at most so many attributes and no comment."""
    found = h5py.h5o.get_info(item.id)
    if found.num_attrs > attributes or found.hdr.mesg.present >> _COMMENT & 1:
        raise UnboundDataError(
            f"{item.name}: expected {attributes or 'no'} attributes and no comment, got {found.num_attrs}"
        )


def _dataset(members: Mapping[str, Any], path: str) -> h5py.Dataset:
    if path not in members:
        raise MissingDatasetError(f"expected the dataset {path}, which is not in the file")
    found = members[path]
    if not isinstance(found, h5py.Dataset):
        raise DatasetTypeError(f"expected a dataset at {path}, got a {type(found).__name__}")
    return found


def _require_place(dataset: h5py.Dataset, place: Place) -> None:
    if dataset.dtype != place.dtype or dataset.dtype.metadata:
        raise DatasetTypeError(f"expected {place.path} of type {place.dtype}, got {dataset.dtype}")
    if dataset.shape != place.shape:
        raise DatasetShapeError(f"expected {place.path} of shape {place.shape}, got {dataset.shape}")


def _require_storage(dataset: h5py.Dataset, *, plain: bool) -> None:
    made = dataset.id.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise ForbiddenStorageError(f"{dataset.name}: expected values in the file, got external or virtual storage")
    filters = [made.get_filter(index)[0] for index in range(made.get_nfilters())]
    if plain and filters:
        raise ForbiddenStorageError(f"{dataset.name}: expected values as the writer stores them, got filters {filters}")
    twice = len(set(filters)) != len(filters) or len(_COMPRESSION.intersection(filters)) > 1
    if twice or not STORED_FILTERS.issuperset(filters):
        raise ForbiddenStorageError(f"{dataset.name}: expected plain storage or compressed once, got filters {filters}")
    chunk = made.get_chunk() if made.get_layout() == h5py.h5d.CHUNKED else ()
    if int(np.prod(chunk, dtype=object)) * dataset.id.get_type().get_size() > _CHUNK_BYTES_MAX:
        raise ForbiddenStorageError(f"{dataset.name}: expected chunks up to {_CHUNK_BYTES_MAX} bytes")


def _decode(data: bytes) -> Meta:
    try:
        return decode_meta(data)
    except ValueError as error:  # MetaError, EpisodeIdError
        raise MetaInvalidError(str(error)) from error
