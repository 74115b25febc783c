"""The robomimic export, read by robomimic itself; and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from recorder.export.errors import (
    MixedRobotsError,
    MixedTasksError,
    NothingToExportError,
    TargetError,
    UnreadableBundleError,
)
from recorder.export.robomimic import export
from recorder.file.episode import read_episode
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE
from recorder.proof.manifest import EPISODE_FILE
from tests.recorder.bundles import good_bundle
from tests.recorder.factory import WALLET

ROOT = Path(__file__).parents[3]
PEER = ROOT / ".venv-peers" / "bin" / "python"
SETUP = "sh tests/peers/setup"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [
        good_bundle(folder, episode=f"e{number}", steps=20 + number, reach=0.3 + 0.1 * number) for number in range(5)
    ]


def read_by_robomimic(path: Path, keys: list[str]) -> dict[str, dict[str, object]]:
    if not PEER.exists():
        pytest.fail(f"robomimic is not set up; run: {SETUP}")
    command = [str(PEER), str(ROOT / "tests/peers/robomimic_reads.py"), str(path), ",".join(keys)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout[done.stdout.index('{"train"') :])


def test_robomimics_own_loader_reads_every_sample(bundles: list[Path], tmp_path: Path) -> None:
    made = export(bundles, tmp_path / "demos.hdf5", valid_ratio=0.2)
    keys = ["joint_position", "gripper_position", "ee_pose", "cube_pose"]
    seen = read_by_robomimic(made.path, keys)

    assert (made.demos, made.samples, made.valid_demos) == (5, 110, 1)
    assert (seen["train"]["samples"], seen["valid"]["samples"]) == (20 + 21 + 22 + 23, 24)
    assert seen["valid"]["demos"] == ["demo_4"]
    train = seen["train"]
    assert train["shapes"]["joint_position"] == [10, 3]
    assert train["shapes"] == train["next_shapes"]
    assert train["actions_shape"] == [10, 4]
    low, high = train["action_range"]
    assert -1.0 <= low < high <= 1.0
    assert (train["last_done"], train["last_reward"]) == (1.0, 1.0)
    episode = read_episode(bundles[0] / "episode.h5")
    np.testing.assert_allclose(
        train["first_obs"]["joint_position"], episode.observation("joint_position")[0], atol=1e-6
    )
    np.testing.assert_allclose(
        train["first_next_obs"]["joint_position"], episode.observation("joint_position")[1], atol=1e-6
    )


def test_actions_turn_back_into_what_was_applied(bundles: list[Path], tmp_path: Path) -> None:
    export(bundles, tmp_path / "demos.hdf5")
    episode = read_episode(bundles[2] / "episode.h5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        data = file["data"]
        actions = data["demo_2/actions"][:] * data.attrs["action_scale"] + data.attrs["action_offset"]
        np.testing.assert_allclose(actions[:, :3], episode.applied_joint_position, atol=1e-12)
        np.testing.assert_allclose(actions[:, 3:], episode.applied_gripper, atol=1e-12)
        assert np.array_equal(data["demo_2/action_dict/joint_position"], episode.applied_joint_position)


def test_provenance_rides_along(bundles: list[Path], tmp_path: Path) -> None:
    export(bundles, tmp_path / "demos.hdf5")
    manifest = json.loads((bundles[1] / "manifest.json").read_bytes())
    signatures = json.loads((bundles[1] / "signatures.json").read_bytes())
    with h5py.File(tmp_path / "demos.hdf5") as file:
        attrs = dict(file["data/demo_1"].attrs)
        environment = json.loads(file["data"].attrs["env_args"])

    assert (attrs["episode"], attrs["operator"]) == ("e1", WALLET.address)
    assert (attrs["digest"], attrs["sha256"]) == (signatures["digest"], manifest["files"][0]["sha256"])
    assert (environment["env_name"], environment["type"]) == ("lift", 2)


def test_an_arm_without_a_gripper_has_one_action_less(tmp_path: Path) -> None:
    export([good_bundle(tmp_path, joints=5, gripper=False)], tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        assert file["data/demo_0/actions"].shape == (40, 5)
        assert [name.decode() for name in file["mask/train"]] == ["demo_0"]


def test_mixed_robots_and_tasks_are_refused_and_leave_nothing(bundles: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "demos.hdf5"
    target.write_text("what was here before")
    other = good_bundle(tmp_path, episode="other", joints=4)
    stack = good_bundle(tmp_path, episode="stack", task="stack")

    with pytest.raises(MixedRobotsError, match="other"):
        export([bundles[0], other], target)
    with pytest.raises(MixedTasksError, match="stack"):
        export([bundles[0], stack], target)
    with pytest.raises(NothingToExportError):
        export([], target)
    assert target.read_text() == "what was here before"
    assert not target.with_name("demos.hdf5.tmp").exists()


def test_where_no_file_can_be_written_nothing_is_and_what_is_there_stays(bundles: list[Path], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there", tmp_path / "nowhere" / "demos.hdf5"):
        with pytest.raises(TargetError, match=str(target)):
            export(bundles, target)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


@pytest.mark.parametrize("name", [EPISODE_FILE, MANIFEST_FILE, SIGNATURES_FILE])
@pytest.mark.parametrize("broken", [False, True], ids=["missing", "broken"])
def test_a_bundle_that_cannot_be_read_is_named_and_leaves_nothing(
    bundles: list[Path], tmp_path: Path, name: str, broken: bool
) -> None:
    bad = Path(shutil.copytree(bundles[1], tmp_path / "bad"))
    (bad / name).unlink()
    if broken:
        (bad / name).write_text("{}")
    with pytest.raises(UnreadableBundleError, match=str(bad)):
        export([bundles[0], bad], tmp_path / "demos.hdf5")
    assert list(tmp_path.iterdir()) == [bad]


def test_the_same_bundles_give_the_same_file(bundles: list[Path], tmp_path: Path) -> None:
    export(bundles, tmp_path / "a.hdf5")
    export(bundles, tmp_path / "b.hdf5")

    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()
