"""Releasing a version of a data set: the job that writes the folder that Hugging Face's client is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from recorder.export.errors import ExportError
from recorder.file.episode import EpisodeError
from recorder.hub.store import UnknownFileError
from recorder.hub.store.bundles import StoredBundle, placed
from recorder.pictures.errors import PictureError
from recorder.proof.named import trust_in
from recorder.proof.refusals import GateError
from rewards.datasets.exporting import Order
from rewards.datasets.release import Index, commit_of, read_index, release
from rewards.datasets.version import DatasetVersion
from rewards.hub.apart import Told, Work, WorkError
from rewards.hub.exports.releases import Versions
from rewards.hub.jobs import Asked
from rewards.tables import JobRow, ReleaseRow
from sim.robot import RobotError
from teleop.clock import now_ms
from teleop.hub.db import Database
from teleop.hub.full import is_full

KIND: Final = "release"
SAID: Final = (ExportError, EpisodeError, GateError, PictureError, RobotError)
"""What says something of the episodes or the order, to whoever asked; anything else is a fault of the hub's."""
FULL: Final = "the hub's disk is full, and nothing was kept: ask again once whoever runs it has made room"
FREE_BYTES: Final = 1 << 30
"""What a job leaves free on the disk, for what people drive."""
Bundle = Callable[[str], StoredBundle]
"""Returns where an episode's files are; raises UnknownFileError, or StoreLostError."""


_log = structlog.get_logger()


class Request(msgspec.Struct, frozen=True):
    """What is asked for: a version, and how it is to be written."""

    name: str
    version: int
    digest: str
    format: str
    order: Order


def asked_for(request: Request, version: DatasetVersion) -> Asked:
    """Return the job that releases a version: one for each version, whatever the options."""
    said: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(request))  # lists, as the table has them
    return Asked(KIND, said, len(version.episodes), {"digest": version.digest})


@contextmanager
def saying() -> Iterator[None]:
    """Turn what says something of the episodes, the order or the disk into WorkError; the rest is a fault of ours."""
    try:
        yield
    except SAID as error:
        raise WorkError(str(error)) from error
    except OSError as error:
        if not is_full(error):
            raise
        raise WorkError(FULL) from error


_REQUEST: Final = msgspec.json.Decoder(Request)


def request_of(said: Mapping[str, Any]) -> Request:
    """Return what a job's row says is asked for."""
    return _REQUEST.decode(msgspec.json.encode(said))


def wanted(versions: Versions, request: Request) -> DatasetVersion:
    """Return the version that a job is about; raise WorkError if it is not given out any more."""
    found = versions.version(request.name, request.version)
    named = f"{request.name} version {request.version}"
    if found is None or found.digest != request.digest:
        raise WorkError(f"{named} is not at this hub any more")
    if versions.withdrawn([request.digest]):
        raise WorkError(f"{named} has an episode that its operator has withdrawn: take a newer version")
    return found


def bundles_of(version: DatasetVersion, bundle: Bundle) -> tuple[StoredBundle, ...]:
    """Return where the files of a version's episodes are, in its order; raise WorkError, or StoreLostError."""
    try:
        return tuple(bundle(one.episode) for one in version.episodes)
    except UnknownFileError as error:
        raise WorkError(f"{error}: this hub has not kept its files") from error


@dataclass(frozen=True, slots=True)
class _Release:
    """What its process does."""

    version: DatasetVersion
    bundles: tuple[StoredBundle, ...]
    target: Path
    order: Order
    key: Path
    config: Mapping[str, Any]
    url: str
    bytes_max: int
    """How much it may take."""

    def __call__(self, told: Told) -> Mapping[str, Any]:
        """Write the folder, unless an earlier try wrote it and was not heard; raise WorkError."""
        for half in self.target.parent.glob(f".{self.target.name}.*.tmp"):
            shutil.rmtree(half, ignore_errors=True)  # only one process writes it at a time
        index = read_index(self.target)
        if index is None:
            index = self._written(told)
        return _said(index)

    def _written(self, told: Told) -> Index:
        total = len(self.bundles)

        def watch(what: str, done: int) -> None:
            told(what, done, total)
            halves = self.target.parent.glob(f".{self.target.name}.*.tmp")
            require_room(
                "this release", halves, self.bytes_max, "release fewer episodes or cameras, or ask whoever runs it"
            )

        with saying(), placed(self.bundles, self.target.with_name(f".{self.target.name}.bundles.tmp")) as folders:
            trust = trust_in(self.config)
            same = (self.version, folders, self.target, self.order)
            return release(*same, key=self.key, trust=trust, watch=watch, url=self.url)


