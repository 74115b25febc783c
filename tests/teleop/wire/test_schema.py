"""The published schema is the code's, names everything that is said, and another version is refused by both sides."""

from __future__ import annotations

import asyncio
import json

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from teleop.host.link import Host
from teleop.identity import new_key
from teleop.operator.driver import RefusedError
from teleop.wire import signalling
from teleop.wire.messages import PROTOCOL, Mode
from teleop.wire.schema import PARTIES, made, published
from tests.teleop.platform import platform
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio
TO_OPERATOR = msgspec.json.Decoder(signalling.ToOperator)


def test_the_published_schema_is_made_from_the_messages():
    assert published() == made(), "run: python -m teleop.wire.schema > teleop/wire/signalling.schema.json"


def test_every_message_is_described_and_allows_no_field_more():
    schema = published()
    for party in PARTIES:
        for one in schema["$defs"][party]["oneOf"]:
            described = schema["$defs"][one["$ref"].removeprefix("#/$defs/")]
            assert described["description"]
            assert described["additionalProperties"] is False
            assert "type" in described["required"]


async def test_the_hub_serves_the_schema_and_says_only_what_is_in_it(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        async with httpx.AsyncClient(base_url=house.url) as http:
            assert (await http.get("/api/protocol")).json() == published()
            before = (await http.get("/api/counts")).json()
            assert (before["operators"], before["robots"], before["holding"]) == (1, 1, 0)
        heard = []
        put = driver._messages.put_nowait
        driver._messages.put_nowait = lambda message: (heard.append(message), put(message))
        robot = house.robot_key.address
        await driver.send({"type": "watch", "robot": robot})
        await driver.join(robot, "lift")
        await driver.begin()
        await driver.armed()
        for _ in range(3):
            await driver.command(Mode.EE_TWIST, [0.1, 0, 0, 0, 0, 0, 1], dead_man=True)
            await driver.next_state()
        await driver.finish()
        await driver.send({"type": "estop", "robot": robot})
        stop = (await driver.wait_for("estopped"))["stop"]
        await driver.clear(robot, stop)
        with pytest.raises(RefusedError):
            await driver.wait_for("cleared")
        await driver.leave()
    said = {type(TO_OPERATOR.decode(json.dumps(message))) for message in heard if message["type"] != "closed"}
    assert said >= {
        signalling.Watching,
        signalling.Granted,
        signalling.EpisodeReady,
        signalling.EpisodeEnded,
        signalling.RobotStopped,
        signalling.Refusal,
        signalling.Left,
    }


@pytest.mark.parametrize("path", ["/ws/drive", "/ws/host"])
@pytest.mark.parametrize("more", [{}, {"resume": True, "token": 7}], ids=["as ours", "of another shape"])
async def test_the_hub_refuses_another_version_by_name_and_closes(tmp_path, path, more):
    async with platform(tmp_path) as house, connect(house.url.replace("http", "ws") + path, proxy=None) as socket:
        if path == "/ws/host":
            assert json.loads(await socket.recv())["protocol"] == PROTOCOL
        await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL + 1, **more}))
        answer = json.loads(await socket.recv())
        assert (answer["type"], answer["code"]) == ("error", "protocol")
        assert f"expected protocol {PROTOCOL}, got {PROTOCOL + 1}" in answer["message"]
        assert "update" in answer["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4400


async def test_a_client_of_another_version_hears_why_it_is_refused(tmp_path, monkeypatch):
    async with platform(tmp_path) as house:
        monkeypatch.setattr("teleop.operator.driver.PROTOCOL", PROTOCOL + 1)
        with pytest.raises(RefusedError, match=f"expected protocol {PROTOCOL}, got {PROTOCOL + 1}") as caught:
            async with house.driver():
                pass
        assert caught.value.code == "protocol"


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        ({"type": "challenge", "protocol": PROTOCOL + 1, "seal": []}, f"expected protocol {PROTOCOL}, got"),
        ({"type": "error", "code": "protocol", "message": "your version is too old"}, "your version is too old"),
        ({"type": "challenge", "protocol": PROTOCOL}, "expected a message of the control plane"),
    ],
    ids=["another version", "refused", "malformed"],
)
async def test_a_host_says_why_a_hub_is_not_its_own_and_dials_again(challenge, said, monkeypatch):
    warned: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr("teleop.host.link._log.warning", lambda event, **why: warned.put_nowait(why["error"]))
    monkeypatch.setattr("teleop.host.link._BACKOFF_S", (0.0,))

    async def other(socket) -> None:
        await socket.send(json.dumps(challenge))
        await socket.wait_closed()

    async with serve(other, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        host = Host(f"http://127.0.0.1:{port}", new_key(), "x", Puppet(PANDA), asyncio.Queue())
        serving = asyncio.create_task(host.serve())
        for _ in range(2):
            assert said in await warned.get()
        assert not host.online.is_set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
