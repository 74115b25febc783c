"""A file of records to which bytes are only ever appended, and which can be read up to its first damage.

After a head come records, each with a checksum (CRC-32) over all bytes before it but the earlier checksums: so a record
counts only if every record before it is present, whole and in its place (recorder/FORMAT.md, section 1.2).
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Final, Self

from teleop.files import sync_data, sync_folder

_HEAD: Final = struct.Struct("<II")
_RECORD: Final = struct.Struct("<IB")
_CRC: Final = struct.Struct("<I")


class RecordsError(Exception):
    """A file's head is not whole, or not of this kind."""


class RecordFile:
    """An open file of records. They are gathered in memory by `add`, and made durable together by `commit`."""

    def __init__(self, path: Path, magic: bytes, version: int, head: bytes, *, sync_name: bool = True) -> None:
        """Create the file; raise FileExistsError if it already exists. `sync_name`: make its name durable at once."""
        try:
            self._file = FileIO(path, "x+b")
        except FileExistsError as error:
            raise FileExistsError(f"{path} is there already; recover it, or choose another episode") from error
        start = magic + _HEAD.pack(version, len(head)) + head
        self._crc = zlib.crc32(start)
        self._waiting = bytearray(start + _CRC.pack(self._crc))
        try:
            if sync_name:
                sync_folder(path.parent)
        except OSError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise

    @classmethod
    def resume(
        cls, descriptor: int, magic: bytes, head_size_max: int, found: Callable[[int, memoryview], None]
    ) -> Self:
        """Go on with an open file, after its last whole record: what is behind that is cut off. Raises RecordsError.

        `found` is called for each record with its kind and body. The descriptor, of a file opened for reading and
        writing, belongs to the result, or is closed.
        """
        resumed = cls.__new__(cls)
        resumed._file = FileIO(descriptor, "r+b")
        resumed._waiting = bytearray()
        try:
            with (
                mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as data,
            ):
                at, resumed._crc = _end_of(data, magic, head_size_max, found)
            os.ftruncate(descriptor, at)
            resumed._file.seek(at)
        except (OSError, ValueError, RecordsError) as error:
            resumed._file.close()
            raise RecordsError(f"cannot go on with it: {error}") from error
        return resumed

    def add(self, kind: int, *parts: bytes | bytearray | memoryview) -> None:
        """Add a record whose body is these parts, one after the other; it does not count until `commit`."""
        head = _RECORD.pack(sum(len(part) for part in parts), kind)
        self._waiting += head
        crc = zlib.crc32(head, self._crc)
        for part in parts:
            crc = zlib.crc32(part, crc)
            self._waiting += part
        self._crc = crc
        self._waiting += _CRC.pack(crc)

    def commit(self) -> None:
        """Make all records so far durable."""
        self.flush()
        sync_data(self._file.fileno())

    def flush(self) -> None:
        """Hand all records so far to the operating system, which keeps them if only this process ends."""
        while self._waiting:
            written = self._file.write(self._waiting)
            del self._waiting[:written]

    def sync(self) -> None:
        """Make durable what was flushed, from any thread."""
        sync_data(self._file.fileno())

    def fileno(self) -> int:
        """Return the open file's descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Leave the file as it is; what was committed can be read. Idempotent."""
        self._file.close()


def read_head(data: memoryview, magic: bytes, size_max: int) -> tuple[int, bytes, int, int]:
    """Return the version, the head, where the records begin, and the checksum so far; raise RecordsError."""
    start = len(magic) + _HEAD.size
    if len(data) < start or data[: len(magic)] != magic:
        raise RecordsError(f"expected a file that begins with {magic!r}, got {bytes(data[: len(magic)])!r}")
    version, size = _HEAD.unpack_from(data, len(magic))
    end = start + size
    if size > size_max or len(data) < end + _CRC.size:
        raise RecordsError(f"expected a head of {size} bytes (at most {size_max}) in {len(data)} bytes")
    crc = zlib.crc32(data[:end])
    if data[end : end + _CRC.size] != _CRC.pack(crc):
        raise RecordsError("its head is damaged")
    return version, bytes(data[start:end]), end + _CRC.size, crc


def records(data: memoryview, at: int, crc: int) -> Iterator[tuple[int, memoryview]]:
    """Yield the kind and body of each record from `at` up to the first that is not whole."""
    for kind, body, _, _ in _walk(data, at, crc):
        yield kind, body


def _walk(data: memoryview, at: int, crc: int) -> Iterator[tuple[int, memoryview, int, int]]:
    """Yield the kind and body of each whole record, where it ends, and the checksum up to there."""
    while at + _RECORD.size + _CRC.size <= len(data):
        size, kind = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + size
        crc = zlib.crc32(data[at:end], crc)
        if data[end : end + _CRC.size] != _CRC.pack(crc):
            return
        yield kind, data[at + _RECORD.size : end], end + _CRC.size, crc
        at = end + _CRC.size


def _end_of(
    data: memoryview, magic: bytes, head_size_max: int, found: Callable[[int, memoryview], None]
) -> tuple[int, int]:
    """Return where the last whole record ends, and the checksum up to there."""
    _, _, at, crc = read_head(data, magic, head_size_max)
    for kind, body, end, now in _walk(data, at, crc):
        with body:
            found(kind, body)
        at, crc = end, now
    return at, crc
