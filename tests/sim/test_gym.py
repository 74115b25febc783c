"""Every robot at every task is a Gymnasium environment, and one that drives as people do."""

from __future__ import annotations

import os
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import sim.gym
from sim.catalogue import make_world, pairs
from sim.motion.actions import CONTROLS
from sim.motion.control import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S, Twist
from sim.registry import env_id

pytestmark = pytest.mark.slow  # many simulated worlds

LIFT = "armshare/Lift-Panda-v0"


@pytest.fixture
def env():
    env = gymnasium.make(LIFT)
    yield env
    env.close()


@pytest.mark.parametrize(("robot", "task"), pairs())
def test_every_pair_is_registered_and_passes_gymnasiums_own_checker(robot, task):
    env = gymnasium.make(env_id(robot, task), render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()


def test_the_name_is_the_one_in_the_docs():
    assert env_id("panda", "lift") == LIFT


def test_a_seed_gives_the_scene_that_people_drove_from_it(env):
    world = make_world("panda", "lift")
    world.connect()
    observed, info = env.reset(seed=11)
    expected = world.reset(11).values
    world.disconnect()
    assert info["seed"] == 11
    assert all(observed[name].tobytes() == value.tobytes() for name, value in expected.items())


def test_an_experts_twists_succeed_and_give_the_progress_as_reward(env):
    task = env.unwrapped.world.task
    expert = task.expert(env.unwrapped.world.description)
    observed, _ = env.reset(seed=2)
    rewards, terminated = [], False
    while not terminated:
        asked = expert.act(observed)
        observed, reward, terminated, truncated, info = env.step(normalised(asked))
        rewards.append(reward)
        assert not truncated
    assert info["success"]
    assert 0.3 < sum(rewards) < 1.0, "what had been reached at the start is not a reward"


def normalised(asked: Twist) -> np.ndarray:
    fastest = np.array((EE_SPEED_MAX_M_S,) * 3 + (EE_ROTATION_MAX_RAD_S,) * 3)
    return np.concatenate([(asked.twist / fastest).ravel(), 2.0 * asked.gripper - 1.0]).astype(np.float32)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_way_of_control_moves_the_arm_within_its_limits(control):
    env = gymnasium.make(LIFT, control=control)
    observed, _ = env.reset(seed=1)
    start = observed["joint_position"].copy()
    for _ in range(10):
        observed, *_ = env.step(np.full(env.action_space.shape, 0.5, np.float32))
    spec = env.unwrapped.world.spec
    assert np.abs(observed["joint_position"] - start).max() > 0.05
    assert np.all(observed["joint_position"] <= spec.joint_upper_rad + 0.05)
    env.close()


@pytest.mark.parametrize("action", [np.zeros(3), np.full(7, np.nan), np.zeros((1, 7))])
def test_a_malformed_action_says_what_was_expected(env, action):
    env.reset(seed=0)
    with pytest.raises(ValueError, match="expected action for ee_twist of"):
        env.unwrapped.step(action)


@pytest.mark.parametrize("wrong", [{"control": "mind"}, {"reward": "money"}, {"render_mode": "human3"}])
def test_an_unknown_option_says_which_there_are(wrong):
    with pytest.raises(ValueError, match="to be one of"):
        sim.gym.TaskEnv("panda", "lift", **wrong)


def driven(env, seed: int, actions: np.ndarray):
    """Drive one environment; return what each step gave, as bytes and numbers."""
    seen, _ = env.reset(seed=seed)
    rows = [(bits(seen), 0.0, False, False)]
    for action in actions:
        seen, reward, terminated, truncated, _ = env.step(action)
        rows.append((bits(seen), reward, terminated, truncated))
        if terminated or truncated:
            break
    return rows


def bits(seen, row: int | None = None) -> bytes:
    return b"".join((seen[name] if row is None else seen[name][row]).tobytes() for name in sorted(seen))


def lifting(env, seed: int) -> np.ndarray:
    """Return an expert's actions until it has succeeded."""
    expert, actions = env.unwrapped.world.task.expert(env.unwrapped.world.description), []
    seen, _ = env.reset(seed=seed)
    terminated = False
    while not terminated:
        actions.append(normalised(expert.act(seen)))
        seen, _, terminated, _, _ = env.step(actions[-1])
    return np.array(actions)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectorised_episodes_are_those_of_single_ones_to_the_last_bit(mode, env):
    seeds = [5, 6, 7]
    actions = lifting(env, 6)  # succeeds in the second, and does something in the others
    alone = [driven(env, seed, actions) for seed in seeds]
    envs = gymnasium.make_vec(LIFT, num_envs=3, vectorization_mode=mode)
    seen, infos = envs.reset(seed=seeds)
    assert infos["seed"].tolist() == seeds
    for step, action in enumerate(actions, start=1):
        seen, rewards, terminated, truncated, _ = envs.step(np.tile(action, (3, 1)))
        for row, single in enumerate(alone):
            assert (bits(seen, row), rewards[row], terminated[row], truncated[row]) == single[step], f"{step}, {row}"
    assert terminated.tolist() == [False, True, False]
    envs.close()


BY_NAME = """
import gymnasium
import numpy as np

if __name__ == "__main__":
    kwargs = {"context": "spawn"}
    envs = gymnasium.make_vec(NAME, num_envs=2, vectorization_mode="async", vector_kwargs=kwargs)
    envs.reset(seed=[5, 6])
    seen, *_ = envs.step(np.full((2, 7), 0.5, np.float32))
    print(b"".join(seen[name][1].tobytes() for name in sorted(seen)).hex())
    envs.close()
"""


@pytest.mark.parametrize(("first", "name"), [("import sim.gym", LIFT), ("", f"sim.gym:{LIFT}")])
def test_workers_that_start_afresh_know_the_names(tmp_path, pytestconfig, env, first, name):
    program = tmp_path / "evaluate.py"
    program.write_text(first + BY_NAME.replace("NAME", repr(name), 1))
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(pytestconfig.rootpath)},
    )
    assert done.stdout.strip() == driven(env, 6, np.full((1, 7), 0.5, np.float32))[-1][0].hex()


