"""The same promises of a folder, of a bucket on a real S3 server and of objects in memory; and what each has beside."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import func, select

from recorder.hub.store import FolderStore, Store, StoredFile, StoreLostError
from recorder.hub.store import folder as folders
from recorder.hub.store.bucket import BucketStore
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects, StoreUrlError
from recorder.hub.store.store import blocks, read_whole
from recorder.hub.tables import ObjectRow, ObjectState
from teleop.hub.db import Database, open_database, open_engine
from teleop.hub.full import HubFullError
from tests.databases import with_tables
from tests.recorder.hub.opened import opened
from tests.recorder.hub.store_contract import RECORDING, StoreContract, recorded
from tests.s3 import S3

SHA256 = hashlib.sha256(RECORDING).hexdigest()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = open_engine(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    with_tables(engine)
    yield open_database(engine)
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "episodes")


@pytest.fixture
def bucket(s3: S3, database: Database, tmp_path: Path) -> BucketStore:
    return in_bucket(Objects.at(f"s3://{s3.bucket()}/a/prefix"), database, tmp_path)


def in_bucket(objects: Objects, database: Database, tmp_path: Path, earlier: FolderStore | None = None) -> BucketStore:
    return BucketStore(objects, database, Cache(tmp_path / "cache"), lambda: 1_750_000_000_000, earlier)


class OfObjects(StoreContract):
    def kept_bytes(self, store: BucketStore) -> int:
        with store.database() as db:
            rows = list(db.scalars(select(ObjectRow)))
        assert sorted(row.key for row in rows) == sorted(store.objects.keys("objects/")), "rows and objects agree"
        return sum(row.size for row in rows)


class TestMemory(OfObjects):
    @pytest.fixture
    def store(self, database: Database, tmp_path: Path) -> BucketStore:
        return in_bucket(Objects.in_memory(), database, tmp_path)


class TestBucket(OfObjects):
    @pytest.fixture
    def store(self, bucket: BucketStore) -> BucketStore:
        return bucket


class TestFolder(StoreContract):
    @pytest.fixture
    def store(self, folder: FolderStore) -> FolderStore:
        return folder

    def kept_bytes(self, store: FolderStore) -> int:
        root = store.folder("episode-1").parent
        names = [*root.glob("*/episode.h5"), *(root / folders.OBJECTS).glob("*/*")]
        return sum({one.stat().st_ino: one.stat().st_size for one in names}.values())


class TestFolderWithoutLinks(StoreContract):
    """On a file system without hard links, two episodes share nothing."""

    @pytest.fixture
    def store(self, folder: FolderStore, monkeypatch: pytest.MonkeyPatch) -> FolderStore:
        def refused(*_: object) -> None:
            raise PermissionError(1, "no hard links here")

        monkeypatch.setattr(os, "link", refused)
        return folder

    def kept_bytes(self, store: FolderStore) -> int:
        return len({path.read_bytes(): path for path in store.folder("x").parent.glob("*/episode.h5")}) and sum(
            {path.read_bytes(): path.stat().st_size for path in store.folder("x").parent.glob("*/episode.h5")}.values()
        )


def test_a_folder_of_an_earlier_release_goes_on_as_it_is(tmp_path: Path) -> None:
    earlier = tmp_path / "episodes" / "episode-1"
    earlier.mkdir(parents=True)
    (earlier / "episode.h5").write_bytes(RECORDING)

    store = FolderStore(tmp_path / "episodes")
    file = store.file("episode-1", "episode.h5")
    assert (read_whole(file), file.sha256) == (RECORDING, None)
    store.erase("episode-1")
    assert not earlier.exists()


def test_the_note_beside_a_recording_is_what_sha256sum_reads(folder: FolderStore, tmp_path: Path) -> None:
    folder.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))

    at = folder.folder("episode-1")
    done = subprocess.run(["sha256sum", "-c", "episode.h5.sha256"], cwd=at, capture_output=True, text=True, check=True)
    assert done.stdout == "episode.h5: OK\n"


def test_a_folder_that_was_named_from_here_is_found_by_a_process_that_works_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FolderStore(Path("data/episodes"))
    store.write("e1", "manifest.json", b"{}")
    file = pickle.loads(pickle.dumps(store.file("e1", "manifest.json")))
    monkeypatch.chdir("/")
    with file.local() as path:
        assert path.read_bytes() == b"{}"
    assert store.path("e1", "manifest.json").is_absolute()


def test_a_shared_recording_that_was_damaged_is_given_to_nobody_else(folder: FolderStore, tmp_path: Path) -> None:
    folder.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
    folder.path("episode-1", "episode.h5").write_bytes(b"damaged")
    folder.adopt("episode-2", "episode.h5", recorded(tmp_path / "in"))
    folder.adopt("episode-3", "episode.h5", recorded(tmp_path / "in"))

    assert [read_whole(folder.file(f"episode-{number}", "episode.h5")) for number in (2, 3)] == [RECORDING] * 2
    with pytest.raises(StoreLostError, match="gives other bytes"):
        list(blocks(changed(folder.file("episode-2", "episode.h5")), 0, len(RECORDING)))


def changed(file: StoredFile) -> StoredFile:
    with file.local() as path, path.open("r+b") as same_length:
        same_length.write(b"A")
    return file


def test_a_second_name_that_a_crash_left_is_swept_away(folder: FolderStore, tmp_path: Path) -> None:
    folder.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
    folder.path("episode-1", "episode.h5").unlink()
    shared = tmp_path / "episodes" / folders.OBJECTS / SHA256[:2] / SHA256
    assert shared.exists()

    FolderStore(tmp_path / "episodes").sweep()
    assert not shared.exists()


def test_a_worker_process_opens_what_the_hub_sends_it(folder: FolderStore, bucket: BucketStore, tmp_path: Path) -> None:
    stores: list[Store] = [folder, bucket]
    with ProcessPoolExecutor(1, get_context("spawn")) as worker:
        for store in stores:
            store.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
            for kept in (tmp_path / "cache").glob("*"):
                kept.unlink()  # so that the worker brings it
            file = store.file("episode-1", "episode.h5")
            assert b"of the tests" not in pickle.dumps(file), "keys are in each process's environment"
            process, found = worker.submit(opened, file).result()
            assert process != os.getpid()
            assert found == SHA256


def test_a_bucket_that_is_gone_is_named_and_loses_nothing(s3: S3, bucket: BucketStore, tmp_path: Path) -> None:
    bucket.write("episode-1", "manifest.json", b"{}")
    file = bucket.file("episode-1", "manifest.json")
    s3.drop(bucket.objects.url.split("/")[2])
    source = recorded(tmp_path / "in")

    asks: list[Callable[[], object]] = [
        lambda: read_whole(file),
        lambda: bucket.path("episode-1", "manifest.json"),
        lambda: bucket.write("episode-1", "manifest.json", b"{ }"),
        lambda: bucket.adopt("episode-1", "episode.h5", source),
    ]
    for ask in asks:
        with pytest.raises(StoreLostError, match="the store does not answer as it should"):
            ask()
    assert source.read_bytes() == RECORDING
    assert bucket.has("episode-1", "manifest.json"), "the hub still knows what it was given"


def test_an_object_that_was_changed_or_cut_is_never_given_out(s3: S3, bucket: BucketStore, tmp_path: Path) -> None:
    bucket.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
    (key,) = bucket.objects.keys("objects/")
    name = bucket.objects.url.split("/")[2]
    for data in (b"A" + RECORDING[1:], RECORDING[:-1], RECORDING + b"x"):
        s3.spoil(name, f"a/prefix/{key}", data)
        for one in (tmp_path / "cache").iterdir():
            one.unlink()
        file = bucket.file("episode-1", "episode.h5")
        with pytest.raises(StoreLostError, match="gives other bytes"), file.local():
            pass
        assert list((tmp_path / "cache").iterdir()) == []
        if len(data) <= len(RECORDING):
            with pytest.raises(StoreLostError, match=r"other bytes|expected .* bytes"):
                list(blocks(file, 0, file.size))


def test_what_the_bucket_has_lost_is_brought_again(bucket: BucketStore, tmp_path: Path) -> None:
    bucket.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
    bucket.objects.delete(list(bucket.objects.keys("objects/")))
    bucket.adopt("episode-2", "episode.h5", recorded(tmp_path / "in"))

    assert read_whole(bucket.file("episode-2", "episode.h5")) == RECORDING


class CutError(Exception):
    pass


def test_an_interrupted_sending_is_swept_away_after_a_day(database: Database, tmp_path: Path, monkeypatch) -> None:
    store = in_bucket(Objects.in_memory(), database, tmp_path)
    put = Objects.put

    def cut(self: Objects, key: str, data: bytes) -> None:
        put(self, key, data)
        raise CutError

    monkeypatch.setattr(Objects, "put", cut)
    with pytest.raises(CutError):
        store.write("episode-1", "manifest.json", b"{}")
    monkeypatch.undo()
    assert not store.has("episode-1", "manifest.json")

    store.sweep()
    assert len(list(store.objects.keys("objects/"))) == 1, "it may still be on its way"
    later = BucketStore(store.objects, database, store.cache, lambda: store.now_ms() + 25 * 3_600_000)
    later.sweep()
    assert list(store.objects.keys("objects/")) == []
    with database() as db:
        assert db.scalar(select(func.count()).select_from(ObjectRow)) == 0


def test_an_erased_file_whose_bytes_cannot_be_removed_now_is_gone_and_removed_later(
    database: Database, tmp_path: Path, monkeypatch
) -> None:
    store = in_bucket(Objects.in_memory(), database, tmp_path)
    store.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))

    def away(*_: object) -> None:
        raise StoreLostError("away")

    monkeypatch.setattr(Objects, "delete", away)
    with pytest.raises(StoreLostError):
        store.erase("episode-1")
    assert not store.has("episode-1", "episode.h5")
    with database() as db:
        assert list(db.scalars(select(ObjectRow.state))) == [ObjectState.LEAVING]
    store.adopt("episode-2", "episode.h5", recorded(tmp_path / "in"))  # nothing is shared with what is leaving
    monkeypatch.undo()
    store.erase("episode-1")
    assert read_whole(store.file("episode-2", "episode.h5")) == RECORDING
    assert len(list(store.objects.keys("objects/"))) == 1


def test_a_folder_moves_into_the_bucket_and_may_be_interrupted(
    bucket: BucketStore, tmp_path: Path, monkeypatch
) -> None:
    earlier = FolderStore(tmp_path / "episodes")
    for number in (1, 2, 3):
        earlier.adopt(f"episode-{number}", "episode.h5", recorded(tmp_path / "in", RECORDING + bytes([number])))
        earlier.write(f"episode-{number}", "manifest.json", b"{}")
    store = in_bucket(bucket.objects, bucket.database, tmp_path, earlier)
    put, left = Objects.put, 2

    def cut(self: Objects, key: str, data: bytes | Path) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise CutError
        put(self, key, data)

    def all_there() -> None:
        for number in (1, 2, 3):
            assert read_whole(store.file(f"episode-{number}", "episode.h5")) == RECORDING + bytes([number])
            assert store.path(f"episode-{number}", "manifest.json").read_bytes() == b"{}"

    all_there()
    monkeypatch.setattr(Objects, "put", cut)
    with pytest.raises(CutError):
        store.move_in()
    all_there()
    monkeypatch.undo()
    assert earlier.episodes() == ["episode-2", "episode-3"]
    assert store.move_in() == 2
    assert earlier.episodes() == []
    all_there()
    assert store.move_in() == 0


def test_the_cache_makes_room_but_never_of_what_is_in_use(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", bytes_max=25)
    files = {hashlib.sha256(data).hexdigest(): data for data in (b"0" * 10, b"1" * 10, b"2" * 10, b"3" * 10)}
    first, *others = files

    def aged() -> None:
        for path in (tmp_path / "cache").iterdir():
            os.utime(path, (0, 0))

    with cache.holding(first, 10, lambda: [files[first]]) as path:
        for one in others:
            aged()
            with cache.holding(one, 10, lambda one=one: [files[one]]):
                pass
        assert path.read_bytes() == files[first]
        assert sum(one.stat().st_size for one in (tmp_path / "cache").iterdir()) <= 25
    aged()
    cache.get(others[0], 10, lambda: [files[others[0]]])
    cache.get(others[1], 10, lambda: [files[others[1]]])
    assert not (tmp_path / "cache" / first).exists()


def test_a_download_without_room_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(HubFullError):
        Cache(tmp_path / "cache").get(SHA256, 1 << 60, lambda: [RECORDING])


@pytest.mark.parametrize("url", ["", "s3://", "ftp://bucket", "bucket", "file:///tmp"])
def test_a_url_of_no_bucket_is_named(url: str) -> None:
    with pytest.raises(StoreUrlError, match="expected s3://BUCKET"):
        Objects.at(url)


def test_what_an_interrupted_erasure_left_is_swept_away(database: Database, tmp_path: Path, monkeypatch) -> None:
    store = in_bucket(Objects.in_memory(), database, tmp_path)
    for episode in ("episode-1", "episode-2"):
        store.adopt(episode, "episode.h5", recorded(tmp_path / episode, episode.encode()))

    def cut(*_: object) -> None:
        raise CutError

    monkeypatch.setattr(BucketStore, "_leave", cut)
    with pytest.raises(CutError):
        store.erase("episode-1")
    monkeypatch.undo()
    assert len(list(store.objects.keys("objects/"))) == 2

    store.sweep()
    assert len(list(store.objects.keys("objects/"))) == 1
    assert read_whole(store.file("episode-2", "episode.h5")) == b"episode-2"
