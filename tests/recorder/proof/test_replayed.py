"""The replay of an episode's file: the same bits, or one error that says where, or what keeps it from being done."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest
from rich.text import Text

from armshare.researcher.checks import replay_line
from recorder.file.episode import Episode, FileMissingError, UnreadableFileError, read_episode
from recorder.file.meta import Meta
from recorder.proof.replayed import DescriptionMismatchError, NotSimulatedError, TaskMismatchError, replayed
from sim.catalogue import UnknownRobotError, UnknownTaskError
from sim.physics.engine import EngineMismatchError
from sim.physics.replay import ReplayMismatchError
from sim.robot import ActionShapeError
from tests.recorder.bundles import record
from tests.teleop.simulated import Simulated

SEED = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode that physics made: an expert's first steps, through a session and the writer."""
    floor = Simulated("panda", "lift")
    floor.ready("lift", SEED)
    floor.follow(floor.expert(), 40)
    floor.finish()
    floor.close()
    made = tmp_path_factory.mktemp("episode")
    record(made, floor.episodes[0]).rename(made / "episode.h5")
    return made


@pytest.fixture(scope="module")
def episode(folder: Path) -> Episode:
    return read_episode(folder / "episode.h5")


def test_what_was_recorded_is_replayed_bit_for_bit(episode: Episode) -> None:
    replayed(episode)


def test_the_file_says_all_that_a_replay_needs(episode: Episode) -> None:
    meta = episode.meta
    assert {"name", "version", "api", "build", "libm", "machine", "robot", "scene", "floor", "motors"} <= {*meta.engine}
    assert "franka_panda/panda.urdf" in meta.robot.urdf_sha256
    assert sum(name.endswith((".obj", ".stl", ".dae")) for name in meta.robot.urdf_sha256) > 5
    assert (meta.task.name, meta.task.version, meta.seed) == ("lift", 1, SEED)


def changed(meta: Meta, part: str, **values: object) -> Meta:
    return msgspec.structs.replace(meta, **{part: msgspec.structs.replace(getattr(meta, part), **values)})