def require_room(what: str, folders: Iterable[Path], bytes_max: int, way_out: str) -> None:
    """Raise WorkError if what is being written takes more than it may, or leaves too little of the disk."""
    for folder in folders:
        taken = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
        if taken > bytes_max:
            raise WorkError(f"{what} may take {bytes_max / 1e9:.1f} GB here: {way_out}")
        if shutil.disk_usage(folder).free < FREE_BYTES:
            raise WorkError("the hub's disk is nearly full: ask again once whoever runs it has made room")


@dataclass(frozen=True, slots=True)
class Source:
    """What releases are made of."""

    versions: Versions
    bundle: Bundle
    config: Callable[[], Mapping[str, Any]]
    """The hub's own `/api/config`: its receipts are those that count."""
    url: str


class Releasing:
    """The kind of job, and its folders, `folder / <digest>`."""

    def __init__(
        self,
        database: Database,
        source: Source,
        folder: Path,
        key: Path,
        bytes_max: int,
        make_room: Callable[[], object] = lambda: None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """All released versions may take `bytes_max`; `make_room` erases something else, if the disk is nearly full."""
        self._database, self._source, self._folder, self._key = database, source, folder, key
        self._bytes_max, self._make_room, self._clock_ms = bytes_max, make_room, clock_ms
        folder.mkdir(parents=True, exist_ok=True)

    def work(self, job: str, request: Mapping[str, Any]) -> Work:
        """Return what is to be done; raise WorkError."""
        asked, source = request_of(request), self._source
        found = wanted(source.versions, asked)
        bundles = bundles_of(found, source.bundle)
        self.sweep()
        self._make_room()
        left = self._bytes_max - self._taken()
        if left <= 0:
            most = f"{self._bytes_max / 1e9:.1f} GB"
            raise WorkError(
                f"the released data sets take all of the {most} that this hub has for them: ask who runs it"
            )
        target = self._folder / asked.digest
        return _Release(found, bundles, target, asked.order, self._key, source.config(), source.url, left)

    def sweep(self) -> list[str]:
        """Erase the folders of versions that were taken down; return their digests. Blocks."""
        with self._database() as db:
            released = list(db.scalars(select(ReleaseRow.digest)))
        down = self._source.versions.withdrawn(released) if released else frozenset()
        erased = [digest for digest in sorted(down) if (self._folder / digest).is_dir()]
        for digest in erased:
            shutil.rmtree(self._folder / digest, ignore_errors=True)
            _log.info("a release was erased, as consent to one of its episodes has ended", digest=digest)
        return erased

    def _taken(self) -> int:
        """Return how many bytes the released versions have that are here."""
        with self._database() as db:
            rows = db.execute(select(ReleaseRow.digest, ReleaseRow.bytes)).all()
        return sum(row.bytes for row in rows if (self._folder / row.digest).is_dir())

    def keep(self, db: Session, row: JobRow, result: Mapping[str, Any]) -> None:
        """Note that it is released."""
        digest = result["digest"]
        if db.get(ReleaseRow, digest) is None:
            same = {"name": result["name"], "version": result["version"], "bytes": result["bytes"]}
            db.add(ReleaseRow(digest=digest, job=row.id, released_ms=self._clock_ms(), **same))

    def stands(self, row: JobRow) -> bool:
        """Whether the folder is there."""
        return row.result is not None and read_index(self._folder / row.result["digest"]) is not None


def _said(index: Index) -> dict[str, Any]:
    said = msgspec.to_builtins(index.said)
    same = {"name": index.name, "version": index.version, "digest": index.digest, "commit": commit_of(index.digest)}
    return {**same, **said, "files": len(index.files), "bytes": index.bytes}
