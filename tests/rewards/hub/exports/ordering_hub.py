"""A hub with two versions of a set that does exports and releases, on a real socket."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from sqlalchemy.orm import Session, sessionmaker

from armshare.platform.processes import listen
from recorder.hub.store import FolderStore
from recorder.hub.store.bundles import stored_bundle
from rewards.hub.exports.archives import Bounds
from rewards.hub.exports.giving import Giving, Places
from teleop.hub import errors
from teleop.hub.db import open_database, open_engine
from teleop.hub.errors import ApiError
from teleop.hub.server import serving
from tests.databases import with_tables
from tests.recorder.bundles import LOG_KEY, good_bundle
from tests.recorder.factory import DOMAIN, HUB, MALLORY, WALLET
from tests.recorder.filming import head
from tests.rewards.datasets.sets import NAME, DictVersions, version

CONFIG = {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault, "hub": HUB.address, "log_public_key": LOG_KEY.verifier}
WALLETS = {"ada": WALLET.address, "mallory": MALLORY.address}
DAY_MS = 24 * 3_600_000
JOINTS = {"action": "joint_position"}


@dataclass
class Hub:
    """A hub with two versions of a set."""

    client: httpx.Client
    url: str
    work: Path
    giving: Giving
    versions: DictVersions
    database: sessionmaker[Session]

    def post(self, path: str, body: dict[str, Any], who: str = "ada") -> httpx.Response:
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer {who}"})

    def export(self, **said: Any) -> httpx.Response:
        return self.post("/api/exports", {"set": f"{NAME}@1", "format": "robomimic", **JOINTS, **said})

    def ended(self, job: str) -> dict[str, Any]:
        """Return a job once it has ended."""
        while (found := self.client.get(f"/api/jobs/{job}?wait_s=30").json())["state"] in ("queued", "running"):
            pass
        return dict(found)


def signed_in(request: Request) -> str:
    """Take the wallet's name for its token."""
    name = request.headers.get("authorization", "").removeprefix("Bearer ")
    if name not in WALLETS:
        raise ApiError(401, "auth", "expected the token of a signed-in wallet; sign in again")
    return WALLETS[name]


@contextmanager
def opened(work: Path) -> Iterator[Hub]:
    """Serve such a hub, whose data is below a folder."""
    bundles = [
        good_bundle(work / "bundles", episode=f"e{number}", steps=14, simulated=False, cameras=(head(),), seed=number)
        for number in range(2)
    ]
    first = version(bundles[:1])
    versions = DictVersions([first, version(bundles, 2, previous=first.digest)])
    engine = open_engine(f"sqlite:///{work / 'armshare.sqlite'}")
    with_tables(engine)
    database = open_database(engine)
    places = Places(work, work / "keys", "http://hub.example")
    bounds = Bounds(bytes_max=50_000_000, kept_ms=7 * DAY_MS)
    giving = Giving(
        places, database, versions, partial(stored_bundle, FolderStore(work / "bundles")), lambda: CONFIG, bounds
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with giving.jobs:
            yield

    app = FastAPI(lifespan=lifespan)
    errors.install(app)
    app.include_router(giving.router(signed_in))
    app.get("/api/config", response_model=None)(lambda: CONFIG)
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(serving.config(app))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with httpx.Client(base_url=url, timeout=60) as client:
        yield Hub(client, url, work, giving, versions, database)
    server.should_exit = True
    thread.join()
    listener.close()
    engine.dispose()
