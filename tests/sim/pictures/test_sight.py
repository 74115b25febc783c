"""What a policy sees is what an export of the same drive holds: pixel for pixel, from any camera, in any size."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sim.gym  # noqa: F401  registers the names
from sim.pictures.picture import DEPTH_UNIT_M, Picture, depth_units
from sim.pictures.render import PictureSizeError, Shot, render
from sim.pictures.render_scene import UnknownCameraError
from sim.pictures.sight import NameTakenError, Sight
from sim.robot import ArraySpec

LIFT = "armshare/Lift-Panda-v0"
SIZE = (64, 48)


@pytest.fixture
def env() -> Iterator[gymnasium.Env[Any, Any]]:
    made = gymnasium.make(LIFT, cameras=("front", "wrist", "wrist_depth"), camera_size=SIZE)
    yield made
    made.close()


def test_pictures_are_observations_of_their_own_shape_beside_the_arrays(env: gymnasium.Env[Any, Any]) -> None:
    check_env(env.unwrapped, skip_render_check=True)
    seen, _ = env.reset(seed=7)
    assert {"front_image", "wrist_image", "wrist_depth", "joint_position", "cube_pose"} <= set(seen)
    assert (seen["front_image"].shape, seen["front_image"].dtype) == ((48, 64, 3), np.uint8)
    assert (seen["wrist_depth"].shape, seen["wrist_depth"].dtype) == ((48, 64, 1), np.float32)


def test_a_policy_sees_exactly_what_an_export_of_its_drive_draws(env: gymnasium.Env[Any, Any]) -> None:
    """Through two episodes, because light, colours and cameras are each seed's own."""
    for seed in (1000, 1001):
        seen, _ = env.reset(seed=seed)
        told = [seen]
        for step in range(4):
            seen, *_ = env.step(np.array([0.5, -0.3, -0.4, 0.0, 0.0, 0.2, 1.0 - step], np.float32))
            told.append(seen)
        arrays = [name for name in told[0] if not name.endswith(("_image", "wrist_depth"))]
        states = {name: np.stack([one[name] for one in told]) for name in arrays}
        assert not np.array_equal(told[0]["wrist_image"], told[-1]["wrist_image"]), "the arm moved"
        front, wrist = drawn("front", seed, states), drawn("wrist", seed, states)
        for one, of_front, of_wrist in zip(told, front, wrist, strict=True):
            assert np.array_equal(one["front_image"], of_front.rgb)
            assert np.array_equal(one["wrist_image"], of_wrist.rgb)
            stored = depth_units(np.asarray(of_wrist.depth))
            assert np.array_equal(one["wrist_depth"][..., 0], stored.astype(np.float32) * np.float32(DEPTH_UNIT_M))


def drawn(camera: str, seed: int, states: dict[str, Any]) -> list[Picture]:
    with ThreadPoolExecutor(1) as pool:
        return list(render(Shot("panda", "lift", seed, camera, *SIZE, depth=True), states, pool))


def test_what_is_shown_to_a_person_has_its_own_camera_and_size() -> None:
    made = gymnasium.make(
        LIFT, render_mode="rgb_array", camera="side", width=32, height=24, cameras=("front",), camera_size=SIZE
    )
    alone = gymnasium.make(LIFT, render_mode="rgb_array", camera="side", width=32, height=24)
    seen, _ = made.reset(seed=3)
    alone.reset(seed=3)
    shown = made.render()
    assert isinstance(shown, np.ndarray)
    assert (shown.shape, seen["front_image"].shape) == ((24, 32, 3), (48, 64, 3))
    assert np.array_equal(shown, alone.render())
    made.close()
    alone.close()


def test_a_camera_or_a_size_that_is_none_is_refused_when_the_environment_is_made(
    env: gymnasium.Env[Any, Any],
) -> None:
    with pytest.raises(UnknownCameraError, match="There is no camera 'moon'"):
        gymnasium.make(LIFT, cameras=("moon_depth",))
    with pytest.raises(PictureSizeError, match="0x48"):
        gymnasium.make(LIFT, cameras=("front",), camera_size=(0, 48))
    world: Any = env.unwrapped.world  # type: ignore[attr-defined]  # Gymnasium does not know our class

    own = ArraySpec("front_image", (3,), "1", "of the robot's own")
    named: Any = SimpleNamespace(scene=world.scene, spec=SimpleNamespace(observation=(own,)))
    with pytest.raises(NameTakenError, match="has an array 'front_image'"):
        Sight(named, *SIZE, ("front",))


def test_depth_beyond_what_is_kept_is_nothing() -> None:
    far = np.array([[np.inf, 70.0, 0.0124]], np.float32)
    assert depth_units(far).tolist() == [[0, 0, 12]]
