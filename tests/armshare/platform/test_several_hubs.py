"""Two hub processes behind one address, on a real PostgreSQL and a real NATS server: either may be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account.signers.local import LocalAccount
from sqlalchemy import text
from websockets.asyncio.client import connect

from armshare.platform.processes import Child, listening
from rewards.chain.anvil import EmbeddedChain
from rewards.chain.chain import Chain
from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.host.registration import registration, signed
from teleop.hub.db import open_engine
from teleop.identity import Domain, load_key, new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.steps import Events
from teleop.wire.messages import PROTOCOL, Mode, State
from tests.armshare.command import armshare_here
from tests.nats import Nats, nats
from tests.postgres import Postgres
from tests.teleop.sessions import PANDA, Puppet

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]
REAL = replace(PANDA, simulated=False)
FORWARD = [0.05, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


class Front:
    """One address: each connection goes to the next hub that answers, or to the one that a test says."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.only: str | None = None
        self._turn = 0
        self._copies: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Yield its URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            server.close()
            for task in list(self._copies):
                task.cancel()
            await asyncio.gather(*self._copies, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._copies.add(task)
        try:
            with suppress(asyncio.CancelledError):  # at the end of the test
                hub = await self._next()
                if hub is not None:
                    await self._both(reader, writer, *hub)
        finally:
            self._copies.discard(task)
            writer.close()

    async def _next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        names = [self.only] if self.only else sorted(self.ports)
        self._turn += 1
        for at in range(len(names)):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self.ports[names[(self._turn + at) % len(names)]])
        return None

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        out: asyncio.StreamWriter,
    ) -> None:
        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(1 << 16):
                    target.write(data)
                    await target.drain()

        copies = {asyncio.create_task(copy(reader, out)), asyncio.create_task(copy(back, writer))}
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in copies:
                one.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            out.close()


@dataclass
class Robot:
    """One robot, whose host dials the front."""

    key: LocalAccount
    owner: LocalAccount
    host: Host
    task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        return str(self.key.address)

    async def come(self, front: Front, hub: str) -> None:
        """Connect to a hub; from then on it goes where the front sends it."""
        front.only = hub
        self.task = asyncio.create_task(self.host.serve())
        await asyncio.wait_for(self.host.online.wait(), 60)
        front.only = None

    async def go(self) -> None:
        """Disconnect."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


class Town:
    """The hubs, their address, and what they share."""

    def __init__(self, folder: Path, database: str, bus: str, chain: Chain, chain_url: str, front_url: str) -> None:
        self._folder, self._database, self._bus, self._chain_url = folder, database, bus, chain_url
        self.front_url, self.chain, self.front = front_url, chain, Front()
        self.hubs: dict[str, Child] = {}

    @property
    def domain(self) -> Domain:
        return self.chain.deployment.domain

    def arguments(self, name: str, port: int) -> list[str]:
        """Return how a hub of this town is started."""
        own = {"data": self._folder / name, "hub-name": name, "port": port, "peer-url": f"http://127.0.0.1:{port}"}
        common = {
            "database": self._database,
            "nats": self._bus,
            "shared": self._folder / "shared",
            "chain-url": self._chain_url,
            "public-url": self.front_url,
        }
        return [part for option, value in {**own, **common}.items() for part in (f"--{option}", str(value))]

    def start(self, name: str, log: Any) -> None:
        """Start a hub; it answers once it is there."""
        with listening("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            arguments = ["hub", *self.arguments(name, port), "--listener", str(listener.fileno())]
            self.hubs[name] = Child(f"hub {name}", arguments, log, [listener.fileno()])
        self.front.ports[name] = port

    def url(self, name: str) -> str:
        """Return where a hub is reached past the front."""
        return f"http://127.0.0.1:{self.front.ports[name]}"

    async def until(self, name: str, answers: Callable[[httpx.AsyncClient], Any]) -> Any:
        """Return what a hub answers once that is not None."""
        async with asyncio.timeout(90), httpx.AsyncClient(base_url=self.url(name), trust_env=False) as http:
            while True:
                self.hubs[name].require_alive()
                with suppress(httpx.TransportError):
                    if (found := await answers(http)) is not None:
                        return found
                await asyncio.sleep(0.1)

    async def card(self, name: str, robot: str, **wanted: Any) -> dict[str, Any]:
        """Return a robot's card once a hub shows it so."""

        async def shown(http: httpx.AsyncClient) -> dict[str, Any] | None:
            cards = {card["robot"]: card for card in (await http.get("/api/robots")).json()}
            found: dict[str, Any] = cards[robot]
            return found if all(found[key] == value for key, value in wanted.items()) else None

        found: dict[str, Any] = await self.until(name, shown)
        return found

    async def robot(self, name: str) -> Robot:
        """Register a robot at the front."""
        key, owner, puppet = new_key(), new_key(), Puppet(REAL)
        async with httpx.AsyncClient(base_url=self.front_url, trust_env=False) as http:
            asked = (await http.post("/api/robots/challenge", json={"robot": key.address})).json()
            said = registration(key, owner.address, name, puppet, asked["nonce"], now_ms())
            assert (await http.post("/api/robots", json=signed(said, owner, key, self.domain))).status_code == 201
        return Robot(key, owner, Host(self.front_url, key, name, puppet, Events(), (), owner=owner.address))

    def kill(self, name: str) -> None:
        """Kill a hub as the machine's memory does: it gets no word in."""
        child = self.hubs.pop(name)
        os.kill(child.process_id, signal.SIGKILL)
        child.stop()
        del self.front.ports[name]

    def lease(self, lease: str) -> tuple[str | None, str | None]:
        """Return at which hub a lease was, and why it ended."""
        engine = open_engine(self._database)
        with engine.connect() as connection:
            found = connection.execute(text("SELECT hub, reason FROM leases WHERE lease = :lease"), {"lease": lease})
            hub, reason = found.one()
        engine.dispose()
        return hub, reason


