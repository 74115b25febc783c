"""Exports of a version of a data set in any format: the job that writes an archive, and how long that is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from recorder.export.formats import FORMATS
from recorder.hub.store.bundles import StoredBundle, placed
from recorder.proof.named import trust_in
from rewards.datasets.exporting import write_version
from rewards.datasets.version import DatasetVersion
from rewards.hub.apart import Told, Work
from rewards.hub.exports.releases import Versions
from rewards.hub.exports.releasing import (
    FREE_BYTES,
    Bundle,
    Request,
    bundles_of,
    request_of,
    require_room,
    saying,
    wanted,
)
from rewards.hub.jobs import Job, JobState
from rewards.tables import JobRow
from teleop.clock import now_ms
from teleop.files import sync_file, sync_folder
from teleop.hub.db import Database

KIND: Final = "export"
_log = structlog.get_logger()


class NoArchiveError(LookupError):
    """A job has no archive: it makes none, or has not ended."""


class ArchiveErasedError(LookupError):
    """An archive was there, and is not given out any more."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much exports may take."""

    bytes_max: int
    """What all archives may take together; one may take half of it while it is made, with what it is made of."""
    kept_ms: int
    """How long an archive that nobody asks for is kept."""
    released_bytes_max: int = 100 * 10**9
    """What all released versions may take together."""


@dataclass(frozen=True, slots=True)
class Export:
    """What its process does."""

    version: DatasetVersion
    bundles: tuple[StoredBundle, ...]
    target: Path
    """Where the archive goes."""
    request: Request
    config: Mapping[str, Any]
    bytes_max: int

    def __call__(self, told: Told) -> Mapping[str, Any]:
        """Write the archive; raise WorkError."""
        work = self.target.with_suffix(".work")
        shutil.rmtree(work, ignore_errors=True)  # of a try that was ended in the middle
        work.mkdir()
        try:
            with saying(), placed(self.bundles, self.target.with_suffix(".bundles")) as folders:
                return self._made(work, folders, told)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _made(self, work: Path, folders: Sequence[Path], told: Told) -> Mapping[str, Any]:
        form, total = FORMATS[self.request.format], len(folders)

        def watch(what: str, done: int) -> None:
            told(what, done, total)
            require_room("an export", [work], self.bytes_max, "ask for a smaller --size, or fewer cameras or episodes")

        name = self.version.name.partition("/")[2] + f"-{self.version.version}"
        target = work / (name + (form.suffixes[0] if form.name == "robomimic" else ""))
        trust = trust_in(self.config)
        said, _ = write_version(self.version, folders, target, form, self.request.order, trust=trust, watch=watch)
        watch("packing", total)
        archive = work / "archive"
        sha256 = packed(target, archive)
        sync_file(archive)
        archive.replace(self.target)
        sync_folder(self.target.parent)
        sizes = {"bytes": self.target.stat().st_size, "sha256": sha256}
        return {"name": target.name, **sizes, **msgspec.to_builtins(said)}


def packed(target: Path, archive: Path) -> str:
    """Write a file or a folder as a tar, which is the same for the same content; return its SHA-256."""
    with archive.open("wb") as file:
        hashing = _Hashing(file)
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in [target, *sorted(target.rglob("*"))]:
                tar.add(path, path.relative_to(target.parent).as_posix(), recursive=False, filter=_plain)
        return hashing.sha256.hexdigest()


class _Hashing(RawIOBase):
    """Writes on, and hashes what it writes."""

    def __init__(self, file: Any) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        """Write a block."""
        self.sha256.update(data)
        return int(self._file.write(data))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return an entry without what is of this machine."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    info.mode = 0o755 if info.isdir() else 0o644
    return info


