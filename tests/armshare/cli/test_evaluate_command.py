"""`armshare evaluate` says how often a policy does a task, and what is wrong with one that it cannot judge."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import av
import gymnasium
import numpy as np
import pytest

import sim.evaluate
import sim.gym
from sim.registry import env_id
from tests.armshare.command import armshare_here

LIFT = "armshare/Lift-Panda-v0"
POLICIES = '''
import os
import re
from pathlib import Path
import numpy as np

STILL = np.zeros(7, np.float32)

def still(seen):
    return STILL

def lift(seen):
    """Take the cube from above, as docs/lift_policy.py does."""
    away = seen["cube_pose"][:3] - seen["ee_pose"][:3]
    closing = seen["gripper_position"][0] < 0.85
    if np.linalg.norm(away) < 0.025 and closing:
        return action((0.0, 0.0, 0.1), -1.0)
    if np.linalg.norm(away) < 0.012:
        return action((0.0, 0.0, 0.0), -1.0)
    if np.hypot(*away[:2]) > 0.01:
        away[2] += 0.09
    way = 3.0 * away
    return action(way / max(1.0, np.linalg.norm(way) / 0.2), 1.0)

def action(velocity_m_s, gripper):
    return [*(np.array(velocity_m_s) / 0.3), 0.0, 0.0, 0.0, gripper]

class ByPixels:
    """Lifts the cube as `lift` does, and knows where it is only from colours and depth of the camera on the wrist."""

    def __init__(self):
        self.cube, self.gripping = None, False

    def __call__(self, seen):
        found = cube_in(seen["wrist_image"], seen["wrist_depth"], seen["ee_pose"])
        if found is not None:
            self.cube = found
        away = self.cube - seen["ee_pose"][:3]
        self.gripping = self.gripping or np.linalg.norm(away) < 0.015
        if self.gripping:
            return action((0.0, 0.0, 0.1 if seen["gripper_position"][0] < 0.85 else 0.0), -1.0)
        if np.hypot(*away[:2]) > 0.01:
            away[2] += 0.09
        way = 3.0 * away
        return action(way / max(1.0, np.linalg.norm(way) / 0.2), 1.0)

def cube_in(image, depth, hand):
    """Return where the cube's middle is (3,), m: it is the only thing of a strong colour, and 4 cm high."""
    height, width, _ = image.shape
    coloured = np.ptp(image.astype(int), axis=2) > 60
    if coloured.sum() < 5:
        return None
    v, u = np.nonzero(coloured)
    z = depth[v, u, 0]
    focal = 0.5 * height / np.tan(0.6)
    seen = np.stack([(u + 0.5 - width / 2) * z / focal, (v + 0.5 - height / 2) * z / focal, z])
    in_hand = CAMERA @ seen + np.array([[0.07], [0.0], [-0.11]])
    points = turned(hand[3:], in_hand) + hand[:3, None]
    top = points[:, points[2] > points[2].max() - 0.01]
    return np.array([*top[:2].mean(1), top[2].mean() - 0.02])

CAMERA = np.array(((0.0, -0.89443, -0.44721), (1.0, 0.0, 0.0), (0.0, -0.44721, 0.89443)))

def turned(quaternion, points):
    axis, w = quaternion[:3, None], quaternion[3]
    across = 2.0 * np.cross(axis, points, axis=0)
    return points + w * across + np.cross(axis, across, axis=0)

def six(seen):
    return np.zeros(6)

def nothing(seen):
    return None

def endless(seen):
    return np.full(7, np.nan)

def of_drive(values, robot):
    return None

def raises(seen):
    return seen["left_hand"]

class Tells:
    """Writes into the pipe `begun` when the second episode begins."""

    made = 0

    def __init__(self):
        Tells.made += 1
        if Tells.made == 2:
            Path("begun").write_text("x")

    def __call__(self, seen):
        return STILL

def dies(seen):
    os._exit(3)

class Counting:
    """Fails if it meets a second episode."""

    def __init__(self):
        self.steps = 0

    def __call__(self, seen):
        self.steps += 1
        assert self.steps <= 5, "one object for each episode"
        return STILL

class Silent:
    pass

class Loaded:
    def __init__(self, path):
        self.gripper = float(Path(path).read_text())
        self.episodes = 0

    def reset(self):
        self.episodes += 1

    def __call__(self, seen):
        assert self.episodes > 0
        return [0.0] * 6 + [self.gripper]

