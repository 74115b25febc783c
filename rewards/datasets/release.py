"""A version of a data set as it is released: LeRobot's folder, a card, what is in it, and the hub's signature over it.

    released/<digest>/files/...      what is given out, signed in `files/model.sig`
    released/<digest>/index.json     each file's size and hashes, so that nobody hashes them again to answer

It is written once, whole or not at all, and never changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from recorder.export.demonstrations import Watch
from recorder.export.formats import FORMATS
from recorder.export.target import whole_folder
from recorder.file.meta import SafeInt, Sha256, canonical
from recorder.proof import manifest as manifests
from recorder.proof.bundle import MANIFEST_FILE, read_small
from recorder.proof.case import Trust
from recorder.proof.manifest import ManifestError
from rewards.datasets.exporting import Order, Said, write_version
from rewards.datasets.readme import readme
from rewards.datasets.signing import sign
from rewards.datasets.version import DatasetVersion

FILES: Final = "files"
INDEX: Final = "index.json"
FRONT: Final = "front"
VERSION_FILE: Final = "meta/version.json"
"""The version's canonical document, whose SHA-256 is its digest; the signature covers it with all else."""
_BLOCK: Final = 1 << 20


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a released folder."""

    path: str
    size: SafeInt
    sha256: Sha256
    git: str
    """What git would call its content: the SHA-1 of `blob`, its size and its bytes."""


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in a released folder."""

    name: str
    version: SafeInt
    digest: Sha256
    codebase: str
    """The version of LeRobot's format."""
    said: Said
    """What was written, in words."""
    files: tuple[File, ...]
    """In the order of their paths."""

    @property
    def bytes(self) -> int:
        """How large all of it is."""
        return sum(one.size for one in self.files)


_INDEX: Final = msgspec.json.Decoder(Index)


def commit_of(digest: str) -> str:
    """Return what Hugging Face's clients take for the commit: the first 40 digits of the version's digest."""
    return digest[:40]


def release(
    version: DatasetVersion,
    bundles: Sequence[Path],
    target: Path,
    order: Order,
    *,
    key: Path,
    trust: Trust | None,
    watch: Watch,
    url: str = "",
) -> Index:
    """Write a version's folder `target` from its episodes' bundles; raise an ExportError, and leave nothing then.

    `key` signs it; `url` is the hub's, for the commands that its card shows.
    """
    with whole_folder(target) as folder:
        files = folder / FILES
        form, ordered = FORMATS["lerobot"], _with_pictures(order, bundles)
        said, found = write_version(version, bundles, files, form, ordered, trust=trust, watch=watch)
        info = json.loads((files / "meta/info.json").read_bytes())
        (files / VERSION_FILE).write_bytes(version.encode())
        (files / "README.md").write_text(readme(version, found, info, said, url))
        watch("signing", len(found))
        sign(files, key)
        same = (version.name, version.version, version.digest, info["codebase_version"])
        index = Index(*same, said, tuple(_listed(files)))
        (folder / INDEX).write_bytes(canonical(index))
    return index


def _with_pictures(order: Order, bundles: Sequence[Path]) -> Order:
    """Return an order that has pictures: unless cameras are named, a simulation is seen from the front."""
    manifest = read_small(bundles[0] / MANIFEST_FILE) if bundles and order.camera is None else None
    try:
        drawn = manifest is not None and manifests.decode(manifest).robot.simulated
    except ManifestError:
        return order  # which the export refuses, by name
    return msgspec.structs.replace(order, camera=(FRONT,)) if drawn else order


def read_index(folder: Path) -> Index | None:
    """Return what is in a released folder; None if there is none, or no whole one."""
    try:
        return _INDEX.decode((folder / INDEX).read_bytes())
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def _listed(folder: Path) -> list[File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [_hashed(path, path.relative_to(folder).as_posix()) for path in paths]


def _hashed(path: Path, name: str) -> File:
    size = path.stat().st_size
    sha256, git = hashlib.sha256(), hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha256.update(block)
            git.update(block)
    return File(name, size, sha256.hexdigest(), git.hexdigest())
