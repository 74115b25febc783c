"""A hub that has released two versions of a set, on a real socket, for whoever asks it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from armshare.platform.processes import listen
from rewards.datasets.signing import release_key
from rewards.datasets.version import DatasetVersion
from rewards.hub.exports.hugging_face import router
from rewards.hub.exports.releases import Releases
from teleop.hub import errors
from teleop.hub.db import open_database, open_engine
from teleop.hub.server import serving
from tests.databases import with_tables
from tests.recorder.export import made
from tests.rewards.datasets.sets import DictVersions, noted, released, version


@dataclass
class Hub:
    """A hub that has released two versions of a set, and knows a third."""

    url: str
    folder: Path
    versions: DictVersions
    first: DatasetVersion
    second: DatasetVersion

    def files(self, one: DatasetVersion) -> dict[str, bytes]:
        """Return what is in a released version."""
        root = self.folder / one.digest / "files"
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a real socket."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(serving.config(app))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def opened(work: Path) -> Iterator[Hub]:
    """Release and serve them, below a folder."""
    bundles = made.bundles(work / "bundles")
    first = version(bundles[:2])
    second = version(bundles, 2, previous=first.digest)
    third = version(bundles[1:], 3, previous=second.digest)
    versions = DictVersions([first, second, third, version(bundles, name="lab/unreleased")])
    engine = open_engine(f"sqlite:///{work / 'armshare.sqlite'}")
    with_tables(engine)
    database = open_database(engine)
    release_key(work / "release.key")
    for one, its in ((first, bundles[:2]), (second, bundles)):
        noted(database, released(work / "released", one, its, work / "release.key"))
    app = FastAPI()
    errors.install(app)
    app.include_router(router(Releases(database, work / "released", versions, fresh_s=0.0), "http://hub.example"))
    with served(app) as url:
        yield Hub(url, work / "released", versions, first, second)
    engine.dispose()
