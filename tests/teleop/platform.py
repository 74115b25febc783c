"""A hub on a real socket with one simulated robot's host dialled in: what this room is without the later ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from eth_account.signers.local import LocalAccount
from fastapi import FastAPI

from armshare.platform.processes import listen
from sim.catalogue import make_world
from sim.robot import Robot
from teleop.cameras.spec import CameraSpec
from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.hub import errors
from teleop.hub.accounts import Accounts
from teleop.hub.api import router
from teleop.hub.db import open_database, open_engine
from teleop.hub.driving import Driving
from teleop.hub.hub import Hub
from teleop.hub.robots.registry import Registry
from teleop.hub.server import serving
from teleop.identity import Domain, new_key
from teleop.operator.driver import Driver
from teleop.steps import Events
from tests.databases import migrated, url_below
from tests.teleop.registering import register_robot

DOMAIN = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")


@dataclass
class Platform:
    """What a test may look at."""

    url: str
    hub: Hub
    registry: Registry
    domain: Domain
    owner: LocalAccount
    robot: Robot
    robot_key: LocalAccount
    host: Host
    events: Events
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def driver(self, wallet: LocalAccount | None = None) -> Driver:
        """Return an operator, to be entered."""
        return Driver(self.url, wallet or new_key())

    async def stop_host(self) -> None:
        """Take the robot offline."""
        self.tasks[0].cancel()
        await asyncio.gather(self.tasks[0], return_exceptions=True)


@asynccontextmanager
async def hub_at(
    data: Path, lease_s: float = 900.0, port: int = 0, now_ms: Callable[[], int] = now_ms, away_s: float = 0.0
) -> AsyncIterator[tuple[str, Hub, Registry]]:
    """Serve a hub from the database in `data`; it keeps no drive of an operator who is lost, unless told so."""
    engine = open_engine(url_below(data))
    migrated(engine)
    database = open_database(engine)
    registry = Registry(database, DOMAIN, now_ms, {"lift": 10**18})
    hub = Hub(registry, DOMAIN, lease_s, now_ms=now_ms, monotonic_ms=now_ms, away_s=away_s)
    app = FastAPI()
    errors.install(app)
    listener = listen("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    accounts = Accounts(database, url, DOMAIN.chain_id)
    app.include_router(router(Driving(accounts, registry, hub, DOMAIN)))
    app.get("/api/config")(lambda: {"chain_id": DOMAIN.chain_id, "vault": DOMAIN.vault})
    server = uvicorn.Server(serving.config(app))
    serving_task = asyncio.create_task(server.serve([listener]))
    try:
        async with hub:
            yield url, hub, registry
            server.should_exit = True
            await serving_task
    finally:
        server.should_exit = True
        await serving_task
        listener.close()
        engine.dispose()


@asynccontextmanager
async def platform(
    data: Path,
    robot: Robot | None = None,
    lease_s: float = 900.0,
    now_ms: Callable[[], int] = now_ms,
    away_s: float = 0.0,
) -> AsyncIterator[Platform]:
    """A hub, and one robot online (the lifting Panda unless another is given)."""
    async with (
        hub_at(data, lease_s, now_ms=now_ms, away_s=away_s) as (url, hub, registry),
        hosted(url, hub, registry, robot) as house,
    ):
        yield house


@asynccontextmanager
async def hosted(
    url: str,
    hub: Hub,
    registry: Registry,
    robot: Robot | None = None,
    name: str = "robot-1",
    cameras: Sequence[CameraSpec] | None = None,
) -> AsyncIterator[Platform]:
    """One robot, online at that hub."""
    robot = robot or make_world("panda", "lift")
    key, owner = new_key(), new_key()
    events = Events()
    host = Host(url, key, name, robot, events, cameras, owner=owner.address)
    register_robot(registry, owner, key, name, robot)
    task = asyncio.create_task(host.serve())
    await host.online.wait()
    house = Platform(url, hub, registry, DOMAIN, owner, robot, key, host, events, [task])
    try:
        yield house
    finally:
        await house.stop_host()
