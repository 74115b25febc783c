"""An episode's files as a folder, for what reads folders: in whichever process, and wherever the store keeps them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recorder.hub.store.store import Store, StoredFile
from recorder.proof.bundle import BUNDLE_FILES


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """The files of an episode, by their names. It can be sent to another process."""

    episode: str
    files: tuple[tuple[str, StoredFile], ...]

    def place(self, below: Path) -> Path:
        """Have them in `below / episode`, and return that: links where the file system has them, else copies.

        Raises StoreLostError, or HubFullError.
        """
        folder = below / self.episode
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in self.files:
            with file.local() as path:
                _linked(path, folder / name)
        return folder


def stored_bundle(store: Store, episode: str) -> StoredBundle:
    """Return where an episode's files are; raise UnknownFileError if one is not there, or StoreLostError."""
    return StoredBundle(episode, tuple((name, store.file(episode, name)) for name in BUNDLE_FILES))


@contextmanager
def placed(bundles: Iterable[StoredBundle], below: Path) -> Iterator[list[Path]]:
    """Yield folders of episodes, made below `below` and removed afterwards; what an earlier try left is removed too."""
    shutil.rmtree(below, ignore_errors=True)
    try:
        yield [bundle.place(below) for bundle in bundles]
    finally:
        shutil.rmtree(below, ignore_errors=True)


def _linked(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or one without links
        shutil.copy(source, target)  # with its mode: what is private stays its owner's
