"""A store in a folder: `episodes/<episode>/<file>`, as every release has had it.

A recording has a second name, `objects/<first two digits>/<SHA-256>`, which is a hard link: so the file system itself
counts who has it. The digest is beside it, in the form that `sha256sum -c` reads. Without hard links nothing is shared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from recorder.file.layout import require_episode_id
from recorder.hub.store.store import StoredFile, StoreLostError, UnknownFileError, require_named
from recorder.proof.manifest import EPISODE_FILE
from teleop.files import move, sync_file, sync_folder, write_atomic

_log = structlog.get_logger()
SIDECAR: Final = ".sha256"
OBJECTS: Final = ".objects"
"""No episode's id begins with a dot."""


@dataclass(frozen=True, slots=True)
class FileInFolder:
    """A file of a bundle in a folder."""

    place: Path
    size: int
    sha256: str | None

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Give its path; raise StoreLostError if it is gone."""
        if not self.place.is_file():
            raise StoreLostError(f"{self.place} was there, and is gone")
        yield self.place

    def read(self, start: int, end: int) -> bytes:
        """Return some of its bytes; raise StoreLostError if they are gone."""
        try:
            with self.place.open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), end - start, start)
        except OSError as error:
            raise StoreLostError(f"{self.place} cannot be read: {error.strerror}") from error
        if len(data) != end - start:
            raise StoreLostError(f"{self.place}: expected {end - start} bytes at {start}, got {len(data)}")
        return data


class FolderStore:
    """`root / <episode> / <file>`, on one file system."""

    def __init__(self, root: Path) -> None:
        """Use `root`; create it if it does not exist. Its files are opened by processes that work in other folders."""
        self._root = root.absolute()
        self._objects, self._swept = self._root / OBJECTS, False
        self._objects.mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """Where it is."""
        return self._root

    def folder(self, episode: str) -> Path:
        """Return an episode's folder, which need not exist; raise EpisodeIdError."""
        return self._root / require_episode_id(episode)

    def file(self, episode: str, name: str) -> FileInFolder:
        """Return a file; raise UnknownFileError if the bundle does not have it."""
        path = self.path(episode, name)
        try:
            sha256 = _digest_of(path)
            if sha256 is None and name != EPISODE_FILE:
                sha256 = digest(path)  # of a document, which is small
            return FileInFolder(path, path.stat().st_size, sha256)
        except FileNotFoundError as error:  # erased meanwhile
            raise UnknownFileError(f"{episode} has no {name} any more") from error

    def path(self, episode: str, name: str) -> Path:
        """Return the path of an existing file; raise UnknownFileError otherwise."""
        path = self.folder(episode) / require_named(name)
        if not path.is_file():
            raise UnknownFileError(f"{episode} has no {name} yet")
        return path

    def has(self, episode: str, name: str) -> bool:
        """Return whether a bundle has this file."""
        return (self.folder(episode) / require_named(name)).is_file()

    def write(self, episode: str, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all. It has no second name: it would cost more than it saves."""
        write_atomic(self._ready(episode) / require_named(name), data)

    def adopt(self, episode: str, name: str, source: Path) -> None:
        """Move a file in from the same file system, and make it durable. Idempotent."""
        target = self._ready(episode) / require_named(name)
        if not source.exists() and target.exists():
            return
        sha256 = digest(source)
        sync_file(source)
        _forget(target, self._object_of(target))
        write_atomic(_sidecar(target), f"{sha256}  {target.name}\n".encode())  # before what it leads to
        self._share(source, sha256)
        move(source, target)

    def erase(self, episode: str) -> None:
        """Remove an episode's files, and their second names unless another episode has them. Idempotent."""
        folder = self.folder(episode)
        if not folder.exists():
            return
        for sidecar in folder.glob(f"*{SIDECAR}"):
            target = sidecar.with_name(sidecar.name.removesuffix(SIDECAR))
            _forget(target, self._object_of(target))
        shutil.rmtree(folder)
        sync_folder(self._root)

    def episodes(self) -> list[str]:
        """Return the episodes that have a folder, in order."""
        return sorted(one.name for one in self._root.iterdir() if one.is_dir() and not one.name.startswith("."))

    def sweep(self) -> None:
        """Remove second names whose first is gone, once: only a crash leaves them, between an upload and its move."""
        if not self._swept:
            for shared in self._objects.glob("*/*"):
                _forget_alone(shared)
            self._swept = True

    def _share(self, source: Path, sha256: str) -> None:
        """Give a file its second name; if that is taken by the same bytes, give it to the source instead.

        Whoever erases those meanwhile takes a name, and no bytes.
        """
        shared = self._objects / sha256[:2] / sha256
        shared.parent.mkdir(exist_ok=True)
        beside = source.with_name(f"{source.name}.{secrets.token_hex(4)}.tmp")
        try:
            if shared.exists() and digest(shared) == sha256:
                os.link(shared, beside)
                beside.replace(source)
            else:
                os.link(source, beside)
                beside.replace(shared)  # a damaged one makes way; who has it keeps it
                sync_folder(shared.parent)
        except OSError as error:  # no hard links here, too many of this file, or erased meanwhile: it has one name only
            _log.info("a file is not shared", sha256=sha256, error=error)
        finally:
            beside.unlink(missing_ok=True)  # to rename one name of a file to another of it does nothing

    def _object_of(self, target: Path) -> Path | None:
        sha256 = _digest_of(target)
        return None if sha256 is None else self._objects / sha256[:2] / sha256

    def _ready(self, episode: str) -> Path:
        folder = self.folder(episode)
        if not folder.exists():
            folder.mkdir()
            sync_folder(self._root)
        return folder


def known(file: StoredFile, sha256: str | None) -> StoredFile:
    """Return a file with the digest that the gates compared it with, if an earlier release noted none."""
    if isinstance(file, FileInFolder) and file.sha256 is None:
        return dataclasses.replace(file, sha256=sha256)
    return file


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget(target: Path, shared: Path | None) -> None:
    """Take a file's own name, and then the second, unless it has a third. Whoever links it meanwhile has its bytes."""
    target.unlink(missing_ok=True)
    if shared is not None:
        _forget_alone(shared)


def _forget_alone(shared: Path) -> None:
    with suppress(FileNotFoundError):
        if shared.stat().st_nlink == 1:
            shared.unlink()


def _sidecar(target: Path) -> Path:
    return target.with_name(target.name + SIDECAR)


def _digest_of(target: Path) -> str | None:
    """Return the SHA-256 that is noted beside a file; None if there is no such note."""
    try:
        noted = _sidecar(target).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    found = noted[:64]
    return found if len(found) == 64 and all(one in "0123456789abcdef" for one in found) else None
