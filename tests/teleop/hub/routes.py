"""The hub's routes on a database of their own, called in process: no socket, no server."""

from __future__ import annotations

from pathlib import Path

import httpx
from eth_account.signers.local import LocalAccount
from fastapi import FastAPI

from teleop.hub import errors
from teleop.hub.accounts import Accounts
from teleop.hub.api import router
from teleop.hub.db import open_database, open_engine
from teleop.hub.driving import Driving
from teleop.hub.hub import Hub
from teleop.hub.leases.docks import Dock
from teleop.hub.robots.registry import Registry
from teleop.identity import HOST_HELLO, new_key
from teleop.wire import signalling
from teleop.wire.messages import PROTOCOL
from tests.databases import migrated, url_below
from tests.teleop.hub.bench import CHALLENGE, DOMAIN, Ear, descriptor
from tests.teleop.registering import register


class Routes:
    """One hub."""

    def __init__(self, folder: Path) -> None:
        engine = open_engine(url_below(folder))
        migrated(engine)
        self.database = open_database(engine)
        self.registry = Registry(self.database, DOMAIN, prices={"lift": 10**18})
        self.hub = Hub(self.registry, DOMAIN, 600.0)
        accounts = Accounts(self.database, "http://hub", DOMAIN.chain_id)
        self.driving = Driving(accounts, self.registry, self.hub, DOMAIN)
        app = FastAPI()
        errors.install(app)
        app.include_router(router(self.driving))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub")

    def register(self, *, simulated: bool = True) -> LocalAccount:
        """Return the key of a registered robot."""
        robot, owner = new_key(), new_key()
        register(self.registry, owner, robot, name="a", simulated=simulated)
        return robot

    async def dock(self, key: LocalAccount) -> Dock:
        """Bring the robot online."""
        signature = HOST_HELLO.sign(key, DOMAIN, {"robot": key.address, "challenge": CHALLENGE})
        hello = signalling.HostHello(PROTOCOL, key.address, signature, descriptor(), False)
        return await self.hub.dock(hello, CHALLENGE, Ear())
