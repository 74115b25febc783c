"""A recording at a URL: its arrays come by ranges when it is opened, and the pictures of a camera when it is looked at.

A file that a hub vouches for is read whole instead, and hashed, as ranges prove nothing.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from recorder.dataset.remote.bundle import RemoteBundle
from recorder.dataset.remote.ranged import ASKED_BYTES_MAX, RangedFile
from recorder.export.demonstrations import recording_in
from recorder.export.errors import UnreadableBundleError
from recorder.file.episode import (
    Episode,
    EpisodeError,
    Inspected,
    UnreadableFileError,
    inspect,
    read_into,
    require_cut,
    require_pictures_cut,
)
from recorder.file.layout import FILE_BYTES_MAX, Place
from recorder.proof.manifest import EPISODE_FILE

_COPY_BYTES: Final = 16 << 20


class ArraysAtUrl(Mapping[str, NDArray[Any]]):
    """The arrays of an episode, those of pictures only once they are asked for."""

    def __init__(self, file: RangedFile, found: Inspected, here: Mapping[str, NDArray[Any]]) -> None:
        self._file, self._found, self._here = file, found, dict(here)
        self._places = {place.path: place for place in found.places}

    def __getitem__(self, path: str) -> NDArray[Any]:
        """Return an array; raise KeyError, RemoteError or UnreadableBundleError."""
        if path not in self._here:
            with _named(self._file):
                self._here[path] = _copied(self._found.datasets[path], self._places[path])
        return self._here[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def nbytes_here(self) -> int:
        """The bytes of those that have come."""
        return sum(array.nbytes for array in self._here.values())


def recording_at(bundle: RemoteBundle) -> Episode:
    """Return an episode by ranges, opened in this process; raise UnreadableBundleError or RemoteError."""
    try:
        file = RangedFile(bundle.url(EPISODE_FILE))
    except FileNotFoundError as error:
        raise UnreadableBundleError(f"{bundle} has no {EPISODE_FILE}: {error}") from error
    with _named(file):
        found = inspect(h5py.File(file, "r"))
        arrays = {place.path: _read(found.datasets[place.path], place) for place in found.places if not place.mapped}
        require_cut(arrays)
        require_pictures_cut(found.counts, arrays)
    return Episode(found.meta, found.meta_bytes, found.end, ArraysAtUrl(file, found, arrays))


def whole_recording_at(bundle: RemoteBundle) -> tuple[Episode, str]:
    """Return an episode, downloaded and read apart, and its file's SHA-256; raises as `recording_at` does."""
    with tempfile.TemporaryDirectory(prefix="episode-") as folder:
        path, sha256 = Path(folder) / EPISODE_FILE, hashlib.sha256()
        try:
            file = RangedFile(bundle.url(EPISODE_FILE), blocks_max=1)
        except FileNotFoundError as error:
            raise UnreadableBundleError(f"{bundle} has no {EPISODE_FILE}: {error}") from error
        if file.size > FILE_BYTES_MAX:
            raise UnreadableBundleError(f"{bundle}: expected at most {FILE_BYTES_MAX} bytes, got {file.size}")
        with path.open("wb") as copy:
            while part := file.read(ASKED_BYTES_MAX):
                sha256.update(part)
                copy.write(part)
        return recording_in(Path(folder)), sha256.hexdigest()  # what it maps stays after its name is gone


@contextmanager
def _named(file: RangedFile) -> Iterator[None]:
    """Raise what kept the file from being read, whatever HDF5 made of it; UnreadableBundleError if it is no episode."""
    try:
        yield
    except EpisodeError as error:
        raise (file.trouble or UnreadableBundleError(f"{file.url} is not a complete episode: {error}")) from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
        said = UnreadableFileError(f"it is not a complete HDF5 file: {error}")
        raise (file.trouble or UnreadableBundleError(f"{file.url} is not a complete episode: {said}")) from error


def _read(dataset: h5py.Dataset, place: Place) -> NDArray[Any]:
    array: NDArray[Any] = np.empty(place.shape, place.dtype)
    read_into(dataset, array)
    array.flags.writeable = False
    return array


def _copied(dataset: h5py.Dataset, place: Place) -> NDArray[Any]:
    """Return pictures as an array over a file of no name: they may be larger than the memory."""
    if not place.nbytes:
        return np.empty(0, np.uint8)
    with tempfile.TemporaryFile() as copy:
        for start in range(0, place.shape[0], _COPY_BYTES):
            copy.write(dataset[start : start + _COPY_BYTES])
        copy.flush()
        return np.frombuffer(mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
