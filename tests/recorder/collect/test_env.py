"""Whatever drives one of our Gymnasium environments makes episodes, if it is recorded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import armshare
from recorder.collect.folder import CollectError
from recorder.file.episode import read_episode
from recorder.proof.case import Trust
from recorder.proof.hubless import NO_HUB
from recorder.proof.replayed import replayed
from recorder.proof.verify import verify_bundle
from sim.gym import TaskEnv
from sim.physics.world import World
from sim.robot import UnstableWorldError
from sim.seeds import SeedError

STEPS = 8
FORWARD = np.array([0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], np.float32)


@pytest.fixture(scope="module")
def inner() -> Iterator[TaskEnv]:
    """Return one environment, which every test wraps anew."""
    env = TaskEnv("panda", "lift")
    yield env
    env.close()


@pytest.fixture
def env(inner: TaskEnv) -> Any:
    """Return it with a limit of steps; closing it leaves the world to the next test."""
    limited = gymnasium.wrappers.TimeLimit(inner, STEPS)
    limited.close = lambda: None
    return limited


def driven(env: Any, seed: int, steps: int = STEPS) -> dict[str, Any]:
    """Drive forward; return the last `info`."""
    _, info = env.reset(seed=seed)
    for _ in range(steps):
        *_, info = env.step(FORWARD)
    return dict(info)


def episodes(folder: Path) -> list[str]:
    """Return the episodes of a folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_an_episode_that_is_truncated_is_kept_and_verified(env: Any, tmp_path: Path) -> None:
    with armshare.record(env, tmp_path) as recorded:
        info = driven(recorded, 4)
    assert info["recorded"] == "lift-panda-4"
    assert episodes(tmp_path) == ["lift-panda-4"]
    report = verify_bundle(tmp_path / "lift-panda-4", Trust(NO_HUB, replay=replayed))
    assert "replay" in report.passed
    assert (tmp_path / "lift-panda-4" / "score.json").exists()


def test_what_is_recorded_is_what_was_seen(env: Any, tmp_path: Path) -> None:
    seen: list[Any] = []
    with armshare.record(env, tmp_path, replay=False) as recorded:
        seen.append(recorded.reset(seed=9)[0])
        seen += [recorded.step(FORWARD)[0] for _ in range(STEPS)]
    kept = read_episode(tmp_path / "lift-panda-9" / "episode.h5").observations
    for name, values in kept.items():
        assert values.tobytes() == np.array([one[name] for one in seen]).tobytes()


def test_recording_moves_the_robot_as_the_environment_alone_does(inner: TaskEnv, tmp_path: Path) -> None:
    env: Any = TaskEnv("panda", "lift")
    alone = [env.reset(seed=2)[0], *(env.step(FORWARD)[0] for _ in range(STEPS))]
    with armshare.record(env, tmp_path, replay=False) as recorded:
        beside = [recorded.reset(seed=2)[0], *(recorded.step(FORWARD)[0] for _ in range(STEPS))]
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_allclose(one["joint_position"], other["joint_position"], atol=1e-6)


def test_an_episode_that_is_reset_or_closed_in_between_is_not_kept(env: Any, tmp_path: Path) -> None:
    with armshare.record(env, tmp_path, replay=False) as recorded:
        driven(recorded, 1, steps=3)
        driven(recorded, 2)
        driven(recorded, 3, steps=3)
    assert episodes(tmp_path) == ["lift-panda-2"]


def test_no_data_are_made_from_a_scene_that_judges(env: Any, tmp_path: Path) -> None:
    with armshare.record(env, tmp_path) as recorded, pytest.raises(SeedError, match="kept to judge policies"):
        recorded.reset(seed=1000)
    assert episodes(tmp_path) == []


def test_a_world_that_bursts_ends_the_episode_and_leaves_nothing(
    env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bursts(_self: World, _action: object) -> None:
        raise UnstableWorldError("the cube is gone")

    with armshare.record(env, tmp_path) as recorded:
        driven(recorded, 6, steps=2)
        monkeypatch.setattr(World, "send_action", bursts)
        *_, truncated, info = recorded.step(FORWARD)
    assert truncated
    assert info["invalid"] == "the cube is gone"
    assert "recorded" not in info
    assert episodes(tmp_path) == []


def test_a_step_after_the_end_is_refused(env: Any, tmp_path: Path) -> None:
    with armshare.record(env, tmp_path, replay=False) as recorded:
        driven(recorded, 1)
        with pytest.raises(CollectError, match=r"call reset\(\)"):
            recorded.step(FORWARD)


def test_only_our_environments_are_recorded(tmp_path: Path) -> None:
    with pytest.raises(CollectError, match="Only armshare's environments"):
        armshare.record(gymnasium.make("CartPole-v1"), tmp_path)


def test_who_drives_is_the_file_that_is_named_or_the_program_that_runs(env: Any, tmp_path: Path) -> None:
    with pytest.raises(CollectError, match=r"nowhere\.pt cannot be read"):
        armshare.record(env, tmp_path, by=tmp_path / "nowhere.pt")
    checkpoint = tmp_path / "policy.pt"
    checkpoint.write_bytes(b"weights")
    for name, by, kind in (("policy", checkpoint, b'"policy"'), ("script", None, b'"script"')):
        with armshare.record(env, tmp_path / name, by=by, replay=False):
            pass
        assert kind in (tmp_path / name / ".record" / "made.json").read_bytes()


def test_armshare_alone_stays_light() -> None:
    heavy = "{'numpy', 'gymnasium', 'h5py', 'pybullet'}"
    code = f"import sys, armshare; assert not {heavy} & set(sys.modules), sorted({heavy} & set(sys.modules))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_armshare_has_nothing_else_by_accident() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        armshare.nothing  # noqa: B018  it is looked up
