"""HDF5 files that a full disk does not break: what is written is whole, or the disk's error is raised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import h5py


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

    @property
    def descriptor(self) -> int:
        """The open file's descriptor."""
        return self._below.fileno()

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
