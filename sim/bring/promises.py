"""The contract of every robot (`sim/contract.py`), run for an added one in a process of its own. Exports `broken`.

    python -m sim.bring.promises FOLDER FILE

runs it by pytest, and writes a JSON object into FILE: each promise that is broken, and how. What the process prints is
not read: the engine prints, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from sim.catalogue import task
from sim.contract import RobotContract
from sim.own import read
from sim.robot import Robot, RobotError

_FOLDER: Final = "ARMSHARE_PROMISED"


class ContractError(RobotError):
    """A robot does not keep the contract, or it could not be run; the message says what is broken."""


class TestAdded(RobotContract):
    """Every promise, by the robot in the folder that the environment names."""

    @pytest.fixture(scope="class")
    def connected(self) -> Iterator[Robot]:
        """The robot at the first task that it is offered for."""
        from sim.physics.world import World

        folder = Path(os.environ[_FOLDER])
        robot = read(folder)
        world = World(robot.description, task(robot.tasks[0]))
        world.connect()
        yield world
        world.disconnect()

    @pytest.fixture
    def robot(self, connected: Robot) -> Robot:
        return connected


class _Heard:
    """What pytest says about each promise."""

    def __init__(self) -> None:
        self.broken: dict[str, str] = {}
        self.kept = 0

    def pytest_runtest_logreport(self, report: Any) -> None:
        name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            said = str(report.longrepr) if crash is None else crash.message
            self.broken.setdefault(name, said.removeprefix("AssertionError: ").splitlines()[0])
        self.kept += report.when == "call" and report.passed


def broken(folder: Path) -> dict[str, str]:
    """Return the promises that the robot in `folder` breaks, and how; raise ContractError if that cannot be known."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "broken.json"
        command = [sys.executable, "-m", "sim.bring.promises", str(folder), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not file.is_file():
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise ContractError(f"The contract could not be run for {folder.name}: {said}")
        found: dict[str, str] = json.loads(file.read_text())
        return found


def _run(folder: Path) -> dict[str, str]:
    os.environ[_FOLDER] = str(folder)
    heard = _Heard()
    quiet = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull]
    code = pytest.main([*quiet, "--rootdir", str(Path(__file__).parent), f"{__file__}::TestAdded"], plugins=[heard])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not heard.kept + len(heard.broken):
        raise ContractError(f"expected pytest to run the contract, got exit code {code}")
    return heard.broken


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(_run(Path(sys.argv[1]))))
