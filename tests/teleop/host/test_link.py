"""A host believes no hub: it checks every lease itself, and notices a hub that is silent. The hub here is the test."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from sim.robot import RobotFaultError
from teleop.clock import now_ms
from teleop.host import link
from teleop.host.link import Host, LoopBrokenError
from teleop.identity import HOST_HELLO, SESSION_GRANT, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import PROTOCOL
from tests.teleop.platform import DOMAIN, platform
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio
WAIT_S = 20.0


class FakeHub:
    """What a host talks to: each connection in turn, past its hello."""

    def __init__(self) -> None:
        self.url = ""
        self.now_ms: int | None = None
        """Its wall clock, as it says it."""
        self.hellos: list[dict[str, Any]] = []
        self.connections: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self.pinged = asyncio.Event()

    async def take(self, socket: ServerConnection) -> None:
        """Let a host in, and keep it."""
        await socket.send(signalling.encode(signalling.Challenge(PROTOCOL, "0x01", DOMAIN.chain_id, DOMAIN.vault)))
        hello = json.loads(await socket.recv())
        values = {"robot": hello["robot"], "challenge": "0x01"}
        HOST_HELLO.require(hello["robot"], DOMAIN, values, hello["signature"])
        self.hellos.append(hello)
        await socket.send(signalling.encode(signalling.HostWelcome("token", self.now_ms)))
        self.connections.put_nowait(socket)
        await socket.wait_closed()

    async def connected(self) -> ServerConnection:
        """Return the next connection."""
        return await asyncio.wait_for(self.connections.get(), WAIT_S)


@asynccontextmanager
async def fake_hub() -> AsyncIterator[FakeHub]:
    """Serve one."""
    hub = FakeHub()

    class Listening(ServerConnection):
        def process_event(self, event: Any) -> None:
            if isinstance(event, Frame) and event.opcode is Opcode.PING:
                hub.pinged.set()
            super().process_event(event)

    async with serve(hub.take, "127.0.0.1", 0, create_connection=Listening) as server:
        hub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield hub


@asynccontextmanager
async def hosted(url: str, key: LocalAccount, grants: Path | None = None) -> AsyncIterator[tuple[Host, Puppet]]:
    """Run a host of a puppet."""
    robot = Puppet(PANDA)
    host = Host(url, key, "puppet", robot, Events(), grants=grants)
    serving = asyncio.create_task(host.serve())
    try:
        yield host, robot
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def answer(socket: ServerConnection, kind: str) -> dict[str, Any]:
    """Return the next control message of that type; states are left out."""
    async with asyncio.timeout(WAIT_S):
        while isinstance(frame := await socket.recv(), bytes) or json.loads(frame)["type"] != kind:
            pass
    return dict(json.loads(frame))


OPERATOR, STRANGER = new_key(), new_key()


def lease(
    robot: str, *, epoch: int = 1, nonce: str = "0x01", signer: LocalAccount = OPERATOR, **changed: Any
) -> signalling.LeaseOrder:
    """Return a lease that holds, but for what is changed in the grant before it is signed."""
    grant = signalling.Grant(OPERATOR.address, new_key().address, robot, "lift", nonce, now_ms() + 60_000)
    grant = signalling.Grant(**{**{name: getattr(grant, name) for name in grant.__struct_fields__}, **changed})
    signature = SESSION_GRANT.sign(signer, DOMAIN, grant.values)
    return signalling.LeaseOrder("L", epoch, OPERATOR.address, grant, signature, "lift")


def other(change: Callable[[signalling.LeaseOrder], signalling.LeaseOrder]) -> Callable[[str], signalling.LeaseOrder]:
    return lambda robot: change(lease(robot))


def rebuilt(order: signalling.LeaseOrder, **changed: Any) -> signalling.LeaseOrder:
    fields = {name: getattr(order, name) for name in order.__struct_fields__}
    return signalling.LeaseOrder(**{**fields, **changed})


BAD: dict[str, tuple[Callable[[str], signalling.LeaseOrder], str]] = {
    "for another robot": (lambda _robot: lease(STRANGER.address), "expected a grant for"),
    "by another operator": (other(lambda order: rebuilt(order, operator=STRANGER.address)), "expected a grant for"),
    "of another task": (lambda robot: lease(robot, task="stack"), "expected one of the tasks"),
    "for a task that was not granted": (other(lambda order: rebuilt(order, task="stack")), "expected one of the tasks"),
    "that has run out": (lambda robot: lease(robot, not_after_ms=now_ms() - 1), "has not expired"),
    "signed by another wallet": (lambda robot: lease(robot, signer=STRANGER), "signature"),
    "changed after it was signed": (
        other(lambda order: rebuilt(order, grant=lease(order.grant.robot, nonce="0x02").grant)),
        "signature",
    ),
    "without a signature": (other(lambda order: rebuilt(order, signature="0x")), "signature"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_host_refuses_a_lease_by_a_grant(case):
    make, said = BAD[case]
    key = new_key()
    async with fake_hub() as hub, hosted(hub.url, key) as (host, robot):
        socket = await hub.connected()
        await socket.send(signalling.encode(make(key.address)))
        refused = await answer(socket, "refused")
        assert refused["lease"] == "L"
        assert said in refused["reason"]
        await socket.send(signalling.encode(lease(key.address)))  # a good one counts all the same
        await socket.send(signalling.encode(signalling.BeginOrder("E", 1, "0x01", PERSON)))
        assert (await answer(socket, "ready"))["episode"] == "E"
        assert not host.loop.estopped
        assert not robot.sent


async def test_a_host_whose_clock_is_ahead_names_the_difference_as_it_refuses():
    key = new_key()
    async with fake_hub() as hub:
        hub.now_ms = now_ms() - 1_000_000
        async with hosted(hub.url, key):
            socket = await hub.connected()
            await socket.send(signalling.encode(lease(key.address, not_after_ms=now_ms() - 400_000)))
            said = (await answer(socket, "refused"))["reason"]
            assert re.search(r"one that ended 40\d s ago; the robot's clock is (1000|999) s ahead of the hub's$", said)


async def test_a_grant_serves_once_also_after_the_host_restarted(tmp_path):
    key, kept = new_key(), tmp_path / "grants"
    async with fake_hub() as hub:
        for restart in range(2):
            async with hosted(hub.url, key, kept):
                socket = await hub.connected()
                if not restart:
                    await socket.send(signalling.encode(lease(key.address)))
                await socket.send(signalling.encode(lease(key.address, epoch=7)))
                assert "has not been used yet" in (await answer(socket, "refused"))["reason"]


async def test_epochs_rise_also_from_one_connection_to_the_next():
    key = new_key()
    async with fake_hub() as hub, hosted(hub.url, key):
        socket = await hub.connected()
        await socket.send(signalling.encode(lease(key.address, epoch=5)))
        await socket.send(signalling.encode(lease(key.address, epoch=5, nonce="0x02")))
        assert "expected an epoch above 5" in (await answer(socket, "refused"))["reason"]
        await socket.close()
        socket = await hub.connected()
        await socket.send(signalling.encode(lease(key.address, epoch=4, nonce="0x03")))
        assert "expected an epoch above 5" in (await answer(socket, "refused"))["reason"]


async def test_a_host_pings_its_hub(monkeypatch):
    monkeypatch.setattr(link, "PING_S", 0.05)
    async with fake_hub() as hub, hosted(hub.url, new_key()):
        await hub.connected()
        await asyncio.wait_for(hub.pinged.wait(), WAIT_S)


async def test_a_hub_that_falls_silent_is_noticed_and_dialled_again(monkeypatch):
    """As where a network takes packets and delivers none: the socket stays open, and nothing comes."""
    monkeypatch.setattr(link, "PING_S", 0.2)
    async with fake_hub() as hub, hosted(hub.url, new_key()) as (host, _robot):
        silent = await hub.connected()
        await asyncio.wait_for(host.online.wait(), WAIT_S)
        silent.transport.pause_reading()
        await asyncio.wait_for(host.offline.wait(), WAIT_S)
        await hub.connected()
        silent.transport.abort()


async def test_a_loop_that_gave_up_ends_its_host_so_that_it_is_started_again():
    robot = Puppet(replace(PANDA, simulated=False))
    async with fake_hub() as hub:
        host = Host(hub.url, new_key(), "puppet", robot, Events())
        robot.observe = lambda: 1 / 0
        with pytest.raises(LoopBrokenError, match="division by zero"):
            await asyncio.wait_for(host.serve(), WAIT_S)


class Fragile(Puppet):
    """A real robot that breaks when told to."""

    broken = ""

    def observe(self):
        """Look, or break."""
        if self.broken:
            raise RobotFaultError(self.broken)
        return super().observe()


async def test_a_fault_is_told_to_everyone_until_the_owner_has_cleared_it(tmp_path):
    robot = Fragile(replace(PANDA, simulated=False))
    async with platform(tmp_path, robot) as house:
        address = house.robot_key.address
        async with house.driver() as driver, house.driver() as watcher, house.driver(house.owner) as owner:
            for one in (watcher, owner):
                await one.send({"type": "watch", "robot": address})
                await one.wait_for("watching")
            await driver.join(address, "lift")
            robot.broken = "servo 3 is hot"
            for one in (driver, watcher, owner):
                told = await one.wait_for("faulted")
                assert (told["robot"], told["reason"]) == (address, "servo 3 is hot")
            card = (await driver.call("GET", "/api/robots"))[0]
            assert (card["state"], card["fault"], card["estopped"]) == ("faulted", "servo 3 is hot", False)
            with pytest.raises(Exception, match="the robot broke: servo 3 is hot; its owner can clear that"):
                await driver.begin()
            robot.broken = ""
            await owner.clear(address, told["stop"])
            for one in (driver, watcher):
                await one.wait_for("cleared")
            card = (await driver.call("GET", "/api/robots"))[0]
            assert (card["state"], card["fault"]) == ("driven", None)
            await driver.begin()
            await driver.armed()


async def test_a_hub_that_was_away_hears_of_the_fault_when_it_is_back():
    robot = Fragile(replace(PANDA, simulated=False))
    async with fake_hub() as hub:
        host = Host(hub.url, new_key(), "puppet", robot, Events())
        serving = asyncio.create_task(host.serve())
        try:
            socket = await hub.connected()
            robot.broken = "servo 3 is hot"
            assert (await answer(socket, "faulted"))["reason"] == "servo 3 is hot"
            await socket.close()
            assert (await answer(await hub.connected(), "faulted"))["reason"] == "servo 3 is hot"
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
