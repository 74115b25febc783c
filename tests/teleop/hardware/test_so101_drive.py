"""The real arm's adapter, driven through the hub on an emulated bus: every line outside the adapter is shared."""

from __future__ import annotations

import numpy as np
import pytest

from teleop.hardware.feetech import So101
from teleop.steps import EpisodeEnd, EpisodeStart
from teleop.wire.messages import Mode, Safety
from teleop.wire.reasons import EndReason
from tests.emulators.feetech import FeetechBus
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio


async def begun(house, driver):
    await driver.join(house.robot_key.address, "free")
    await driver.begin()
    return await driver.armed()


def ended(house):
    events = [house.events.get_nowait() for _ in range(house.events.qsize())]
    assert isinstance(events[0], EpisodeStart)
    assert isinstance(events[-1], EpisodeEnd)
    return events[0], events[1:-1], events[-1]


async def test_the_emulated_arm_is_driven_by_twist_and_by_joint(tmp_path):
    with FeetechBus() as bus:
        async with platform(tmp_path, So101(bus.device, answer_wait_s=0.25)) as house, house.driver() as driver:
            state = await begun(house, driver)
            start = driver.values(state)["ee_pose"]
            while driver.values(state)["ee_pose"][2] < start[2] + 0.02:
                await driver.command(Mode.EE_TWIST, [0, 0, 0.1, 0, 0, 0, 1.0], dead_man=True)
                state = await driver.next_state()
            target = driver.values(state)["joint_position"].copy()
            target[0] += 0.2
            while abs(driver.values(state)["joint_position"][0] - target[0]) > 0.03:
                await driver.command(Mode.JOINT_POSITION, [*target, 0.2], dead_man=True)
                state = await driver.next_state()
            assert (await driver.finish(said=True))["valid"]
        opening, steps, end = ended(house)
        assert not opening.spec.simulated
        assert end.reason is EndReason.FINISHED
        assert end.success is None, "a real arm cannot know"
        assert end.said is True, "the operator's word, and no fact"
        applied = np.array([step.applied.joint_position for step in steps])
        most = opening.spec.joint_velocity_max_rad_s / 20 + opening.spec.joint_resolution_rad + 1e-6
        assert np.all(np.abs(np.diff(applied, axis=0)) <= most)


async def test_a_bus_that_is_unplugged_ends_the_episode_and_the_arm_holds(tmp_path):
    with FeetechBus() as bus:
        async with platform(tmp_path, So101(bus.device, answer_wait_s=0.25)) as house, house.driver() as driver:
            await begun(house, driver)
            for _ in range(5):
                await driver.command(Mode.EE_TWIST, [0, 0, 0.05, 0, 0, 0, 1.0], dead_man=True)
                await driver.next_state()
            bus.unplug()
            said = await driver.wait_for("ended")
            assert (said["reason"], said["valid"]) == ("robot_fault", False)
            state = await driver.next_state()
            assert state.safety is not Safety.DRIVING
        assert ended(house)[2].reason is EndReason.ROBOT_FAULT
