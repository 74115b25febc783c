"""A robot that changes its task, over real sockets: its driver, its watcher and its camera go along."""

from __future__ import annotations

import asyncio

import cv2
import numpy as np
import pytest

from sim.catalogue import make_worlds
from teleop.identity import new_key
from teleop.operator.viewer import Looking
from teleop.wire.messages import Mode
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio
UP = [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 1.0]


def size(robot: dict) -> int:
    return sum(int(np.prod(array["shape"])) for array in robot["observation"])


async def test_driver_watcher_and_camera_see_the_robot_at_the_task_of_the_moment(tmp_path):
    async with platform(tmp_path, make_worlds("panda", ("lift", "stack"))) as house, house.driver() as watcher:
        robot, token = house.robot_key.address, watcher.http.headers["Authorization"].removeprefix("Bearer ")
        await watcher.send({"type": "watch", "robot": robot})
        first = await watcher.wait_for("watching")
        assert first["task"]["name"] == "lift"
        sizes, pictures = {}, {}
        async with Looking(house.url, token, robot, "front") as looking:
            for task in ("lift", "stack", "lift"):
                async with house.driver(new_key()) as driver:
                    granted = await driver.join(robot, task)
                    sizes[task] = size(granted["robot"])
                    await driver.begin()
                    state = await driver.armed()
                    assert len(state.values) == sizes[task]
                    assert ("red_pose" in driver.values(state)) == (task == "stack"), [*driver.values(state)]
                    driving = asyncio.create_task(drive(driver))
                    pictures[task] = await picture(looking)
                    watched = await watcher.next_state()
                    while watched.epoch < granted["epoch"]:
                        watched = await watcher.next_state()
                    assert len(watched.values) == sizes[task]
                    if sizes[task] != size(first["robot"]):
                        told = await watcher.wait_for("watching")
                        assert (told["task"]["name"], told["epoch"]) == (task, granted["epoch"])
                        assert size(told["robot"]) == sizes[task]
                        first = told
                    driving.cancel()
                    await asyncio.gather(driving, return_exceptions=True)
                    await driver.leave()
        assert sizes["lift"] != sizes["stack"]
        assert all(picture.std() > 9 for picture in pictures.values())
        assert not np.array_equal(pictures["lift"], pictures["stack"])


async def drive(driver) -> None:
    """Drive up and on, until cancelled."""
    while True:
        await driver.command(Mode.EE_TWIST, UP, dead_man=True)
        await asyncio.sleep(0.03)


async def picture(looking) -> np.ndarray:
    """Return a picture that was drawn since the drive began: the ones before it were asked for earlier."""
    for _ in range(3):
        frame = await looking.read()
    return cv2.imdecode(np.frombuffer(frame.payload, np.uint8), cv2.IMREAD_COLOR)
