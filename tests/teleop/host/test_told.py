"""What a host says of a stop, and in which order: the file that outlives a crash comes first."""

from __future__ import annotations

import asyncio
import threading

import pytest

from teleop.host.link import Host
from teleop.identity import new_key
from teleop.steps import Events
from teleop.wire import signalling
from tests.teleop.host.test_link import answer, fake_hub, hosted
from tests.teleop.sessions import PANDA, STOP, Puppet

pytestmark = pytest.mark.anyio


class Line:
    """A hub's line that notes, with each signal, whether the stop's file was there."""

    def __init__(self, latch) -> None:
        self.latch, self.said, self.heard = latch, [], asyncio.Event()

    def signal(self, text: str) -> None:
        self.said.append((signalling.from_host(text), self.latch.exists()))
        self.heard.set()


async def test_nobody_is_told_of_a_stop_or_its_end_before_that_lasts(tmp_path):
    latch = tmp_path / "stopped"
    host = Host("http://hub", new_key(), "puppet", Puppet(PANDA), Events(), (), latch)
    line = host._socket = Line(latch)
    host.start()
    try:
        for message, kept in ((signalling.Estopped("anyone", STOP), True), (signalling.Cleared("owner"), False)):
            line.heard.clear()
            threading.Thread(target=host._report, args=(message,)).start()  # as the control loop does
            await asyncio.wait_for(line.heard.wait(), 20.0)
            assert line.said.pop() == (message, kept)
    finally:
        await host.stop()


async def test_a_host_that_ends_says_so_to_its_hub_and_is_offline():
    async with fake_hub() as hub:
        async with hosted(hub.url, new_key()) as (host, _robot):
            socket = await hub.connected()
            await asyncio.wait_for(host.online.wait(), 20.0)
        await asyncio.wait_for(socket.wait_closed(), 20.0)
        assert socket.close_code == 1000
        assert host.offline.is_set()
        assert not host.online.is_set()


async def test_a_host_that_ends_while_it_dials_does_not_wait_for_that(monkeypatch):
    dialling, dialled = threading.Event(), threading.Event()

    def dial(*_: object) -> None:
        dialling.set()
        dialled.wait(20.0)
        raise ConnectionRefusedError

    monkeypatch.setattr("teleop.host.link.dial", dial)
    async with hosted("http://hub", new_key()):
        assert await asyncio.to_thread(dialling.wait, 20.0)
    assert not dialled.is_set()
    dialled.set()


async def test_a_stop_is_obeyed_and_answered_through_the_socket():
    async with fake_hub() as hub, hosted(hub.url, new_key()) as (host, _robot):
        socket = await hub.connected()
        await socket.send(signalling.encode(signalling.EstopOrder("anyone")))
        assert (await answer(socket, "estopped"))["by"] == "anyone"
        assert host.loop.estopped
