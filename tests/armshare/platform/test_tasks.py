"""One simulated robot, several tasks, one process: every drive is of the task that was asked for, and is replayed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from armshare.cli.operator import _plain
from armshare.cli.options import out
from armshare.cli.platform import SHOWN
from armshare.operator.crews import task_of
from armshare.operator.drive import drive_once
from armshare.operator.handing import contribute
from recorder.file.episode import read_episode
from recorder.proof.replayed import replayed
from sim.catalogue import TASKS, offer, task
from sim.words import listed
from teleop.identity import new_key
from teleop.operator.driver import Driver
from tests.armshare.command import armshare_here
from tests.armshare.platform.test_house import robot_of

pytestmark = pytest.mark.anyio


async def test_one_robot_is_driven_at_one_task_and_then_at_another_and_both_are_accepted(house, tmp_path: Path) -> None:
    wallet, process = new_key(), house.host.process_id
    for name in ("lift", "reach"):
        async with Driver(house.url, wallet) as driver:
            robot = await robot_of(driver)
            card = next(one for one in await driver.call("GET", "/api/robots") if one["robot"] == robot)
            assert [one["name"] for one in card["tasks"]] == ["lift", "reach"]
            assert all(int(one["price"]) > 0 and "setting" not in one for one in card["tasks"])
            await driver.join(robot, name)
            held = await driver.call("GET", f"/api/robots/{robot}")
            assert (held["driver"], held["task"]) == (wallet.address, name)
            ended = await drive_once(driver, robot)
            done = await contribute(driver, ended, robot)
            await driver.leave()
            assert (done.success, done.accepted) == (True, True), done
            known = await driver.call("GET", f"/api/episodes/{done.episode}")
            assert (known["state"], known["task"]) == ("verified", name), "the hub has replayed it"
            file = tmp_path / f"{name}.h5"
            answer = await driver.http.get(f"/api/episodes/{done.episode}/files/episode.h5")
            file.write_bytes(answer.raise_for_status().content)
        episode = await asyncio.to_thread(read_episode, file)
        assert (episode.meta.task.name, episode.meta.task.instruction) == (name, task(name).spec.instruction)
        await asyncio.to_thread(replayed, episode)
    async with Driver(house.url, wallet) as driver:
        found = await driver.call("GET", f"/api/episodes?operator={wallet.address}&task=reach")
        assert [one["task"] for one in found["episodes"]] == ["reach"]
    assert house.host.process_id == process


def test_what_run_brings_by_itself_offers_every_task() -> None:
    assert {name for robot in SHOWN for name in offer(robot)[1]} == {*TASKS}


@pytest.mark.parametrize(
    ("robot", "said"),
    [
        ("nobody", "There is no robot 'nobody'. There are panda, iiwa, xarm6, so101, dual_panda and husky"),
        (
            "panda:juggle",
            f"panda:juggle: There is no task 'juggle'. There are {listed(TASKS)}.",
        ),
        ("panda:lift,fetch", "panda cannot do fetch. It can do reach, "),
    ],
)
@pytest.mark.parametrize("command", ["run", "host"])
def test_a_robot_or_a_task_that_there_is_none_of_is_said_in_one_line(tmp_path, command, robot, said) -> None:
    done = armshare_here(command, "--robot", robot, "--data", str(tmp_path / "data"))
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_a_real_arm_has_one_task(tmp_path) -> None:
    arm = ["--robot", "so101:lift,reach", "--port", "/dev/nobody", "--data", str(tmp_path)]
    done = armshare_here("host", *arm)
    assert done.returncode == 2
    assert "A real robot does one task at a time, and 'lift,reach' is several" in done.stderr


async def prices(url: str) -> dict[str, int]:
    """What each task pays at most, once the robot is free."""
    async with Driver(url, new_key()) as driver:
        await robot_of(driver)
        card = next(one for one in await driver.call("GET", "/api/robots") if one["name"] == "panda-1")
        return {one["name"]: int(one["price"]) for one in card["tasks"]}


def test_a_terminal_lists_the_robots_and_what_each_task_pays(house, monkeypatch) -> None:
    pays = {name: f"{price / 10**18:g}" for name, price in asyncio.run(prices(house.url)).items()}
    monkeypatch.setattr(out, "_width", 200)
    done = armshare_here("robots", "--hub", house.url)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    at = next(at for at, row in enumerate(rows) if row[0] == "panda-1")
    assert rows[at : at + 2] == [
        ["panda-1", "free", "lift", task("lift").spec.instruction, pays["lift"]],
        ["", "", "reach", task("reach").spec.instruction, pays["reach"]],
    ]
    said = json.loads(armshare_here("robots", "--hub", house.url, "--json").stdout)
    assert [[task["name"] for task in one["tasks"]] for one in said if one["name"] == "panda-1"] == [["lift", "reach"]]


def test_what_a_stranger_wrote_does_nothing_to_a_terminal() -> None:
    assert _plain("\x1b[2J[red]Lift\x07 it.") == r" [2J\[red]Lift  it."


def test_a_recorded_episode_is_driven_again_at_its_own_task() -> None:
    folder = Path(__file__).parents[2] / "recorder" / "golden" / "version-2" / "good"
    assert task_of(folder) == read_episode(folder / "episode.h5").meta.task.name
    assert task_of(None) == ""