def load(path):
    return Loaded(path)
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with policies, in which nothing is evaluated apart: a thread stands in for the processes."""
    name = f"policies_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(POLICIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sim.evaluate, "workers", beside)
    yield tmp_path
    sim.evaluate._forget()
    sys.modules.pop(name, None)


@contextmanager
def beside(_count: int) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def judged(here: Path, policy: str, *more: str, env: str = LIFT, seeds: str = "1000:1002") -> tuple[int, dict, str]:
    """Return the exit code, the report, and what was said beside it."""
    named = f"policies_{here.name}".replace("-", "_")
    done = armshare_here("evaluate", "--policy", f"{named}:{policy}", "--env", env, "--seeds", seeds, "--json", *more)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, " ".join(done.stderr.split())


def test_a_policy_that_lifts_is_said_to_lift_with_an_interval(here):
    code, report, said = judged(here, "lift", seeds="1000:1005")
    assert code == 0
    assert (report["successes"], report["valid"], report["success_rate"]) == (5, 5, 1.0)
    assert report["interval"] == {
        "method": "wilson",
        "level": 0.95,
        "low": pytest.approx(0.5655, abs=1e-4),
        "high": 1.0,
    }
    assert [one["seed"] for one in report["results"]] == [1000, 1001, 1002, 1003, 1004]
    assert all(one["success"] and 1.0 < one["seconds"] < 10.0 for one in report["results"])
    assert not report["warnings"]
    assert "warning" not in said


def test_one_that_does_nothing_fails_from_every_seed_and_below_a_threshold_the_exit_code_says_so(here):
    code, report, _ = judged(here, "still", "--max-steps", "5")
    assert code == 0
    assert report["failed_seeds"] == [1000, 1001]
    assert [one["steps"] for one in report["results"]] == [5, 5]
    code, report, _ = judged(here, "still", "--max-steps", "5", "--at-least", "0.75")
    assert code == 1


def test_judging_by_seeds_of_data_warns(here):
    code, report, said = judged(here, "still", "--max-steps", "2", seeds="998:1001,1000000")
    assert code == 0
    assert "998, 999 and 1000000: data are made from these seeds" in said
    assert report["warnings"]
    assert [one["seed"] for one in report["results"]] == [998, 999, 1000, 1000000]


def test_words_for_people(here):
    name = f"policies_{here.name}".replace("-", "_")
    words = ["evaluate", "--policy", f"{name}:still", "--env", f"sim.gym:{LIFT}", "--seeds", "1000:1002"]
    done = armshare_here(*words, "--max-steps", "2")
    assert done.returncode == 0
    assert "0 of 2 succeeded: 0% (95 % interval 0% to 66%, Wilson)" in done.stdout
    assert "failed seeds: 1000, 1001" in done.stdout


def test_a_class_is_made_for_each_episode_and_a_checkpoint_is_loaded_once(here):
    code, _, said = judged(here, "Counting", "--max-steps", "5")
    assert code == 0, said
    (here / "open.txt").write_text("1.0")
    for name in ("Loaded", "load"):
        code, report, said = judged(here, name, "--max-steps", "3", "--checkpoint", "open.txt")
        assert code == 0, said
        assert report["checkpoint"] == str(here / "open.txt")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "six",
            r"six returned array\(\[.*\]\) in step 0 of seed 1000: expected an action for ee_twist of shape \(7,\), ",
        ),
        ("nothing", r"nothing returned None in step 0 of seed 1000: expected an action for ee_twist of shape \(7,\)"),
        ("endless", r"endless returned .* in step 0 of seed 1000: expected an action for ee_twist of finite numbers"),
        ("of_drive", r"of_drive cannot be called with an observation alone .* is for `armshare drive`"),
        ("load", r"load returned <.*Loaded object .*|load raised TypeError: .*"),
        ("raises", r"raises raised KeyError: 'left_hand', at .*policies_.*\.py:\d+"),
        ("Silent", r"Silent gave <.*> which cannot be called with an observation|Silent gave .* cannot be called"),
        ("gone", r"has no function called gone"),
    ],
)
def test_a_policy_that_cannot_be_judged_is_told_what_is_wrong(here, policy, expected):
    code, _, said = judged(here, policy)
    assert code == 2
    assert re.search(expected, said), said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            ["--env", "armshare/Lft-Panda-v0"],
            "There is no environment 'armshare/Lft-Panda-v0'. Did you mean armshare/Lift-P",
        ),
        (["--env", "CartPole-v1"], "There is no environment 'CartPole-v1'. `armshare sim list --json` lists all"),
        (["--control", "mind"], "'mind' is not a control. There are ee_twist, ee_delta, ee_pose, joint_position"),
        (["--seeds", "1020:1000"], "'1020:1000' is not a range of seeds: write FIRST:STOP"),
        (["--seeds", "many"], "'many' is not a range of seeds"),
        (["--seeds", "1000:900000"], "too many seeds: name at most"),
        (["--videos", "films", "--camera", "moon"], "moon"),
        (["--checkpoint", "gone.pt"], "gone.pt"),
    ],
)
def test_an_option_that_does_not_fit_says_what_would(here, more, expected):
    code, _, said = judged(here, "still", *more)
    assert code == 2
    assert expected.replace(" ", "") in said.replace(" ", "").replace("│", "")


class Bursting(sim.gym.TaskEnv):
    """An environment whose cube is shot into space in the second step from seed 1001."""

    steps = 0

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.steps += 1
        if (self._seed, self.steps) == (1001, 2):
            self.world._client.resetBaseVelocity(self.world._bodies._handles[0][1], [0.0, 0.0, 1000.0])
        return super().step(action)


def test_an_episode_whose_world_burst_does_not_count_and_is_listed_apart(here, monkeypatch):
    monkeypatch.setattr(sim.gym, "TaskEnv", Bursting)
    code, report, _ = judged(here, "still", "--max-steps", "5", seeds="1000:1003")
    assert code == 0
    assert (report["episodes"], report["valid"], report["failed_seeds"]) == (3, 2, [1000, 1002])
    ((burst),) = report["invalid"]
    assert burst["seed"] == 1001
    assert "expected cube_pose finite" in burst["why"]
    code, report, _ = judged(here, "still", "--max-steps", "5", seeds="1001")
    assert code == 1, "nothing was judged"
    assert report["success_rate"] is None


@pytest.mark.slow  # draws
def test_videos_are_written_when_asked_for(here):
    code, report, said = judged(here, "lift", "--videos", "films", "--camera", "wrist", seeds="1000:1002")
    assert code == 0, said
    assert sorted(path.name for path in (here / "films").iterdir()) == ["1000-success.mp4", "1001-success.mp4"]
    with av.open(str(here / "films" / "1000-success.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == report["results"][0]["steps"]


@pytest.mark.slow  # draws
def test_a_policy_that_sees_pictures_is_judged_by_what_it_sees(here):
    eyes = "--camera", "wrist", "--camera", "wrist_depth", "--size", "64x48"
    code, report, said = judged(here, "ByPixels", *eyes, seeds="1000:1004")
    assert code == 0, said
    assert (report["successes"], report["valid"]) == (4, 4)
    assert (report["cameras"], report["camera_size"]) == (["wrist", "wrist_depth"], [64, 48])
    code, _, said = judged(here, "ByPixels")
    assert code == 2
    assert "raised KeyError: 'wrist_image'" in said
    assert "For that picture, name its camera: --camera wrist" in said
    code, _, said = judged(here, "ByPixels", "--camera", "wrist", "--size", "64x48")
    assert "For that picture, name its camera: --camera wrist_depth" in said


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--camera", "moon"], "There is no camera 'moon'. There are front, side and wrist."),
        (["--camera", "moon_depth"], "There is no camera 'moon'. There are front, side and wrist."),
        (["--size", "64x48"], "no camera is named, so nothing is drawn: add --camera front, or leave --size out"),
        (["--camera", "front", "--size", "big"], "'big' is not a size: write WIDTHxHEIGHT, such as 640x480"),
        (
            ["--camera", "front", "--size", "0x48"],
            "A picture has 1 to 4096 pixels a side, and 0x48 is not within that.",
        ),
        (["--camera", "front", "--size", "9999x9999"], "A picture has 1 to 4096 pixels a side"),
    ],
)
def test_a_camera_that_cannot_be_seen_with_is_refused_before_anything_is_driven(here, more, expected):
    code, _, said = judged(here, "still", *more)
    assert code == 2
    assert expected.replace(" ", "") in said.replace(" ", "").replace("│", "")


@pytest.mark.slow  # starts processes
def test_any_number_of_processes_gives_the_same_and_one_that_dies_is_told(tmp_path, pytestconfig):
    (tmp_path / "policies.py").write_text(POLICIES)

    def run(policy: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "armshare", "evaluate", "--policy", f"policies:{policy}", "--env", LIFT]
        return subprocess.run(
            [*command, "--seeds", "1000:1004", *more],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(pytestconfig.rootpath)},
            capture_output=True,
            text=True,
            check=False,
        )

    one, two = (json.loads(run("lift", "--json", "--workers", count).stdout) for count in ("1", "2"))
    assert one["results"] == two["results"]
    assert two["workers"] == 2
    dead = run("dies")
    assert dead.returncode == 2
    assert "A process that ran policies:dies died" in dead.stderr
    assert "Traceback" not in dead.stderr


@pytest.mark.slow  # starts processes
def test_ctrl_c_says_what_was_done_until_then(tmp_path, pytestconfig):
    (tmp_path / "policies.py").write_text(POLICIES)
    os.mkfifo(tmp_path / "begun")
    words = ["--env", LIFT, "--seeds", "1000:1900", "--max-steps", "3", "--workers", "1", "--json"]
    running = subprocess.Popen(
        [sys.executable, "-m", "armshare", "evaluate", "--policy", "policies:Tells", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(pytestconfig.rootpath)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    (tmp_path / "begun").read_text()
    running.send_signal(signal.SIGINT)
    said, errors = running.communicate()
    report = json.loads(said)
    assert running.returncode == 1
    assert report["interrupted"]
    assert report["episodes"] < 900
    assert "Traceback" not in errors


def test_it_judges_in_the_environment_that_gymnasium_makes(here):
    """A rollout by hand from the same seed is the same, step for step."""
    env = gymnasium.make(env_id("panda", "lift"), max_episode_steps=30)
    env.reset(seed=1003)
    for _ in range(30):
        *_, info = env.step(np.zeros(7, np.float32))
    env.close()
    _, report, _ = judged(here, "still", "--max-steps", "30", seeds="1003")
    assert report["results"][0]["progress"] == info["progress"]