class Exports:
    """The kind of job, and its archives in one folder, `folder / <job>.tar`."""

    def __init__(
        self,
        database: Database,
        versions: Versions,
        bundle: Bundle,
        folder: Path,
        config: Callable[[], Mapping[str, Any]],
        bounds: Bounds,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        """`config` is the hub's own `/api/config`: its receipts are those that count."""
        self._database, self._versions, self._bundle, self._folder = database, versions, bundle, folder
        self._config, self._bounds, self._clock_ms = config, bounds, clock_ms
        folder.mkdir(parents=True, exist_ok=True)

    def work(self, job: str, request: Mapping[str, Any]) -> Work:
        """Return what is to be done; raise WorkError."""
        asked = request_of(request)
        found = wanted(self._versions, asked)
        bundles = bundles_of(found, self._bundle)
        half = self._bounds.bytes_max // 2
        self._erase(self._oldest(beyond=half))  # so that there is room for the other half while it is made
        self.make_room()
        return Export(found, bundles, self._path(job), asked, self._config(), half)

    def keep(self, db: Session, row: JobRow, result: Mapping[str, Any]) -> None:
        """Note the archive."""
        row.bytes, row.used_ms = result["bytes"], self._clock_ms()

    def stands(self, row: JobRow) -> bool:
        """Whether the archive is there."""
        return row.bytes is not None and self._path(row.id).is_file()

    def archive(self, job: Job) -> Path:
        """Return a job's archive, which is used from now on; raise NoArchiveError or ArchiveErasedError. Blocks."""
        if job.kind != KIND:
            raise NoArchiveError(f"{job.id} is a {job.kind}: Hugging Face's client downloads what it made")
        if job.state is not JobState.DONE:
            raise NoArchiveError(f"{job.id} is {job.state}: GET /api/jobs/{job.id} says how far it is")
        asked = request_of(job.request)
        if self._versions.withdrawn([asked.digest]):
            raise ArchiveErasedError(f"{asked.name} version {asked.version} has an episode that was withdrawn")
        here = JobRow.id == job.id, JobRow.bytes.is_not(None)
        with self._database() as db, db.begin():
            db.execute(update(JobRow).where(*here).values(used_ms=self._clock_ms()))
        path = self._path(job.id)
        if not path.is_file():
            raise ArchiveErasedError(f"the archive of {job.id} was erased, as nobody asked for it: ask for it again")
        return path

    def sweep(self) -> list[str]:
        """Erase archives that nobody has asked for in time, the oldest if there are too many, and what is nobody's.

        Return the jobs whose archives were erased. Blocks.
        """
        before = self._clock_ms() - self._bounds.kept_ms
        with self._database() as db:
            there = JobRow.bytes.is_not(None), JobRow.kind == KIND
            late = list(db.scalars(select(JobRow.id).where(*there, JobRow.used_ms < before)))
            rows = db.execute(select(JobRow.id, JobRow.state).where(JobRow.kind == KIND))
            known = {row.id: row.state for row in rows}
        for path in self._folder.iterdir():
            if path.suffix == ".tar" and path.stem not in known:
                path.unlink(missing_ok=True)
            if path.suffix == ".part" and known.get(path.stem) != JobState.RUNNING:
                path.unlink(missing_ok=True)
            if path.suffix in (".work", ".bundles") and known.get(path.stem) != JobState.RUNNING:
                shutil.rmtree(path, ignore_errors=True)
        erased = [*late, *self._oldest(beyond=self._bounds.bytes_max)]
        self._erase(erased)
        return sorted(set(erased))

    def make_room(self) -> list[str]:
        """Erase archives, the one that was used least recently first, until the disk has room for a job."""
        with self._database() as db:
            there = JobRow.bytes.is_not(None), JobRow.kind == KIND
            oldest = list(db.scalars(select(JobRow.id).where(*there).order_by(JobRow.used_ms)))
        erased = []
        for job in oldest:
            if shutil.disk_usage(self._folder).free >= 2 * FREE_BYTES:
                break
            self._erase([job])
            erased.append(job)
        return erased

    def _oldest(self, beyond: int) -> list[str]:
        """Return the archives that were not used for longest, as many as leave no more than these bytes."""
        there = JobRow.bytes.is_not(None), JobRow.kind == KIND
        with self._database() as db:
            rows = db.execute(select(JobRow.id, JobRow.bytes).where(*there).order_by(JobRow.used_ms.desc())).all()
        taken, found = 0, []
        for job, size in rows:
            taken += size or 0
            if taken > beyond:
                found.append(job)
        return found

    def _erase(self, jobs: Iterable[str]) -> None:
        for job in jobs:
            with self._database() as db, db.begin():
                db.execute(update(JobRow).where(JobRow.id == job).values(bytes=None))
            self._path(job).unlink(missing_ok=True)
            _log.info("an archive was erased", job=job)

    def _path(self, job: str) -> Path:
        return self._folder / f"{os.path.basename(job)}.tar"  # noqa: PTH119  an id of ours; no path in any case
