"""A store in a bucket: objects by their SHA-256, and the hub's tables, which say what file of what episode has which.

Bytes go to the bucket before a row says so, and a row goes before its bytes do; each object has a key of its own, so
that a late removal takes nothing from whoever brings the same bytes again. What an earlier release, or a hub without a
bucket, left in a folder is read from there until it has been moved.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Exists, and_, delete, select, update
from sqlalchemy.exc import IntegrityError

from recorder.file.layout import require_episode_id
from recorder.hub.store.cache import Cache
from recorder.hub.store.folder import FolderStore, digest
from recorder.hub.store.objects import Objects
from recorder.hub.store.store import StoredFile, StoreLostError, UnknownFileError, read_whole, require_named
from recorder.hub.tables import FileRow, ObjectRow, ObjectState
from recorder.proof.bundle import BUNDLE_FILES
from recorder.proof.manifest import EPISODE_FILE
from teleop.hub.db import Database

_log = structlog.get_logger()
_PREFIX: Final = "objects/"
_INTERRUPTED_MS: Final = 24 * 3_600_000
"""No file takes longer than this on its way to the bucket."""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class FileInBucket:
    """A file of a bundle in a bucket. In another process it is read with the keys of that process's environment."""

    objects: Objects
    cache: Cache
    key: str
    size: int
    sha256: str

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Download it, unless it is here; raise StoreLostError or HubFullError."""
        with self.cache.holding(self.sha256, self.size, self._blocks) as path:
            yield path

    def path(self) -> Path:
        """Download it, unless it is here, and return its path, to be opened at once."""
        return self.cache.get(self.sha256, self.size, self._blocks)

    def read(self, start: int, end: int) -> bytes:
        """Return some of its bytes; raise StoreLostError."""
        return self.objects.read(self.key, start, end)

    def _blocks(self) -> Iterator[bytes]:
        return self.objects.blocks(self.key)


@dataclass(frozen=True, slots=True)
class BucketStore:
    """Files in a bucket. Several hubs with one database share it."""

    objects: Objects
    database: Database
    cache: Cache
    now_ms: Callable[[], int]
    earlier: FolderStore | None = field(default=None)
    """What was kept before there was a bucket."""

    def file(self, episode: str, name: str) -> StoredFile:
        """Return a file; raise UnknownFileError if the bundle does not have it."""
        found = self._found(episode, name)
        if found is not None:
            return found
        if self.earlier is None:
            raise UnknownFileError(f"{episode} has no {name} yet")
        try:
            return self.earlier.file(episode, name)
        except UnknownFileError:
            found = self._found(episode, name)  # it may have been moved meanwhile
            if found is None:
                raise
            return found

    def path(self, episode: str, name: str) -> Path:
        """Return a path where a file is on this machine now, to be opened at once."""
        found = self.file(episode, name)
        if isinstance(found, FileInBucket):
            return found.path()
        with found.local() as path:
            return path

    def has(self, episode: str, name: str) -> bool:
        """Return whether a bundle has this file."""
        require_named(name)
        try:
            self.file(episode, name)
        except UnknownFileError:
            return False
        return True

    def write(self, episode: str, name: str, data: bytes) -> None:
        """Write a small file, in the place of one that is there."""
        self._bring(episode, name, data, hashlib.sha256(data).hexdigest(), len(data))

    def adopt(self, episode: str, name: str, source: Path) -> None:
        """Send a file there, and remove it here, or keep it where it is looked for first. Idempotent."""
        if not source.exists() and self.has(episode, name):
            return
        sha256 = digest(source)
        self._bring(episode, name, source, sha256, source.stat().st_size)
        self.cache.take(source, sha256)

    def erase(self, episode: str) -> None:
        """Remove an episode's files. Idempotent: what the bucket keeps for now, a repetition or `sweep` removes."""
        with self.database() as db, db.begin():
            keys = set(db.scalars(select(FileRow.key).where(FileRow.episode == require_episode_id(episode))))
            db.execute(delete(FileRow).where(FileRow.episode == episode))
        for key in keys:
            self._leave(key)
        if self.earlier is not None:
            self.earlier.erase(episode)
        self._remove(self._leaving())

    def sweep(self) -> None:
        """Remove the objects that nothing has any more, and those whose sending was interrupted."""
        before_ms = self.now_ms() - _INTERRUPTED_MS
        with self.database() as db, db.begin():
            stuck = and_(ObjectRow.state == ObjectState.COMING, ObjectRow.changed_ms < before_ms)
            db.execute(update(ObjectRow).where(stuck).values(state=ObjectState.LEAVING))
            alone = ObjectRow.state == ObjectState.THERE, ~_had()
            left = list(db.scalars(select(ObjectRow.key).where(*alone)))  # by a call that was interrupted
        for key in left:
            self._leave(key)
        while keys := self._leaving():
            self._remove(keys)

    def move_in(self) -> int:
        """Move what is in the earlier folder into the bucket, a bundle at a time; return how many bundles that was.

        It may be interrupted at any moment, and repeated: a file leaves the folder once the bucket has it.
        """
        if self.earlier is None:
            return 0
        moved = 0
        for episode in self.earlier.episodes():
            for name in BUNDLE_FILES:
                self._move(self.earlier, episode, name)
            self.earlier.erase(episode)
            moved += 1
        return moved

    def _move(self, earlier: FolderStore, episode: str, name: str) -> None:
        if not earlier.has(episode, name) or self._found(episode, name) is not None:
            return
        file = earlier.file(episode, name)
        if name != EPISODE_FILE:
            self.write(episode, name, read_whole(file))
            return
        sha256 = digest(file.place)
        if file.sha256 not in (None, sha256):
            raise StoreLostError(f"{file.place} is damaged: it was {file.sha256} when it was taken in; restore it")
        self._bring(episode, name, file.place, sha256, file.size)

    def _found(self, episode: str, name: str) -> FileInBucket | None:
        has = and_(FileRow.episode == require_episode_id(episode), FileRow.name == require_named(name))
        with self.database() as db:
            row = db.scalar(select(ObjectRow).join(FileRow, FileRow.key == ObjectRow.key).where(has))
        return None if row is None else FileInBucket(self.objects, self.cache, row.key, row.size, row.sha256)

    def _bring(self, episode: str, name: str, data: bytes | Path, sha256: str, size: int) -> None:
        """Let a file of an episode be these bytes: those that are there already, or a new object."""
        require_episode_id(episode)
        require_named(name)
        same = self._same(sha256, size)
        if same is None or not self._take(episode, name, same):
            key = f"{_PREFIX}{sha256[:2]}/{sha256}-{secrets.token_hex(8)}"
            coming = ObjectRow(key=key, sha256=sha256, size=size, state=ObjectState.COMING, changed_ms=self.now_ms())
            with self.database() as db, db.begin():
                db.add(coming)
            self.objects.put(key, data)
            if not self._take(episode, name, key):
                raise StoreLostError(f"{key} took longer than a day to be sent; it is sent again")
        try:
            self._remove(self._leaving())
        except StoreLostError as error:
            _log.warning("an object is not removed yet", reason=str(error))

    def _same(self, sha256: str, size: int) -> str | None:
        """Return the key of an object with these bytes that the bucket really has."""
        there = and_(ObjectRow.sha256 == sha256, ObjectRow.state == ObjectState.THERE)
        with self.database() as db:
            key = db.scalar(select(ObjectRow.key).where(there).limit(1))
        return key if key is not None and self.objects.size(key) == size else None

    def _take(self, episode: str, name: str, key: str) -> bool:
        """Let a file have an object; return False if that is being removed."""
        stays = and_(ObjectRow.key == key, ObjectRow.state != ObjectState.LEAVING)
        before = None
        try:
            with self.database() as db, db.begin():
                taken = update(ObjectRow).where(stays).values(state=ObjectState.THERE).returning(ObjectRow.key)
                if db.scalar(taken) is None:
                    return False
                row = db.get(FileRow, (episode, name), with_for_update=True)
                if row is None:
                    db.add(FileRow(episode=episode, name=name, key=key))
                elif row.key != key:
                    before, row.key = row.key, key
        except IntegrityError:  # another hub has brought it at the same moment
            return self._take(episode, name, key)
        if before is not None:
            self._leave(before)
        return True

    def _leave(self, key: str) -> None:
        """Let an object leave unless a file has it: in a transaction of its own, so that no two wait for each other.

        Its row is written before the files are read: nobody takes it in between.
        """
        with self.database() as db, db.begin():
            db.execute(update(ObjectRow).where(ObjectRow.key == key).values(size=ObjectRow.size))
            alone = and_(ObjectRow.key == key, ObjectRow.state == ObjectState.THERE, ~_had())
            leaving = {"state": ObjectState.LEAVING, "changed_ms": self.now_ms()}
            db.execute(update(ObjectRow).where(alone).values(leaving).execution_options(synchronize_session=False))

    def _leaving(self) -> list[str]:
        with self.database() as db:
            leaving = select(ObjectRow.key).where(ObjectRow.state == ObjectState.LEAVING)
            return list(db.scalars(leaving.limit(_AT_ONCE)))

    def _remove(self, keys: list[str]) -> None:
        if not keys:
            return
        self.objects.delete(keys)
        gone = and_(ObjectRow.key.in_(keys), ObjectRow.state == ObjectState.LEAVING)
        with self.database() as db, db.begin():
            db.execute(delete(ObjectRow).where(gone))


def _had() -> Exists:
    """Whether a file has an object."""
    return select(FileRow.key).where(FileRow.key == ObjectRow.key).exists()
