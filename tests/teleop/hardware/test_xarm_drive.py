"""The xArm6's driver, driven through the hub: every line outside the adapter is shared with other robots."""

from __future__ import annotations

import numpy as np
import pytest

from teleop.hardware.feetech import FREE
from teleop.hardware.xarm import XArm6
from teleop.steps import EpisodeEnd
from teleop.wire.messages import Mode, Safety
from teleop.wire.reasons import EndReason
from tests.emulators.xarm import XArmBox
from tests.teleop.platform import platform

pytestmark = pytest.mark.anyio


async def test_it_is_driven_and_an_emergency_stop_at_the_arm_ends_the_episode(tmp_path):
    with XArmBox() as box:
        arm = XArm6(box.address, task=FREE, answer_wait_s=5.0)
        async with platform(tmp_path, arm) as house, house.driver() as driver:
            await driver.join(house.robot_key.address, "free")
            await driver.begin()
            state = await driver.armed()
            start = driver.values(state)["joint_position"].copy()
            target = start + np.array([0.15, 0.0, 0.0, 0.0, 0.0, 0.0])
            while abs(driver.values(state)["joint_position"][0] - target[0]) > 0.02:
                await driver.command(Mode.JOINT_POSITION, [*target, 0.0], dead_man=True)
                state = await driver.next_state()
            box.press_stop()
            said = await driver.wait_for("ended")
            assert (said["reason"], said["valid"]) == ("robot_fault", False)
            assert (await driver.next_state()).safety is not Safety.DRIVING
        events = [house.events.get_nowait() for _ in range(house.events.qsize())]
    assert isinstance(events[-1], EpisodeEnd)
    assert events[-1].reason is EndReason.ROBOT_FAULT
    applied = np.array([step.applied.joint_position for step in events[1:-1]])
    most = arm.spec.joint_velocity_max_rad_s / arm.spec.control_hz + 1e-6
    assert np.all(np.abs(np.diff(applied, axis=0)) <= most)
