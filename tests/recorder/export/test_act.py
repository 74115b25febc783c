"""The ACT export: what ACT's own loader takes from a folder (its `utils.py`), and lengths that are padded and cut."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from recorder.export.act import AS_THEY_ARE, export
from recorder.export.demonstrations import Demonstrations, demonstrations
from recorder.export.errors import CameraError, LengthError
from recorder.file.episode import read_episode
from recorder.pictures.channel import PictureCodec
from tests.recorder.bundles import good_bundle
from tests.recorder.export.drawn import drawn, near
from tests.recorder.factory import WALLET

SIZE = (64, 48)
STEPS = (10, 14, 12)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return [good_bundle(folder, episode=f"e{n}", steps=steps, seed=n) for n, steps in enumerate(STEPS)]


def chosen(bundles: list[Path], action: str = "joint_position", **options: object) -> Demonstrations:
    fitting = {"cameras": ["front"], "size": SIZE, "draw": drawn()} | options
    return demonstrations(bundles, action=action, **fitting)


def as_act_loads(folder: Path, episodes: int, cameras: list[str], start: int) -> dict[str, np.ndarray]:
    """Return what ACT's `get_norm_stats` and `EpisodicDataset` take from a folder, at one step of each episode."""
    qpos, actions, batch = [], [], []
    for number in range(episodes):
        with h5py.File(folder / f"episode_{number}.hdf5", "r") as root:
            assert root.attrs["sim"] in (True, False)
            qpos.append(root["/observations/qpos"][()])
            actions.append(root["/action"][()])
            assert root["/observations/qvel"].shape == qpos[-1].shape
            action = root["/action"][start:]
            padded = np.zeros(root["/action"].shape, np.float32)
            padded[: len(action)] = action
            pictures = np.stack([root[f"/observations/images/{name}"][start] for name in cameras])
            batch.append((pictures, root["/observations/qpos"][start], padded))
    assert np.stack(qpos).dtype == np.stack(actions).dtype == np.float32
    pictures, first, padded = (np.stack(part) for part in zip(*batch, strict=True))
    return {"qpos": np.stack(qpos), "pictures": pictures, "first": first, "padded": padded}


def test_acts_own_loader_finds_what_it_looks_for(bundles: list[Path], tmp_path: Path) -> None:
    made = export(chosen(bundles, cameras=["front", "wrist"]), tmp_path / "out", length=max(STEPS))
    loaded = as_act_loads(made.path, 3, ["front", "wrist"], start=9)

    assert (made.episodes, made.steps, made.padded, made.cut) == (3, 42, 6, 0)
    assert loaded["qpos"].shape == (3, 14, 4)
    assert (loaded["pictures"].shape, loaded["pictures"].dtype) == ((3, 2, 48, 64, 3), np.uint8)
    assert loaded["padded"].shape == (3, 14, 4)
    for number, bundle in enumerate(bundles):
        episode = read_episode(bundle / "episode.h5")
        joints = np.append(episode.observation("joint_position")[9], episode.observation("gripper_position")[9])
        np.testing.assert_allclose(loaded["first"][number], joints, atol=1e-6)
        assert near(loaded["pictures"][number, 0], 9)


def test_each_file_has_the_layout_that_aloha_records(bundles: list[Path], tmp_path: Path) -> None:
    export(chosen(bundles[1:2]), tmp_path / "out")
    episode = read_episode(bundles[1] / "episode.h5")
    with h5py.File(tmp_path / "out/episode_0.hdf5") as file:
        front = file["observations/images/front"]
        assert (front.shape, front.dtype, front.chunks) == ((14, 48, 64, 3), np.uint8, (1, 48, 64, 3))
        assert file.attrs["sim"]
        assert (file.attrs["episode"], file.attrs["operator"], file.attrs["success"]) == ("e1", WALLET.address, True)
        assert json.loads(file.attrs["action_names"]) == ["joint_1", "joint_2", "joint_3", "gripper"]
        assert json.loads(file.attrs["env_args"])["env_kwargs"] == {"control": "joint_position"}
        np.testing.assert_allclose(file["action"][:, :3] * 2.5, episode.applied_joint_position, atol=1e-6)
        np.testing.assert_allclose(
            file["observations/qvel"][:, :3], episode.observation("joint_velocity")[:-1], atol=1e-6
        )
        opening = np.diff(episode.observation("gripper_position")[:, 0]) / (np.diff(episode.t_observed_ns) / 1e9)
        np.testing.assert_allclose(file["observations/qvel"][1:, 3], opening[:-1], rtol=1e-5)
        assert [near(front[index], index) for index in (0, 13)] == [True, True]


def test_episodes_of_several_lengths_are_refused_until_a_length_is_given(bundles: list[Path], tmp_path: Path) -> None:
    with pytest.raises(LengthError, match=r"10 to 14 steps.*--length 14"):
        export(chosen(bundles), tmp_path / "out")
    assert not list(tmp_path.iterdir())
    made = export(chosen(bundles), tmp_path / "out", length=AS_THEY_ARE)
    lengths = [h5py.File(tmp_path / f"out/episode_{number}.hdf5")["action"].shape[0] for number in range(3)]
    assert (lengths, made.padded, made.cut) == (list(STEPS), 0, 0)


@pytest.mark.parametrize("action", ["joint_position", "joint_delta"])
def test_a_padded_episode_stands_still_at_its_end(bundles: list[Path], tmp_path: Path, action: str) -> None:
    export(chosen(bundles[:1], action), tmp_path / "out", length=13)
    with h5py.File(tmp_path / "out/episode_0.hdf5") as file:
        assert file["is_pad"][:].tolist() == [False] * 10 + [True] * 3
        assert file["step"][:].tolist() == [*range(10), 9, 9, 9]
        assert file.attrs["steps"] == 10
        still = file["action"][9].copy()
        if action == "joint_delta":
            assert still[:3].any()
            still[:3] = 0.0
        for index in range(10, 13):
            np.testing.assert_array_equal(file["action"][index], still)
            np.testing.assert_array_equal(file["observations/qpos"][index], file["observations/qpos"][9])
            assert not file["observations/qvel"][index].any()
            assert near(file["observations/images/front"][index], 9)


def test_a_longer_episode_loses_its_end(bundles: list[Path], tmp_path: Path) -> None:
    made = export(chosen(bundles), tmp_path / "out", length=11)
    assert (made.steps, made.padded, made.cut) == (33, 1, 4)
    with h5py.File(tmp_path / "out/episode_1.hdf5") as file:
        assert file["action"].shape == (11, 4)
        assert not file["is_pad"][:].any()
        assert near(file["observations/images/front"][10], 10)


def test_what_act_cannot_learn_from_is_refused(bundles: list[Path], tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="--camera"):
        export(chosen(bundles, cameras=[]), tmp_path / "out")
    for length in (-1, 432_001):
        with pytest.raises(LengthError, match="at most 432000 steps"):
            export(chosen(bundles), tmp_path / "out", length=length)
    with pytest.raises(CameraError, match="front"):
        export(chosen(bundles, draw=drawn(PictureCodec.DEPTH16)), tmp_path / "out", length=9)
    assert not list(tmp_path.iterdir())
