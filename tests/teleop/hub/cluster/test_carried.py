"""Over real sockets: who comes to a hub that is not their robot's home drives, watches, looks and stops it there."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from teleop.hub.cluster.carrying import PASS, Passes
from teleop.hub.cluster.said import Seal
from teleop.identity import CLEAR_ROBOT, new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.operator.viewer import Looking
from teleop.wire.frames import Codec, Frame, Seen
from teleop.wire.messages import PROTOCOL, Mode, State
from tests.teleop.hub.cluster.two import two_hubs, until
from tests.teleop.platform import hosted

pytestmark = pytest.mark.anyio
FORWARD = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.fixture
async def house(tmp_path):
    """A robot at hub `a`, of which `b` knows."""
    async with AsyncExitStack() as stack:
        a, b, wire = await stack.enter_async_context(two_hubs(tmp_path))
        robot = await stack.enter_async_context(hosted(a.url, a.hub, a.registry))
        await b.until(robot.robot_key.address)
        yield a, b, wire, robot


async def drive(driver: Driver, steps: int) -> list[State]:
    found = []
    for _ in range(steps):
        await driver.command(Mode.EE_TWIST, FORWARD, dead_man=True)
        found.append(await driver.next_state())
    return found


async def watching(url: str, robot: str) -> ClientConnection:
    """Return the socket of somebody who has not signed in, and watches a robot."""
    where = url.replace("http", "ws") + "/ws/drive"
    socket = await connect(where, compression=None, proxy=None, close_timeout=0.1)  # it does not read what is left
    await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": ""}))
    await socket.send(json.dumps({"type": "watch", "robot": robot}))
    return socket


async def said(socket: ClientConnection, kind: str) -> dict[str, object]:
    async with asyncio.timeout(30):
        while True:
            message = await socket.recv()
            if isinstance(message, str) and (found := json.loads(message))["type"] == kind:
                return dict(found)


async def state(socket: ClientConnection) -> State:
    async with asyncio.timeout(30):
        while isinstance(message := await socket.recv(), str):
            pass
    return State.decode(message)


async def test_a_driver_at_the_other_hub_drives_watched_from_both_and_no_command_goes_over_the_bus(house):
    a, b, wire, robot = house
    address = robot.robot_key.address
    async with Driver(b.url, new_key()) as driver:
        await driver.join(address, "lift")
        await driver.begin()
        await driver.armed()
        first = (await driver.next_state()).seq
        async with await watching(b.url, address) as here, await watching(b.url, address) as beside:
            for socket in (here, beside):
                assert (await said(socket, "watching"))["robot"]["name"] == "robot-1"
            driven = await drive(driver, 30)
            assert (await state(here)).epoch == (await state(beside)).epoch == driven[-1].epoch
        await driver.finish()
        await driver.leave()
    assert driven[-1].seq > first
    assert a.hub.counts["commands"] >= 30, "the home relayed it"
    assert b.hub.counts["commands"] == 0
    assert a.hub.counts["carried"] == 1
    subjects = {subject.split(".")[2] for subject, _ in wire.said}
    assert subjects == {"beats", "states", "news"}
    seal = Seal(b"secret", "00" * 16)
    for subject, data in wire.said:
        body = seal.opened(subject, data)
        if body is not None and ".states." in subject:
            State.decode(body)  # nothing but states, which a command is not
        elif body is not None and ".news." in subject:
            assert json.loads(body)["type"] in ("watching", "left", "estopped", "cleared", "faulted")


async def test_a_drive_whose_other_hub_is_lost_waits_and_goes_on_at_the_home(house):
    a, b, _wire, robot = house
    wallet = new_key()
    async with Driver(b.url, wallet) as driver:
        granted = await driver.join(robot.robot_key.address, "lift")
        await driver.begin()
        await driver.armed()
        await drive(driver, 20)
    async with Driver(a.url, wallet) as again:
        resumed = await again.resume(granted["lease"])
        await again.armed()
        await drive(again, 5)
        await again.finish()
    assert resumed["steps"] > 0


async def test_a_drive_is_gone_on_with_at_the_hub_that_is_not_its_home(house):
    a, b, _wire, robot = house
    wallet = new_key()
    async with Driver(a.url, wallet) as driver:
        granted = await driver.join(robot.robot_key.address, "lift")
        await driver.begin()
        await driver.armed()
        await drive(driver, 20)
    await until(lambda: b.cluster.of_lease(granted["lease"]) is not None)
    async with Driver(b.url, wallet) as again:
        await again.resume(granted["lease"])
        await again.armed()
        await again.finish()


async def test_a_lobby_says_the_same_at_both_hubs_and_a_stop_from_either_reaches_the_robot(house):
    a, b, _wire, robot = house
    address = robot.robot_key.address
    async with Driver(b.url, robot.owner) as owner, await watching(b.url, address) as socket:
        await said(socket, "watching")
        await owner.send({"type": "estop", "robot": address})
        stopped = await said(socket, "estopped")
        async with httpx.AsyncClient(base_url=b.url) as http:
            await until(lambda: b.cluster.presences()[address].estopped)
            card = (await http.get("/api/robots")).json()[0]
            assert (card["state"], card["online"]) == ("stopped", True)
            removed = await http.delete(f"/api/robots/{address}", headers=owner.http.headers)
            assert removed.json()["error"]["code"] == "online"
        stop = stopped["stop"]
        signature = CLEAR_ROBOT.sign(robot.owner, robot.domain, {"robot": address, "stop": stop})
        await owner.send({"type": "clear", "robot": address, "stop": stop, "signature": signature})
        assert (await said(socket, "cleared"))["robot"] == address
    assert not a.hub.docks[address].estopped


async def test_a_camera_is_sent_and_seen_through_the_other_hub(house):
    a, b, _wire, robot = house
    address = robot.robot_key.address
    sending = connect(b.url.replace("http", "ws") + "/ws/host/camera", proxy=None)
    async with Driver(b.url, new_key()) as driver, sending as host, asyncio.timeout(60):
        token = driver.http.headers["Authorization"].removeprefix("Bearer ")
        await host.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": robot.host.uplink.token}))
        async with Looking(b.url, token, address, "front") as looking:
            for seq in (1, 2, 3):
                await host.send(Frame(0, Codec.JPEG, True, 8, 8, seq, 0, 0, b"?", asks=True).encode())
                assert Seen.decode(await host.recv()).seq == seq, "the home answers"
                assert (await looking.read()).seq == seq
        with pytest.raises(RefusedError, match="unknown_camera"):
            async with Looking(b.url, token, address, "nothing"):
                pass
    assert a.hub.counts["frames"] == 3
    assert b.hub.counts["frames"] == 0


async def test_an_upload_token_of_one_hub_is_honoured_by_the_other_while_the_robot_is_there(house):
    a, b, _wire, robot = house
    token = a.hub.docks[robot.robot_key.address].upload_token
    assert b.registry.uploader(token) == robot.robot_key.address
    await robot.stop_host()
    await until(lambda: b.registry.uploader(token) is None)


async def test_nobody_comes_in_as_a_hub_without_its_pass(house):
    a, _b, _wire, _robot = house
    passes = Passes(Seal(b"secret", "00" * 16), "b", lambda: 1_700_000_000_000)
    old = Passes(Seal(b"secret", "00" * 16), "b", lambda: 0).give("a")
    for given in ("", "a 1 2 3", old, passes.give("b"), Passes(Seal(b"x", "00" * 16), "b", lambda: 0).give("a")):
        socket = await connect(
            a.url.replace("http", "ws") + "/ws/peer", additional_headers={PASS: given}, compression=None, proxy=None
        )
        async with socket:
            message = json.loads(await socket.recv())
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        assert (message["code"], socket.close_code) == ("auth", 4401)


async def test_a_grant_that_was_carried_opens_nothing_a_second_time(house):
    _a, b, _wire, robot = house
    async with Driver(b.url, new_key()) as driver:
        await driver.join(robot.robot_key.address, "lift")
        await driver.leave()
        with pytest.raises(RefusedError, match="grant"):
            await driver.join(robot.robot_key.address, "lift")


async def test_a_robot_whose_host_is_lost_ends_what_was_driven_and_watched_from_the_other_hub(house):
    a, b, _wire, robot = house
    address = robot.robot_key.address
    async with Driver(b.url, new_key()) as driver, await watching(b.url, address) as socket:
        await driver.join(address, "lift")
        await driver.begin()
        await driver.armed()
        await said(socket, "watching")
        await robot.stop_host()
        assert (await said(socket, "left"))["reason"] == "host_lost"
        with pytest.raises(RefusedError, match="host_lost"):
            await driver.wait_for("ended")
        await b.until(address, known=False)
        assert b.cluster.unknown() == {}
        with pytest.raises(RefusedError, match="robot_offline"):
            await driver.join(address, "lift")
    assert a.hub.docks == {}
    await until(lambda: bool(a.registry.lease_lengths_s(address, 5)))  # its end is in the table, as this hub's
