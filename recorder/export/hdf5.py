"""What the exports to HDF5 have in common: views, what attributes say, and errors that name their episode."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import h5py

from recorder.export.actions import ActionSpace
from recorder.export.demonstrations import Demonstration, origin_of
from recorder.export.errors import CameraError
from recorder.file.meta import Meta
from recorder.pictures.errors import PictureError

_ATTRIBUTE_MAX: Final = 60_000
_GYM_TYPE: Final = 2
"""robomimic's EnvType.GYM_TYPE."""


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


def origin_attribute(meta: Meta) -> Mapping[str, str]:
    """Return `armshare`, what robot and task are, so that `armshare import` gives back what was exported.

    HDF5 keeps an attribute of at most 64 KiB; for a robot that needs more there is none.
    """
    said = json.dumps(origin_of(meta))
    return {"armshare": said} if len(said) < _ATTRIBUTE_MAX else {}


def _plain(value: Any) -> Any:
    """Return a value that an attribute can have: HDF5 ends a text at its first zero."""
    return str(value).replace("\0", "") if isinstance(value, str) else value