@pytest.fixture
def server(postgres_server: Postgres) -> Postgres:
    return postgres_server


@pytest.fixture
async def town(server: Postgres, tmp_path: Path, monkeypatch) -> AsyncIterator[Town]:
    monkeypatch.setenv("ARMSHARE_WORKERS", "1")  # nothing is recorded here
    key = load_key(tmp_path / "shared" / "keys" / "hub.key")
    database = server.create()
    async with AsyncExitStack() as stack:
        bus: Nats = stack.enter_context(nats(tmp_path / "nats"))
        anvil = stack.enter_context(EmbeddedChain(tmp_path / "chain", key.address))
        chain = Chain.connect(anvil.url, key)
        deployed = chain.deploy_once(tmp_path / "shared" / "chain" / "deployment.json")
        for name, value in (("TOKEN", deployed.token), ("GUARDIAN", key.address), ("ARBITER", key.address)):
            monkeypatch.setenv(f"ARMSHARE_{name}", value)
        made = Town(tmp_path, server.url(database), bus.url, chain, anvil.url, "")
        made.front_url = await stack.enter_async_context(made.front.open())
        log = stack.enter_context((tmp_path / "log").open("wb"))
        try:
            for name in "ab":
                made.start(name, log)
            for name in "ab":
                await made.until(name, lambda http: _answers(http))
            yield made
        finally:
            for child in made.hubs.values():
                child.stop()
    server.drop(database)


async def _answers(http: httpx.AsyncClient) -> bool | None:
    return True if (await http.get("/api/config")).is_success else None


async def driving(driver: Driver, robot: Robot) -> str:
    """Take a robot and drive it; return the lease."""
    granted = await driver.join(robot.address, "lift")
    await driver.begin()
    await driver.armed()
    await drive(driver, 10)
    return str(granted["lease"])


