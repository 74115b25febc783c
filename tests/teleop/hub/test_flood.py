"""Floods slow only whoever sends them, and connections that come and go leave nothing."""

from __future__ import annotations

import asyncio
import gc
import json

import httpx
import numpy as np
import pytest
from sqlalchemy import select
from websockets.asyncio.client import connect

from teleop.hub import sockets
from teleop.hub.leases.docks import Lease, Seat
from teleop.hub.tables import LeaseRow
from teleop.operator.driver import RefusedError
from teleop.wire.messages import PROTOCOL, Mode
from tests.teleop.hub.test_bad_input import engage, until
from tests.teleop.platform import hosted, platform

FORWARD = np.array([0.2, 0, 0, 0, 0, 0, 1], np.float32)
pytest_anyio = pytest.mark.anyio


@pytest_anyio
async def test_a_flood_slows_only_whoever_sends_it(tmp_path):
    async with (
        platform(tmp_path) as house,
        hosted(house.url, house.hub, house.registry, name="robot-2") as next_door,
        house.driver() as loud,
        next_door.driver() as quiet,
    ):
        await engage(loud, house)
        await engage(quiet, next_door)

        async def burst(count: int) -> None:  # bounded, as this loop is also the hub's
            for _ in range(count):
                await loud.command(Mode.EE_TWIST, FORWARD, dead_man=True)

        counts, now = house.hub.counts, asyncio.get_running_loop().time
        flooding = [asyncio.create_task(burst(2 * sockets.COMMANDS_PER_S))]
        await until(lambda: counts["commands_flood"] > 0)
        read, begun = counts["commands_flood"], now()
        for _ in range(20):
            flooding.append(asyncio.create_task(burst(50)))
            number = await quiet.command(Mode.NEUTRAL)
            while (await quiet.next_state()).applied < number and not next_door.host.loop.dropped:
                pass
        dropped = next_door.host.loop.dropped
        assert set(dropped) <= {"stale"}, "this machine may stall by itself"
        assert sum(dropped.values()) <= 2
        most = (sockets._DRAINED * sockets.COMMANDS_PER_S) * (now() - begun)
        assert counts["commands_flood"] - read <= most, "the hub reads more of a flood than it must"
        loud._socket.transport.abort()  # or it would first have to be read to the end
        for one in flooding:
            one.cancel()
        await asyncio.gather(*flooding, return_exceptions=True)


@pytest_anyio
async def test_a_stop_is_not_lost_in_a_flood_of_commands(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        await engage(driver, house)
        for _ in range(2 * sockets.COMMANDS_PER_S):
            await driver.command(Mode.EE_TWIST, FORWARD, dead_man=True)
        await driver.send({"type": "estop", "robot": house.robot_key.address})
        await driver.wait_for("estopped")
        assert house.host.loop.estopped
        assert house.hub.counts["commands_flood"] > 0


@pytest_anyio
async def test_a_flood_of_control_frames_is_answered_and_dropped(tmp_path):
    async with platform(tmp_path) as house, house.driver() as loud:
        for _ in range(2 * sockets.CONTROLS_PER_S):
            await loud.send({"type": "finish"})
        codes = [(await loud._messages.get())["code"] for _ in range(2 * sockets.CONTROLS_PER_S)]
        assert codes[0] == "state"
        assert codes.count("flood") == house.hub.counts["controls_flood"] > 0
        await asyncio.sleep(0)
        with pytest.raises(RefusedError, match=r"robot_offline|flood"):
            await loud.join("0x000000000000000000000000000000000000dEaD", "lift")


@pytest_anyio
async def test_three_hundred_connections_leave_no_seat_and_no_lease(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        token = driver.http.headers["Authorization"].removeprefix("Bearer ")
        hello = json.dumps({"type": "hello", "protocol": PROTOCOL, "token": token})
        watch = json.dumps({"type": "watch", "robot": house.robot_key.address})
        tasks = len(asyncio.all_tasks())
        gc.collect()
        before = sum(isinstance(one, Seat | Lease) for one in gc.get_objects())
        for number in range(300):
            socket = await connect(house.url.replace("http", "ws") + "/ws/drive", proxy=None)
            if number % 3:
                await socket.send(hello)
                await socket.recv()
            if number % 3 == 2:
                await socket.send(watch)
            if number % 2:
                socket.transport.abort()
            else:
                await socket.close()
        for _ in range(5):
            async with house.driver() as passing:
                await engage(passing, house)
        await until(lambda: house.hub.census()["operators"] == 1 and len(asyncio.all_tasks()) <= tasks)
        census = house.hub.census()
        assert (census["holding"], census["queued"], census["watching"]) == (0, 0, 0)
        with house.registry._database() as db:
            leases = list(db.scalars(select(LeaseRow)))
        assert len(leases) == 5
        assert all(lease.ended_ms for lease in leases)
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, Seat | Lease)]
        assert len(left) - before == 0
        async with httpx.AsyncClient(base_url=house.url) as http:
            assert (await http.get("/api/counts")).json()["operators"] == 1
