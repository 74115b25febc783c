"""Which versions of a data set are given out, and what each revision that somebody names leads to.

A version with an episode whose consent has ended is no longer given out, as if it had never been released.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from sqlalchemy import select

from rewards.datasets.release import FILES, File, Index, commit_of, read_index
from rewards.datasets.version import DatasetVersion
from rewards.tables import ReleaseRow
from teleop.hub.db import Database

MAIN: Final = "main"
_TAG: Final = re.compile(r"version-([1-9][0-9]{0,8})")
FRESH_S: Final = 1.0
_KEPT: Final = 64
"""Of how many released folders the list of files is kept in memory."""


class Versions(Protocol):
    """The versions of the data sets that there are. Each call may block."""

    def version(self, name: str, number: int) -> DatasetVersion | None:
        """Return a version; None if there is no such data set, or no such version of it."""

    def newest(self, name: str) -> DatasetVersion | None:
        """Return the newest version; None if there is no such data set."""

    def withdrawn(self, digests: Sequence[str]) -> frozenset[str]:
        """Return which of these versions have an episode whose operator has withdrawn it."""


class UnknownSetError(LookupError):
    """There is no such data set, or nothing of it is released."""


class UnknownRevisionError(LookupError):
    """A data set has no such revision."""


class UnknownPathError(LookupError):
    """A revision has no such file or folder."""


@dataclass(frozen=True)
class Released:
    """A released version."""

    folder: Path
    index: Index
    released_ms: int

    @property
    def commit(self) -> str:
        """What Hugging Face's clients take for its commit."""
        return commit_of(self.index.digest)

    @property
    def tag(self) -> str:
        """Its tag: no version that LeRobot could take for one of its format, as `v3` would be."""
        return f"version-{self.index.version}"

    @cached_property
    def files(self) -> dict[str, File]:
        """Its files, by path."""
        return {one.path: one for one in self.index.files}

    def file(self, path: str) -> File:
        """Return one of its files; raise UnknownPathError. Only what is in the index is ever opened."""
        if path not in self.files:
            raise UnknownPathError(f"{self.index.name} at {self.tag} has no file {path[:200]!r}")
        return self.files[path]

    def path(self, file: File) -> Path:
        """Return where a file lies."""
        return self.folder / FILES / file.path


class Releases:
    """The released versions in one folder, `folder / <digest>`."""

    def __init__(self, database: Database, folder: Path, versions: Versions, fresh_s: float = FRESH_S) -> None:
        """What is given out of a data set is looked up again after `fresh_s`: a client asks twice for each file."""
        self._database, self._folder, self._versions, self._fresh_s = database, folder, versions, fresh_s
        self._read: dict[str, Released] = {}
        self._seen: dict[str, tuple[float, list[Released]]] = {}
        self._lock = Lock()

    def of(self, name: str) -> list[Released]:
        """Return what is given out of a data set, newest first; raise UnknownSetError if nothing is. Blocks."""
        with self._lock:
            looked_s, found = self._seen.get(name, (-math.inf, []))
        if time.monotonic() - looked_s < self._fresh_s:
            return found
        found = self._looked_up(name)
        with self._lock:
            while len(self._seen) >= _KEPT:
                del self._seen[next(iter(self._seen))]
            self._seen[name] = time.monotonic(), found
        return found

    def _looked_up(self, name: str) -> list[Released]:
        query = select(ReleaseRow).where(ReleaseRow.name == name).order_by(ReleaseRow.version.desc())
        with self._database() as db:
            rows = list(db.scalars(query))
        withdrawn = self._versions.withdrawn([row.digest for row in rows]) if rows else frozenset()
        there = [self._opened(row) for row in rows if row.digest not in withdrawn]
        if not any(there):
            raise UnknownSetError(self._why_not(name, withdrawn=bool(rows)))
        return [one for one in there if one is not None]

    def revision(self, name: str, revision: str) -> Released:
        """Return what a revision leads to; raise UnknownSetError or UnknownRevisionError. Blocks.

        `main` and the tag of LeRobot's format are the newest that is given out, and `version-N` is version N; the
        digest of a version, or its first 40 digits, is that version.
        """
        there = self.of(name)
        if revision in (MAIN, there[0].index.codebase):
            return there[0]
        tagged = _TAG.fullmatch(revision)
        for one in there:
            same = one.index.version == int(tagged[1]) if tagged else revision in (one.commit, one.index.digest)
            if same:
                return one
        known = ", ".join([MAIN, there[0].index.codebase, *(one.tag for one in there)])
        raise UnknownRevisionError(f"{name} has no revision {revision[:80]!r} that is given out. It has {known}.")

    def when(self, digests: Sequence[str]) -> dict[str, int]:
        """Return when versions were released, by their digests; those that were not are left out. Blocks."""
        query = select(ReleaseRow.digest, ReleaseRow.released_ms).where(ReleaseRow.digest.in_(digests))
        with self._database() as db:
            return {row.digest: row.released_ms for row in db.execute(query)}

    def _opened(self, row: ReleaseRow) -> Released | None:
        with self._lock:
            if row.digest in self._read:
                return self._read[row.digest]
        folder = self._folder / row.digest
        index = read_index(folder)
        if index is None:
            return None
        made = Released(folder, index, row.released_ms)
        with self._lock:
            while len(self._read) >= _KEPT:
                del self._read[next(iter(self._read))]
            self._read[row.digest] = made
        return made

    def _why_not(self, name: str, *, withdrawn: bool) -> str:
        if withdrawn:
            why = "every released version of it has an episode that its operator has withdrawn"
            return f"{name[:90]} is not given out: {why}. Its owner can release a newer one."
        newest = self._versions.newest(name)
        if newest is None:
            return f"this hub has no data set {name[:90]!r}: GET /api/sets lists those that it has"
        return f"{name} is here, and no version of it is released yet: its owner releases one"
