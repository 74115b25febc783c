"""Where the bytes of an upload wait until all of it has come: in a file each, or in a bucket, piece by piece.

What has come is what is there: nobody counts it anywhere else. A hub that was started again goes on from it, and so
does another one that shares the folder, or the bucket and its database.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.tables import PieceRow, UploadRow
from teleop.hub.db import Database
from teleop.hub.full import require_room

_PREFIX: Final = "uploads/"
_PIECE_BYTES: Final = 4 << 20
"""How much waits in memory, at most, before it is sent to the bucket."""
_READ_AT_ONCE: Final = 8


class PiecesTakenError(Exception):
    """Another connection, perhaps to another hub, is adding to the same upload."""


class Sink(Protocol):
    """Takes the bytes of one connection, in order."""

    def write(self, data: bytes) -> None:
        """Add bytes; raise PiecesTakenError, OSError or StoreLostError."""

    def close(self) -> None:
        """Make what was added durable, and let others add. Idempotent."""


class Pieces(Protocol):
    """The bytes of uploads by their ids. Every method may block."""

    def require_room(self, length: int) -> None:
        """Raise HubFullError if there is no room for an upload of this length."""

    def begin(self, upload: str) -> None:
        """Begin an upload, whose row is there."""

    def size(self, upload: str) -> int | None:
        """Return how many bytes have come; None if the upload is not here."""

    def add(self, upload: str, at: int) -> Sink:
        """Return what adds bytes at the end, which is `at`; raise PiecesTakenError."""

    def whole(self, upload: str) -> AbstractContextManager[Path]:
        """Have all that has come as a file of this machine, which may be moved away; raise StoreLostError."""

    def remove(self, upload: str) -> None:
        """Remove what has come. Idempotent."""

    def uploads(self) -> set[str]:
        """Return the uploads of which something is here, also those that were forgotten."""


@dataclass(frozen=True, slots=True)
class FolderPieces:
    """A file for each upload, in one folder."""

    folder: Path

    def require_room(self, length: int) -> None:
        """Raise HubFullError if the disk has no room for it."""
        require_room(self.folder, length)

    def begin(self, upload: str) -> None:
        """Begin a file."""
        self.path(upload).touch()

    def size(self, upload: str) -> int | None:
        """Return the file's size."""
        try:
            return self.path(upload).stat().st_size
        except FileNotFoundError:
            return None

    def add(self, upload: str, at: int) -> FileSink:
        """Open the file at its end; another process that has it open keeps us out."""
        file = self.path(upload).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_size != at:
                raise PiecesTakenError
        except (BlockingIOError, PiecesTakenError) as error:
            file.close()
            raise PiecesTakenError(f"another connection is adding to {upload}") from error
        return FileSink(file)

    @contextmanager
    def whole(self, upload: str) -> Iterator[Path]:
        """Give the file."""
        yield self.path(upload)

    def remove(self, upload: str) -> None:
        """Remove the file."""
        self.path(upload).unlink(missing_ok=True)

    def uploads(self) -> set[str]:
        """Return the names of the files."""
        return {path.name for path in self.folder.iterdir()}

    def path(self, upload: str) -> Path:
        """Return where an upload's bytes are."""
        return self.folder / upload


class FileSink:
    """Appends to one file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: bytes) -> None:
        """Append."""
        self._file.write(data)

    def close(self) -> None:
        """Make it durable."""
        if self._file.closed:
            return
        with self._file:  # which closes it even if the disk takes no more
            self._file.flush()
            os.fsync(self._file.fileno())


@dataclass(frozen=True, slots=True)
class BucketPieces:
    """An object for each piece, and a row that says where it belongs. Nothing waits on a hub's own disk.

    S3's own uploads in parts would take no part below 5 MiB, which is more than a slow line brings between two cuts.
    """

    objects: Objects
    database: Database
    cache: Cache

    def require_room(self, length: int) -> None:
        """Do nothing: a bucket has room."""

    def begin(self, upload: str) -> None:
        """Do nothing: the row says it all."""

    def size(self, upload: str) -> int | None:
        """Return how far the pieces reach."""
        with self.database() as db:
            if db.get(UploadRow, upload) is None:
                return None
            return db.scalar(_reached(upload)) or 0

    def add(self, upload: str, at: int) -> PieceSink:
        """Add pieces behind those that are there; whoever is second to add at a place is refused there."""
        return PieceSink(self, upload, at)

    @contextmanager
    def whole(self, upload: str) -> Iterator[Path]:
        """Read the pieces into a file of this machine."""
        with self.database() as db:
            pieces = list(db.scalars(select(PieceRow).where(PieceRow.upload == upload).order_by(PieceRow.start)))
        path = self.cache.scratch(sum(piece.length for piece in pieces))
        try:
            with path.open("wb") as file, ThreadPoolExecutor(_READ_AT_ONCE, "pieces") as threads:
                for start in range(0, len(pieces), _READ_AT_ONCE):
                    some = pieces[start : start + _READ_AT_ONCE]
                    file.writelines(threads.map(lambda piece: self.objects.read(piece.key, 0, piece.length), some))
            yield path
        finally:
            path.unlink(missing_ok=True)

    def remove(self, upload: str) -> None:
        """Remove the rows, and all objects of this upload, also those that got no row."""
        with self.database() as db, db.begin():
            db.execute(delete(PieceRow).where(PieceRow.upload == upload))
        self.objects.delete(list(self.objects.keys(f"{_PREFIX}{upload}/")))

    def uploads(self) -> set[str]:
        """Return what the keys begin with."""
        return {key.split("/")[1] for key in self.objects.keys(_PREFIX)}

    def put(self, upload: str, start: int, data: bytes) -> None:
        """Keep one piece; raise PiecesTakenError unless it continues where the others end."""
        key = f"{_PREFIX}{upload}/{start}-{secrets.token_hex(8)}"
        self.objects.put(key, data)
        try:
            with self.database() as db, db.begin():
                # Written first: on SQLite nothing else keeps a second hub from reading the same end.
                db.execute(update(UploadRow).where(UploadRow.upload == upload).values(length=UploadRow.length))
                if db.get(UploadRow, upload) is None or (db.scalar(_reached(upload)) or 0) != start:
                    raise PiecesTakenError(f"another connection has added to {upload} at {start}")
                db.add(PieceRow(upload=upload, start=start, length=len(data), key=key))
        except (PiecesTakenError, IntegrityError) as error:
            self.objects.delete([key])
            raise PiecesTakenError(f"another connection has added to {upload} at {start}") from error


@dataclass(slots=True)
class PieceSink:
    """Gathers bytes into pieces."""

    pieces: BucketPieces
    upload: str
    at: int
    _waiting: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Add bytes, and send them off if they are enough for a piece."""
        self._waiting += data
        if len(self._waiting) >= _PIECE_BYTES:
            self._send()

    def close(self) -> None:
        """Send what waits."""
        if self._waiting:
            self._send()

    def _send(self) -> None:
        data = bytes(self._waiting)
        self._waiting.clear()  # what could not be sent is sent again by the host, from the offset that it asks for
        self.pieces.put(self.upload, self.at, data)
        self.at += len(data)


def _reached(upload: str) -> Select[int]:
    return select(func.max(PieceRow.start + PieceRow.length)).where(PieceRow.upload == upload)
