"""Releasing a version of a data set: the job that writes the folder that Hugging Face's client is given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
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
from rewards.tables import JobRow, ReleaseRow
from sim.robot import RobotError
from teleop.clock import now_ms

KIND: Final = "release"
SAID: Final = (ExportError, EpisodeError, GateError, PictureError, RobotError)
"""What says something of the episodes or the order, to whoever asked; anything else is a fault of the hub's."""
Bundle = Callable[[str], StoredBundle]
"""Returns where an episode's files are; raises UnknownFileError, or StoreLostError."""


class Request(msgspec.Struct, frozen=True):
    """What is asked for: a version, and how it is to be written."""

    name: str
    version: int
    digest: str
    format: str
    order: Order


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
        try:
            with placed(self.bundles, self.target.with_name(f".{self.target.name}.bundles.tmp")) as folders:
                return release(
                    self.version,
                    folders,
                    self.target,
                    self.order,
                    key=self.key,
                    trust=trust_in(self.config),
                    watch=lambda what, done: told(what, done, total),
                    url=self.url,
                )
        except SAID as error:
            raise WorkError(str(error)) from error


class Releasing:
    """The kind of job."""

    def __init__(
        self,
        versions: Versions,
        bundle: Bundle,
        folder: Path,
        key: Path,
        config: Callable[[], Mapping[str, Any]],
        url: str,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`config` is the hub's own `/api/config`: its receipts are those that count."""
        self._versions, self._bundle, self._folder, self._key = versions, bundle, folder, key
        self._config, self._url, self._clock_ms = config, url, clock_ms
        folder.mkdir(parents=True, exist_ok=True)

    def work(self, job: str, request: Mapping[str, Any]) -> Work:
        """Return what is to be done; raise WorkError."""
        asked = request_of(request)
        found = wanted(self._versions, asked)
        bundles = bundles_of(found, self._bundle)
        target = self._folder / asked.digest
        return _Release(found, bundles, target, asked.order, self._key, self._config(), self._url)

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
