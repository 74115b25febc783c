"""Whoever lacks a key: a hub that wants to release a stop, and a wallet that wants a robot. In process, no platform."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from websockets.asyncio.server import ServerConnection

from sim.robot import RobotFaultError
from teleop.host.latch import StopFile
from teleop.host.link import Host
from teleop.host.orders import Release
from teleop.hub.robots.registrations import CLOCKS_MS, NONCE_MS
from teleop.identity import CLEAR_ROBOT, Domain, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.signalling import SignallingError
from tests.teleop import sessions
from tests.teleop.host.test_link import FakeHub, answer, fake_hub
from tests.teleop.hub.bench import STOP, Bench
from tests.teleop.hub.routes import Routes
from tests.teleop.platform import DOMAIN
from tests.teleop.registering import body_for
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio


def cleared_by(
    wallet: LocalAccount, robot: str, stop: str, *, domain: Domain = DOMAIN, named: str = ""
) -> signalling.ClearOrder:
    """Return a clear of that stop; `named`: what it says instead of what was signed."""
    return signalling.ClearOrder(named or stop, CLEAR_ROBOT.sign(wallet, domain, {"robot": robot, "stop": stop}))


@dataclass
class Stopped:
    """A host with a dishonest hub, and the stop that the hub has just made."""

    hub: FakeHub
    host: Host
    socket: ServerConnection
    owner: LocalAccount
    file: Path
    stop: str = ""

    @property
    def robot(self) -> str:
        """The robot's address."""
        return self.host.key.address

    async def stops(self) -> str:
        """Let somebody stop the robot; return the name under which its host keeps it stopped."""
        await self.socket.send(signalling.encode(signalling.EstopOrder("somebody")))
        self.stop = (await answer(self.socket, "estopped"))["stop"]
        return self.stop

    async def says(self, order: signalling.ClearOrder) -> dict[str, Any]:
        """Send a clear that is to be refused; return the refusal."""
        await self.socket.send(signalling.encode(order))
        return await answer(self.socket, "not_cleared")

    def still(self) -> bool:
        """Whether the robot is stopped, now and after a restart."""
        kept = StopFile(self.file).read()
        return self.host.loop.estopped and kept is not None and kept.stop == self.stop


@asynccontextmanager
async def host_of(hub: FakeHub, key: LocalAccount, owner: LocalAccount, file: Path) -> AsyncIterator[Stopped]:
    """Run a host at that hub."""
    host = Host(hub.url, key, "puppet", Puppet(PANDA), Events(), (), file, owner=owner.address)
    serving = asyncio.create_task(host.serve())
    try:
        yield Stopped(hub, host, await hub.connected(), owner, file)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def stopped(tmp_path: Path) -> AsyncIterator[Stopped]:
    async with fake_hub() as hub, host_of(hub, new_key(), new_key(), tmp_path / "stopped") as scene:
        await scene.stops()
        yield scene


FORGED: dict[str, Callable[[Stopped], signalling.ClearOrder]] = {
    "unsigned": lambda scene: signalling.ClearOrder(scene.stop, ""),
    "nonsense": lambda scene: signalling.ClearOrder(scene.stop, "0x" + "11" * 65),
    "another wallet's": lambda scene: cleared_by(new_key(), scene.robot, scene.stop),
    "the robot's own": lambda scene: cleared_by(scene.host.key, scene.robot, scene.stop),
    "the owner's, for another robot": lambda scene: cleared_by(scene.owner, new_key().address, scene.stop),
    "the owner's, for another stop": lambda scene: cleared_by(scene.owner, scene.robot, STOP, named=scene.stop),
    "the owner's, for another platform": lambda scene: cleared_by(
        scene.owner, scene.robot, scene.stop, domain=Domain(1, DOMAIN.vault)
    ),
}


@pytest.mark.parametrize("forged", FORGED)
async def test_a_hub_cannot_release_a_stop(stopped: Stopped, forged: str) -> None:
    refused = await stopped.says(FORGED[forged](stopped))
    assert refused["reason"].startswith("ClearRobot: expected")
    assert "sign" in refused["reason"]
    assert stopped.still()
    await stopped.socket.send(signalling.encode(cleared_by(stopped.owner, stopped.robot, stopped.stop)))
    assert (await answer(stopped.socket, "cleared"))["by"] == stopped.owner.address, "its owner can"
    assert not stopped.file.exists()