CHANGES: dict[str, tuple[Callable[[Meta], Meta], type[Exception], str]] = {
    "robot": (
        lambda m: changed(m, "robot", model="pandora"),
        UnknownRobotError,
        r"no robot 'pandora'. There are panda",
    ),
    "task": (lambda m: changed(m, "task", name="juggle"), UnknownTaskError, r"no task 'juggle'. There are .*lift"),
    "pair": (
        lambda m: changed(m, "robot", model="dual_panda"),
        UnknownTaskError,
        "dual_panda cannot do lift",
    ),
    "version": (
        lambda m: changed(m, "task", version=9),
        TaskMismatchError,
        "driven at version 9 of lift, and 1 is here",
    ),
    "real": (
        lambda m: changed(m, "robot", simulated=False),
        NotSimulatedError,
        "is a real robot, and only a simulation can be replayed",
    ),
    "urdf": (
        lambda m: changed(m, "robot", urdf_sha256={**m.robot.urdf_sha256, "franka_panda/panda.urdf": "0" * 64}),
        DescriptionMismatchError,
        r"made the episode: franka_panda/panda\.urdf differ$",
    ),
    "a lost mesh": (
        lambda m: changed(m, "robot", urdf_sha256=dict(list(m.robot.urdf_sha256.items())[1:])),
        DescriptionMismatchError,
        "files are not those that made the episode",
    ),
    "release": (
        lambda m: msgspec.structs.replace(m, engine={**m.engine, "version": "3.2.6"}),
        EngineMismatchError,
        r"version 3\.2\.6 \(here .*\); version: install that version of PyBullet",
    ),
    "processor": (
        lambda m: msgspec.structs.replace(m, engine={**m.engine, "libm": "0" * 16}),
        EngineMismatchError,
        r"libm 0{16} \(here \w+\); libm: .* on a processor",
    ),
    "a rate of its own": (
        lambda m: msgspec.structs.replace(m, engine={**m.engine, "physics_hz": "60"}),
        EngineMismatchError,
        "at physics_hz '60', and this version replays 240 or 120",
    ),
    "another rate's name": (
        lambda m: msgspec.structs.replace(m, engine={**m.engine, "physics_hz": "240"}),
        EngineMismatchError,
        r"motors 0\.36 .* \(here 0\.2 ",
    ),
    "unsaid": (
        lambda m: msgspec.structs.replace(m, engine={k: v for k, v in m.engine.items() if k != "motors"}),
        EngineMismatchError,
        r"motors None \(here",
    ),
    "no engine": (
        lambda m: msgspec.structs.replace(m, engine={}),
        EngineMismatchError,
        "does not say which engine made it",
    ),
    "seed": (lambda m: msgspec.structs.replace(m, seed=SEED + 1), ReplayMismatchError, r"step 0, cube_pose\[0\]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_episode_that_cannot_be_replayed_here_says_what_was_expected(episode: Episode, change: str) -> None:
    make, error, said = CHANGES[change]
    with pytest.raises(error, match=said):
        replayed(dataclasses.replace(episode, meta=make(episode.meta)))


def next_up(array: np.ndarray, *at: int) -> None:
    array[at] = np.nextafter(array[at], 9.0)


def to_nan(array: np.ndarray, *at: int) -> None:
    array[at] = np.nan


@pytest.mark.parametrize(
    ("path", "at", "spoil", "error", "said"),
    [
        ("observation/cube_pose", (30, 2), next_up, ReplayMismatchError, r"step 30, cube_pose\[2\]: the recording has"),
        ("observation/joint_velocity", (0, 6), next_up, ReplayMismatchError, r"step 0, joint_velocity\[6\]"),
        ("observation/finger_state", (40, 3), to_nan, ReplayMismatchError, r"step 40, finger_state\[3\]: .* has nan"),
        ("progress", (17,), next_up, ReplayMismatchError, r"step 17, progress\[0\]"),
        ("applied/joint_position", (20, 1), next_up, ReplayMismatchError, r"step 20, applied joint_position\[1\]"),
        ("applied/gripper", (20, 0), to_nan, ReplayMismatchError, r"step 20, applied gripper\[0\]: .* has nan"),
    ],
)
def test_one_changed_value_is_named_by_its_step(
    episode: Episode,
    path: str,
    at: tuple[int, ...],
    spoil: Callable[..., None],
    error: type[Exception],
    said: str,
) -> None:
    array = episode.arrays[path].copy()
    spoil(array, *at)
    with pytest.raises(error, match=said):
        replayed(dataclasses.replace(episode, arrays={**episode.arrays, path: array}))


def test_an_action_of_version_1_that_no_robot_takes_is_named_by_its_step(episode: Episode) -> None:
    meta = msgspec.structs.replace(episode.meta, version=1)
    array = episode.arrays["applied/joint_position"].copy()
    array[20, 1] = np.nan
    with pytest.raises(ActionShapeError, match="step 20: panda: expected joint_position of finite numbers"):
        replayed(dataclasses.replace(episode, meta=meta, arrays=episode.arrays | {"applied/joint_position": array}))


def test_a_folder_without_an_episode_and_a_file_that_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileMissingError, match=r"There is no episode at .*: an episode is a folder with episode\.h5 in it"
    ):
        read_episode(tmp_path / "episode.h5")
    (tmp_path / "episode.h5").write_text("not one")
    with pytest.raises(UnreadableFileError, match="is not a complete HDF5 file"):
        read_episode(tmp_path / "episode.h5")


@pytest.mark.slow
def test_the_command_line_tells_identical_different_and_impossible_apart(folder: Path, tmp_path: Path) -> None:
    other, elsewhere = tmp_path / "other", tmp_path / "elsewhere"
    for copy in (other, elsewhere):
        copy.mkdir()
        (copy / "episode.h5").write_bytes((folder / "episode.h5").read_bytes())
    with h5py.File(other / "episode.h5", "r+") as file:
        file["observation/cube_pose"][7, 0] += 1e-9
    with h5py.File(elsewhere / "episode.h5", "r+") as file:
        text = bytes(file["meta"][:]).replace(b'"machine":"', b'"machine":"not-')
        del file["meta"]
        file["meta"] = np.frombuffer(text, np.uint8)
    program = [sys.executable, "-m", "armshare", "replay", "--json"]
    done = subprocess.run(
        [*program, str(folder), str(other), str(elsewhere)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    same, differs, unable = json.loads(done.stdout)
    assert (same["identical"], same["error"]) == (True, None)
    assert differs["error"] == "ReplayMismatchError"
    assert differs["message"].startswith("step 7, cube_pose[0]: the recording has ")
    assert unable["error"] == "EngineMismatchError"
    assert "machine not-" in unable["message"]
    said = [Text.from_markup(replay_line(one)).plain.split()[0] for one in (same, differs, unable)]
    assert said == ["identical", "differs", "unable"]
    missing = subprocess.run([*program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr.startswith("error: There is no episode at ")) == (2, True)
