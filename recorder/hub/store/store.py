"""What every store promises, whatever it keeps files in; `tests/recorder/hub/store_contract.py` holds each to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from recorder.proof.bundle import BUNDLE_FILES

BLOCK_BYTES: Final = 1 << 20
"""How much of a file is read at a time: the memory that giving one out takes."""


class UnknownFileError(LookupError):
    """A bundle has no such file."""


class StoreLostError(OSError):
    """The store does not answer, has lost a file that it was given, or gives other bytes.

    That says something of the store, and nothing of an episode: what needed the file is tried again.
    """


class StoredFile(Protocol):
    """One file of a bundle, which nothing changes. It can be sent to another process, and opened there."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def sha256(self) -> str | None:
        """Its SHA-256, hex, as it was when it was taken in; None if an earlier release took it in."""

    def local(self) -> AbstractContextManager[Path]:
        """Have it on this machine's disk until the block ends; raise StoreLostError, or HubFullError."""

    def read(self, start: int, end: int) -> bytes:
        """Return its bytes from `start` up to `end`, exactly as many; raise StoreLostError."""


class Store(Protocol):
    """Bundles by their episodes' ids, each file whole or absent. Every method may block, and raise StoreLostError.

    What two episodes share may be kept once, by its SHA-256; erasing one of them never takes it from the other.
    An id that is not one raises EpisodeIdError, a name that no bundle has UnknownFileError.
    """

    def file(self, episode: str, name: str) -> StoredFile:
        """Return a file; raise UnknownFileError if the bundle does not have it."""

    def path(self, episode: str, name: str) -> Path:
        """Return a path where the file is on this machine's disk now, to be opened at once. Raises as `file` does."""

    def has(self, episode: str, name: str) -> bool:
        """Return whether a bundle has this file."""

    def write(self, episode: str, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all, in the place of one that is there."""

    def adopt(self, episode: str, name: str, source: Path) -> None:
        """Move a file in from this machine's disk, and make it durable. Idempotent, even without the source."""

    def erase(self, episode: str) -> None:
        """Remove an episode's files. Idempotent."""

    def sweep(self) -> None:
        """Remove what an interrupted call left behind; it may run beside anything, in several processes."""


def require_named(name: str) -> str:
    """Return the name of a bundle's file; raise UnknownFileError if no bundle has such a file."""
    if name not in BUNDLE_FILES:
        raise UnknownFileError(f"expected one of {', '.join(BUNDLE_FILES)}, got {name[:80]!r}")
    return name


def read_whole(file: StoredFile) -> bytes:
    """Return all of a small file; raise StoreLostError."""
    return file.read(0, file.size)


def blocks(file: StoredFile, start: int, end: int) -> Iterator[bytes]:
    """Yield a file's bytes from `start` up to `end`, `BLOCK_BYTES` at a time; raise StoreLostError.

    If that is all of it, its last block is given out only if all of them are what was taken in.
    """
    whole = hashlib.sha256() if (start, end) == (0, file.size) and file.sha256 is not None else None
    for at in range(start, end, BLOCK_BYTES):
        block = file.read(at, min(at + BLOCK_BYTES, end))
        if whole is not None:
            whole.update(block)
            if at + BLOCK_BYTES >= end and whole.hexdigest() != file.sha256:
                raise StoreLostError(f"the store gives other bytes than {file.sha256}, which were taken in")
        yield block
