"""Whatever comes through a real socket: no crash, no motion, one counted drop, and nobody else is slowed.

One hub, one robot's host, one operator who holds it, all on an event loop in a thread of its own; Hypothesis says what
is sent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from teleop.host.link import Host
from teleop.hub import sockets
from teleop.identity import HOST_HELLO, new_key
from teleop.operator.driver import Driver
from teleop.wire import signalling
from teleop.wire.descriptor import describe
from teleop.wire.driver import NAME_MAX, PERSON, DriverKind
from teleop.wire.driver import Driver as Said
from teleop.wire.messages import COMMAND_BYTES_MAX, PROTOCOL, Command, Mode, Safety
from teleop.wire.notes import NOTE_CHARACTERS_MAX
from tests.teleop.platform import DOMAIN, Platform, platform
from tests.teleop.registering import register_robot
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
"""Hypothesis takes what the hub's thread draws meanwhile for its own."""
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(FEW, max_examples=120)
FORWARD = np.array([0.2, 0, 0, 0, 0, 0, 1], np.float32)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)
DEEP = st.sampled_from(["[", '{"type":', '{"type":"hello","descriptor":{"a":']).map(lambda open_: open_ * 1500)


DRIVERS = st.just(PERSON) | st.builds(
    Said,
    st.sampled_from([DriverKind.SCRIPT, DriverKind.POLICY]),
    st.text(min_size=1, max_size=NAME_MAX).filter(str.isprintable),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)


def well_formed(kind: type[signalling.Message]) -> st.SearchStrategy[signalling.Message]:
    """Messages of that type, with values at random."""
    own: dict[str, st.SearchStrategy[Any]] = {
        "stop": st.binary(min_size=32, max_size=32).map(lambda name: "0x" + name.hex())
    }
    own |= {"driver": DRIVERS, "text": st.text(min_size=1, max_size=NOTE_CHARACTERS_MAX)}
    return st.builds(kind, **{name: values for name, values in own.items() if name in kind.__struct_fields__})


def frames_of(party: Any) -> st.SearchStrategy[str]:
    """JSON frames that look like one of `party`'s messages: any field may be right, wrong, missing or too much."""

    def of(message: type[signalling.Message]) -> st.SearchStrategy[str]:
        tag = message.__struct_config__.tag
        known = {
            name: st.one_of(JUNK, st.just(str(PROTOCOL)), st.just(PROTOCOL))
            for name in message.__struct_encode_fields__
        }
        fields = st.fixed_dictionaries({}, optional=known)
        more = st.one_of(st.just({}), st.just({}), st.dictionaries(st.text(max_size=8), JUNK, max_size=2))
        return st.builds(lambda own, extra: json.dumps({**extra, **own, "type": tag}), fields, more)

    raw = st.one_of(st.text(max_size=200), JUNK.map(json.dumps), DEEP)
    return st.one_of(*(of(message) for message in get_args(party)), raw)


def refused(read: Callable[[str], object]) -> Callable[[str], bool]:
    """Return whether a frame is none that `read` accepts."""

    def is_refused(frame: str) -> bool:
        try:
            read(frame)
        except signalling.SignallingError:
            return True
        return False

    return is_refused


@dataclass
class Stage:
    """The platform in its thread, with an operator who has armed the robot."""

    portal: BlockingPortal
    house: Platform
    driver: Driver
    other: Driver
    drops: int = 0
    before: Any = None
    joints: list[np.ndarray] = field(default_factory=list)

    def dropped(self) -> int:
        """How many commands were dropped so far, by the hub and the host."""
        hub = sum(count for name, count in self.house.hub.counts.items() if name.startswith("commands_"))
        return hub + sum(self.house.host.loop.dropped.values())

    async def send(self, data: bytes) -> None:
        """Send bytes as the holder, and heartbeats until they have been dropped; require that nothing moved."""
        before, dropped = self.driver.values(self.driver.state)["joint_position"], self.dropped()
        await self.driver._socket.send(data)
        while self.dropped() == dropped:
            state = await self.driver.next_state()
            assert state.safety is not Safety.DRIVING
        assert self.dropped() == dropped + 1
        assert np.array_equal(self.driver.values(self.driver.state)["joint_position"], before)

    async def ask(self, frame: str) -> dict[str, Any]:
        """Send a control frame as somebody who holds nothing; return the one answer."""
        await self.other._socket.send(frame)
        answer: dict[str, Any] = await self.other._messages.get()
        assert self.other._messages.empty()
        return answer


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop's other tasks go on until that holds."""
    while not holds():  # noqa: ASYNC110  what is waited for is a count, and nobody's event
        await asyncio.sleep(0.001)


