"""The code in the documents runs as it stands."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sim.catalogue import pairs, task
from sim.check import drive
from sim.gym import TaskEnv
from sim.physics.world import World
from sim.registry import env_id

PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def run(pytestconfig):
    """Run one block of a page, upon what the blocks given before it have left."""

    def run(page: str, number: int, names: dict[str, object]) -> None:
        blocks = PYTHON.findall((pytestconfig.rootpath / page).read_text())
        exec(compile(blocks[number], f"{page}, block {number}", "exec"), names)

    return run


@pytest.mark.parametrize("number", range(2))
def test_the_code_of_the_environments_page_runs(run, number):
    run("docs/gymnasium.md", number, {})


def test_the_policy_of_the_environments_page_brings_the_hand_to_the_cube(run):
    names: dict[str, object] = {}
    run("docs/gymnasium.md", 2, names)
    env = TaskEnv("panda", "lift")
    seen, _ = env.reset(seed=1000)
    for _ in range(60):
        seen, *_ = env.step(names["policy"](seen))
    env.close()
    assert np.linalg.norm(seen["ee_pose"][:3] - seen["cube_pose"][:3]) < 0.02


def test_the_code_of_the_collecting_page_makes_episodes(run, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("docs/collecting.md", 0, {})
    assert capsys.readouterr().out == "lift-panda-0\nlift-panda-1\n"
    assert (tmp_path / "lift-env" / "lift-panda-1" / "episode.h5").exists()


def test_the_robot_that_is_added_in_the_docs_stands_at_home_and_lifts(run, capsys):
    page, names = "docs/adding-a-robot.md", {}
    for number in range(3):
        run(page, number, names)
    *joints, home = capsys.readouterr().out.splitlines()
    assert len(joints) == 12
    error_m, condition, _ = home.split(maxsplit=2)
    assert float(error_m) < 1e-6
    assert float(condition) < 17.0
    robot = names["DESCRIPTION"]
    world = World(robot, task("lift"))
    world.connect()
    assert np.allclose(world.observe().values["ee_pose"][:3], (*robot.field.center_m, 0.3), atol=0.01)
    *_, (_, seen) = drive(world, 0)
    world.disconnect()
    assert seen.success


@pytest.mark.parametrize("page", ["README.md", "docs/gymnasium.md", "docs/simulation.md"])
def test_every_environment_that_is_named_exists(pytestconfig, page):
    named = set(re.findall(r"armshare/\w+-\w+-v\d+", (pytestconfig.rootpath / page).read_text()))
    assert named <= {env_id(*pair) for pair in pairs()}
