"""A host that cannot record which rules an episode is paid by is told at once, instead of driving for nothing."""

from __future__ import annotations

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from teleop.hub.robots.registry import Registry
from teleop.identity import HOST_HELLO, new_key
from teleop.wire import signalling
from teleop.wire.descriptor import describe
from teleop.wire.messages import PROTOCOL
from tests.teleop.platform import DOMAIN, hub_at
from tests.teleop.registering import register_robot
from tests.teleop.sessions import PANDA, Puppet

pytestmark = pytest.mark.anyio


async def greeted(url: str, registry: Registry, **more: bool) -> tuple[dict[str, str], int | None]:
    """Return what the hub answers to a robot's hello, and with which code it closed, if it did."""
    key = new_key()
    register_robot(registry, new_key(), key, "old", Puppet(PANDA))
    async with connect(url.replace("http", "ws") + "/ws/host", proxy=None) as socket:
        challenge = json.loads(await socket.recv())["challenge"]
        signature = HOST_HELLO.sign(key, DOMAIN, {"robot": key.address, "challenge": challenge})
        hello = signalling.HostHello(PROTOCOL, key.address, signature, describe("old", PANDA), False)
        said = json.loads(signalling.encode(hello)) | more
        if not more:
            said.pop("takes_rules", None)  # as it was said before there was such a field
        await socket.send(json.dumps(said))
        answer = json.loads(await socket.recv())
        if answer["type"] == "error":
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        return answer, socket.close_code


async def test_a_host_of_an_earlier_release_is_turned_away_with_what_to_do(tmp_path):
    async with hub_at(tmp_path) as (url, hub, registry):
        for said in ({}, {"takes_rules": False}):
            answer, closed = await greeted(url, registry, **said)
            assert (answer["code"], closed) == ("protocol", 4400)
            assert answer["message"].endswith("update armshare on the robot's computer")
        assert not hub.docks


async def test_a_host_that_records_them_is_let_in(tmp_path):
    async with hub_at(tmp_path) as (url, _hub, registry):
        answer, _closed = await greeted(url, registry, takes_rules=True)
        assert answer["type"] == "welcome"