async def drive(driver: Driver, steps: int) -> None:
    for _ in range(steps):
        await driver.command(Mode.EE_TWIST, FORWARD, dead_man=True)
        await driver.next_state()


async def watched(url: str, robot: str) -> State:
    """Return a state of a robot, as somebody sees it who has not signed in."""
    where = url.replace("http", "ws") + "/ws/drive"
    async with connect(where, compression=None, proxy=None, close_timeout=0.1) as socket, asyncio.timeout(60):
        await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": ""}))
        await socket.send(json.dumps({"type": "watch", "robot": robot}))
        while isinstance(data := await socket.recv(), str):
            assert json.loads(data)["type"] in ("welcome", "watching")
        return State.decode(data)


async def killed(town: Town, victim: str, other: str, at_victim: Robot, at_other: Robot) -> None:
    """Drive a robot at each hub, both from `other`; kill `victim`, and see what becomes of all that."""
    for hub in (victim, other):  # one that has just started has not heard of the other's robots yet
        for robot in (at_victim, at_other):
            await town.card(hub, robot.address, state="free")
    town.front.only = other
    async with Driver(town.front_url, new_key()) as carried, Driver(town.front_url, new_key()) as going_on:
        town.front.only = None
        lost = await driving(carried, at_victim)
        kept = await driving(going_on, at_other)
        await drive(carried, 5)
        for hub in (victim, other):
            for robot, driver in ((at_victim, carried), (at_other, going_on)):
                await town.card(hub, robot.address, state="driven", driver=driver.wallet.address)
                assert (await watched(town.url(hub), robot.address)).epoch > 0

        at_victim.host.online.clear()
        town.kill(victim)
        epoch = going_on.state.epoch
        await drive(going_on, 60)
        assert going_on.state.epoch == epoch, "the other drive never stopped"
        with pytest.raises(RefusedError, match="service restart"):
            await carried.wait_for("ended")
        await asyncio.wait_for(at_victim.host.online.wait(), 60)
        await town.card(other, at_victim.address, state="free", online=True, unknown=None)
        await town.card(other, at_other.address, state="driven")
        await drive(going_on, 5)
        await going_on.finish()
        await going_on.leave()

    async def ended(_http: httpx.AsyncClient) -> bool | None:
        return True if town.lease(lost)[1] else None

    await town.until(other, ended)
    assert town.lease(lost) == (victim, "hub_lost")
    assert town.lease(kept)[0] == other
    async with Driver(town.front_url, new_key()) as again:
        await driving(again, at_victim)
        await again.finish()
        await again.leave()


def turned_away(town: Town, tmp_path: Path) -> None:
    """A hub that is not one of them is turned away by name."""

    def refused(*arguments: str) -> str:
        done = armshare_here("hub", *arguments)
        assert done.returncode == 2
        return " ".join(done.stderr.split())

    said = refused(*town.arguments("a", 0)[2:], "--data", str(tmp_path / "third"))
    assert "a hub called a uses this database already" in said
    among = ("--hub-name", "--nats", "--peer-url")
    plain = town.arguments("c", 0)
    alone = [part for at, part in enumerate(plain) if plain[at - at % 2] not in among]
    said = refused(*alone)
    assert "used by armshare hub a, armshare hub b, and this hub has no --hub-name" in said


async def test_a_robot_at_each_of_two_hubs_is_driven_through_one_address_and_either_hub_may_be_killed(town, tmp_path):
    turned_away(town, tmp_path)  # here, as it handles signals; nothing waits for us meanwhile
    first, second = [await town.robot(name) for name in ("arm-1", "arm-2")]
    try:
        await first.come(town.front, "a")
        await second.come(town.front, "b")
        await killed(town, "a", "b", first, second)

        with (tmp_path / "log").open("ab") as log:
            town.start("a", log)
        await town.until("a", _answers)
        again = await town.robot("arm-3")
        await again.come(town.front, "a")
        await killed(town, "b", "a", second, again)
        await again.go()
    finally:
        await first.go()
        await second.go()
