"""Two hubs on one database and real sockets, in this process, with a bus in memory between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from armshare.migrations import migrate
from armshare.platform.processes import listen
from teleop.clock import monotonic_ms, now_ms
from teleop.hub import errors
from teleop.hub.accounts import Accounts
from teleop.hub.api import router
from teleop.hub.cluster.cluster import Cluster
from teleop.hub.cluster.said import Seal
from teleop.hub.db import Database, open_database, open_engine
from teleop.hub.driving import Driving
from teleop.hub.hub import Hub
from teleop.hub.robots.registry import Registry
from teleop.hub.server import serving
from tests.databases import url_below
from tests.teleop.hub.cluster.buses import MemoryBus, MemoryPlace, Places, Wire
from tests.teleop.platform import DOMAIN


async def until(holds: Callable[[], bool]) -> None:
    """Return once that holds, which nothing tells us of."""
    async with asyncio.timeout(30):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


@dataclass
class Running:
    """One of the hubs."""

    url: str
    hub: Hub
    registry: Registry
    cluster: Cluster
    bus: MemoryBus

    async def until(self, robot: str, *, known: bool = True) -> None:
        """Wait until this hub knows of a robot at the other one, or does not any more."""
        await until(lambda: (self.cluster.home(robot) is not None) is known)


@asynccontextmanager
async def two_hubs(folder: Path) -> AsyncIterator[tuple[Running, Running, Wire]]:
    """Serve hubs `a` and `b`; yield them, and what joins their buses."""
    engine = open_engine(url_below(folder))
    migrate(engine)
    database, wire, places = open_database(engine), Wire(), Places()
    async with AsyncExitStack() as stack:
        stack.callback(engine.dispose)
        found = [await stack.enter_async_context(_hub(name, database, wire, places)) for name in "ab"]
        yield found[0], found[1], wire


@asynccontextmanager
async def _hub(name: str, database: Database, wire: Wire, places: Places) -> AsyncIterator[Running]:
    registry = Registry(database, DOMAIN, now_ms, {"lift": 10**18}, hub=name)
    hub = Hub(registry, DOMAIN, 900.0, away_s=60.0, several=True)
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    bus, run = MemoryBus(wire), name.encode().hex() * 16
    place = MemoryPlace(places, name, run, url)
    cluster = Cluster(hub, place, bus, Seal(b"secret", run), now_ms=now_ms, monotonic_ms=monotonic_ms)
    app = FastAPI()
    errors.install(app)
    accounts = Accounts(database, "http://hub", DOMAIN.chain_id)
    app.include_router(router(Driving(accounts, registry, hub, DOMAIN, cluster=cluster)))
    app.get("/api/config")(lambda: {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault})
    server = uvicorn.Server(serving.config(app))
    task = asyncio.create_task(server.serve([listener]))
    try:
        async with hub, cluster:
            yield Running(url, hub, registry, cluster, bus)
            server.should_exit = True
            await task
    finally:
        server.should_exit = True
        await task
        listener.close()
