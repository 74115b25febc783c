"""One Panda at lift, connected once, and what makes its episodes into a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recorder.collect.folder import Folder, Made
from recorder.collect.making import Maker
from recorder.collect.parties import parties
from sim.catalogue import make_world
from sim.physics.world import World
from sim.robot import Robot
from teleop.wire.driver import Driver, DriverKind

LIFT = Made("panda", "lift", Driver(DriverKind.SCRIPT, "a test", "5" * 64))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Return a connected Panda at lift."""
    made = make_world("panda", "lift")
    made.connect()
    yield made
    made.disconnect()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """Return a folder that is held."""
    made = Folder(tmp_path / "episodes")
    with made.held(LIFT):
        yield made


@pytest.fixture
def maker(world: World, folder: Folder) -> Callable[..., Maker]:
    """Return what returns a maker of episodes, of the world or of another robot."""

    def make(robot: Robot = world, *, replay: bool = False, rules: str | None = None) -> Maker:
        return Maker(robot, parties(folder.keys, "lift"), folder, LIFT, replay=replay, rules=rules)

    return make
