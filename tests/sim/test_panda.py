"""The simulated Panda is a robot like any other."""

from __future__ import annotations

import pytest

from sim.catalogue import make_world
from sim.robot import Robot
from tests.robot_contract import RobotContract


class TestPanda(RobotContract):
    """Every promise of the contract."""

    @pytest.fixture
    def robot(self) -> Robot:
        world = make_world("panda", "lift")
        world.connect()
        yield world
        world.disconnect()