async def engage(driver: Driver, house: Platform) -> None:
    await driver.join(house.robot_key.address, "lift")
    await driver.begin()
    await driver.armed()


async def works(driver: Driver) -> None:
    """Require that the robot can be driven."""
    await driver.armed()
    before = driver.values(driver.state)["joint_position"]
    for _ in range(6):
        await driver.command(Mode.EE_TWIST, FORWARD, dead_man=True)
        await driver.next_state()
    assert not np.array_equal(driver.values(driver.state)["joint_position"], before)


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setattr(sockets, "CONTROLS_PER_S", 10**6)  # Hypothesis asks faster than people
        patch.setattr(sockets, "COMMANDS_PER_S", 10**6)
        portal = stack.enter_context(start_blocking_portal("asyncio"))

        def entered(context):
            return stack.enter_context(portal.wrap_async_context_manager(context))

        house = entered(platform(tmp_path_factory.mktemp("bad")))
        driver, other = entered(house.driver()), entered(house.driver())
        portal.call(engage, driver, house)
        yield Stage(portal, house, driver, other)


GOOD = Command(Mode.EE_TWIST, True, 0, 2**31, 0, 0, FORWARD)
NO_COMMANDS = st.one_of(
    st.binary(max_size=COMMAND_BYTES_MAX + 50),
    st.builds(lambda cut: GOOD.encode()[:cut], st.integers(0, len(GOOD.encode()) - 1)),
    st.builds(lambda more: GOOD.encode() + more, st.binary(min_size=1, max_size=40)),
    st.builds(lambda epoch: replace(GOOD, epoch=epoch).encode(), st.integers(2, 2**32 - 1)),
    st.builds(
        lambda at, bad: replace(GOOD, epoch=1, values=np.insert(FORWARD, at, bad)).encode(),
        st.integers(0, 7),
        st.sampled_from([np.nan, np.inf, -np.inf]),
    ),
    st.builds(
        lambda at, byte: (data := bytearray(GOOD.encode())).__setitem__(at, byte) or bytes(data),
        st.sampled_from([0, 1, 24, 25, 26, 27]),
        st.integers(16, 255),
    ),
)


@FEW
@given(data=NO_COMMANDS)
def test_bytes_that_are_no_command_of_the_lease_are_one_drop_and_no_motion(stage, data):
    stage.portal.call(stage.send, data)


@MANY
@given(frame=frames_of(signalling.FromOperator).filter(refused(signalling.from_operator)))
def test_a_control_frame_that_is_none_is_one_answer_and_one_count(stage, frame):
    counts = stage.house.hub.counts
    before = sum(count for name, count in counts.items() if name.startswith("controls_"))
    answer = stage.portal.call(stage.ask, frame)
    assert (answer["type"], answer["code"] in ("malformed", "unknown_type")) == ("error", True)
    assert "expected" in answer["message"]
    assert sum(count for name, count in counts.items() if name.startswith("controls_")) == before + 1


@MANY
@given(message=st.one_of(*(well_formed(kind) for kind in get_args(signalling.FromOperator))))
def test_a_control_frame_that_cannot_be_served_is_one_answer(stage, message):
    """Well-formed, with values at random: nothing of it is this operator's to do."""
    answer = stage.portal.call(stage.ask, signalling.encode(message))
    assert answer["type"] == "error"
    assert answer["code"] in ("state", "robot_offline", "lease_over")


@MANY
@given(
    frame=st.one_of(frames_of(signalling.FromOperator), st.binary(max_size=60)), path=st.sampled_from(["drive", "host"])
)
def test_a_stranger_whose_first_frame_is_wrong_hears_why_and_is_closed(stage, frame, path):
    async def knock() -> None:
        async with connect(f"{stage.house.url.replace('http', 'ws')}/ws/{path}", proxy=None) as socket:
            if path == "host":
                await socket.recv()
            await socket.send(frame)
            answer = json.loads(await socket.recv())
            assert (answer["type"], answer["code"] in ("protocol", "auth", "malformed", "unknown_type")) == (
                "error",
                True,
            )
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code in (4400, 4401)

    stage.portal.call(knock)


