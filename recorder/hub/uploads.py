"""Resumable uploads (tus 1.0.0, core and creation): whatever arrived before a connection was cut is kept.

An upload's offset is how much of it is there (`store/pieces.py`); nothing else remembers it, so nothing can disagree
with it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select

from recorder.file.layout import FILE_BYTES_MAX, require_episode_id
from recorder.hub.store.pieces import FolderPieces, Pieces, PiecesTakenError, Sink
from recorder.hub.tables import UploadRow
from teleop.hub.db import Database

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
    """The uploads in progress. One connection at a time writes to each."""

    def __init__(
        self,
        pieces: Pieces | Path,
        database: Database,
        now_ms: Callable[[], int],
        bytes_max: int = UPLOAD_BYTES_MAX,
        idle_s: float = IDLE_S,
    ) -> None:
        """Keep their bytes in `pieces`, or in a folder, which is created if it does not exist."""
        if isinstance(pieces, Path):
            pieces.mkdir(parents=True, exist_ok=True)
            pieces = FolderPieces(pieces)
        self._pieces, self._database, self._now_ms, self.bytes_max = pieces, database, now_ms, bytes_max
        self.idle_s = idle_s
        self._writing: set[str] = set()
        self._lock = threading.Lock()

    def create(self, episode: str, robot: str, length: int) -> Upload:
        """Begin an upload, or begin it again from scratch; raise UploadTooLargeError or HubFullError."""
        if not 0 < length <= self.bytes_max:
            raise UploadTooLargeError(f"expected 1 to {self.bytes_max} bytes, got {length}; record shorter episodes")
        upload = secrets.token_hex(16)
        require_episode_id(episode)
        self._pieces.require_room(length)
        with self._database() as db, db.begin():
            older = db.scalar(select(UploadRow.upload).where(UploadRow.episode == episode))
            db.execute(delete(UploadRow).where(UploadRow.episode == episode))
            row = {"episode": episode, "robot": robot, "length": length, "created_ms": self._now_ms()}
            db.add(UploadRow(upload=upload, **row))
        if older is not None:
            self._pieces.remove(older)
        self._pieces.begin(upload)
        return Upload(upload, episode, robot, length, 0)

    def find(self, upload: str, robot: str) -> Upload:
        """Return how far an upload of this robot is; raise UnknownUploadError."""
        with self._database() as db:
            row = db.get(UploadRow, upload)
        offset = None if row is None or row.robot != robot else self._pieces.size(upload)
        if row is None or offset is None:
            raise UnknownUploadError(f"expected an upload of {robot}, got {upload[:80]!r}; create a new one")
        return Upload(upload, row.episode, row.robot, row.length, offset)

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
            return UploadWriter(self._pieces.add(upload, offset), found, self._writing)
        except PiecesTakenError as error:
            self._writing.discard(upload)
            raise UploadBusyError(f"{error}; send HEAD once that is done") from error
        except BaseException:
            self._writing.discard(upload)
            raise

    def _claim(self, upload: str) -> None:
        with self._lock:
            if upload in self._writing:
                raise UploadBusyError(f"{upload} is being written by another connection; send HEAD once that is done")
            self._writing.add(upload)

    def finished(self, upload: str, robot: str, episode: str) -> AbstractContextManager[Path]:
        """Have the file of a complete upload, which may be moved away.

        Raises UnknownUploadError, UploadIncompleteError or StoreLostError.
        """
        found = self.find(upload, robot)
        if found.episode != episode:
            raise UnknownUploadError(f"expected an upload of {episode}, got one of {found.episode}")
        if found.offset != found.length:
            raise UploadIncompleteError(f"expected {found.length} bytes, got {found.offset}; send the rest first")
        return self._pieces.whole(upload)

    def forget(self, upload: str, robot: str) -> None:
        """Remove an upload of this robot, with its bytes unless they have been moved away. Idempotent."""
        with self._database() as db, db.begin():
            row = db.get(UploadRow, upload)
            if row is None or row.robot != robot:
                return
            db.delete(row)
        self._pieces.remove(upload)

    def expire(self, before_ms: int) -> list[str]:
        """Forget the uploads that were begun before this time and never sealed; return their episodes.

        Remove also what is here of uploads that were forgotten while it could not be removed.
        """
        with self._database() as db:
            old = list(db.scalars(select(UploadRow).where(UploadRow.created_ms < before_ms)))
        for row in old:
            self.forget(row.upload, row.robot)
        here = self._pieces.uploads()  # before the rows are read: a row is there before anything has come
        with self._database() as db:
            known = set(db.scalars(select(UploadRow.upload)))
        for upload in here - known:
            self._pieces.remove(upload)
        return [row.episode for row in old]

    def _size(self, row: UploadRow) -> int:
        return self._pieces.size(row.upload) or 0  # sealed, or begun again, since the row was read


class UploadWriter:
    """Appends to one upload, up to its announced length."""

    def __init__(self, sink: Sink, upload: Upload, writing: set[str]) -> None:
        self._sink, self._upload, self._writing, self._closed = sink, upload, writing, False
        self.offset = upload.offset

    def append(self, data: bytes) -> None:
        """Add bytes; raise UploadTooLargeError (and add nothing) if they go beyond the announced length."""
        if self.offset + len(data) > self._upload.length:
            raise UploadTooLargeError(f"expected {self._upload.length} bytes in all, got more")
        with _alone():
            self._sink.write(data)
        self.offset += len(data)

    def close(self) -> None:
        """Make what arrived durable, and let others write. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            with _alone():
                self._sink.close()
        finally:
            self._writing.discard(self._upload.upload)


@contextmanager
def _alone() -> Iterator[None]:
    """Raise UploadBusyError if another hub adds to the same upload."""
    try:
        yield
    except PiecesTakenError as error:
        raise UploadBusyError(f"{error}; send HEAD, and continue from there") from error
