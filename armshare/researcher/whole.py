"""Whether an episode's folder is what it should be; and the files of a hub's answer, which is not believed."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx

from armshare.failures import PlatformError
from recorder.file.layout import EpisodeIdError, require_episode_id
from recorder.proof import manifest as manifests
from recorder.proof.bundle import BUNDLE_FILES, MANIFEST_FILE, SCORE_FILE, SMALL_FILE_BYTES_MAX, read_small
from recorder.proof.manifest import EPISODE_FILE, ManifestError
from teleop.files import open_regular

BLOCK_BYTES: Final = 1 << 20
_FILES: Final = (*BUNDLE_FILES, SCORE_FILE)


class BrokenOffError(Exception):
    """An answer ended in the middle."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An episode, and what is known of its file from elsewhere."""

    episode: str
    sha256: str
    size: int
    private: bool = False
    """Whether it comes sealed, for whoever may read it."""


def fault(folder: Path, wanted: Wanted) -> str:
    """Return what is wrong with an episode's folder, in words; empty if it is whole and what was asked for."""
    for name in BUNDLE_FILES:
        if not (folder / name).is_file():
            return f"{name} is missing"
    data = read_small(folder / MANIFEST_FILE)
    try:
        said = manifests.decode(data or b"")
    except ManifestError as error:
        return f"{MANIFEST_FILE}: {error}"
    if said.episode != wanted.episode:
        return f"{MANIFEST_FILE} is of {said.episode}"
    if (said.files[0].sha256, said.files[0].size) != (wanted.sha256, wanted.size):
        return f"{MANIFEST_FILE} names another {EPISODE_FILE} than the list that it is in"
    size = (folder / EPISODE_FILE).stat().st_size
    if size != wanted.size:
        return f"{EPISODE_FILE} has {size:,} of {wanted.size:,} bytes"
    if _sha256(folder / EPISODE_FILE) != wanted.sha256:
        return f"{EPISODE_FILE} has other bytes than its manifest says"
    return ""


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


class Blocks:
    """The bytes of an answer, as a file that is read once. What came before it broke off is given out first."""

    def __init__(self, answer: httpx.Response) -> None:
        self._blocks, self._left = answer.iter_bytes(), b""
        self._broken: httpx.TransportError | None = None

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; fewer only at the end. Raises httpx.TransportError."""
        found, have = [self._left], len(self._left)
        try:
            while self._broken is None and have < size and (block := next(self._blocks, b"")):
                found.append(block)
                have += len(block)
        except httpx.TransportError as error:
            self._broken = error
        if self._broken is not None and not have:
            raise self._broken
        data = b"".join(found)
        self._left = data[size:]
        return data[:size]


def unpacked(answer: httpx.Response, target: Path, wanted: Mapping[str, Wanted]) -> Iterator[str]:
    """Write the files of a tar below `target`, yielding each episode that has come whole; raise BrokenOffError."""
    episode = ""
    try:
        with tarfile.open(fileobj=Blocks(answer), mode="r|") as tar:  # type: ignore[call-overload]  # read() is all
            for entry in tar:
                named, _, name = entry.name.partition("/")
                if named not in wanted or name not in _FILES or not entry.isfile():
                    said = f"The hub sent {entry.name[:80]!r}, which nobody asked for"
                    raise PlatformError(f"{said}. It was not written; tell whoever runs the hub.")
                if episode and named != episode:
                    yield episode
                episode = named
                most = wanted[named].size if name == EPISODE_FILE else SMALL_FILE_BYTES_MAX
                _written(tar, entry, part_of(target, named) / name, most)
        if episode:
            yield episode
    except (tarfile.TarError, EOFError) as error:
        raise BrokenOffError(f"in the middle of {episode or 'it'}") from error


def _written(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path, most: int) -> None:
    if entry.size > most:
        said = f"The hub sent {entry.name[:80]!r} with {entry.size:,} bytes, of at most {most:,}"
        raise PlatformError(f"{said}. Tell whoever runs the hub.")
    path.parent.mkdir(exist_ok=True)
    source = tar.extractfile(entry)
    assert source is not None  # a regular file
    with path.open("wb") as file:
        copied(source, file, entry.size, exact=True)


def copied(source: IO[bytes] | Blocks, file: IO[bytes], most: int, *, exact: bool) -> None:
    """Copy at most `most` bytes; raise BrokenOffError if there are fewer and `exact`, PlatformError if more."""
    left = most
    while left > 0 and (block := source.read(min(BLOCK_BYTES, left))):
        file.write(block)
        left -= len(block)
    if exact and left:
        raise BrokenOffError(f"{left:,} bytes before the end of a file")
    if not exact and source.read(1):
        raise PlatformError(f"The hub sent more than {most:,} bytes of a file that has fewer. Tell whoever runs it.")
    file.flush()
    os.fsync(file.fileno())


def require_named(episode: str) -> str:
    """Return an episode's id; raise PlatformError if a hub gives one that is a path, or anything else."""
    try:
        return require_episode_id(episode)
    except EpisodeIdError as error:
        raise PlatformError(f"The hub calls an episode {episode[:80]!r}, which no episode is called.") from error


def part_of(target: Path, episode: str) -> Path:
    """Return the folder that an episode comes into, before it is whole."""
    return target / f".{require_named(episode)}.part"
