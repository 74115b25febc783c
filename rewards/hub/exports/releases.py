"""Which versions of a data set are given out, and what each revision that somebody names leads to.

A version with an episode whose consent has ended is taken down: nothing of it is given out, and whoever asks for it is
told so, and what `main` is. Its files are erased (`releasing.py`), and the newest version is released (`renewing.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from sqlalchemy import select

from recorder.hub.readers import Asker
from rewards.datasets.release import FILES, File, Index, commit_of, read_index
from rewards.datasets.version import DatasetVersion
from rewards.tables import ReleaseRow
from teleop.hub.db import Database

MAIN: Final = "main"
_DOWN: Final = "was taken down, as it has an episode that its operator has withdrawn"
FRESH_S: Final = 1.0
NOBODY: Final = Asker(lambda: None)
"""Somebody who has not signed in."""
Closed = Callable[[Sequence[str], Asker], frozenset[str]]
"""Returns which of these versions whoever asks may not read. It may block."""
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


class TakenDownError(LookupError):
    """It was released, and has an episode that its operator has withdrawn since."""

    def __init__(self, said: str, *, whole: bool) -> None:
        """`whole`: nothing else of the data set is given out either."""
        super().__init__(said)
        self.whole = whole


@dataclass(frozen=True, slots=True)
class _Given:
    """What was released of a data set, newest first."""

    there: list[Released]
    down: list[ReleaseRow]
    """What was taken down."""


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
        return tag_of(self.index.version)

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


def tag_of(version: int) -> str:
    """Return a version's tag."""
    return f"version-{version}"


def nothing_closed(_digests: Sequence[str], _asker: Asker) -> frozenset[str]:
    """Return that none of them is."""
    return frozenset()


class Releases:
    """The released versions in one folder, `folder / <digest>`."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        versions: Versions,
        fresh_s: float = FRESH_S,
        closed: Closed = nothing_closed,
    ) -> None:
        """What is given out of a data set is looked up again after `fresh_s`: a client asks twice for each file.

        `closed` is asked each time.
        """
        self._database, self._folder, self._versions, self._fresh_s = database, folder, versions, fresh_s
        self._closed = closed
        self._read: dict[str, Released] = {}
        self._seen: dict[str, tuple[float, _Given]] = {}
        self._lock = Lock()

    def of(self, name: str, asker: Asker = NOBODY) -> list[Released]:
        """Return what whoever asks is given of a data set, newest first. Blocks.

        Raises UnknownSetError if nothing was released, or all is private; TakenDownError if all of it is taken down.
        """
        return self._open_to(name, self._given(name), asker)

    def private(self, found: Released) -> bool:
        """Return whether a released version is given to its readers only. Blocks."""
        return bool(self._closed([found.index.digest], NOBODY))

    def _open_to(self, name: str, given: _Given, asker: Asker) -> list[Released]:
        closed = self._closed([one.index.digest for one in given.there], asker)
        there = [one for one in given.there if one.index.digest not in closed]
        if not there:
            raise UnknownSetError(f"{name[:90]} is private: it is given to those whom its owner lets read it; sign in")
        return there

    def _given(self, name: str) -> _Given:
        with self._lock:
            looked_s, found = self._seen.get(name, (-math.inf, _Given([], [])))
        if time.monotonic() - looked_s < self._fresh_s:
            return found
        found = self._looked_up(name)
        with self._lock:
            while len(self._seen) >= _KEPT:
                del self._seen[next(iter(self._seen))]
            self._seen[name] = time.monotonic(), found
        return found

    def _looked_up(self, name: str) -> _Given:
        query = select(ReleaseRow).where(ReleaseRow.name == name).order_by(ReleaseRow.version.desc())
        with self._database() as db:
            rows = list(db.scalars(query))
        withdrawn = self._versions.withdrawn([row.digest for row in rows]) if rows else frozenset()
        there = [one for row in rows if row.digest not in withdrawn and (one := self._opened(row)) is not None]
        down = [row for row in rows if row.digest in withdrawn]
        if not there and down:
            raise TakenDownError(f"{name[:90]} {_DOWN}. A version without it is released soon.", whole=True)
        if not there:
            raise UnknownSetError(self._why_not(name))
        return _Given(there, down)

    def revision(self, name: str, revision: str, asker: Asker = NOBODY) -> Released:
        """Return what a revision leads to; raise as `of`, UnknownRevisionError or TakenDownError. Blocks.

        `main` and the tag of LeRobot's format are the newest that is given out, and `version-N` is version N; the
        digest of a version, or its first 40 digits, is that version.
        """
        given = self._given(name)
        there = self._open_to(name, given, asker)
        if revision in (MAIN, there[0].index.codebase):
            return there[0]
        for one in there:
            if revision in (one.tag, one.commit, one.index.digest):
                return one
        if any(revision in (tag_of(row.version), commit_of(row.digest), row.digest) for row in given.down):
            newest = f"take {MAIN}, which is {there[0].tag}"
            raise TakenDownError(f"{name} at {revision[:80]} {_DOWN}: {newest}.", whole=False)
        known = ", ".join([MAIN, there[0].index.codebase, *(one.tag for one in there)])
        raise UnknownRevisionError(f"{name} has no revision {revision[:80]!r} that is given out. It has {known}.")

    def when(self, digests: Sequence[str]) -> dict[str, int]:
        """Return when versions that are given out were released, by their digests. Blocks."""
        query = select(ReleaseRow.digest, ReleaseRow.released_ms).where(ReleaseRow.digest.in_(digests))
        with self._database() as db:
            found = {row.digest: row.released_ms for row in db.execute(query)}
        down = self._versions.withdrawn([*found]) if found else frozenset()
        return {digest: released_ms for digest, released_ms in found.items() if digest not in down}

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

    def _why_not(self, name: str) -> str:
        newest = self._versions.newest(name)
        if newest is None:
            return f"this hub has no data set {name[:90]!r}: GET /api/sets lists those that it has"
        return f"{name} is here, and no version of it is released yet: its owner releases one"
