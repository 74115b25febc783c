"""Which store a hub has: the folder, unless a bucket is named. Where its uploads wait follows from that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from recorder.hub.store.bucket import BucketStore
from recorder.hub.store.cache import Cache
from recorder.hub.store.folder import FolderStore
from recorder.hub.store.masters import Masters
from recorder.hub.store.objects import Objects
from recorder.hub.store.pieces import BucketPieces, FolderPieces, Pieces
from recorder.hub.store.sealing import SealingStore
from recorder.hub.store.store import Store
from teleop.hub.db import Database


@dataclass(frozen=True, slots=True)
class Sealing:
    """Where what seals is kept: the hub's keys, and the plain files that a reader needs."""

    masters: Path
    plain: Cache


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, and what belongs to it."""

    store: Store
    pieces: Pieces
    move_in: Callable[[], int]
    """Moves what is in the folder into the bucket, if there is one, and returns how many bundles that was."""
    private: SealingStore | None = None
    """`store` again, if it seals what is private."""


def sealing(opened: Opened, database: Database, places: Sealing, now_ms: Callable[[], int]) -> Opened:
    """Return the same, with private recordings sealed."""
    root = opened.store.root if isinstance(opened.store, FolderStore) else places.plain.folder.parent
    masters = Masters(places.masters.absolute())
    store = SealingStore(opened.store, database, masters, places.plain, root / ".sealing", now_ms)
    return replace(opened, store=store, private=store)


def in_folder(episodes: Path, uploads: Path) -> Opened:
    """Keep files in a folder."""
    uploads.mkdir(parents=True, exist_ok=True)
    return Opened(FolderStore(episodes), FolderPieces(uploads), lambda: 0)


def in_bucket(objects: Objects, database: Database, cache: Cache, now_ms: Callable[[], int], episodes: Path) -> Opened:
    """Keep files in a bucket, and find those that are still in a folder."""
    earlier = FolderStore(episodes) if episodes.exists() else None
    store = BucketStore(objects, database, cache, now_ms, earlier)
    return Opened(store, BucketPieces(objects, database, cache), store.move_in)
