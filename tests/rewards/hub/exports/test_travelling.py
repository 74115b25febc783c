"""An export that a worker elsewhere writes is the one that is written here, and comes back through the bucket."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recorder.hub.store import FolderStore
from recorder.hub.store.bucket import FileInBucket
from recorder.hub.store.bundles import StoredBundle, stored_bundle
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.hub.work.board import Job
from recorder.hub.work.named import Files, Told, performed
from recorder.hub.work.table import Table
from recorder.hub.work.taking import ProcessLostError
from recorder.proof.bundle import BUNDLE_FILES
from rewards.datasets.exporting import Order
from rewards.hub.apart import WorkError, WorkLostError
from rewards.hub.exports.archives import Export
from rewards.hub.exports.releasing import Request
from rewards.hub.exports.travelling import EXPORT, FOLDER, Sent
from tests.recorder.bundles import good_bundle
from tests.recorder.filming import head
from tests.recorder.hub.work.crews import crew
from tests.recorder.hub.work.memory import MemoryBoard, Shared
from tests.rewards.datasets.sets import version
from tests.rewards.hub.exports.ordering_hub import CONFIG

JOB = "0" * 32


@dataclass
class World:
    """A hub's bucket and its table."""

    folder: Path
    objects: Objects
    shared: Shared
    table: Table
    export: Export
    """The order, with its archive's place below `folder / "hub"`."""

    @property
    def files(self) -> Files:
        return Files(self.objects, Cache(self.folder / "worker" / "store-cache"))

    async def do(self, job: Job, told: Told) -> bytes:
        return await asyncio.to_thread(performed, {"export": EXPORT}, job.call, job.asked, self.files, told)

    def sent(self) -> Sent:
        return Sent(self.table, self.objects)


def in_bucket(objects: Objects, cache: Cache, bundle: Path) -> StoredBundle:
    files = []
    for name in BUNDLE_FILES:
        data, key = (bundle / name).read_bytes(), f"objects/{bundle.name}/{name}"
        objects.put(key, data)
        files.append((name, FileInBucket(objects, cache, key, len(data), hashlib.sha256(data).hexdigest())))
    return StoredBundle(bundle.name, tuple(files))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = good_bundle(tmp_path / "bundles", episode="e0", steps=14, simulated=False, cameras=(head(),))
    objects, shared, found = Objects.in_memory(), Shared(), version([made])
    order = Order(action="joint_position")
    (tmp_path / "hub").mkdir()
    export = Export(
        found,
        (in_bucket(objects, Cache(tmp_path / "hub" / "store-cache"), made),),
        tmp_path / "hub" / f"{JOB}.tar",
        Request(found.name, found.version, found.digest, "robomimic", order),
        CONFIG,
        50_000_000,
    )
    with Table(lambda: MemoryBoard(shared), {"export": EXPORT}) as table:
        yield World(tmp_path, objects, shared, table, export)


def test_an_export_by_a_worker_is_the_same_archive_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    here = dataclasses.replace(world.export, target=tmp_path / "here.tar")
    made = here(lambda *_: None)
    said: list[Any] = []
    with crew(world.shared, world.do):
        assert world.sent().run(world.export, lambda *one: said.append(one)) == made
    assert world.export.target.read_bytes() == here.target.read_bytes()
    assert ("packing", 1, 1) in said
    assert list(world.objects.keys("exports/")) == []
    assert list((tmp_path / "worker" / FOLDER).iterdir()) == []
    assert [path.name for path in (tmp_path / "hub").iterdir() if path.suffix] == [f"{JOB}.tar"]


def test_what_cannot_be_written_is_said_as_it_is_here_and_a_lost_one_is_given_up(world: World) -> None:
    small = dataclasses.replace(world.export, bytes_max=10)
    with crew(world.shared, world.do), pytest.raises(WorkError, match=r"0\.0 GB"):
        world.sent().run(small, lambda *_: None)

    async def die(_job: Job, _told: Told) -> bytes:
        raise ProcessLostError("killed by signal 9")

    with crew(world.shared, die), pytest.raises(WorkError, match="3 workers began it, and each was lost"):
        world.sent().run(world.export, lambda *_: None)
    assert not world.export.target.exists()


def test_a_hub_that_ends_lets_go_and_the_next_one_finds_what_was_made(world: World) -> None:
    first, raised = world.sent(), []

    def run() -> None:
        with pytest.raises(WorkLostError):
            raised.append(first.run(world.export, lambda *_: None))

    waiting = threading.Thread(target=run)
    waiting.start()
    first.stop()
    waiting.join()
    assert raised == []
    with crew(world.shared, world.do) as worker:
        assert world.sent().run(world.export, lambda *_: None)["name"] == "lift-1.hdf5"
    assert len(worker.begun) == 1


def test_an_archive_that_the_bucket_spoils_is_not_given_out(world: World) -> None:
    async def spoiled(job: Job, told: Told) -> bytes:
        outcome = await world.do(job, told)
        for key in world.objects.keys("exports/"):
            world.objects.put(key, b"something else")
        return outcome

    with crew(world.shared, spoiled), pytest.raises(WorkLostError, match="the store gives other bytes"):
        world.sent().run(world.export, lambda *_: None)
    assert not world.export.target.exists()


def test_what_is_in_a_folder_does_not_travel(world: World, tmp_path: Path) -> None:
    here = stored_bundle(FolderStore(tmp_path / "bundles"), "e0")
    assert EXPORT.encoded(world.export) is not None
    assert EXPORT.encoded(dataclasses.replace(world.export, bundles=(here,))) is None
