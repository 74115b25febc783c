"""`armshare drive` in the real processes: each pilot, what it prints and returns, and how it leaves."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from rich.text import Text

from armshare.failures import PlatformError
from armshare.operator import drive as drive_door
from armshare.operator.crews import EXPERTS, OtherRobotError, RecordingPilot, recorded
from armshare.operator.drive import KeyFileError, NoSuchRobotError, Outcome, TaskNotOfferedError, drive, wallet_in
from armshare.operator.handing import Episode
from recorder.file.episode import read_episode
from sim.motion.control import Twist
from teleop.identity import new_key
from teleop.operator.driver import SESSION_MS, Driver
from teleop.operator.gamepad import Axis, Button, GamepadPilot
from teleop.operator.pilot import Ask, Crew
from teleop.operator.policy import PolicyError, load
from teleop.wire.messages import Safety
from tests.armshare.command import armshare_here
from tests.armshare.platform.test_house import armshare, robot_of
from tests.teleop.operator.test_gamepad import Device

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/recorder/golden/version-1/good"


@pytest.fixture(scope="module")
def house(house):
    """The platform, once its robot is there."""
    asyncio.run(online(house))
    return house


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("wallet") / "keys" / "operator.key"


def driven(house, key: Path, *options: str, codes: Collection[int] = (0,)) -> dict:
    """Run `armshare drive` and return what it says in JSON, its streams and its exit code."""
    done = armshare("drive", "--hub", house.url, "--key", str(key), *options, "--json")
    assert done.returncode in codes, done.stderr
    said: dict = json.loads(done.stdout)
    return {**said, "stderr": done.stderr, "stdout": done.stdout, "code": done.returncode}


@pytest.fixture(scope="module")
def lifted(house, key) -> dict:
    """What the scripted operator's drive said."""
    return driven(house, key, "--robot", "panda-1", "--task", "lift", "--expert")


def test_the_scripted_operator_drives_signs_and_is_accepted(lifted, house, key):
    (episode,) = lifted["episodes"]
    assert (episode["success"], episode["accepted"], lifted["interrupted"]) == (True, True, False)
    for stage in ("queued for panda-1: position 1 of 1", "episode 1 of 1: driving panda-1", "signing, verifying"):
        assert stage in lifted["stderr"]
    known = httpx.get(f"{house.url}/api/episodes/{episode['episode']}").json()
    assert (known["state"], known["digest"]) == ("verified", episode["digest"])
    assert (known["driver"]["kind"], known["driver"]["name"]) == ("script", "sim.tasks.lift:Lift.expert")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert lifted["operator"] == wallet_in(key).address


def test_the_policy_of_the_docs_lifts(house, key, monkeypatch):
    monkeypatch.chdir(ROOT)
    said = driven(house, key, "--policy", "docs.lift_policy:lift")
    assert [one["success"] for one in said["episodes"]] == [True]
    assert said["operator"] == wallet_in(key).address, "the same wallet again"
    wanted = {"driver": "policy", "operator": said["operator"]}
    (known,) = httpx.get(f"{house.url}/api/episodes", params=wanted).json()["episodes"]
    lift = ROOT / "docs" / "lift_policy.py"
    policy = {"name": "docs.lift_policy:lift", "sha256": hashlib.sha256(lift.read_bytes()).hexdigest()}
    assert known["driver"] == {"kind": "policy", **policy}


def test_a_recorded_episode_is_driven_again_joint_by_joint_and_is_a_copy(lifted, house, key, tmp_path):
    done = armshare("fetch", str(tmp_path), "--hub", house.url, "--operator", lifted["operator"], "--limit", "1")
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.iterdir()
    said = driven(house, key, "--episode", str(folder), "--robot", lifted["robot"], codes=(0, 1, 2))
    if said["code"] == 2:
        assert f"move as in '{folder.name}'" in said["stderr"] or f"that of '{folder.name}'" in said["stderr"]
        return
    (again,) = said["episodes"]  # a busy machine made more of it than a copy may differ by
    assert said["code"] == (0 if again["accepted"] else 1), "the cube lies elsewhere, if not by chance near"
    (tmp_path / "again.h5").write_bytes(
        httpx.get(f"{house.url}/api/episodes/{again['episode']}/files/episode.h5").content
    )
    wanted, applied = (
        read_episode(path).applied_joint_position for path in (folder / "episode.h5", tmp_path / "again.h5")
    )
    assert np.abs(applied[-1] - wanted[-1]).max() < 1e-3, "it arrives"
    nearest = np.abs(applied[:, None] - wanted).max(axis=2).min(axis=0)
    assert nearest.max() < 0.05, "and on its way it was, rad, wherever the recorded one was"


