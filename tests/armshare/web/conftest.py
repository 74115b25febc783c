"""One Chromium for all tests of the page, and a platform with every kind of robot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from armshare.platform.processes import platform
from sim.catalogue import ROBOTS, pairs
from tests.armshare.command import armshare_here
from tests.browser import chromium
from tests.sim.bring.packages import crane


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser; each test opens a context of its own in it."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def every_robot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a platform with a robot of each kind that there is a task for, and a crane that was added."""
    data, task_of = tmp_path_factory.mktemp("every-robot"), dict(pairs())
    added = str(crane(tmp_path_factory.mktemp("crane")).parents[1])
    done = armshare_here("robot", "add", added, "--name", "crane", "--data", str(data))
    assert done.returncode == 0, done.stdout + done.stderr
    robots = [*(f"{robot}:{task_of[robot]}" for robot in ROBOTS if robot in task_of), "crane:reach"]
    with (data / "log").open("wb") as log, platform(data, 0, robots, log) as (url, _children):
        yield url