async def test_a_clear_that_has_served_releases_no_later_stop(stopped: Stopped) -> None:
    old = cleared_by(stopped.owner, stopped.robot, stopped.stop)
    await stopped.socket.send(signalling.encode(old))
    await answer(stopped.socket, "cleared")
    before = stopped.stop
    assert await stopped.stops() != before
    assert "stopped, or broke, again" in (await stopped.says(old))["reason"]
    assert (await answer(stopped.socket, "estopped"))["stop"] == stopped.stop, "and what is latched is said again"
    assert stopped.still()


async def test_a_clear_that_a_hub_held_back_is_void_once_somebody_stops_the_robot_again(stopped: Stopped) -> None:
    held_back = cleared_by(stopped.owner, stopped.robot, stopped.stop)
    await stopped.stops()
    assert "stopped, or broke, again" in (await stopped.says(held_back))["reason"]
    assert stopped.still()


async def test_a_host_that_does_not_know_its_owner_is_cleared_by_nobody(tmp_path: Path) -> None:
    async with fake_hub() as hub:
        nobody = new_key()
        async with host_of(hub, new_key(), nobody, tmp_path / "stopped") as scene:
            scene.host._owner = ""
            await scene.stops()
            assert "expected" in (await scene.says(cleared_by(nobody, scene.robot, scene.stop)))["reason"]
            assert scene.still()


async def test_a_stop_keeps_its_name_through_a_restart_and_its_owners_clear_with_it(tmp_path: Path) -> None:
    key, owner, file = new_key(), new_key(), tmp_path / "stopped"
    async with fake_hub() as hub:
        async with host_of(hub, key, owner, file) as scene:
            stop = await scene.stops()
        async with host_of(hub, key, owner, file) as scene:
            assert (hub.hellos[-1]["estopped"], hub.hellos[-1]["stop"]) == (True, stop)
            await scene.socket.send(signalling.encode(cleared_by(owner, key.address, stop)))
            await answer(scene.socket, "cleared")
        async with host_of(hub, key, owner, file) as scene:
            assert (hub.hellos[-1]["estopped"], hub.hellos[-1]["stop"]) == (False, None)


@pytest.mark.parametrize("kept", [b"0xA", b"", b"\xff\xfe", b'{"by":"0xA"}', b'{"by":"0xA","stop":"0x05"}'])
async def test_a_stop_of_an_earlier_release_is_given_a_name_that_stays(tmp_path: Path, kept: bytes) -> None:
    file = tmp_path / "stopped"
    file.write_bytes(kept)
    host = Host("http://hub", new_key(), "puppet", Puppet(PANDA), Events(), (), file)
    again = Host("http://hub", new_key(), "puppet", Puppet(PANDA), Events(), (), file)
    assert host.loop.estopped
    assert host.loop.latch == again.loop.latch


def test_a_clear_that_failed_does_not_open_a_broken_robot_again() -> None:
    bench = sessions.Bench(simulated=False)
    bench.ready()

    def breaks() -> None:
        raise RobotFaultError("servo 3 is hot")

    bench.robot.observe = bench.robot.connect = breaks
    bench.tick()
    first = bench.session.latch
    assert first is not None
    bench.clear()
    assert bench.session.latch is not None
    assert (bench.session.latch.fault, bench.session.latch.stop != first.stop) == ("servo 3 is hot", True)
    opened: list[None] = []
    bench.robot.connect = lambda: opened.append(None)
    bench.session.obey(Release(first.stop, "owner"))
    assert opened == []
    assert [type(said) for said in bench.reports[-2:]] == [signalling.NotCleared, signalling.Faulted]


def test_a_fault_while_it_is_stopped_outdates_the_stop_and_the_file_says_so(tmp_path: Path) -> None:
    file = StopFile(tmp_path / "stopped")
    file.keep(signalling.Estopped("anyone", STOP))
    later = "0x" + "06" * 32
    file.keep(signalling.Faulted("servo 3 is hot", later))
    found = StopFile(tmp_path / "stopped").read()
    assert found is not None
    assert (found.by, found.stop) == ("anyone", later)
    file.keep(signalling.Cleared("owner"))
    file.keep(signalling.Faulted("servo 3 is hot", STOP))
    assert StopFile(tmp_path / "stopped").read() is None, "a fault alone is not kept"


# --- the hub checks the same


