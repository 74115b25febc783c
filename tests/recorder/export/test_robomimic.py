"""The robomimic export, read by robomimic itself: the release on the index, and (`make newest`) the newest loader."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from recorder.export.demonstrations import Demonstrations, demonstrations
from recorder.export.errors import CameraError, TargetError, UnreadableBundleError
from recorder.export.robomimic import export
from recorder.file.episode import Episode, read_episode
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from recorder.proof.bundle import MANIFEST_FILE, SIGNATURES_FILE
from recorder.proof.manifest import EPISODE_FILE
from sim.robot import ArraySpec, Observation
from teleop.wire.messages import Safety
from tests.recorder.bundles import TRUST, good_bundle
from tests.recorder.export.drawn import drawn, near
from tests.recorder.export.real import filmed_bundle
from tests.recorder.factory import WALLET, fake_episode

ROOT = Path(__file__).parents[3]
PEER = ROOT / ".venv-peers" / "bin" / "python"
SETUP = "sh tests/peers/setup"
NEWEST = ROOT / ".venv-robomimic" / "bin" / "python"
KEYS = ["joint_position", "gripper_position", "ee_pose", "cube_pose"]
SIZE = (64, 48)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [
        good_bundle(folder, episode=f"e{number}", steps=20 + number, reach=0.3 + 0.1 * number) for number in range(5)
    ]


def chosen(bundles: Sequence[Path], action: str = "joint_position", **options: object) -> Demonstrations:
    return demonstrations(bundles, action=action, **options)


def driven_at(folder: Path, episode: str, driven: Sequence[bool]) -> Path:
    """Return a bundle whose operator drove in these steps only."""
    start, steps, end = fake_episode(len(driven), episode=episode)
    held = [
        dataclasses.replace(step, safety=Safety.DRIVING if drove else Safety.HOLDING)
        for step, drove in zip(steps, driven, strict=True)
    ]
    return good_bundle(folder, made=(start, held, end))


def read_by_robomimic(python: Path, path: Path, masks: str, *keys: Sequence[str]) -> dict[str, Any]:
    command = [str(python), str(ROOT / "tests/peers/robomimic_reads.py"), str(path), masks, *map(",".join, keys)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout[done.stdout.index('{"version"') :])


@pytest.fixture(params=["0.3.0", pytest.param("0.5.0", marks=pytest.mark.newest)])
def robomimic(request: pytest.FixtureRequest) -> Path:
    """Return the Python that has this version."""
    if request.param == "0.5.0":
        python, setup = NEWEST, "make newest"
    else:
        python, setup = PEER, SETUP
    if not python.exists():
        pytest.fail(f"robomimic {request.param} is not set up; run: {setup}")
    return python


def test_robomimics_own_loader_reads_every_sample(bundles: list[Path], tmp_path: Path, robomimic: Path) -> None:
    made = export(chosen(bundles), tmp_path / "demos.hdf5", valid_ratio=0.2)
    seen = read_by_robomimic(robomimic, made.path, "train,valid", KEYS)["masks"]

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
    for said, row in (("first_obs", 0), ("first_next_obs", 1)):
        np.testing.assert_allclose(train[said]["joint_position"], episode.observation("joint_position")[row], atol=1e-6)


def test_robomimics_own_loader_reads_pictures_and_depth(bundles: list[Path], tmp_path: Path, robomimic: Path) -> None:
    export(chosen(bundles[:2], cameras=["front"], size=SIZE, draw=drawn()), tmp_path / "seen.hdf5")
    deep = chosen(bundles[:1], cameras=["front"], size=SIZE, draw=drawn(PictureCodec.DEPTH16))
    export(deep, tmp_path / "deep.hdf5")

    seen = read_by_robomimic(robomimic, tmp_path / "seen.hdf5", "train", KEYS, ["front_image"])["masks"]["train"]
    assert (seen["shapes"]["front_image"], seen["dtypes"]["front_image"]) == ([10, 48, 64, 3], "uint8")
    for said, index in (("first_obs", 0), ("first_next_obs", 1)):
        assert near(np.array(seen[said]["front_image"], np.uint8), index)
    seen = read_by_robomimic(robomimic, tmp_path / "deep.hdf5", "train", KEYS, [], ["front_depth"])["masks"]["train"]
    assert (seen["shapes"]["front_depth"], seen["dtypes"]["front_depth"]) == ([10, 48, 64, 1], "float32")


def test_depth_of_a_camera_has_the_name_by_which_it_was_asked_for(bundles: list[Path], tmp_path: Path) -> None:
    """As `armshare export --camera front_depth` and `armshare evaluate --camera front_depth` have it."""
    deep = chosen(bundles[:1], cameras=["front_depth"], size=SIZE, draw=drawn(PictureCodec.DEPTH16))
    export(deep, tmp_path / "deep.hdf5")
    with h5py.File(tmp_path / "deep.hdf5") as file:
        assert [name for name in file["data/demo_0/obs"] if "depth" in name] == ["front_depth"]


def test_pictures_are_stored_once_and_are_those_of_their_step(bundles: list[Path], tmp_path: Path) -> None:
    export(chosen(bundles[:1], cameras=["front"], size=SIZE, draw=drawn()), tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        before, after = (file[f"data/demo_0/{group}/front_image"] for group in ("obs", "next_obs"))
        assert (before.shape, before.dtype) == (after.shape, after.dtype) == ((20, 48, 64, 3), np.uint8)
        for index in (0, 7, 19):
            assert near(before[index], index)
            assert near(after[index], index + 1)
        assert before.id.get_storage_size() == after.id.get_storage_size() == 0
    assert (tmp_path / "demos.hdf5").stat().st_size < 1.5 * 21 * 48 * 64 * 3


def test_a_pause_is_left_out_and_what_follows_a_step_is_what_the_next_one_began_with(tmp_path: Path) -> None:
    paused = driven_at(tmp_path, "paused", [True] * 9 + [False] * 4 + [True] * 6 + [False])
    whole = driven_at(tmp_path, "whole", [True] * 8)
    made = export(chosen([paused, whole], cameras=["front"], size=SIZE, draw=drawn()), tmp_path / "demos.hdf5")
    assert (made.demos, made.samples, made.valid_demos) == (2, 23, 1)
    episode, steps = read_episode(paused / "episode.h5"), [*range(9), *range(13, 19)]
    with h5py.File(tmp_path / "demos.hdf5") as file:
        demo = file["data/demo_0"]
        assert file["data"].attrs["total"] == 23
        assert (demo.attrs["episode"], demo.attrs["num_samples"]) == ("paused", 15)
        assert demo["step"][:].tolist() == steps
        joints = episode.observation("joint_position")
        np.testing.assert_array_equal(demo["obs/joint_position"], joints[steps])
        np.testing.assert_array_equal(demo["next_obs/joint_position"], joints[[*steps[1:], 20]])
        np.testing.assert_array_equal(demo["action_dict/joint_position"], episode.applied_joint_position[steps])
        assert demo["dones"][:].tolist() == [0] * 14 + [1]
        assert [near(demo["obs/front_image"][row], steps[row]) for row in (8, 9)] == [True, True]
        assert [near(demo["next_obs/front_image"][row], index) for row, index in ((8, 13), (14, 20))] == [True, True]
    made = export(chosen([paused], driven_only=False), tmp_path / "all.hdf5")
    assert (made.demos, made.samples) == (1, 20)
    with h5py.File(tmp_path / "all.hdf5") as file:
        assert file["data/demo_0/driven"][:].tolist() == [True] * 9 + [False] * 4 + [True] * 6 + [False]


@pytest.mark.parametrize("action", ["joint_position", "joint_delta", "ee_pose", "ee_delta"])
def test_actions_are_those_that_were_asked_for_with_the_environment_that_takes_them(
    bundles: list[Path], tmp_path: Path, action: str
) -> None:
    source = chosen(bundles[:2], action)
    export(source, tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        data = file["data"]
        for one in source:
            np.testing.assert_array_equal(data[f"demo_{one.number}/actions"], one.actions)
        environment = json.loads(data.attrs["env_args"])
        assert (data.attrs["action"], json.loads(data.attrs["action_names"])) == (action, list(source.space.names))
    assert environment == {"env_name": source.space.env.id, "type": 2, "env_kwargs": {"control": action}}
    assert environment["env_name"].startswith("sim.gym:armshare/Lift-")


def test_what_was_reached_while_nobody_drove_is_told_by_the_step_before(tmp_path: Path) -> None:
    let_go = driven_at(tmp_path, "let_go", [True] * 6 + [False] * 4)
    assert (read_episode(let_go / "episode.h5").arrays["success"] == 1).tolist() == [False] * 8 + [True] * 3
    export(chosen([let_go]), tmp_path / "demos.hdf5")
    export(chosen([let_go], driven_only=False), tmp_path / "all.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file, h5py.File(tmp_path / "all.hdf5") as whole:
        assert file["data/demo_0/rewards"][:].tolist() == [0, 0, 0, 0, 0, 1]
        assert whole["data/demo_0/rewards"][:].tolist() == [0] * 7 + [1] * 3


def test_provenance_rides_along(bundles: list[Path], tmp_path: Path) -> None:
    export(chosen(bundles, trust=TRUST), tmp_path / "demos.hdf5")
    manifest = json.loads((bundles[1] / "manifest.json").read_bytes())
    signatures = json.loads((bundles[1] / "signatures.json").read_bytes())
    with h5py.File(tmp_path / "demos.hdf5") as file:
        attrs = dict(file["data/demo_1"].attrs)

    assert (attrs["episode"], attrs["operator"], attrs["trust"]) == ("e1", WALLET.address, "replayed")
    assert (attrs["digest"], attrs["sha256"]) == (signatures["digest"], manifest["files"][0]["sha256"])


def test_statistics_are_those_of_all_samples(bundles: list[Path], tmp_path: Path) -> None:
    export(chosen(bundles), tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        for name in ("actions", "obs/joint_position", "obs/cube_pose"):
            rows = np.concatenate([file[f"data/demo_{number}/{name}"] for number in range(5)])
            found = file[f"stats/{name}"].attrs
            assert found["count"] == len(rows) == 110
            for said, expected in (
                ("min", rows.min(axis=0)),
                ("max", rows.max(axis=0)),
                ("mean", rows.mean(axis=0, dtype=np.float64)),
                ("std", rows.std(axis=0, dtype=np.float64)),
            ):
                np.testing.assert_allclose(found[said], expected, atol=1e-12)


def test_masks_name_what_succeeded_and_thirds_by_score(tmp_path: Path) -> None:
    bundles = [good_bundle(tmp_path, episode=f"e{n}", steps=8, seed=n, success=n != 1) for n in range(6)]
    scores = {f"e{number}": score for number, score in enumerate([0.5, 0.1, 0.9, 0.7, 0.3, 0.2])}

    def facts(bundle: Path, episode: object) -> dict[str, object]:
        return {"score": scores[bundle.name]}

    export(chosen(bundles, facts=facts), tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        masks = {name: [demo.decode() for demo in file[f"mask/{name}"]] for name in file["mask"]}
        assert file["data/demo_2"].attrs["score"] == 0.9
    assert masks["success"] == ["demo_0", "demo_2", "demo_3", "demo_4", "demo_5"]
    assert [masks[name] for name in ("worse", "okay", "better")] == [
        ["demo_1", "demo_5"],
        ["demo_0", "demo_4"],
        ["demo_2", "demo_3"],
    ]
    export(chosen(bundles), tmp_path / "plain.hdf5")
    with h5py.File(tmp_path / "plain.hdf5") as file:
        assert sorted(file["mask"]) == ["success", "train", "valid"]


def test_an_arm_without_a_gripper_acts_with_it_open(tmp_path: Path) -> None:
    export(chosen([good_bundle(tmp_path, joints=5, gripper=False)]), tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        assert file["data/demo_0/actions"].shape == (40, 6)
        assert (file["data/demo_0/actions"][:, 5] == 1.0).all()
        assert [name.decode() for name in file["mask/train"]] == ["demo_0"]


def test_where_no_file_can_be_written_nothing_is_and_what_is_there_stays(bundles: list[Path], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there", tmp_path / "nowhere" / "demos.hdf5"):
        with pytest.raises(TargetError, match=str(target)):
            export(chosen(bundles), target)
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


@pytest.mark.parametrize("name", [EPISODE_FILE, MANIFEST_FILE, SIGNATURES_FILE])
@pytest.mark.parametrize("broken", [False, True], ids=["missing", "broken"])
def test_a_bundle_that_breaks_after_it_was_checked_leaves_nothing(
    bundles: list[Path], tmp_path: Path, name: str, broken: bool
) -> None:
    bad = Path(shutil.copytree(bundles[1], tmp_path / "bad"))
    source = chosen([bundles[0], bad])
    (tmp_path / "demos.hdf5").write_text("what was here before")
    (bad / name).unlink()
    if broken:
        (bad / name).write_text("{}")
    if name == EPISODE_FILE:
        with pytest.raises(UnreadableBundleError, match=str(bad)):
            export(source, tmp_path / "demos.hdf5")
        assert (tmp_path / "demos.hdf5").read_text() == "what was here before"
    with pytest.raises(UnreadableBundleError, match=str(bad)):
        chosen([bundles[0], bad])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "demos.hdf5"]


def test_the_same_bundles_give_the_same_file(bundles: list[Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        export(chosen(bundles, cameras=["front"], size=SIZE, draw=drawn()), tmp_path / f"{name}.hdf5")

    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_a_real_robots_pictures_are_the_newest_at_each_observation(tmp_path: Path) -> None:
    bundle = filmed_bundle(tmp_path)
    export(chosen([bundle]), tmp_path / "demos.hdf5")
    episode = read_episode(bundle / "episode.h5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        assert json.loads(file["data"].attrs["env_args"])["env_name"] == ""
        for camera in ("front", "wrist"):
            decoder, stored = Decoder(episode.pictures[camera]), file[f"data/demo_0/next_obs/{camera}_image"]
            newest = np.searchsorted(episode.pictures[camera].t_captured_ns, episode.t_observed_ns[1:], "right") - 1
            assert len(set(newest.tolist())) == len(stored) == 14
            for row in (0, 13):
                np.testing.assert_array_equal(stored[row], decoder.frame(int(newest[row])))


def test_a_picture_that_cannot_be_decoded_names_its_episode_and_leaves_nothing(
    bundles: list[Path], tmp_path: Path
) -> None:
    def torn(episode: Episode, camera: str, width: int, height: int) -> Pictures:
        whole = drawn(PictureCodec.JPEG)(episode, camera, width, height)
        data = np.array(whole.data)
        data[int(whole.end[4]) : int(whole.end[4]) + 40] = 0
        return dataclasses.replace(whole, data=data)

    with pytest.raises(CameraError, match=rf"{bundles[0]}: .*front"):
        export(chosen(bundles[:1], cameras=["front"], size=SIZE, draw=torn), tmp_path / "demos.hdf5")
    assert not list(tmp_path.iterdir())


def test_an_array_and_a_camera_of_one_name_are_refused_by_it(bundles: list[Path], tmp_path: Path) -> None:
    """`cube_image` is what a camera `cube` would be called, and a stranger's robot may have an array of that name."""
    start, steps, end = fake_episode(6, episode="twice")
    arrays = [ArraySpec(f"{one.name[:4]}_image", one.shape, one.unit, one.doc) for one in start.spec.observation[-1:]]
    spec = dataclasses.replace(start.spec, observation=(*start.spec.observation, *arrays))

    def seen(given: Observation) -> Observation:
        return dataclasses.replace(given, values={**given.values, arrays[0].name: np.zeros(7)})

    made = (
        dataclasses.replace(start, spec=spec, initial=seen(start.initial)),
        [dataclasses.replace(step, observed=seen(step.observed)) for step in steps],
        end,
    )
    bundle = good_bundle(tmp_path, made=made)
    with pytest.raises(CameraError, match="cube_image"):
        export(chosen([bundle], cameras=["cube"], size=SIZE, draw=drawn()), tmp_path / "demos.hdf5")


def test_words_that_hdf5_cannot_hold_lose_what_it_cannot(tmp_path: Path) -> None:
    start, steps, end = fake_episode(6, episode="words")
    task = dataclasses.replace(start.spec.task, instruction="Lift\0 the cube.")
    bundle = good_bundle(
        tmp_path, made=(dataclasses.replace(start, spec=dataclasses.replace(start.spec, task=task)), steps, end)
    )
    export(chosen([bundle]), tmp_path / "demos.hdf5")
    with h5py.File(tmp_path / "demos.hdf5") as file:
        assert file["data/demo_0"].attrs["instruction"] == "Lift the cube."
