"""Drawn pictures, kept in the user's cache by the hash of all that they follow from: whole files, or no files.

An entry is `armshare-drawn` and a version, the pictures one after the other, the index (where each ends, which can be
decoded by themselves, and a head in JSON), then the index's length and a CRC-32 of everything before it. It is written
under another name and renamed; a reader maps it, and checks the CRC once in each process. What has not been used for
longest goes when the cache is larger than it may be; whoever has that mapped keeps it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

FOLDER: Final = "ARMSHARE_PICTURES"
"""The environment's name of the folder, by default `pictures` in the user's cache."""
BYTES_MAX: Final = "ARMSHARE_PICTURES_GB"
"""The environment's name of the size in 10^9 bytes, by default 20."""
_GB: Final = 20.0
_SUFFIX: Final = ".pictures"
_PART: Final = ".part"
_PART_S: Final = 86_400.0
"""A part that is older was left by a process that was killed."""
_HEAD: Final = msgspec.json.Decoder(dict[str, Any])
_MAGIC: Final = b"armshare-drawn\x00\x01"
_TAIL: Final = struct.Struct("<II")
_LOCKS: Final = 2
"""Hex digits of a key that choose its lock: 256 files at most."""


class CacheError(Exception):
    """The cache cannot be written, or what the environment says of it makes no sense."""


@dataclass(frozen=True, slots=True)
class Found:
    """One entry, mapped."""

    head: dict[str, Any]
    data: memoryview
    """All pictures, one after the other."""
    end: NDArray[np.int64]
    """(F,): where each ends in `data`."""
    key: NDArray[np.bool_]
    """(F,): whether it can be decoded by itself."""


@dataclass(frozen=True, slots=True)
class PictureCache:
    """A folder of entries, safe under many processes."""

    folder: Path = field(
        default_factory=lambda: Path(os.environ.get(FOLDER) or user_cache_path("armshare") / "pictures")
    )
    bytes_max: int = field(default_factory=lambda: _bytes_max())

    def get(self, key: str) -> Found | None:
        """Return an entry if there is one; one that is damaged is removed."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
                found = _read(file.fileno(), stat, path)
                if found is not None:
                    os.utime(file.fileno(), ns=(time.time_ns(), stat.st_mtime_ns))  # last used; not all disks note it
        except (FileNotFoundError, PermissionError):
            return None
        if found is None:
            path.unlink(missing_ok=True)
        return found

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Wait until nobody else makes this entry; a process that ends gives up its turn."""
        with self._writing():
            path = self.folder / "locks" / key[:_LOCKS]
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor too
            os.close(lock)

    def put(self, pictures: Iterator[tuple[bytes, bool]], ended: Callable[[], tuple[str, dict[str, Any]]]) -> str:
        """Write an entry: each picture, and whether it can be decoded by itself; return its key.

        `ended` is called behind the last picture, and gives the key and the head. Raises CacheError, and leaves
        nothing, if the entry cannot be written.
        """
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=_PART, delete=False) as file:
                part = Path(file.name)
                try:
                    key = _write(file, pictures, ended)
                    file.flush()
                    path = self._path(key)
                    path.parent.mkdir(exist_ok=True)
                    part.replace(path)
                finally:
                    part.unlink(missing_ok=True)
        self._shrink(path)
        return key

    def remembered(self, name: str) -> str:
        """Return a short text that was kept under a name, or ''."""
        try:
            return (self.folder / name).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def remember(self, name: str, text: str) -> None:
        """Keep a short text under a name."""
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=_PART, delete=False) as file:
                file.write(text)
            Path(file.name).replace(self.folder / name)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}{_SUFFIX}"

    def _shrink(self, newest: Path) -> None:
        """Remove what has not been used for longest, but not what was just written, until the rest fits."""
        entries = []
        for path in [*self.folder.glob(f"??/*{_SUFFIX}"), *self.folder.glob(f"*{_PART}")]:
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            if path.suffix == _PART:
                if time.time() - stat.st_mtime > _PART_S:
                    path.unlink(missing_ok=True)
            else:
                entries.append((stat.st_atime_ns, stat.st_size, path))
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.bytes_max:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CacheError(
                f"Drawn pictures cannot be kept in {self.folder} ({error.strerror}). Make room there, or name another "
                f"folder in {FOLDER}."
            ) from error


def _bytes_max() -> int:
    said = os.environ.get(BYTES_MAX) or str(_GB)
    try:
        size = float(said)
    except ValueError:
        size = -1.0
    if not 0.0 < size < 1e9:
        raise CacheError(f"{BYTES_MAX} is {said!r}, and it has to be a number of gigabytes, such as 20.")
    return int(size * 1e9)


def _write(file: Any, pictures: Iterator[tuple[bytes, bool]], ended: Callable[[], tuple[str, dict[str, Any]]]) -> str:
    """Write an entry and return its key."""
    crc, at = zlib.crc32(_MAGIC), 0
    file.write(_MAGIC)
    ends, keys = [], bytearray()
    for data, key in pictures:
        file.write(data)
        crc, at = zlib.crc32(data, crc), at + len(data)
        ends.append(at)
        keys.append(key)
    cache_key, head = ended()
    said = msgspec.json.encode({**head, "pictures": len(ends)})
    index = np.array(ends, "<i8").tobytes() + bytes(keys) + said
    crc = zlib.crc32(index, crc)
    size = len(said).to_bytes(4, "little")
    file.write(index + size + zlib.crc32(size, crc).to_bytes(4, "little"))
    return cache_key


def _read(descriptor: int, stat: os.stat_result, path: Path) -> Found | None:
    """Return what a file holds, or None if it is damaged."""
    if stat.st_size < len(_MAGIC) + _TAIL.size:
        return None
    data = memoryview(mmap.mmap(descriptor, stat.st_size, access=mmap.ACCESS_READ))
    which = str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns
    if which not in _checked():
        if not _sound(data):
            return None
        _checked().add(which)
    size, _ = _TAIL.unpack_from(data, stat.st_size - _TAIL.size)
    said = data[stat.st_size - _TAIL.size - size : stat.st_size - _TAIL.size]
    head = _HEAD.decode(said)
    count = int(head["pictures"])
    at = stat.st_size - _TAIL.size - size - 9 * count
    end = np.frombuffer(data[at : at + 8 * count], "<i8").astype(np.int64)
    key = np.frombuffer(data[at + 8 * count : at + 9 * count], np.bool_)
    return Found(head, data[len(_MAGIC) : at], end, key)


def _sound(data: memoryview) -> bool:
    """Whether a file is as it was written."""
    return bytes(data[: len(_MAGIC)]) == _MAGIC and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")


@cache
def _checked() -> set[tuple[str, int, int, int]]:
    """Return the files (path, inode, size, time) that this process has found whole: it looks once."""
    return set()
