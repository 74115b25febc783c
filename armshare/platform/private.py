"""What is private, put together: who may read an episode or a data set, as each package's routes ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import Request

from armshare.migrations import migrate
from armshare.settings import Settings
from recorder.hub.readers import Readers, What, asking
from recorder.hub.store.masters import Masters
from recorder.hub.store.sealing import rotate_keys
from rewards.hub.datasets.api import refusing
from rewards.hub.datasets.reading import ByDatasets, SetReaders, require_seen
from rewards.hub.datasets.refusals import UnknownDatasetError
from rewards.hub.datasets.shelf import at
from teleop.clock import now_ms
from teleop.hub.db import Database, open_database, open_engine

EPISODES_KEY: Final = "episodes.key"
"""The file of the keys that wrap those of private episodes, below the hub's keys."""


@dataclass(frozen=True, slots=True)
class Private:
    """Who may read what. Every call may block."""

    database: Database
    readers: Readers
    sets: SetReaders
    signed_in: Callable[[Request], str]

    def seen(self, request: Request, name: str) -> None:
        """Raise ApiError if whoever asks may not see which episodes a data set has; one that is not there is none."""
        with self.database() as db, refusing():
            try:
                found = at(db, name)
            except UnknownDatasetError:
                return  # the search says so, by its word
            if found.row.private:
                require_seen(db, found, asking(self.signed_in, request).wallet())

    def let(self, request: Request, episode: str) -> bool:
        """Let whoever asks have a bundle; return whether it is private. Raises ApiError."""
        return self.readers.let(episode, asking(self.signed_in, request), What.FILE)


def private_in(database: Database, signed_in: Callable[[Request], str], withdrawn: Callable[[str], bool]) -> Private:
    """Return who may read what; `withdrawn` says whether the consent to an episode has ended."""
    readers = Readers(database, now_ms, ByDatasets(), withdrawn)
    return Private(database, readers, SetReaders(database, readers), signed_in)


def rotate(settings: Settings) -> int:
    """Wrap the key of every private episode by a new one of the hub's; return how many. The hub may run meanwhile."""
    engine = open_engine(settings.database_url)
    try:
        migrate(engine)
        database = open_database(engine)
        return rotate_keys(database, Masters((settings.keys / EPISODES_KEY).absolute()))
    finally:
        engine.dispose()
