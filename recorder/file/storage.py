"""Where the pictures of an episode file lie: they are not read, but mapped, or copied out of it if they are packed."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import Place

_COPY_BYTES: Final = 16 << 20
"""As much as the largest chunk that a reader takes."""


class CopyError(Exception):
    """Packed pictures cannot be copied here, which says nothing about the file."""


def offset_of(dataset: h5py.Dataset, place: Place) -> int | None:
    """Return where in the file a dataset's values begin, if they are there in one piece, as they are."""
    made = dataset.id.get_create_plist()
    at = dataset.id.get_offset() if made.get_layout() == h5py.h5d.CONTIGUOUS and not made.get_nfilters() else None
    if not place.nbytes:
        return 0
    if at is None or dataset.id.get_storage_size() != place.nbytes:
        return None
    return int(at) if at + place.nbytes <= dataset.file.id.get_filesize() else None


class Stored(msgspec.Struct, frozen=True):
    """Where a camera's pictures are: in the episode's file, or in a copy that was made of them."""

    at: int
    copied: bool


def put_pictures(places: Iterable[Place], datasets: Mapping[str, h5py.Dataset], copies: int) -> dict[str, Stored]:
    """Return where each dataset of pictures is; one that is packed or in several pieces is copied to a file."""
    stored: dict[str, Stored] = {}
    end = 0
    for place in places:
        if not place.mapped:
            continue
        dataset = datasets[place.path]
        at = offset_of(dataset, place)
        stored[place.path] = Stored(end, copied=True) if at is None else Stored(at, copied=False)
        if at is None:
            for start in range(0, place.shape[0], _COPY_BYTES):
                end = _put(copies, memoryview(dataset[start : start + _COPY_BYTES]), end)
    return stored


def _put(descriptor: int, data: memoryview, at: int) -> int:
    """Write to an open file at a place, and return where it ends; raise CopyError."""
    try:
        while data:
            written = os.pwrite(descriptor, data, at)
            data, at = data[written:], at + written
    except OSError as error:
        raise CopyError(f"packed pictures have no room on this disk: {error.strerror}") from error
    return at


def map_pictures(
    places: Iterable[Place], stored: Mapping[str, Stored], file: int, copies: int
) -> dict[str, NDArray[Any]]:
    """Return the datasets of pictures as arrays over the file, or over the copies; ValueError if they lie beyond it."""
    maps: dict[bool, mmap.mmap] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for place in (place for place in places if place.mapped):
        where = stored[place.path]
        if not place.nbytes:
            arrays[place.path] = np.empty(0, np.uint8)
            arrays[place.path].flags.writeable = False
            continue
        if where.copied not in maps:
            maps[where.copied] = mmap.mmap(copies if where.copied else file, 0, access=mmap.ACCESS_READ)
        arrays[place.path] = np.frombuffer(maps[where.copied], np.uint8, place.nbytes, where.at)
    return arrays