async def test_a_gamepad_drives_and_its_start_button_finishes(house):
    device = Device()
    device.hold(Button.DEAD_MAN)
    device.push(Axis.RIGHT_Y, -0.6)
    finish = threading.Thread(target=_press_once_driven, args=(house, device))
    finish.start()
    outcome = Outcome("", "panda-1", "lift", 1)
    try:
        await drive(house.url, new_key(), outcome, Crew(lambda robot, _task: GamepadPilot(device.gamepad, robot)), str)
    finally:
        await asyncio.to_thread(finish.join)
        device.close()
    (episode,) = outcome.episodes
    assert (episode.success, episode.accepted) == (False, False)


def _press_once_driven(house, device: Device) -> None:
    asyncio.run(driven_for(house, 15))
    device.press(Button.FINISH)


def test_a_file_that_is_no_gamepad_is_refused_in_a_line(house, key, tmp_path):
    device = tmp_path / "js0"
    os.mkfifo(device)
    with device.open("r+b", buffering=0):
        done = armshare_here("drive", "--hub", house.url, "--key", str(key), "--gamepad", str(device))
    assert done.returncode == 2
    assert done.stderr == f"error: {device} is not a gamepad: it is not a joystick. Name one such as /dev/input/js0.\n"


async def driven_for(house, states: int) -> None:
    """Return once somebody has driven the robot for so many states."""
    async with Driver(house.url, new_key()) as watcher:
        cards = await watcher.call("GET", "/api/robots")
        await watcher.send({"type": "watch", "robot": _card(cards)["robot"]})
        while states:
            states -= (await watcher.next_state()).recording


async def online(house) -> None:
    """Return once the robot is there and free."""
    async with Driver(house.url, new_key()) as visitor:
        await robot_of(visitor)


def _card(cards: list[dict]) -> dict:
    return next(one for one in cards if one["name"] == "panda-1")


def test_ctrl_c_lets_go_and_gives_the_robot_back(house, key, tmp_path):
    (tmp_path / "endless.py").write_text(
        "def hold_still(values, robot):\n    from sim.motion.control import Twist\n    return Twist([0.0] * 6, [1.0])\n"
    )
    program = [str(Path(sys.executable).parent / "armshare"), "drive", "--hub", house.url, "--key", str(key)]
    for ending, how in ((signal.SIGINT, []), (signal.SIGTERM, ["--json"])):
        arguments = ["--policy", "endless:hold_still", *how]
        run = subprocess.Popen(
            [*program, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        asyncio.run(driven_for(house, 3))
        run.send_signal(ending)
        out, err = run.communicate(timeout=60)
        assert run.returncode == 1, err
        if how:
            said = json.loads(out)
            assert (said["episodes"], said["interrupted"]) == ([], True)
        else:
            assert "interrupted: the robot was given back" in out
        assert _card(httpx.get(f"{house.url}/api/robots").json())["state"] == "free"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--expert", "--policy", "a:b"],
            "--policy and --expert would all drive: choose one of --policy, --expert, --episode, --gamepad",
        ),
        (["--policy", "not_there:act"], "error: not_there:act: No module named 'not_there'"),
    ],
)
def test_a_pilot_that_is_not_one_is_refused_before_anything_is_driven(house, key, options, said):
    done = armshare_here("drive", "--hub", house.url, "--key", str(key), *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("robot", "task", "error", "said"),
    [
        ("nobody", "", NoSuchRobotError, "There is no robot called 'nobody' at this hub. It has .*panda-1"),
        ("panda-1", "pour", TaskNotOfferedError, "There is no task 'pour' for panda-1. It offers lift and reach."),
        ("", "pour", NoSuchRobotError, "No robot that offers pour is online now. `armshare robots` says how each is."),
    ],
)
async def test_a_robot_or_task_that_is_not_there_is_said_and_nothing_is_driven(house, robot, task, error, said):
    told: list[str] = []
    with pytest.raises(error, match=said):
        await drive(house.url, new_key(), Outcome("", robot, task, 1), EXPERTS, told.append)
    assert told == []


async def test_a_hub_that_is_not_there_is_said():
    with pytest.raises(
        PlatformError, match=r"No hub answers at http://127.0.0.1:9 .*Start one, or name another with --hub"
    ):
        await drive("http://127.0.0.1:9", new_key(), Outcome(""), EXPERTS, lambda _: None)


