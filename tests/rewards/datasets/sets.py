"""Data sets for tests: versions of fake episodes, kept in a dictionary, and released into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from recorder.proof import manifest as manifests
from rewards.datasets.exporting import Order
from rewards.datasets.release import Index, release
from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Split
from rewards.tables import JobRow, ReleaseRow
from teleop.hub.db import Database
from tests.recorder.bundles import TRUST
from tests.recorder.export import made
from tests.recorder.factory import DOMAIN, WALLET

NAME = "lab/lift"
ORDER = Order(action="joint_position", camera=("front",), size=made.SIZE, language=False)
RELEASED_MS = 1_750_000_000_000


def member(bundle: Path, split: Split = Split.TRAIN) -> Member:
    """Return a bundle as a version names it."""
    data = (bundle / "manifest.json").read_bytes()
    read = manifests.decode(data)
    digest = manifests.digest(read, data, DOMAIN)
    file = (bundle / "episode.h5").read_bytes()
    return Member(read.episode, digest, hashlib.sha256(file).hexdigest(), len(file), split)


def version(bundles: Sequence[Path], number: int = 1, *, name: str = NAME, previous: str = "") -> DatasetVersion:
    """Return a version; its last episode is for testing."""
    splits = [Split.TRAIN] * (len(bundles) - 1) + [Split.TEST]
    return DatasetVersion(
        format=FORMAT,
        name=name,
        version=number,
        previous=previous,
        title="Lifting a cube",
        description="Three drives of a fake arm.",
        licence="CC-BY-4.0",
        owner=WALLET.address,
        made_ms=RELEASED_MS,
        change=Change(ChangeKind.APPENDED if previous else ChangeKind.CREATED, "a test"),
        episodes=tuple(member(bundle, split) for bundle, split in zip(bundles, splits, strict=True)),
    )


@dataclass
class DictVersions:
    """Keeps versions in memory."""

    made: list[DatasetVersion] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    """Episodes that were withdrawn."""

    def version(self, name: str, number: int) -> DatasetVersion | None:
        """Return a version."""
        return next((one for one in self.made if (one.name, one.version) == (name, number)), None)

    def newest(self, name: str) -> DatasetVersion | None:
        """Return the newest version."""
        return max((one for one in self.made if one.name == name), key=lambda one: one.version, default=None)

    def withdrawn(self, digests: Sequence[str]) -> frozenset[str]:
        """Return which of these have an episode that was withdrawn."""
        held = {one.digest for one in self.made if any(it.episode in self.gone for it in one.episodes)}
        return frozenset(held.intersection(digests))


def released(folder: Path, made_of: DatasetVersion, bundles: Sequence[Path], key: Path, url: str = "") -> Index:
    """Release a version with the pictures of `made.draw`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rewards.datasets.exporting.drawn", made.draw)
        target = folder / made_of.digest
        folder.mkdir(exist_ok=True)
        watch = lambda what, done: None  # noqa: E731
        return release(made_of, bundles, target, ORDER, key=key, trust=TRUST, watch=watch, url=url)


def noted(database: Database, index: Index) -> None:
    """Note that a version is released, as a job does."""
    job = JobRow(id=index.digest[:32], kind="release", request={}, wallet=WALLET.address, state="done", created_ms=1)
    same = {"name": index.name, "version": index.version, "digest": index.digest, "bytes": index.bytes}
    with database() as db, db.begin():
        db.add(job)
        db.flush()
        db.add(ReleaseRow(job=job.id, released_ms=RELEASED_MS + index.version, **same))