@pytest.fixture(scope="module")
def bad_host(stage) -> Iterator[ClientConnection]:
    """A robot that is registered and proves its key, and then says anything."""
    socket = stage.portal.call(_dialled, stage.house)
    yield socket
    stage.portal.call(socket.close)


async def _dialled(house: Platform) -> ClientConnection:
    key, owner, robot = new_key(), new_key(), Puppet(PANDA)
    register_robot(house.registry, owner, key, "bad", robot)
    socket = await connect(house.url.replace("http", "ws") + "/ws/host", proxy=None)
    challenge = json.loads(await socket.recv())["challenge"]
    signature = HOST_HELLO.sign(key, DOMAIN, {"robot": key.address, "challenge": challenge})
    hello = signalling.HostHello(PROTOCOL, key.address, signature, describe("bad", PANDA), False, takes_rules=True)
    await socket.send(signalling.encode(hello))
    assert json.loads(await socket.recv())["type"] == "welcome"
    return socket


@MANY
@given(
    frame=st.one_of(
        frames_of(signalling.FromHost),
        st.one_of(*(well_formed(kind) for kind in get_args(signalling.FromHost)[1:])).map(signalling.encode),
        st.binary(max_size=5000),
    )
)
def test_a_host_may_say_anything_and_the_hub_goes_on(stage, bad_host, frame):
    counts = stage.house.hub.counts

    async def say() -> None:
        asked = counts["hosts_unknown_type"]
        await bad_host.send(frame)
        await bad_host.send('{"type":"over"}')
        await until(lambda: counts["hosts_unknown_type"] > asked)

    stage.portal.call(say)
    assert bad_host.close_code is None


@pytest.mark.parametrize("tasks", [5, [7], [{}], [{"name": 1}], {"name": "lift"}])
def test_a_host_whose_tasks_have_no_names_is_turned_away(stage, tasks):
    async def dial() -> None:
        house, key, owner = stage.house, new_key(), new_key()
        register_robot(house.registry, owner, key, "nameless", Puppet(PANDA))
        async with connect(house.url.replace("http", "ws") + "/ws/host", proxy=None) as socket:
            challenge = json.loads(await socket.recv())["challenge"]
            signature = HOST_HELLO.sign(key, DOMAIN, {"robot": key.address, "challenge": challenge})
            said = {"tasks": tasks}
            hello = signalling.HostHello(PROTOCOL, key.address, signature, said, False, takes_rules=True)
            await socket.send(signalling.encode(hello))
            assert json.loads(await socket.recv())["code"] == "malformed"

    stage.portal.call(dial)


def test_after_all_that_the_robot_drives_as_before(stage):
    stage.portal.call(works, stage.driver)
    census = stage.house.hub.census()
    assert (census["operators"], census["holding"]) == (2, 1)


@settings(FEW, max_examples=20)
@given(
    frame=st.one_of(
        frames_of(signalling.ToHost).filter(refused(signalling.to_host)),
        st.from_type(signalling.LeaseOrder).map(signalling.encode),
    )
)
def test_a_host_survives_a_hub_that_says_anything(frame):
    """It closes on what is no message, refuses whom no wallet let drive, and dials again; the robot is not touched."""
    asyncio.run(_beset(frame))


async def _beset(frame: str) -> None:
    dialled: asyncio.Queue[None] = asyncio.Queue()

    async def hub(socket) -> None:
        await socket.send(
            signalling.encode(signalling.Challenge(PROTOCOL, "0x" + "11" * 32, DOMAIN.chain_id, DOMAIN.vault))
        )
        await socket.recv()
        dialled.put_nowait(None)
        if dialled.qsize() > 1:
            return
        await socket.send(frame)
        await socket.send(Command(Mode.EE_TWIST, True, 1, 1, 0, 0, FORWARD).encode())
        await socket.send("no message")
        await socket.wait_closed()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("teleop.host.link._BACKOFF_S", (0.0,))
        async with serve(hub, "127.0.0.1", 0) as server:
            robot = Puppet(PANDA)
            host = Host(
                f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", new_key(), "x", robot, asyncio.Queue()
            )
            serving = asyncio.create_task(host.serve())
            await until(lambda: dialled.qsize() > 1 or serving.done())
            assert not serving.done(), serving.exception()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            assert not robot.sent
