"""Reads robomimic's HDF5 files: a group for each demonstration, with `obs`, `next_obs` and `actions`.

The file may be anyone's: only hard links are followed, and a dataset's shape and storage are checked before it is read.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.episode import STORED_FILTERS
from recorder.importing.errors import (
    BrokenEpisodeError,
    ForbiddenPartError,
    LengthsDisagreeError,
    MissingPartError,
    NotADataSetError,
    OutsideError,
    TooMuchError,
)
from recorder.importing.footage import Camera, KindError, Spool, camera_name
from recorder.importing.images import Images
from recorder.importing.taken import (
    SOURCE_ACTION,
    Action,
    Origin,
    Taken,
    Times,
    descriptor_of,
    nominal,
    printable,
    rate_of,
    require_bytes,
    require_sound,
    sayings,
)
from recorder.pictures.channel import PictureCodec
from sim.robot import Vector

_CHUNK_BYTES_MAX: Final = 16 << 20
_DEMOS_MAX: Final = 1_000_000
_ARRAYS_MAX: Final = 256
_TEXT_MAX: Final = 64 << 10
_PICTURE_DIMENSIONS: Final = 4
"""Of (N, H, W, C)."""
_COLOURS: Final = 3
_ROWS_BYTES: Final = 32 << 20
"""Of the pictures that are in memory at a time."""
_ORIGIN: Final = msgspec.json.Decoder(Origin)
_APPLIED: Final = {
    "applied/joint_position": "action_dict/joint_position",
    "applied/gripper": "action_dict/gripper",
    "time/t_sent_mono_ns": "timestamps/t_sent_mono_ns",
}
_TAKEN: Final = frozenset(
    {
        "actions",
        "obs",
        "next_obs",
        "action_dict",
        "timestamps",
        "driven",
        "progress",
        "next_progress",
        "success",
        "next_success",
        "pictures",
    }
)


class RobomimicSet:
    """One file; `hz` is the rate to assume if the file does not say it."""

    format: Final = "robomimic"

    def __init__(self, path: Path, hz: float | None = None) -> None:
        """Look at the file; raise NotADataSetError, or NoRateError if nothing says its rate."""
        self.path, self._hz = path, hz
        try:
            with self._opened() as data:
                self._names = _demos(data)
                self.version = "hdf5"
                self._rate(data, data[self._names[0]])
        except (BrokenEpisodeError, FileNotFoundError) as error:
            raise NotADataSetError(f"{path} is no robomimic data set: {error}.") from error

    @property
    def names(self) -> tuple[str, ...]:
        """What it calls its demonstrations, in their order."""
        return self._names

    def take(self, index: int, spool: Spool) -> Taken:
        """Read a demonstration; raise a BrokenEpisodeError."""
        with self._opened() as data:
            return self._take(data, self._names[index], spool)

    @contextmanager
    def _opened(self) -> Iterator[h5py.Group]:
        """Give the group of all demonstrations; raise a BrokenEpisodeError for what HDF5 cannot read."""
        descriptor = descriptor_of(self.path)
        try:
            with os.fdopen(descriptor, "rb") as below, h5py.File(below, "r") as file:
                yield _group(file, "data")
        except MemoryError as error:
            raise TooMuchError("it asks for more memory than is given to it") from error
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise ForbiddenPartError(f"HDF5 cannot read it: {error}") from error

    def _take(self, data: h5py.Group, name: str, spool: Spool) -> Taken:
        demo = _group(data, name)
        actions = _values(demo, "actions", 2)
        seen, after = _arrays(demo, "obs"), _arrays(demo, "next_obs") if "next_obs" in demo else {}
        if after and set(after) != set(seen):
            raise LengthsDisagreeError(f"{name}: obs and next_obs hold different arrays")
        final = bool(after)
        both = {one: np.concatenate([seen[one], after[one][-1:]]) if final else seen[one] for one in seen}
        hz = self._rate(data, demo)
        origin = _origin(data)
        action = _action(data, actions) if origin else Action(actions, _numbered(actions))
        known, sources = _known(demo, final=final) if origin else ({}, {})
        times = _times(demo, len(actions), hz) if origin else nominal(len(actions), hz)
        says = sayings({one: _attribute(demo, one) for one in demo.attrs if one not in ("model_file",)})
        success = says.get("success")
        found = Taken(
            name=name,
            hz=hz,
            observations=both,
            final=final,
            action=action,
            times=times,
            instruction=printable(str(says.get("instruction", ""))),
            success=success if isinstance(success, bool) else None,
            known=known,
            values=sources,
            says=says,
            left_out=tuple(one for one in demo if one not in _TAKEN),
            origin=origin,
        )
        require_sound(found)
        cameras, unread = _cameras(demo, times.at(hz) if final else times.t_ns, hz, spool)
        return replace(found, cameras=cameras, left_out=(*unread, *found.left_out))

    def _rate(self, data: h5py.Group, demo: h5py.Group) -> float:
        """Return steps a second: what was said when importing, the demonstration's own, or its environment's."""
        kwargs = _env_args(data).get("env_kwargs")
        environment = kwargs.get("control_freq") if isinstance(kwargs, dict) else None
        return rate_of(self.path, self._hz, _attribute(demo, "control_hz"), environment)


def _demos(data: h5py.Group) -> tuple[str, ...]:
    if len(data) > _DEMOS_MAX:
        raise ForbiddenPartError(f"it has {len(data)} demonstrations, and at most {_DEMOS_MAX} are read")
    names = [name for name in data if re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name)]
    if not names:
        raise MissingPartError("it holds no demonstrations")
    return tuple(
        sorted(names, key=lambda name: (re.sub(r"\d+\Z", "", name), int((re.findall(r"\d+\Z", name) or ["0"])[0])))
    )


def _group(group: h5py.Group, name: str) -> h5py.Group:
    found = _member(group, name)
    if not isinstance(found, h5py.Group):
        raise ForbiddenPartError(f"{group.name}/{name} is no group")
    return found


def _member(group: h5py.Group, name: str) -> Any:
    """Return what a hard link leads to; raise MissingPartError or OutsideError."""
    key = name.encode()
    if name not in group:
        if group.id.links.exists(key):
            raise OutsideError(f"{group.name}/{name} is a link that leads nowhere, or out of the file")
        raise MissingPartError(f"{group.name}/{name} is missing")
    if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise OutsideError(f"{group.name}/{name} is a link to elsewhere: only what is in the file itself is read")
    return group[name]


def _arrays(demo: h5py.Group, name: str) -> dict[str, Vector]:
    """Return the arrays in `obs` or `next_obs`, without pictures."""
    group = _group(demo, name)
    if len(group) > _ARRAYS_MAX:
        raise ForbiddenPartError(f"{group.name} holds {len(group)} arrays, and at most {_ARRAYS_MAX} are read")
    shown = {one for one in group if isinstance(found := _member(group, one), h5py.Dataset) and _is_pictures(found)}
    found_ = {one: _values(group, one) for one in group if one not in shown}
    require_bytes(group.name, sum(array.nbytes for array in found_.values()))
    return found_


def _is_pictures(dataset: h5py.Dataset) -> bool:
    return len(dataset.shape) >= _PICTURE_DIMENSIONS


def _values(group: h5py.Group, name: str, dimensions: int | None = None) -> Vector:
    """Return a dataset's numbers as float64, with at least one dimension beside the rows."""
    array = _raw(group, name)
    if array.dtype.kind not in "fiub":
        raise ForbiddenPartError(f"{group.name}/{name} holds {array.dtype}, which is no number")
    if dimensions is not None and array.ndim != dimensions:
        raise LengthsDisagreeError(f"{group.name}/{name} has {array.ndim} dimensions, and {dimensions} are expected")
    made: Vector = array.astype(np.float64)
    return made if made.ndim > 1 else made.reshape(-1, 1)


