"""A bounded folder of downloads, each by its SHA-256: what needs a file on this machine's disk has it from here.

Several processes share it. Whoever uses a file holds a lock on it (flock), which ends with its process; what has not
been used for longest makes way. Nothing here is missed: it may be removed while nobody works.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from recorder.hub.store.store import StoreLostError
from teleop.files import sync_file
from teleop.hub.full import require_room

CACHE_BYTES_MAX: Final = 20 << 30
_PART: Final = ".part"
_PART_KEPT_S: Final = 24 * 3600.0
"""What an interrupted download left is removed after this."""
_HANDED_OUT_S: Final = 60.0
"""Whoever was given a path has this long to open it."""
_turns: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()
_turns_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Cache:
    """At most so many bytes of files below one folder, but for those that are in use. For any thread and process."""

    folder: Path
    bytes_max: int = CACHE_BYTES_MAX

    @contextmanager
    def holding(self, sha256: str, size: int, download: Callable[[], Iterable[bytes]]) -> Iterator[Path]:
        """Give the path of a file, downloaded if it is not here; it stays until the block ends.

        Raises StoreLostError if other bytes come, HubFullError, or what `download` raises.
        """
        path = self.get(sha256, size, download)
        while (held := _held(path)) is None:  # it made way meanwhile
            path = self.get(sha256, size, download)
        try:
            yield path
        finally:
            os.close(held)

    def get(self, sha256: str, size: int, download: Callable[[], Iterable[bytes]]) -> Path:
        """Return the path of a file, to be opened at once; raises as `holding` does."""
        path = self.folder / sha256
        with _turn_of(self.folder, sha256):
            if not _touched(path, size):
                self._make_room(size)
                self._download(path, sha256, size, download)
        return path

    def take(self, source: Path, sha256: str) -> None:
        """Move a file in that was hashed just now; one on another file system is removed instead."""
        with suppress(OSError):
            self._make_room(source.stat().st_size)
            sync_file(source)
            source.replace(self.folder / sha256)
        source.unlink(missing_ok=True)

    def scratch(self, length: int) -> Path:
        """Return a path for a file that is about to be made here; raise HubFullError if there is no room for it."""
        self._make_room(length)
        return self.folder / f"{secrets.token_hex(8)}{_PART}"

    def sweep(self, unused_s: float) -> None:
        """Remove what nobody uses, and has used for so long; and what was left half made."""
        if not self.folder.is_dir():
            return
        now_s = time.time()
        for used_s, _, path in list(self._files()):
            if used_s < now_s - (_PART_KEPT_S if path.name.endswith(_PART) else unused_s):
                _removed(path)

    def _download(self, path: Path, sha256: str, size: int, download: Callable[[], Iterable[bytes]]) -> None:
        part = path.with_name(f"{sha256}.{secrets.token_hex(4)}{_PART}")
        found, left = hashlib.sha256(), size
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for block in download():
                    left -= len(block)
                    if left < 0:
                        break
                    found.update(block)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if left or found.hexdigest() != sha256:
                raise StoreLostError(f"the store gives other bytes than the {size} of {sha256}, which were taken in")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        """Remove what was not used for longest, as far as that is needed; raise HubFullError if the disk is full."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self._files(), key=lambda one: one[0])
        total, now_s = sum(length for _, length, _ in files) + size, time.time()
        for used_s, length, path in files:
            if path.name.endswith(_PART):
                spare = used_s < now_s - _PART_KEPT_S
            else:
                spare = total > self.bytes_max and used_s < now_s - _HANDED_OUT_S
            if spare and _removed(path):
                total -= length
        require_room(self.folder, size)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each file was used last, its size and its path."""
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield found.st_mtime, found.st_size, Path(entry.path)


def _turn_of(folder: Path, sha256: str) -> threading.Lock:
    """Return the lock by which a crowd in this process downloads a file once."""
    with _turns_lock:
        return _turns.setdefault((str(folder), sha256), threading.Lock())


def _touched(path: Path, size: int) -> bool:
    """Note that a file is used; return whether it is here, whole."""
    try:
        if path.stat().st_size != size:  # the machine crashed before all of it was on the disk
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _removed(path: Path) -> bool:
    """Remove a file unless somebody uses it; return whether it is gone."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def _held(path: Path) -> int | None:
    """Return a descriptor that keeps a file from making way, for the caller to close; None if it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    os.close(descriptor)
    return None