class Thrown(sim.gym.TaskEnv):
    """An environment whose cube is shot into space in the third step of the episode from seed 6."""

    steps = 0

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.steps += 1
        if (self._seed, self.steps) == (6, 3):
            self.world._client.resetBaseVelocity(self.world._bodies._handles[0][1], [0.0, 0.0, 1000.0])
        return super().step(action)


def thrown() -> Thrown:
    return Thrown("panda", "lift")


@pytest.mark.parametrize("vector", [SyncVectorEnv, AsyncVectorEnv])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_an_unstable_world_ends_its_episode_as_invalid_and_goes_on_with_a_fresh_one(env, vector, mode):
    actions = np.full((6, 7), 0.3, np.float32)
    alone = [driven(env, seed, actions) for seed in (5, 7)]
    envs = vector([thrown] * 3, autoreset_mode=mode)
    envs.reset(seed=[5, 6, 7])
    for step, action in enumerate(actions, start=1):
        seen, rewards, terminated, truncated, infos = envs.step(np.tile(action, (3, 1)))
        assert [bits(seen, 0), bits(seen, 2)] == [single[step][0] for single in alone], "a neighbour was poisoned"
        assert np.isfinite(rewards).all()
        assert not terminated.any()
        assert truncated.tolist() == [False, step == 3, False]
        if step == 3:
            told = infos["final_info"]["invalid"] if mode is AutoresetMode.SAME_STEP else infos["invalid"]
            assert "expected cube_pose finite and within 4.0 m" in told[1]
        if step == (3 if mode is AutoresetMode.SAME_STEP else 4):
            fresh, _ = env.reset(seed=int(infos["seed"][1]))
            assert bits(seen, 1) == bits(fresh), "the next episode is the one that its seed names"
    envs.close()


def test_the_step_limit_truncates_and_the_next_episode_has_a_seed_of_its_own(env):
    envs = gymnasium.make_vec(LIFT, num_envs=2, vectorization_mode="sync", max_episode_steps=3)
    envs.reset(seed=1)
    still = np.zeros((2, 7), np.float32)
    ended = [envs.step(still)[3].tolist() for _ in range(3)]
    assert ended == [[False, False], [False, False], [True, True]]
    seen, _, _, _, infos = envs.step(still)
    first, second = infos["seed"].tolist()
    assert first != second
    assert bits(seen, 0) == bits(env.reset(seed=first)[0])
    envs.close()


def test_the_same_first_seed_gives_the_same_row_of_episodes(env):
    rows = []
    for _ in range(2):
        env.reset(seed=9)
        rows.append([env.reset()[1]["seed"] for _ in range(3)])
    assert rows[0] == rows[1]
    assert len({*rows[0]}) == 3
