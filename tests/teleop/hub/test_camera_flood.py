"""A host that says without end that its cameras fail: who drives hears a bounded part of it, and a stop still comes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, get_args

import pytest

from teleop.hub import sockets
from teleop.wire import signalling
from teleop.wire.signalling import TIMES_MAX, PictureTrouble, SignallingError
from tests.teleop.hub.bench import Bench
from tests.teleop.hub.test_bad_input import until
from tests.teleop.hub.test_camera_troubles import heard
from tests.teleop.hub.test_returning import driving
from tests.teleop.platform import platform
from tests.teleop.test_drive import live, push

pytestmark = pytest.mark.anyio
FLOOD = 3 * sockets.TROUBLES_PER_S


async def test_a_flood_of_troubles_is_dropped_and_counted_and_a_stop_still_comes(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        await live(house, driver)
        await push(driver, 3)
        told: Counter[str] = Counter()
        driver.camera_told = lambda message: told.update([message["trouble"]])
        episode, counts = next(iter(driver.said)), house.hub.counts
        now, begun = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
        for number in range(FLOOD):
            house.host._report(signalling.CameraTroubled(episode, "front", "frozen", 1 + number, 0.0, None))
        await driver.send({"type": "estop", "robot": house.robot_key.address})
        await driver.wait_for("estopped")
        most = sockets.TROUBLES_PER_S * (1.0 + now() - begun)
        assert 1 <= told["frozen"] <= most
        await until(lambda: told["frozen"] + counts["hosts_flood"] == FLOOD)
        assert counts["hosts_flood"] > 0


async def test_no_other_word_of_a_host_is_lost_in_a_flood(tmp_path):
    async with platform(tmp_path) as house, house.driver() as driver:
        await live(house, driver)
        count = 3 * sockets.CONTROLS_PER_S
        for number in range(count):
            house.host._report(signalling.CannotRecord(f"reason {number}"))
        dock = house.hub.docks[house.robot_key.address]
        await until(lambda: dock.unrecordable == f"reason {count - 1}")
        assert house.hub.counts["hosts_flood"] == 0


async def test_what_is_kept_of_it_is_bounded_by_the_robots_cameras():
    bench = Bench()
    _operator, lease, _host = await driving(bench)
    kinds = get_args(PictureTrouble)
    for number in range(500):
        bench.hub.from_host(lease.dock, heard(times=1 + number, from_s=float(number), trouble=kinds[number % 5]))
        bench.hub.from_host(lease.dock, heard(camera=f"camera-{number}"))
    assert len(lease.troubles) == len(kinds)


@pytest.mark.parametrize("times", [0, TIMES_MAX + 1, 10**30])
async def test_how_often_it_came_is_a_number_that_every_client_can_hold(times: int):
    said: dict[str, Any] = json.loads(signalling.encode(signalling.CameraTroubled("E1", "front", "lost", 1, 0.0, None)))
    with pytest.raises(SignallingError):
        signalling.from_host(json.dumps(said | {"times": times}))
    assert signalling.from_host(json.dumps(said | {"times": TIMES_MAX}))