async def test_the_hub_hands_on_no_clear_that_its_host_would_refuse() -> None:
    bench = Bench()
    dock, host = await bench.host()
    owner, other = bench.operator(bench.owner), bench.operator()

    async def refused(operator: Any, clear: signalling.Clear) -> str:
        with pytest.raises(SignallingError) as error:
            await operator.says(clear)
        return error.value.code

    assert await refused(owner, owner.clear()) == "clear", "nothing is latched"
    bench.hub.from_host(dock, signalling.Estopped("somebody", STOP))
    assert await refused(other, other.clear()) == "not_owner"
    assert await refused(owner, owner.clear("0x" + "06" * 32)) == "clear"
    for signature in ("", "0x", other.clear().signature):
        assert await refused(owner, signalling.Clear(bench.robot, STOP, signature)) == "clear"
    assert "clear" not in host.types()
    await owner.says(owner.clear())
    assert host.types() == ["clear"]
    bench.hub.from_host(dock, signalling.NotCleared("it was stopped again"))
    bench.hub.from_host(dock, signalling.NotCleared("and again"))
    assert [message["message"] for message in owner.ear.said if message["type"] == "error"] == [
        "the robot's host: it was stopped again"
    ], "who asked is told, once"
    assert "error" not in other.ear.types()


async def test_who_may_clear_is_told_what_to_sign() -> None:
    bench = Bench()
    dock, _ = await bench.host(estopped=True, stop=STOP)
    assert bench.hub.presences()[bench.robot].stop == STOP
    watcher = bench.operator()
    await watcher.says(signalling.Watch(bench.robot))
    later = "0x" + "06" * 32
    bench.hub.from_host(dock, signalling.Faulted("servo 3 is hot", later))
    assert watcher.ear.last("faulted")["stop"] == bench.hub.presences()[bench.robot].stop == later
    bench.hub.from_host(dock, signalling.Cleared("owner"))
    assert bench.hub.presences()[bench.robot].stop is None
    for estopped, stop in ((True, None), (False, STOP)):
        with pytest.raises(SignallingError, match="if and only if"):
            await bench.host(estopped=estopped, stop=stop)


# --- a robot that is not one's own


def of_nonce(house: Routes, owner: LocalAccount, robot: LocalAccount) -> dict[str, Any]:
    """Return a registration over a nonce that was used."""
    body = body_for(house.registry, owner, robot)
    house.registry.register(body["registration"], body["signature"], body["robot_signature"])
    return body


def swapped(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"signature": body["robot_signature"], "robot_signature": body["signature"]}


def unsigned(house: Routes, owner: LocalAccount, robot: LocalAccount) -> dict[str, Any]:
    """Return a registration as an earlier release's host sends it."""
    body = body_for(house.registry, owner, robot)
    old = {name: body["registration"][name] for name in ("robot", "owner", "name", "model", "simulated")}
    return {"registration": old, "signature": body["signature"]}


REFUSED: dict[str, tuple[str, Callable[[Routes, LocalAccount, LocalAccount], dict[str, Any]]]] = {
    "of an earlier release": ("robot_signature", unsigned),
    "without the robot's signature": (
        "robot_signature",
        lambda house, owner, robot: body_for(house.registry, owner, robot) | {"robot_signature": ""},
    ),
    "signed by the owner twice": (
        "robot_signature",
        lambda house, owner, robot: (
            (body := body_for(house.registry, owner, robot)) | {"robot_signature": body["signature"]}
        ),
    ),
    "signed by another robot": (
        "robot_signature",
        lambda house, owner, robot: body_for(house.registry, owner, new_key(), **of(robot, house)),
    ),
    "signed by the robot alone": (
        "registration",
        lambda house, owner, robot: (
            (body := body_for(house.registry, owner, robot)) | {"signature": body["robot_signature"]}
        ),
    ),
    "signatures swapped": ("registration", lambda house, owner, robot: swapped(body_for(house.registry, owner, robot))),
    "changed after it was signed": (
        "registration",
        lambda house, owner, robot: (
            (body := body_for(house.registry, owner, robot))
            | {"registration": body["registration"] | {"simulated": False}}
        ),
    ),
    "with a nonce that was used": ("registration_nonce", of_nonce),
    "with another robot's nonce": (
        "registration_nonce",
        lambda house, owner, robot: body_for(
            house.registry, owner, robot, nonce=house.registry.challenge(new_key().address)[0]
        ),
    ),
    "with a nonce of its own": (
        "registration_nonce",
        lambda house, owner, robot: body_for(house.registry, owner, robot, nonce="0x" + "07" * 32),
    ),
    "signed too long ago": (
        "clock",
        lambda house, owner, robot: body_for(
            house.registry, owner, robot, issuedMs=house.registry._now_ms() - CLOCKS_MS - 5_000
        ),
    ),
    "signed for later": (
        "clock",
        lambda house, owner, robot: body_for(
            house.registry, owner, robot, issuedMs=house.registry._now_ms() + CLOCKS_MS + 5_000
        ),
    ),
}


