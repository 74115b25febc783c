"""Every simulated robot is a robot like any other, and its description is one that tasks can be placed for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sim.catalogue import ROBOTS, description, make_world, pairs
from sim.contract import RobotContract
from sim.robot import Robot


@pytest.fixture(scope="module", params=ROBOTS)
def connected(request: pytest.FixtureRequest) -> Iterator[Robot]:
    """Each robot at the first task that it can do, started once."""
    world = make_world(*next(pair for pair in pairs() if pair[0] == request.param))
    world.connect()
    yield world
    world.disconnect()


class TestSimulated(RobotContract):
    """Every promise of the contract, by every robot."""

    @pytest.fixture
    def robot(self, connected: Robot) -> Robot:
        return connected


@pytest.mark.parametrize("name", ROBOTS)
def test_the_field_of_tasks_lies_where_hands_can_go(name):
    robot = description(name)
    center, half = np.array(robot.field.center_m), np.array(robot.field.half_extents_m)
    if robot.base is not None:  # its workspace is where its base is
        assert robot.hands[0].base_link is not None
    low = np.min([hand.workspace_lower_m for hand in robot.hands], axis=0)[:2]
    high = np.max([hand.workspace_upper_m for hand in robot.hands], axis=0)[:2]
    assert (center - half >= low).all()
    assert (center + half <= high).all()


@pytest.mark.parametrize("name", ROBOTS)
def test_a_robot_is_data_of_a_few_lines(pytestconfig, name):
    lines = (pytestconfig.rootpath / "sim" / "robots" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 60
