"""Whoever comes to a robot that broke is told at once, in its queue, at its begin and while arming; nobody waits."""

from __future__ import annotations

import asyncio

import pytest

from teleop.host.orders import Recordable
from teleop.operator.driver import RefusedError
from teleop.steps import CannotRecord
from teleop.wire import signalling
from teleop.wire.reasons import EndReason
from tests.teleop.hub.bench import STOP, Bench
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio
WAIT_S = 20.0
"""Less than a driver waits for an answer, 30 s: what comes later has timed out."""
PULLED = "expected an answer from servo 3 on /dev/ttyUSB0, got none; check the cable"


async def test_the_next_in_the_queue_is_told_as_it_joins():
    bench = Bench()
    dock, _ = await bench.host()
    holder, waiting, later = bench.operator(), bench.operator(), bench.operator()
    await holder.join()
    await waiting.join()
    bench.hub.from_host(dock, signalling.Faulted(PULLED, STOP))
    assert waiting.ear.last("faulted")["reason"] == PULLED, "at once, not when it is their turn"
    await later.join()
    assert later.ear.last("faulted")["reason"] == PULLED


async def test_a_program_in_the_queue_of_a_robot_that_breaks_is_told_at_once(tmp_path):
    async with platform(tmp_path) as running, running.driver() as holder, running.driver() as waiting:
        await holder.join(running.robot_key.address, "lift")
        queued = asyncio.Event()
        joining = asyncio.create_task(waiting.join(running.robot_key.address, "lift", queued=lambda *_: queued.set()))
        await asyncio.wait_for(queued.wait(), WAIT_S)
        running.hub.from_host(running.hub.docks[running.robot_key.address], signalling.Faulted(PULLED, STOP))
        with pytest.raises(RefusedError, match="the robot broke: expected an answer from servo 3") as refused:
            await asyncio.wait_for(joining, WAIT_S)
        assert refused.value.code == "faulted"


async def test_a_begin_that_the_host_refuses_is_told_at_once(tmp_path):
    async with platform(tmp_path) as running, running.driver() as driver:
        await driver.join(running.robot_key.address, "lift")
        dock = running.hub.docks[running.robot_key.address]
        running.host.loop.order(Recordable(CannotRecord("its disk is full", EndReason.DISK_FULL)))
        await driver.wait_for("cannot_record")
        with pytest.raises(RefusedError, match="its disk is full") as refused:
            await asyncio.wait_for(driver.begin(), WAIT_S)
        assert refused.value.code == "cannot_record"
        dock.unrecordable = None  # what the hub knows may be a moment old: the host refuses by itself
        with pytest.raises(RefusedError, match="the episode did not begin") as refused:
            await asyncio.wait_for(driver.begin(), WAIT_S)
        assert refused.value.code == "disk_full"


async def test_arming_a_robot_that_is_stopped_is_refused_instead_of_tried_for_ever(tmp_path):
    async with platform(tmp_path) as running, running.driver() as driver:
        await driver.join(running.robot_key.address, "lift")
        await driver.begin()
        running.host.loop.order(signalling.EstopOrder("somebody"))
        await driver.wait_for("estopped")
        with pytest.raises(RefusedError, match="the robot is stopped; its owner can clear that"):
            await asyncio.wait_for(driver.armed(), WAIT_S)
