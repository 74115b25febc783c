"""The files of a data set that is a stranger's folder: only its own regular ones are opened, and no link followed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from recorder.importing.errors import ForbiddenPartError, MissingPartError, OutsideError, TooMuchError
from recorder.importing.taken import descriptor_of, require_bytes

SMALL_BYTES_MAX: Final = 16 << 20
TABLE_BYTES_MAX: Final = 1 << 30
"""Of one file, which holds many episodes; LeRobot begins another one after 100 MB, compressed."""


class Folder:
    """One folder; every name is relative to it."""

    def __init__(self, path: Path) -> None:
        """Read the files below `path`."""
        self.path = path

    def open(self, name: str) -> IO[bytes]:
        """Open a file; raise MissingPartError, or OutsideError if a part of the way to it leads elsewhere."""
        parts = PurePosixPath(name).parts
        if not parts or any(part in ("/", "..") or "\0" in part for part in parts):
            raise OutsideError(f"{name!r} leads out of {self.path}: only the data set's own files are read")
        path = self.path
        for part in parts[:-1]:
            path = path / part
            if path.is_symlink():
                raise OutsideError(f"{path} is a link: only the data set's own files are read")
        try:
            return os.fdopen(descriptor_of(self.path / name), "rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingPartError(f"{name} is missing") from error

    def small(self, name: str) -> bytes:
        """Return what is in a small file; raise as `open`, or TooMuchError."""
        with self.open(name) as file:
            data = file.read(SMALL_BYTES_MAX + 1)
        if len(data) > SMALL_BYTES_MAX:
            raise TooMuchError(f"{name} is longer than {SMALL_BYTES_MAX} bytes")
        return data

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a Parquet table, or some columns of it, if it declares no more than an episode may have."""
        with self._parquet(name) as file:
            groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            require_bytes(name, sum(_declared(group, columns) for group in groups), TABLE_BYTES_MAX)
            return file.read(columns=columns, use_threads=False)

    def values(self, name: str, column: str, first: int, count: int) -> Iterator[Any]:
        """Yield the values of one column in the rows from `first` on, a few at a time."""
        start = 0
        with self._parquet(name) as file:
            for number in range(file.metadata.num_row_groups):
                group = file.metadata.row_group(number)
                begin, start = start, start + group.num_rows
                if begin >= first + count or start <= first:
                    continue
                require_bytes(f"{column} in {name}", _declared(group, [column]), TABLE_BYTES_MAX)
                at = begin
                for batch in file.iter_batches(16, row_groups=[number], columns=[column], use_threads=False):
                    for place, value in enumerate(batch.column(0).to_pylist(), at):
                        if first <= place < first + count:
                            yield value
                    at += batch.num_rows

    @contextmanager
    def _parquet(self, name: str) -> Iterator[pq.ParquetFile]:
        """Open a table; raise ForbiddenPartError if it cannot be read."""
        try:
            with self.open(name) as below, pq.ParquetFile(below, pre_buffer=False) as file:
                yield file
        except MemoryError as error:
            raise TooMuchError(f"{name} asks for more memory than is given to it") from error
        except (pa.ArrowException, OSError, ValueError) as error:
            raise ForbiddenPartError(f"{name} is no Parquet file that can be read: {error}") from error


def _declared(group: Any, wanted: Sequence[str] | None) -> int:
    """Return how many bytes some columns of a row group, or all, say that they have, unpacked."""
    columns = [group.column(number) for number in range(group.num_columns)]
    read = [one for one in columns if wanted is None or _is_of(one.path_in_schema, wanted)]
    return sum(max(int(one.total_uncompressed_size), 0) + 8 * max(int(one.num_values), 0) for one in read)


def _is_of(path: str, names: Sequence[str]) -> bool:
    """Whether a column of Parquet is one of these, or a part of one, such as a list's elements."""
    return any(path == name or path.startswith(f"{name}.") for name in names)
