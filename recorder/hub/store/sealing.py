"""A store around another: what is private is kept sealed by a key of its own, and opened for whoever may open it.

The row of a key is there before what it seals, and goes before that: what is left without it is nothing to anybody. The
plain bytes that a reader needs on this machine's disk are in a bounded folder that only the hub's user may read, and
that is swept.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from recorder.file.layout import require_episode_id
from recorder.file.sealed import SealBrokenError, Sealed, bound_to, new_key, seal
from recorder.hub.store.cache import Cache
from recorder.hub.store.folder import digest as digest_of
from recorder.hub.store.masters import Masters, Wrapped
from recorder.hub.store.store import BLOCK_BYTES, Store, StoredFile, StoreLostError
from recorder.hub.tables import KeyRow
from recorder.proof.manifest import EPISODE_FILE
from teleop.hub.db import Database
from teleop.hub.full import require_room

UNUSED_S: Final = 3600.0
"""For how long plain bytes stay that nobody uses."""
_PART_KEPT_S: Final = 24 * 3600.0
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Plain:
    """What is in a sealed file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A private recording. To another process it goes with its key wrapped: that reads the hub's own from its file."""

    inner: StoredFile
    plain: Plain
    wrapped: Wrapped
    digest: str
    """The manifest's, 0x-hex."""
    masters: Masters
    cache: Cache

    @property
    def size(self) -> int:
        """Of what is in it."""
        return self.plain.size

    @property
    def sha256(self) -> str:
        """Of what is in it."""
        return self.plain.sha256

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Open it into the folder of plain files, unless it is there; raise StoreLostError or HubFullError."""
        with self.cache.holding(self.sha256, self.size, self._blocks) as path:
            yield path

    def path(self) -> Path:
        """The same, to be opened at once."""
        return self.cache.get(self.sha256, self.size, self._blocks)

    def read(self, start: int, end: int) -> bytes:
        """Return some of what is in it; raise StoreLostError if the store gives other bytes than were sealed."""
        with _lost(self.wrapped.episode):
            return self._opened().read(start, end)

    def key(self) -> bytes:
        """Return the key; raise StoreLostError."""
        return self.masters.unwrap(self.wrapped)

    def _opened(self) -> Sealed:
        return Sealed(self.inner.read, self.size, self.key(), bound_to(self.wrapped.episode, self.digest))

    def _blocks(self) -> Iterator[bytes]:
        with _lost(self.wrapped.episode):
            opened = self._opened()
            opened.require_whole(self.inner.size)
            for at in range(0, self.size, BLOCK_BYTES):
                yield opened.read(at, min(at + BLOCK_BYTES, self.size))


@dataclass(frozen=True, slots=True)
class SealingStore:
    """A `Store` that knows which recordings are sealed, and seals those that are to be."""

    store: Store
    database: Database
    masters: Masters
    cache: Cache
    """Of plain files."""
    scratch: Path
    """Where a file is sealed, on the file system of the store, if that is a folder."""
    now_ms: Callable[[], int]

    def file(self, episode: str, name: str) -> StoredFile:
        """Return a file; raise UnknownFileError if the bundle does not have it."""
        found = self.store.file(episode, name)
        return found if name != EPISODE_FILE else self._sealed(episode, found) or found

    def sealed(self, episode: str) -> SealedFile | None:
        """Return a private episode's recording; None if it is not sealed. Raises UnknownFileError if it is not here."""
        return self._sealed(episode, self.store.file(episode, EPISODE_FILE))

    def path(self, episode: str, name: str) -> Path:
        """Return a path where a file is on this machine now, in the clear, to be opened at once."""
        if name == EPISODE_FILE and (found := self.sealed(episode)) is not None:
            return found.path()
        return self.store.path(episode, name)

    def has(self, episode: str, name: str) -> bool:
        """Return whether a bundle has this file."""
        return self.store.has(episode, name)

    def write(self, episode: str, name: str, data: bytes) -> None:
        """Write a small file, which is nobody's secret: documents are not sealed."""
        self.store.write(episode, name, data)

    def adopt(self, episode: str, name: str, source: Path) -> None:
        """Move in a file that is not private."""
        self.store.adopt(episode, name, source)

    def adopt_private(self, episode: str, digest: str, source: Path) -> None:
        """Move in a recording, sealed by a new key and bound to its manifest's digest. Idempotent."""
        if not source.exists() and self.store.has(episode, EPISODE_FILE):
            return
        key, sha256, size = new_key(), digest_of(source), source.stat().st_size
        self._ready(self.scratch)
        require_room(self.scratch, size)
        part = self.scratch / f"{secrets.token_hex(8)}.part"
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
                seal(source, target, key, bound_to(episode, digest))
                target.flush()
                os.fsync(target.fileno())
            self._note(self.masters.wrap(episode, key), digest, Plain(size, sha256))
            self.store.adopt(episode, EPISODE_FILE, part)
        finally:
            part.unlink(missing_ok=True)
        self._ready(self.cache.folder)
        source.chmod(0o600)
        self.cache.take(source, sha256)

    def erase(self, episode: str) -> None:
        """Remove an episode's key, and then its files. Idempotent."""
        here = KeyRow.episode == require_episode_id(episode)
        with self.database() as db, db.begin():
            sha256 = db.scalar(select(KeyRow.sha256).where(here))
            db.execute(delete(KeyRow).where(here))
        if sha256 is not None:
            (self.cache.folder / sha256).unlink(missing_ok=True)
        self.store.erase(episode)

    def sweep(self) -> None:
        """Remove what interrupted calls left, and plain files that nobody has used for a while."""
        self.cache.sweep(UNUSED_S)
        before_s = time.time() - _PART_KEPT_S
        for part in self.scratch.glob("*.part"):
            with suppress(FileNotFoundError):
                if part.stat().st_mtime < before_s:
                    part.unlink()
        self.store.sweep()

    def _sealed(self, episode: str, found: StoredFile) -> SealedFile | None:
        with self.database() as db:
            row = db.get(KeyRow, episode)
        if row is None:
            return None
        return SealedFile(found, Plain(row.size, row.sha256), _wrapped(row), row.digest, self.masters, self.cache)

    def _note(self, wrapped: Wrapped, digest: str, plain: Plain) -> None:
        with self.database() as db, db.begin():
            _put(db, wrapped, digest, plain, self.now_ms())

    @staticmethod
    def _ready(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def rotate_keys(database: Database, masters: Masters) -> int:
    """Wrap every key by a new one of the hub's, and forget those before the last; return how many.

    It may be repeated: twice, and a key that others may have is forgotten.
    """
    name, wrapped = masters.renew(), 0
    while some := _wrapped_by_others(database, masters, name):
        wrapped += some
    masters.forget_before(name)
    return wrapped


def _wrapped_by_others(database: Database, masters: Masters, name: str) -> int:
    with database() as db, db.begin():
        others = select(KeyRow).where(KeyRow.master != name).order_by(KeyRow.episode).limit(_AT_ONCE)
        rows = list(db.scalars(others.with_for_update()))
        for row in rows:
            again = masters.wrap(row.episode, masters.unwrap(_wrapped(row)))
            row.master, row.wrapped = again.master, again.data
    return len(rows)


def _put(db: Session, wrapped: Wrapped, digest: str, plain: Plain, now_ms: int) -> None:
    row = db.get(KeyRow, wrapped.episode) or KeyRow(episode=wrapped.episode)
    row.master, row.wrapped, row.digest = wrapped.master, wrapped.data, digest
    row.sha256, row.size, row.made_ms = plain.sha256, plain.size, now_ms
    db.add(row)


def _wrapped(row: KeyRow) -> Wrapped:
    return Wrapped(row.episode, row.master, row.wrapped)


@contextmanager
def _lost(episode: str) -> Iterator[None]:
    try:
        yield
    except SealBrokenError as error:
        raise StoreLostError(f"the store gives other bytes of {episode} than were sealed: {error}") from error
