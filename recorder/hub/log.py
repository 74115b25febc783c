"""The transparency log in the database: RFC 6962, appended in the same transaction that verifies an episode."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from recorder.hub.tables import LogEntry, LogHead, LogNode
from recorder.proof.log import merkle
from recorder.proof.log.checkpoint import Checkpoint, LogKey

_LOG = 0


class LogIndexError(LookupError):
    """The log has no entry at this index, or has not had this size."""


class LogMissingError(RuntimeError):
    """The database has no log; run the migrations first."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Proof that an entry is in the log: RFC 6962 inclusion, in the tree of `checkpoint`."""

    index: int
    size: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


class Log:
    """One log, one key. Reads and appends within a database session that the caller opens and commits."""

    def __init__(self, key: LogKey) -> None:
        self._key = key

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._key.origin

    @property
    def verifier(self) -> str:
        """The C2SP verifier key, which is public."""
        return self._key.verifier

    def append(self, db: Session, episode: str, entry: bytes, created_ms: int) -> int:
        """Add an entry and return its index. The caller's transaction makes it durable, or leaves no trace of it.

        The head is updated first, so that two appends wait for each other and never share an index.
        """
        counted = update(LogHead).where(LogHead.log == _LOG).values(size=LogHead.size + 1).returning(LogHead.size)
        size = db.scalar(counted)
        if size is None:
            raise LogMissingError("expected the log's head, found none; run the migrations")
        index = size - 1
        db.add(LogEntry(index=index, episode=episode, entry=entry, created_ms=created_ms))
        self._add_leaf(db, index, merkle.leaf_hash(entry))
        db.flush()
        return index

    def size(self, db: Session) -> int:
        """Return how many entries the log has."""
        head = db.get(LogHead, _LOG, populate_existing=True)
        if head is None:
            raise LogMissingError("expected the log's head, found none; run the migrations")
        return head.size

    def head(self, db: Session, size: int | None = None) -> tuple[int, bytes]:
        """Return (size, tree hash): of the whole log, or as it was at `size`."""
        size = self.size(db) if size is None else size
        return size, merkle.tree_hash(_nodes(db), 0, size)

    def checkpoint(self, db: Session, size: int | None = None) -> str:
        """Return the signed head: of the whole log, or as it was at `size`."""
        return self._key.sign(Checkpoint(self.origin, *self.head(db, size)))

    def prove(self, db: Session, index: int) -> Proof:
        """Return the proof of an entry in the current tree; raise LogIndexError if there is none."""
        size = self.size(db)
        if not 0 <= index < size:
            raise LogIndexError(f"expected an index below the log's size {size}, got {index}")
        nodes = _nodes(db)
        path = tuple(merkle.inclusion(nodes, index, size))
        return Proof(index, size, nodes(0, index), path, self.checkpoint(db, size))

    def prove_consistency(self, db: Session, old: int) -> tuple[int, tuple[bytes, ...]]:
        """Return (current size, hashes), which prove that the current log starts with the log of `old` entries."""
        size = self.size(db)
        if not 0 <= old <= size:
            raise LogIndexError(f"expected a size up to the log's {size}, got {old}")
        return size, tuple(merkle.consistency(_nodes(db), old, size))

    @staticmethod
    def _add_leaf(db: Session, index: int, leaf: bytes) -> None:
        level, found = 0, leaf
        db.add(LogNode(level=0, index=index, hash=leaf))
        nodes = _nodes(db)
        while index & 1:
            found = merkle.node_hash(nodes(level, index - 1), found)
            level, index = level + 1, index >> 1
            db.add(LogNode(level=level, index=index, hash=found))


def _nodes(db: Session) -> merkle.Node:
    def node(level: int, index: int) -> bytes:
        return db.get_one(LogNode, (level, index)).hash

    return node