def of(robot: LocalAccount, house: Routes) -> dict[str, Any]:
    """Return the values of a robot whose key one does not have."""
    return {"robot": robot.address, "nonce": house.registry.challenge(robot.address)[0]}


class Standing:
    """A clock that a test sets."""

    ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Standing:
    return Standing()


@pytest.fixture
def house(tmp_path: Path, clock: Standing) -> Routes:
    routes = Routes(tmp_path)
    routes.registry._now_ms = clock
    return routes


@pytest.mark.parametrize("attack", REFUSED)
async def test_nobody_registers_a_robot_without_both_keys_a_new_nonce_and_the_time(house: Routes, attack: str) -> None:
    code, made = REFUSED[attack]
    owner, robot = new_key(), new_key()
    body = made(house, owner, robot)
    before = len(house.registry.robots())
    answered = await house.http.post("/api/robots", json=body)
    error = answered.json()["error"]
    assert (answered.status_code, error["code"]) == (422, code), error
    assert "expected" in error["message"]
    assert len(house.registry.robots()) == before
    again = body_for(house.registry, owner, robot)
    assert (await house.http.post("/api/robots", json=again)).status_code == 201, "whoever has both keys registers it"


@pytest.mark.parametrize("ahead_ms", [-CLOCKS_MS, 0, CLOCKS_MS])
async def test_clocks_may_differ_by_five_minutes(house: Routes, clock: Standing, ahead_ms: int) -> None:
    body = body_for(house.registry, new_key(), new_key(), issuedMs=clock.ms + ahead_ms)
    assert (await house.http.post("/api/robots", json=body)).status_code == 201


async def test_a_nonce_is_good_for_ten_minutes_and_says_so(house: Routes, clock: Standing) -> None:
    owner, robot = new_key(), new_key()
    asked = (await house.http.post("/api/robots/challenge", json={"robot": robot.address})).json()
    assert asked["expires_ms"] == clock.ms + NONCE_MS
    clock.ms = asked["expires_ms"]
    kept = body_for(house.registry, owner, robot, nonce=asked["nonce"])
    clock.ms += 1
    refused = await house.http.post("/api/robots", json=kept)
    assert refused.json()["error"]["code"] == "registration_nonce"
    clock.ms -= 1
    assert (await house.http.post("/api/robots", json=kept)).status_code == 201
    for wrong in ("", "0x01", robot.address.lower()):
        answered = await house.http.post("/api/robots/challenge", json={"robot": wrong})
        assert (answered.status_code, answered.json()["error"]["code"]) == (422, "address")


async def test_a_robot_is_registered_again_under_another_name_and_anybody_can_check_who_signed(house: Routes) -> None:
    owner, robot = new_key(), new_key()
    for name in ("left arm", "right arm"):
        body = body_for(house.registry, owner, robot, name=name)
        assert (await house.http.post("/api/robots", json=body)).json()["name"] == name
    assert (await house.http.get(f"/api/robots/{robot.address}")).json()["registration"] == body
    thief = new_key()
    refused = await house.http.post("/api/robots", json=body_for(house.registry, thief, robot))
    assert refused.json()["error"]["code"] == "registration"
    assert owner.address in refused.json()["error"]["message"]


async def test_a_robot_of_an_earlier_release_stays_registered_and_can_prove_itself_later(
    house: Routes, tmp_path: Path
) -> None:
    owner, robot = new_key(), new_key()
    with sqlite3.connect(tmp_path / "armshare.sqlite") as database:
        database.execute(
            "INSERT INTO robots (address, owner, name, model, simulated, signature, epoch, created_ms)"
            " VALUES (?, ?, 'old', 'panda', 1, '0x', 0, 1)",
            (robot.address, owner.address),
        )
    before = (await house.http.get(f"/api/robots/{robot.address}")).json()
    assert (before["name"], before["registration"]) == ("old", None)
    await house.dock(robot)
    body = body_for(house.registry, owner, robot, name="new")
    assert (await house.http.post("/api/robots", json=body)).status_code == 201
    after = (await house.http.get(f"/api/robots/{robot.address}")).json()
    assert (after["name"], after["registration"]) == ("new", body)
