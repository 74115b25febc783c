"""What a real store does with many small episodes: taking them in, finding, reading, erasing and sweeping them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from armshare.migrations import migrate
from benchmarks.scaling.year import episode
from recorder.hub.store import FolderStore
from recorder.hub.store.bucket import BucketStore
from recorder.hub.store.cache import Cache
from recorder.hub.store.objects import Objects
from recorder.proof.bundle import MANIFEST_FILE, RECEIPT_FILE, SIGNATURES_FILE
from recorder.proof.manifest import EPISODE_FILE
from teleop.hub.db import open_database, open_engine
from tests.s3 import serving

KILOBYTES: Final = 20
LOOKS: Final = 200
_SMALL: Final = {MANIFEST_FILE: 2500, SIGNATURES_FILE: 600, RECEIPT_FILE: 1800}


def in_folder(folder: Path, count: int) -> dict[str, Any]:
    """Measure the folder that a hub has by default."""
    store = FolderStore(folder / "episodes")
    found = _measured(store, folder, count, None)
    names = sum(1 for _ in (folder / "episodes").rglob("*"))
    return {**found, "names_left": names}


def in_bucket(folder: Path, count: int) -> dict[str, Any]:
    """Measure a bucket of a real S3 server on this machine, with a database of its own."""
    with serving(folder / "s3") as server:
        engine = open_engine(f"sqlite:///{folder / 'bucket.sqlite'}")
        migrate(engine)
        objects, cache = Objects.at(f"s3://{server.bucket()}"), Cache(folder / "cache", 10**8)
        store = BucketStore(objects, open_database(engine), cache, lambda: round(1e3 * time.time()))
        found = _measured(store, folder, count, server.process.pid)
        engine.dispose()
    return found


def _measured(store: Any, folder: Path, count: int, server: int | None) -> dict[str, Any]:
    random, found = np.random.default_rng(1), {"episodes": count, "kilobytes": KILOBYTES}
    coming = folder / "coming"
    half = max(1, count // 2)
    for name, some in (("first_half", range(half)), ("second_half", range(half, count))):
        with _timed(found, f"take_in_{name}", max(1, len(some)), server):
            for at in some:
                coming.write_bytes(random.bytes(1000 * KILOBYTES))
                for file, size in _SMALL.items():
                    store.write(episode(at), file, random.bytes(size))
                store.adopt(episode(at), EPISODE_FILE, coming)
    looked = [episode(int(at)) for at in random.integers(0, count, LOOKS)]
    with _timed(found, "find", LOOKS, server):
        for one in looked:
            store.file(one, EPISODE_FILE)
    with _timed(found, "read", LOOKS, server):
        for one in looked:
            file = store.file(one, EPISODE_FILE)
            file.read(0, file.size)
    with _timed(found, "sweep", 1, server):
        store.sweep()
    gone = min(LOOKS, count)
    with _timed(found, "erase", gone, server):
        for at in range(gone):
            store.erase(episode(at))
    return found


@contextmanager
def _timed(found: dict[str, Any], name: str, count: int, server: int | None) -> Iterator[None]:
    """Note what one of so many took, ms: by the clock and of a core, the server's with it."""
    begun, before_s = time.perf_counter(), _worked_s(server)
    yield
    found[f"{name}_ms"] = round(1e3 * (time.perf_counter() - begun) / count, 2)
    found[f"{name}_core_ms"] = round(1e3 * (_worked_s(server) - before_s) / count, 2)


def _worked_s(server: int | None) -> float:
    processes = [psutil.Process(), *([] if server is None else [psutil.Process(server)])]
    return sum(sum(one.cpu_times()[:2]) for one in processes)


STORES: Final[dict[str, Callable[[Path, int], dict[str, Any]]]] = {"folder": in_folder, "bucket": in_bucket}
