"""The hub's folder of bundles: each file appears whole, under its episode's name, and no name leads outside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from recorder.file.layout import require_episode_id
from recorder.proof.bundle import BUNDLE_FILES
from teleop.files import move, sync_file, sync_folder, write_atomic


class UnknownFileError(LookupError):
    """A bundle has no such file."""


class Store:
    """`root / <episode> / <file>`."""

    def __init__(self, root: Path) -> None:
        """Use `root`; create it if it does not exist."""
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, episode: str) -> Path:
        """Return an episode's folder, which need not exist; raise EpisodeIdError."""
        return self._root / require_episode_id(episode)

    def path(self, episode: str, name: str) -> Path:
        """Return the path of an existing file; raise UnknownFileError otherwise."""
        path = self.folder(episode) / _named(name)
        if not path.is_file():
            raise UnknownFileError(f"{episode} has no {name} yet")
        return path

    def has(self, episode: str, name: str) -> bool:
        """Return whether a bundle has this file."""
        return (self.folder(episode) / _named(name)).is_file()

    def write(self, episode: str, name: str, data: bytes) -> None:
        """Write a small file, whole or not at all."""
        write_atomic(self._ready(episode) / _named(name), data)

    def adopt(self, episode: str, name: str, source: Path) -> None:
        """Move a file in from the same file system, and make it durable. Idempotent."""
        target = self._ready(episode) / _named(name)
        if not source.exists() and target.exists():
            return
        sync_file(source)
        move(source, target)

    def erase(self, episode: str) -> None:
        """Remove an episode's files. Idempotent."""
        folder = self.folder(episode)
        if folder.exists():
            shutil.rmtree(folder)
            sync_folder(self._root)

    def _ready(self, episode: str) -> Path:
        folder = self.folder(episode)
        if not folder.exists():
            folder.mkdir()
            sync_folder(self._root)
        return folder


def _named(name: str) -> str:
    if name not in BUNDLE_FILES:
        raise UnknownFileError(f"expected one of {', '.join(BUNDLE_FILES)}, got {name[:80]!r}")
    return name