async def test_a_policy_that_breaks_ends_the_drive_with_one_line_and_frees_the_robot(house):
    outcome = Outcome("", "panda-1", "", 3)
    with pytest.raises(PolicyError, match=r"json:loads raised TypeError: .*positional argument"):
        await drive(house.url, new_key(), outcome, Crew(load("json:loads")), lambda _: None)
    assert outcome.episodes == []
    async with Driver(house.url, new_key()) as other:
        await other.join(await robot_of(other), "lift")


async def test_a_grant_that_comes_near_its_end_is_renewed_and_a_discarded_episode_counts_as_driven(house, monkeypatch):
    monkeypatch.setattr(drive_door, "RENEW_MS", SESSION_MS)
    outcome, told = Outcome("", "panda-1", "", 2), []
    await drive(house.url, new_key(), outcome, Crew(lambda *_: Discarding()), told.append)
    assert sum(line.startswith("queued") for line in told) == 2, "it signed in, and queued, again"
    assert len(set(outcome.discarded)) == 2
    assert (outcome.left, outcome.complete) == (0, False)
    async with Driver(house.url, new_key()) as other:
        states = {(await other.call("GET", f"/api/episodes/{one}"))["state"] for one in outcome.discarded}
    assert states == {"discarded"}


class Discarding:
    """Goes up for a few states, and then leaves the episode out."""

    def __init__(self) -> None:
        self.states = 0

    def act(self, _state, _values):
        self.states += 1
        return Ask.DISCARD if self.states > 5 else Twist(np.array([[0.0, 0.0, 0.05, 0.0, 0.0, 0.0]]), np.ones(1))


def episode(**changed: object) -> Episode:
    said = {"episode": "e1", "steps": 7, "success": False, "score": 0.25, "accepted": False, "digest": "0x1"}
    return Episode(**{**said, "receipt_index": 3, "pay": "0", "practice": True, "missing": [], **changed})


@pytest.mark.parametrize(
    ("qualifying", "driven", "complete", "said"),
    [
        (True, episode(), True, "passed"),
        (True, episode(missing=["Let go."]), False, "not accepted"),
        (True, episode(practice=False), False, "not accepted"),
        (False, episode(), False, "not accepted"),
        (False, episode(accepted=True), True, "accepted"),
        (True, episode(accepted=True, missing=["Let go."]), True, "accepted"),
    ],
)
def test_a_first_drive_is_for_its_checks_and_any_other_for_its_task(qualifying, driven, complete, said):
    outcome = Outcome("", asked=1, episodes=[driven], qualifying=qualifying)
    assert outcome.complete is complete
    first, *_ = drive_door.lines(outcome)
    assert Text.from_markup(first).plain == f"{said}  e1  7 steps, {'' if driven.success else 'no '}success, " + (
        "score 0.250, receipt 3"
    )


def test_a_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "operator.key"
    made = wallet_in(path)
    assert wallet_in(path) == made
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match=r"Others can read the key in .*chmod 600 .*operator\.key"):
        wallet_in(path)


@pytest.mark.parametrize("text", ["", "0x12", "not hex at all", "0x" + "00" * 32])
def test_a_key_file_that_holds_no_key_is_refused(tmp_path, text):
    path = tmp_path / "operator.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(KeyFileError, match=r"operator\.key (holds no private key|cannot be used)"):
        wallet_in(path)


def test_an_episode_of_another_robot_is_refused():
    robot = {"model": "husky", "joint_names": ["x"] * 10, "end_effectors": [{}]}
    with pytest.raises(OtherRobotError, match=r"This robot is a husky \(10 joints, 1 hands\)"):
        recorded(GOLDEN)(robot, "lift")


def test_rows_go_on_with_the_robots_periods_and_stand_while_it_holds():
    recording = read_episode(GOLDEN / "episode.h5")
    joints = recording.applied_joint_position
    robot = {
        "model": recording.meta.robot.model,
        "joint_names": joints[0],
        "end_effectors": recording.applied_gripper[0],
    }
    pilot = RecordingPilot(recording, robot)

    def row(seq: int, safety: Safety) -> object:
        return pilot.act(SimpleNamespace(seq=seq, safety=safety), {})

    assert np.array_equal(row(40, Safety.ARMED).position, joints[0])
    assert np.array_equal(row(41, Safety.DRIVING).position, joints[1])
    assert np.array_equal(row(43, Safety.DRIVING).position, joints[3]), "a state was lost on the way"
    assert np.array_equal(row(49, Safety.HOLDING).position, joints[3])
    assert np.array_equal(row(50, Safety.DRIVING).position, joints[4])
    assert np.array_equal(row(50 + len(joints), Safety.DRIVING).position, joints[-1])
    assert row(80 + len(joints), Safety.DRIVING) is Ask.FINISH
