"""Resumable uploads (tus 1.0.0, core and creation): whatever arrived before a connection was cut is kept.

An upload's offset is the size of its file; nothing else remembers it, so nothing can disagree with it.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import delete, select

from recorder.file.layout import FILE_BYTES_MAX, require_episode_id
from recorder.hub.tables import UploadRow
from teleop.hub.db import Database
from teleop.hub.full import require_room

UPLOAD_BYTES_MAX: Final = FILE_BYTES_MAX
IDLE_S: Final = 20.0
"""How long a writing connection may be silent: one that is lost but not closed must not lock an upload."""


class UploadError(Exception):
    """An upload was refused; subclasses say why."""


class UnknownUploadError(UploadError):
    """There is no such upload, or it is another robot's."""


class UploadTooLargeError(UploadError):
    """More bytes than the hub accepts, or than were announced."""


class OffsetMismatchError(UploadError):
    """The bytes do not continue at the upload's offset."""


class UploadBusyError(UploadError):
    """Another connection is writing to the upload."""


class UploadIdleError(UploadError):
    """A connection that was writing has gone silent; what it sent is kept, and another may continue."""


class UploadIncompleteError(UploadError):
    """Not all of the upload has arrived."""


@dataclass(frozen=True, slots=True)
class Upload:
    """How far an upload is; bytes."""

    upload: str
    episode: str
    robot: str
    length: int
    offset: int


class Uploads:
    """The uploads in progress, in one folder. One connection at a time writes to each."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        now_ms: Callable[[], int],
        bytes_max: int = UPLOAD_BYTES_MAX,
        idle_s: float = IDLE_S,
    ) -> None:
        """Use `folder`; create it if it does not exist."""
        self._folder, self._database, self._now_ms, self.bytes_max = folder, database, now_ms, bytes_max
        self.idle_s = idle_s
        self._writing: set[str] = set()
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def create(self, episode: str, robot: str, length: int) -> Upload:
        """Begin an upload, or begin it again from scratch; raise UploadTooLargeError or HubFullError."""
        if not 0 < length <= self.bytes_max:
            raise UploadTooLargeError(f"expected 1 to {self.bytes_max} bytes, got {length}; record shorter episodes")
        upload = secrets.token_hex(16)
        require_episode_id(episode)
        require_room(self._folder, length)
        with self._database() as db, db.begin():
            older = db.scalar(select(UploadRow.upload).where(UploadRow.episode == episode))
            db.execute(delete(UploadRow).where(UploadRow.episode == episode))
            row = {"episode": episode, "robot": robot, "length": length, "created_ms": self._now_ms()}
            db.add(UploadRow(upload=upload, **row))
        if older is not None:
            self.path(older).unlink(missing_ok=True)
        self.path(upload).touch()
        return Upload(upload, episode, robot, length, 0)

    def find(self, upload: str, robot: str) -> Upload:
        """Return how far an upload of this robot is; raise UnknownUploadError."""
        with self._database() as db:
            row = db.get(UploadRow, upload)
        if row is None or row.robot != robot or not self.path(upload).exists():
            raise UnknownUploadError(f"expected an upload of {robot}, got {upload[:80]!r}; create a new one")
        return Upload(upload, row.episode, row.robot, row.length, self.path(upload).stat().st_size)

    def of_episodes(self, episodes: Collection[str]) -> dict[str, Upload]:
        """Return how far the uploads of these episodes are; those that are not being uploaded are left out."""
        with self._database() as db:
            rows = list(db.scalars(select(UploadRow).where(UploadRow.episode.in_(episodes))))
        return {row.episode: Upload(row.upload, row.episode, row.robot, row.length, self._size(row)) for row in rows}

    def write(self, upload: str, robot: str, offset: int) -> UploadWriter:
        """Return a writer that continues at `offset`; the caller closes it.

        Raises UnknownUploadError, UploadBusyError, or OffsetMismatchError.
        """
        self._claim(upload)
        try:
            found = self.find(upload, robot)
            if offset != found.offset:
                expected = f"expected Upload-Offset {found.offset}, got {offset}; continue from there"
                raise OffsetMismatchError(expected)
            return UploadWriter(self.path(upload).open("ab"), found, self._writing)
        except BaseException:
            self._writing.discard(upload)
            raise

    def _claim(self, upload: str) -> None:
        with self._lock:
            if upload in self._writing:
                raise UploadBusyError(f"{upload} is being written by another connection; send HEAD once that is done")
            self._writing.add(upload)

    def finished(self, upload: str, robot: str, episode: str) -> Path:
        """Return the file of a complete upload; raise UnknownUploadError or UploadIncompleteError."""
        found = self.find(upload, robot)
        if found.episode != episode:
            raise UnknownUploadError(f"expected an upload of {episode}, got one of {found.episode}")
        if found.offset != found.length:
            raise UploadIncompleteError(f"expected {found.length} bytes, got {found.offset}; send the rest first")
        return self.path(upload)

    def forget(self, upload: str, robot: str) -> None:
        """Remove an upload of this robot, with its bytes unless they have been moved away. Idempotent."""
        with self._database() as db, db.begin():
            row = db.get(UploadRow, upload)
            if row is None or row.robot != robot:
                return
            db.delete(row)
        self.path(upload).unlink(missing_ok=True)

    def expire(self, before_ms: int) -> list[str]:
        """Forget the uploads that were begun before this time and never sealed; return their episodes."""
        with self._database() as db:
            old = list(db.scalars(select(UploadRow).where(UploadRow.created_ms < before_ms)))
        for row in old:
            self.forget(row.upload, row.robot)
        return [row.episode for row in old]

    def _size(self, row: UploadRow) -> int:
        try:
            return self.path(row.upload).stat().st_size
        except FileNotFoundError:  # sealed, or begun again, since the row was read
            return 0

    def path(self, upload: str) -> Path:
        """Return where an upload's bytes are."""
        if not upload.isalnum():
            raise UnknownUploadError(f"expected an upload's id, got {upload[:80]!r}")
        return self._folder / upload


class UploadWriter:
    """Appends to one upload, up to its announced length."""

    def __init__(self, file: BinaryIO, upload: Upload, writing: set[str]) -> None:
        self._file, self._upload, self._writing = file, upload, writing
        self.offset = upload.offset

    def append(self, data: bytes) -> None:
        """Add bytes; raise UploadTooLargeError (and add nothing) if they go beyond the announced length."""
        if self.offset + len(data) > self._upload.length:
            raise UploadTooLargeError(f"expected {self._upload.length} bytes in all, got more")
        self._file.write(data)
        self.offset += len(data)

    def close(self) -> None:
        """Make what arrived durable, and let others write. Idempotent."""
        if self._file.closed:
            return
        try:
            with self._file:  # which closes it even if the disk takes no more
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._writing.discard(self._upload.upload)
