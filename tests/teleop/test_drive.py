"""Driving over real sockets: who may move a robot, and what never does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
import numpy as np
import pytest
from eth_account.messages import encode_defunct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from sim.catalogue import make_world
from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.identity import SESSION_GRANT, new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.steps import EpisodeEnd, EpisodeStart, Events, Step
from teleop.wire.messages import PROTOCOL, Command, Mode, Safety
from teleop.wire.reasons import EndReason
from teleop.wire.signalling import EstopOrder, encode
from tests.teleop.platform import DOMAIN, Platform, hub_at, platform
from tests.teleop.registering import body_for, register_robot

pytestmark = pytest.mark.anyio

BRAKING = 12
"""Periods in which any arm has come to rest."""
FORWARD = [0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


@pytest.fixture
async def house(tmp_path):
    async with platform(tmp_path) as house:
        yield house


async def live(house: Platform, driver: Driver) -> None:
    """Take the robot, begin, and arm."""
    await driver.join(house.robot_key.address, "lift")
    await driver.begin()
    await driver.armed()


async def push(driver: Driver, steps: int, twist=FORWARD) -> None:
    """Drive for so many states."""
    for _ in range(steps):
        await driver.command(Mode.EE_TWIST, twist, dead_man=True)
        await driver.next_state()


async def settle(driver: Driver, accept) -> None:
    """Wait for a state that `accept` likes."""
    while not accept(await driver.next_state()):
        pass


def ee(driver: Driver) -> np.ndarray:
    return driver.values(driver.state)["ee_pose"][:3]


def drained(house: Platform) -> list:
    return [house.events.get_nowait() for _ in range(house.events.qsize())]


async def test_an_operator_moves_the_arm_and_the_steps_say_how(house):
    async with house.driver() as driver:
        await live(house, driver)
        before = ee(driver)
        await push(driver, 12)
        assert ee(driver)[0] > before[0] + 0.02
        ended = await driver.finish()
    events = drained(house)
    start, *steps, end = events
    assert isinstance(start, EpisodeStart)
    assert isinstance(end, EpisodeEnd)
    assert [step.index for step in steps] == list(range(ended["steps"]))
    assert all(isinstance(step, Step) for step in steps)
    assert (start.episode, start.operator) == (ended["episode"], driver.wallet.address)
    sent = [step.t_sent_ns for step in steps]
    assert sent == sorted(sent)
    assert all(step.t_observed_ns > step.t_sent_ns for step in steps)


async def test_nothing_moves_before_the_released_dead_man_has_armed_it(house):
    async with house.driver() as driver:
        await driver.join(house.robot_key.address, "lift")
        await driver.begin()
        await driver.next_state()
        before = ee(driver)
        await push(driver, 5)
        assert driver.state.safety is Safety.EXPIRED
        assert np.array_equal(ee(driver), before)
        assert house.events.empty()


async def test_a_silent_operator_expires_and_the_arm_holds(house):
    async with house.driver() as driver:
        await live(house, driver)
        await push(driver, 5)
        await settle(driver, lambda state: state.safety is Safety.EXPIRED)
        for _ in range(BRAKING):
            await driver.next_state()
        before = ee(driver)
        await settle(driver, lambda state: state.seq > driver.state.seq - 1 and state.safety is Safety.EXPIRED)
        await driver.command(Mode.EE_TWIST, FORWARD, dead_man=True)  # pressed, but never released since
        await driver.next_state()
        assert driver.state.safety is Safety.EXPIRED
        assert np.allclose(ee(driver), before, atol=2e-3)
        ended = await driver.finish()
    held = [step for step in drained(house)[1:-1] if step.safety is Safety.EXPIRED]
    assert held
    rest = [step.applied.joint_position for step in held[BRAKING:]]
    assert rest
    assert all(np.allclose(joints, rest[0], rtol=0, atol=1e-9) for joints in rest)
    reach = house.robot.spec.joint_velocity_max_rad_s * house.robot.spec.period_s
    assert np.all(np.abs(rest[0] - held[0].applied.joint_position) < 2 * reach), "it went on before it stood"
    assert ended["valid"]


@pytest.mark.parametrize("kind", ["old_epoch", "replayed", "malformed", "stale", "unlinked"])
async def test_a_bad_command_never_moves_the_arm_and_is_counted(house, kind):
    async with house.driver() as driver:
        await live(house, driver)
        for _ in range(6):  # the staleness filter has seen the fastest way by now
            await driver.command(Mode.NEUTRAL)
            await driver.next_state()
        before, state = ee(driver), driver.state
        linked = driver.sent(state.epoch, driver._seq)
        good = Command(Mode.EE_TWIST, True, state.epoch, driver._seq + 1, 0, 0, np.array(FORWARD, np.float32), linked)
        now_us = state.t_client_us
        bad = {
            "old_epoch": Command(Mode.EE_TWIST, True, state.epoch - 1, good.seq, 0, now_us, good.values).encode(),
            "replayed": Command(Mode.EE_TWIST, True, state.epoch, 1, 0, now_us, good.values).encode(),
            "malformed": good.encode()[:-3],
            "stale": replace(good, t_client_us=now_us - 10**6).encode(),
            "unlinked": replace(good, t_client_us=now_us, before=bytes(32)).encode(),
        }[kind]
        await driver._socket.send(bad)
        while not house.host.loop.dropped.get(kind):
            await driver.next_state()
        assert np.array_equal(ee(driver), before)
        assert house.host.loop.dropped == {kind: 1}


async def _look_on(driver: Driver) -> None:
    while True:
        await driver.next_state()


@pytest.mark.parametrize("links", [True, False], ids=["in its place", "after a gap"])
async def test_a_drive_into_which_somebody_else_puts_a_command_is_let_go(house, links):
    """As a hub could: it passes every command on."""
    async with house.driver() as driver:
        await live(house, driver)
        await push(driver, 3)
        epoch, last, said = driver.state.epoch, driver._seq, []
        now_us, forward = driver.state.t_client_us, np.array(FORWARD, np.float32)
        linked = driver.sent(epoch, last) if links else bytes(32)
        forged = Command(Mode.EE_TWIST, True, epoch, last + (1 if links else 2), 0, now_us, forward, linked)
        await driver._socket.send(forged.encode())
        with pytest.raises(RefusedError, match="other_commands"):
            await _look_on(driver)
        driver._socket.sent = lambda data: said.append(Command.decode(data)) or True
        await driver.command(Mode.EE_TWIST, FORWARD, dead_man=True)
        assert not said[0].dead_man


async def test_only_the_holder_drives_and_the_next_waits(house):
    async with house.driver() as first, house.driver() as second:
        await live(house, first)
        waiting = asyncio.create_task(second.join(house.robot_key.address, "lift"))
        queued = None
        while queued is None:
            await asyncio.sleep(0)
            queued = next(iter(house.hub.docks[house.robot_key.address].queue), None)
        second._epoch = first._epoch
        before = ee(first)
        await second.command(Mode.EE_TWIST, FORWARD, dead_man=True)
        while not house.hub.counts["commands_not_holder"]:
            await first.command(Mode.NEUTRAL)
            await first.next_state()
        assert np.array_equal(ee(first), before)
        await first.send({"type": "leave"})
        granted = await waiting
        assert granted["epoch"] > first._epoch


async def test_a_lost_operator_ends_the_episode_and_frees_the_robot(house):
    async with house.driver() as driver:
        await live(house, driver)
        await push(driver, 4)
    async with house.driver() as other:
        await other.join(house.robot_key.address, "lift")
    end = drained(house)[-1]
    assert isinstance(end, EpisodeEnd)
    assert (end.reason, end.reason.valid) == (EndReason.OPERATOR_LOST, False)


async def test_a_world_that_breaks_ends_its_episode_as_invalid_and_the_next_one_is_whole(house):
    async with house.driver() as driver:
        await live(house, driver)
        await push(driver, 4)
        cube = house.robot._bodies._handles[0][1]
        house.robot._client.resetBaseVelocity(cube, [0.0, 0.0, 1000.0])
        ended = await driver.wait_for("ended")
        assert (ended["reason"], ended["valid"]) == ("unstable", False)
        *steps, end = drained(house)[1:]
        assert end.reason is EndReason.UNSTABLE
        assert end.steps == len(steps) == ended["steps"], "what was seen before it broke is kept"
        assert all(np.isfinite(value).all() for step in steps for value in step.observed.values.values())
        ready = await driver.begin()
        await driver.armed()
        await push(driver, 3)
    fresh = make_world("panda", "lift")
    fresh.connect()
    expected = fresh.reset(int(ready["seed"])).values
    fresh.disconnect()
    start = drained(house)[0]
    assert all(start.initial.values[name].tobytes() == value.tobytes() for name, value in expected.items())


async def test_anyone_stops_and_only_the_owner_clears(house):
    robot = house.robot_key.address
    async with house.driver() as driver, house.driver() as passer_by, house.driver(house.owner) as owner:
        await live(house, driver)
        await push(driver, 4)
        await passer_by.send({"type": "estop", "robot": robot})
        stop = (await driver.wait_for("estopped"))["stop"]
        await settle(driver, lambda state: state.safety is Safety.ESTOPPED)
        for _ in range(BRAKING):
            await driver.next_state()
        before = ee(driver)
        await push(driver, 4)
        assert np.array_equal(ee(driver), before)
        await passer_by.clear(robot, stop)
        with pytest.raises(RefusedError, match="not_owner"):
            await passer_by.wait_for("cleared")
        await owner.send({"type": "watch", "robot": robot})
        await owner.wait_for("watching")
        await owner.clear(robot, stop)
        await owner.wait_for("cleared")
        await driver.begin()
        await driver.armed()
        before = ee(driver)
        await push(driver, 4)
        assert ee(driver)[0] > before[0]


async def test_watchers_see_and_cannot_touch(house):
    async with house.driver() as driver, house.driver() as watcher:
        await watcher.send({"type": "watch", "robot": house.robot_key.address})
        await watcher.wait_for("watching")
        await live(house, driver)
        await push(driver, 3)
        await watcher.next_state()
        state = driver.state
        now_us, forward = state.t_client_us, np.array(FORWARD, np.float32)
        await watcher._socket.send(Command(Mode.EE_TWIST, True, state.epoch, 2**31, 0, now_us, forward).encode())
        while not house.hub.counts["commands_not_holder"]:
            await watcher.next_state()


async def test_a_lost_host_is_said_and_its_robot_is_offline(house):
    async with house.driver() as driver:
        await live(house, driver)
        await push(driver, 3)
        await house.stop_host()
        with pytest.raises(RefusedError, match="host_lost"):
            await driver.wait_for("ended")
        card = (await driver.call("GET", "/api/robots"))[0]
        assert (card["online"], card["state"]) == (False, "offline")
        with pytest.raises(RefusedError, match="robot_offline"):
            await driver.join(house.robot_key.address, "lift")
    assert drained(house)[-1].reason is EndReason.HOST_LOST


async def test_a_host_dials_again_when_the_hub_is_back(tmp_path):
    async with platform(tmp_path) as house:
        assert house.host.online.is_set()
        dock = house.hub.docks[house.robot_key.address]
        dock.outbox.close()
        await house.host.offline.wait()
        await house.host.online.wait()
        assert house.hub.docks[house.robot_key.address] is not dock
        async with house.driver() as driver:
            await live(house, driver)
            await push(driver, 2)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"operator": "0x000000000000000000000000000000000000dEaD"}, "grant"),
        ({"task": "juggle"}, "unknown_task"),
        ({"robot": "0x000000000000000000000000000000000000dEaD"}, "robot_offline"),
        ({"nonce": "0x" + "11" * 32}, "grant"),
        ({"notAfterMs": 1}, "clock"),
        ({"sessionKey": "nobody"}, "grant"),
    ],
)
async def test_a_grant_that_does_not_fit_is_refused(house, change, code):
    async with house.driver() as driver:
        grant = {
            "operator": driver.wallet.address,
            "sessionKey": driver.session_key.address,
            "robot": house.robot_key.address,
            "task": "lift",
            "nonce": driver._nonce,
            "notAfterMs": now_ms() + 60_000,
        }
        signature = SESSION_GRANT.sign(driver.wallet, house.domain, grant)
        await driver.send({"type": "join", "grant": grant | change, "signature": signature})
        with pytest.raises(RefusedError) as caught:
            await driver.wait_for("granted")
        assert caught.value.code == code


async def test_a_grant_signed_by_another_wallet_is_refused(house):
    async with house.driver() as driver:
        mine, driver.wallet = driver.wallet, new_key()
        with pytest.raises(RefusedError, match="grant"):
            await driver.join(house.robot_key.address, "lift")
        driver.wallet = mine


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "malformed"),
        ("[]", "malformed"),
        ('{"type":"dance"}', "unknown_type"),
        ('{"type":"begin","driver":{"kind":"person"},"faster":true}', "malformed"),
        ('{"type":"begin"}', "malformed"),
        ('{"type":"begin","driver":{"kind":"person"}}', "state"),
        ('{"type":"finish"}', "state"),
        ('{"type":"leave"}', "state"),
        ('{"type":"hello","protocol":2,"token":"again"}', "state"),
    ],
)
async def test_a_bad_control_frame_is_answered_and_the_socket_lives(house, frame, code):
    async with house.driver() as driver:
        await driver._socket.send(frame)
        with pytest.raises(RefusedError) as caught:
            await driver.wait_for("never")
        assert caught.value.code == code
        await live(house, driver)


@pytest.mark.parametrize(
    ("hello", "close", "code"),
    [
        ({"type": "hello", "protocol": 99, "token": ""}, 4400, "protocol"),
        ({"type": "hello", "protocol": PROTOCOL, "token": "stolen"}, 4401, "auth"),
        ({"type": "begin", "driver": {"kind": "person"}}, 4400, "protocol"),
    ],
)
async def test_a_stranger_is_refused_with_a_reason_and_closed(house, hello, close, code):
    async with connect(house.url.replace("http", "ws") + "/ws/drive", proxy=None) as socket:
        await socket.send(json.dumps(hello))
        answer = json.loads(await socket.recv())
        assert (answer["type"], answer["code"]) == ("error", code)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == close


@pytest.mark.parametrize("frame", ["x" * 70_000, b"x" * 70_000])
async def test_an_oversized_frame_closes_its_own_socket_only(house, frame):
    async with house.driver() as driver, house.driver() as clumsy:
        await live(house, driver)
        await clumsy._socket.send(frame)
        while (await clumsy._messages.get())["type"] != "closed":
            pass
        assert clumsy._socket.close_code == 1009
        await push(driver, 3)


async def test_a_second_connection_of_a_wallet_replaces_the_first(house):
    wallet = new_key()
    async with house.driver(wallet) as first, house.driver(wallet) as second:
        await live(house, first)
        await live(house, second)
        with pytest.raises(RefusedError, match="replaced"):
            await first.wait_for("granted")
        await push(second, 2)


async def test_a_robot_without_its_owners_signature_is_not_registered(house):
    async with httpx.AsyncClient(base_url=house.url) as http:
        body = body_for(house.registry, house.owner, new_key(), name="mine now")
        answer = await http.post("/api/robots", json={**body, "signature": "0x" + "11" * 65})
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "registration"


async def test_a_host_with_another_key_is_turned_away(house, tmp_path):
    async with connect(house.url.replace("http", "ws") + "/ws/host", proxy=None) as socket:
        challenge = json.loads(await socket.recv())
        assert challenge["type"] == "challenge"
        hello = {
            "type": "hello",
            "protocol": PROTOCOL,
            "robot": house.robot_key.address,
            "signature": "0x" + "22" * 65,
            "descriptor": {},
            "estopped": False,
            "takes_rules": True,
        }
        await socket.send(json.dumps(hello))
        assert json.loads(await socket.recv())["code"] == "auth"
    async with house.driver() as driver:
        await live(house, driver)


async def test_a_sign_in_serves_once(tmp_path):
    async with hub_at(tmp_path) as (url, _hub, _registry):
        wallet = new_key()
        async with httpx.AsyncClient(base_url=url) as http:
            asked = (await http.post("/api/auth/challenge", json={"address": wallet.address})).json()
            signed = wallet.sign_message(encode_defunct(text=asked["message"]))
            proof = {"nonce": asked["nonce"], "signature": "0x" + bytes(signed.signature).hex()}
            assert (await http.post("/api/auth/verify", json=proof)).status_code == 200
            again = await http.post("/api/auth/verify", json=proof)
            assert again.status_code == 401
            assert "used once" in again.json()["error"]["message"]
            assert wallet.address in asked["message"]


async def test_files_outside_a_model_are_not_served(house):
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert (await http.get("/assets/models/panda/franka_panda/panda.urdf")).status_code == 200
        for path in ("panda/plane.urdf", "panda/franka_panda/..%2f..%2f__init__.py", "nobody/x.urdf", "panda/"):
            answer = await http.get(f"/assets/models/{path}")
            assert answer.status_code == 404, path
            assert answer.json()["error"]["message"]


def first_of(events: list) -> tuple[list[Step], EpisodeEnd]:
    """The steps and the end of the first episode."""
    ended = next(at for at, event in enumerate(events) if isinstance(event, EpisodeEnd))
    return [event for event in events[:ended] if isinstance(event, Step)], events[ended]


async def test_a_reload_in_the_middle_ends_the_episode_and_the_operator_drives_again(house):
    wallet = new_key()
    async with house.driver(wallet) as before:
        await live(house, before)
        await push(before, 6)
        before._socket.transport.abort()  # a browser that is reloaded says nothing
        async with house.driver(wallet) as after:
            await live(house, after)
            await push(after, 2)
            assert after._epoch > before._epoch
    steps, end = first_of(drained(house))
    assert (end.reason, end.steps) == (EndReason.OPERATOR_LOST, len(steps))
    assert end.steps >= 4


async def test_a_second_sign_in_takes_nobodys_place(house):
    wallet = new_key()
    async with house.driver(wallet) as driver:
        await live(house, driver)
        await push(driver, 3)
        async with house.driver(wallet) as other:
            await push(driver, 3)
            assert other.state is None
        await push(driver, 3)
        assert driver.state.recording
        assert (await driver.finish())["valid"]


async def test_a_second_connection_that_joins_ends_the_episode_of_the_first(house):
    wallet = new_key()
    async with house.driver(wallet) as first, house.driver(wallet) as second:
        await live(house, first)
        await push(first, 6)
        await live(house, second)
        await push(second, 2)
    steps, end = first_of(drained(house))
    assert (end.reason, end.steps) == (EndReason.OPERATOR_LOST, len(steps))
    assert end.steps >= 4


async def recorded(driver: Driver) -> None:
    """Push until something is recorded: a robot that expired on a busy machine is armed again first."""
    await push(driver, 6)
    while not driver.state.recording:
        await driver.armed()
        await push(driver, 6)


async def test_a_hub_that_restarts_in_the_middle_finds_the_robot_again_as_it_was_left(tmp_path):
    events = Events()
    async with hub_at(tmp_path) as (url, hub, registry):
        port = int(url.rpartition(":")[2])
        key, owner, robot = new_key(), new_key(), make_world("panda", "lift")
        host = Host(url, key, "robot-1", robot, events, owner=owner.address)
        register_robot(registry, owner, key, "robot-1", robot)
        serving = asyncio.create_task(host.serve())
        await host.online.wait()
        house = Platform(url, hub, registry, DOMAIN, owner, robot, key, host, events, [serving])
        async with house.driver() as driver:
            await live(house, driver)
            await recorded(driver)
            hub.docks[key.address].outbox.signal(encode(EstopOrder("somebody")))
            await driver.wait_for("estopped")
    await host.offline.wait()
    async with hub_at(tmp_path, port=port) as (url, hub, _registry):
        await host.online.wait()
        assert hub.docks[key.address].estopped, "a stop outlives the hub"
        async with Driver(url, new_key()) as driver, Driver(url, owner) as its_owner:
            await its_owner.clear(key.address, hub.docks[key.address].stop)
            await driver.send({"type": "watch", "robot": key.address})
            await driver.wait_for("watching")
            while hub.docks[key.address].estopped:
                await driver.wait_for("cleared")
            await live(house, driver)
            await recorded(driver)
            assert driver._epoch > 1, "epochs go on where they were"
    await host.offline.wait()
    await house.stop_host()
    ends = [event for event in drained(house) if isinstance(event, EpisodeEnd)]
    assert [end.reason for end in ends] == [EndReason.ESTOPPED, ends[1].reason]
    assert ends[1].reason in (EndReason.HOST_LOST, EndReason.OPERATOR_LOST)
    assert all(end.steps >= 4 for end in ends)
