"""What the exports to HDF5 have in common: files that a full disk does not break, and what attributes say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final

import h5py

from recorder.export.actions import ActionSpace
from recorder.export.demonstrations import Demonstration
from recorder.export.errors import CameraError
from recorder.pictures.units import PictureError

_GYM_TYPE: Final = 2
"""robomimic's EnvType.GYM_TYPE."""


class _Forgiving(FileIO):
    """A file that takes every byte, and keeps the first error of the disk for later.

    HDF5 does not survive a write that fails: it crashes when the process ends. So it closes in order.
    """

    failed: OSError | None = None

    def write(self, data: Any, /) -> int:
        """Write if the disk takes it; say in any case that it did."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while self.failed is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failed = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Set the length if the disk takes it; say in any case that it did."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.failed = self.failed or error
            return size or 0


@dataclass(frozen=True, slots=True)
class NewFile:
    """An HDF5 file that is being written."""

    root: h5py.File
    _below: _Forgiving

    def require_written(self) -> None:
        """Raise the OSError that a write met, if one did."""
        if self._below.failed is not None:
            raise self._below.failed


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Create an HDF5 file, and close it; raise the OSError that a write met, if one did."""
    with _Forgiving(path, "w+b") as below:
        try:
            with h5py.File(below, "w") as root:
                yield NewFile(root, below)
        except (RuntimeError, KeyError, ValueError) as error:  # it may read again what could not be written
            raise below.failed or error from error
        if below.failed is not None:
            raise below.failed


@contextmanager
def naming(one: Demonstration) -> Iterator[None]:
    """Raise CameraError, with the episode's name, for a picture that cannot be decoded."""
    try:
        yield
    except PictureError as error:
        raise CameraError(f"{one.bundle}: {error}") from error


def add_view(group: h5py.Group, name: str, stored: h5py.Dataset, rows: slice) -> None:
    """Add a dataset that holds nothing itself: it is the `rows` of another one in the same file."""
    shape = (rows.stop - rows.start, *stored.shape[1:])
    source = h5py.h5s.create_simple(stored.shape)
    source.select_hyperslab((rows.start, *(0 for _ in shape[1:])), shape)
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_obj_track_times(False)  # the same episodes give the same file
    made.set_virtual(h5py.h5s.create_simple(shape), b".", stored.name.encode(), source)
    h5py.h5d.create(group.id, name.encode(), stored.id.get_type(), h5py.h5s.create_simple(shape), made)


def episode_attributes(one: Demonstration) -> dict[str, Any]:
    """Return what is said of an episode as a whole, as HDF5 takes it."""
    meta = one.episode.meta
    said = {**one.facts, "instruction": meta.task.instruction, "control_hz": meta.spec.control_hz}
    return {name: _plain(value) for name, value in said.items() if value is not None}


def action_attributes(space: ActionSpace) -> Mapping[str, str]:
    """Return what the actions are, and in `env_args`, as robomimic has it, the environment that takes them."""
    made = {"env_name": space.env.id, "type": _GYM_TYPE, "env_kwargs": dict(space.env.kwargs)}
    return {"action": space.name, "action_names": json.dumps(space.names), "env_args": json.dumps(made)}


def _plain(value: Any) -> Any:
    """Return a value that an attribute can have: HDF5 ends a text at its first zero."""
    return str(value).replace("\0", "") if isinstance(value, str) else value