def _raw(group: h5py.Group, name: str) -> NDArray[Any]:
    """Read a dataset that is in the file itself and no larger than an episode may be."""
    dataset = _sound(group, name)
    size = dataset.id.get_type().get_size()
    require_bytes(dataset.name, int(np.prod(dataset.shape, dtype=object)) * max(size, 8))
    array: NDArray[Any] = dataset[()]
    return array


def _sound(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset that is in the file itself, and stored in a way that is read from a stranger."""
    dataset = _member(group, name)
    if not isinstance(dataset, h5py.Dataset):
        raise ForbiddenPartError(f"{group.name}/{name} is no dataset")
    made = dataset.id.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise OutsideError(f"{dataset.name} is stored outside of the file")
    filters = {made.get_filter(number)[0] for number in range(made.get_nfilters())}
    size = dataset.id.get_type().get_size()
    chunk = dataset.chunks or ()
    if not STORED_FILTERS.issuperset(filters) or int(np.prod(chunk, dtype=object)) * size > _CHUNK_BYTES_MAX:
        raise ForbiddenPartError(f"{dataset.name} is compressed in a way, or in chunks of a size, that are not read")
    if dataset.shape is None or not dataset.shape:
        raise LengthsDisagreeError(f"{dataset.name} has no rows")
    return dataset


def _known(demo: h5py.Group, *, final: bool) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return what our own export wrote beside robomimic's, by our datasets, and where each was."""
    sources = {ours: theirs for ours, theirs in _APPLIED.items() if theirs in demo}
    known: dict[str, NDArray[Any]] = {}
    for ours, theirs in sources.items():
        group, name = theirs.split("/")
        known[ours] = _raw(_group(demo, group), name)
    if "driven" in demo:
        known["safety"], sources["safety"] = np.where(_raw(demo, "driven"), 2, 3), "driven"
    if final and "progress" in demo and "next_progress" in demo:
        known["progress"] = np.append(_raw(demo, "progress"), _raw(demo, "next_progress")[-1:])
        sources["progress"] = "progress, next_progress"
    if "next_success" in demo:
        first = _raw(demo, "success")[:1] if "success" in demo else np.zeros(1)
        known["success"], sources["success"] = np.append(first, _raw(demo, "next_success")), "success, next_success"
    return known, sources


def _times(demo: h5py.Group, frames: int, hz: float) -> Times:
    if "timestamps/t_observed_mono_ns" not in demo:
        return nominal(frames, hz)
    return Times("clock", _raw(_group(demo, "timestamps"), "t_observed_mono_ns").astype(np.int64))


def _cameras(demo: h5py.Group, t_ns: NDArray[np.int64], hz: float, spool: Spool) -> tuple[dict[str, Camera], list[str]]:
    """Return what cameras saw at each time, by name, and what is left out, with why."""
    obs = _group(demo, "obs")
    found: dict[str, Camera] = {}
    left = []
    for one in obs:
        if not isinstance(dataset := _member(obs, one), h5py.Dataset) or not _is_pictures(dataset):
            continue
        try:
            if dataset.dtype != np.uint8 or dataset.shape[1:][2:] != (_COLOURS,):
                raise KindError(f"{dataset.dtype} {dataset.shape[1:]}, which are no colours")
            name = camera_name(one.removesuffix("_image"), found, spool)
            found[name] = _camera(demo, one, t_ns, hz, spool)
        except KindError as error:
            left.append(f"pictures obs/{one}: {error}")
    return found, left


def _camera(demo: h5py.Group, name: str, t_ns: NDArray[np.int64], hz: float, spool: Spool) -> Camera:
    images = Images(spool, f"obs/{name}", len(t_ns))
    for dataset, rows in _shown(demo, name, len(t_ns)):
        height, width, _ = dataset.shape[1:]
        spool.require_size(PictureCodec.PNG, width, height, len(t_ns))
        each = max(1, _ROWS_BYTES // (height * width * _COLOURS))
        for row in range(rows.start, rows.stop, each):
            for pixels in dataset[row : min(row + each, rows.stop)]:
                images.pixels(pixels)
    return images.camera(hz, t_ns)


def _shown(demo: h5py.Group, name: str, count: int) -> Iterator[tuple[h5py.Dataset, range]]:
    """Yield where `count` pictures are: each a dataset that is in the file itself, and its rows.

    Our own export stores each picture once, and `obs` and `next_obs` are views of that.
    """
    seen = _member(_group(demo, "obs"), name)
    if seen.is_virtual and "pictures" in demo and name in _group(demo, "pictures"):
        stored = _sound(_group(demo, "pictures"), name)
        if stored.dtype != seen.dtype or stored.shape[1:] != seen.shape[1:] or len(stored) < count:
            raise LengthsDisagreeError(f"{seen.name} and {stored.name} hold other pictures")
        yield stored, range(count)
        return
    first = _sound(_group(demo, "obs"), name)
    yield first, range(min(len(first), count))
    if len(first) == count - 1:
        after = _sound(_group(demo, "next_obs"), name)
        if (after.dtype, after.shape) != (first.dtype, first.shape):
            raise LengthsDisagreeError(f"{first.name} and {after.name} hold other pictures")
        yield after, range(len(after) - 1, len(after))


def _action(data: h5py.Group, values: Vector) -> Action:
    """Return the actions of our own export, by the name that it gave them."""
    names = _json(_text(data, "action_names"))
    name = _text(data, "action") or SOURCE_ACTION
    if isinstance(names, list) and len(names) == values.shape[1] and all(isinstance(one, str) for one in names):
        return Action(values, tuple(names), name)
    return Action(values, _numbered(values))


def _numbered(values: Vector) -> tuple[str, ...]:
    return tuple(str(number) for number in range(values.shape[1]))


def _origin(data: h5py.Group) -> Origin | None:
    """Return what our own export says of robot and task; None if another program wrote the file."""
    try:
        return _ORIGIN.decode(_text(data, "armshare"))
    except ValueError:
        return None


def _env_args(data: h5py.Group) -> Mapping[str, Any]:
    found = _json(_text(data, "env_args"))
    return found if isinstance(found, dict) else {}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(group: h5py.Group, name: str) -> str:
    found = _attribute(group, name)
    return found if isinstance(found, str) else ""


def _attribute(group: h5py.Group, name: str) -> Any:
    """Return a single text or number of a bounded length; None for anything else, or if there is none."""
    if name not in group.attrs:
        return None
    kind = group.attrs.get_id(name)
    if kind.shape not in ((), None) or kind.get_type().get_size() > _TEXT_MAX:
        return None
    value = group.attrs[name]
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    return bool(value) if isinstance(value, np.bool_) else value
