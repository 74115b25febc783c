"""Every robot at every task is a Gymnasium environment, and one that drives as people do."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sim.gym
from sim.catalogue import make_world, pairs
from sim.control import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S, Twist
from sim.registry import env_id

LIFT = "armshare/Lift-Panda-v0"


@pytest.fixture
def env():
    env = gymnasium.make(LIFT)
    yield env
    env.close()


@pytest.mark.filterwarnings("ignore:.*render modes.*:UserWarning")  # of `check_env`, where no render mode is chosen
@pytest.mark.parametrize(("robot", "task"), pairs())
def test_every_pair_is_registered_and_passes_gymnasiums_own_checker(robot, task):
    env = gymnasium.make(env_id(robot, task))
    check_env(env.unwrapped, skip_render_check=True)
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


@pytest.mark.parametrize("control", ["ee_twist", "ee_pose", "joint_position"])
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
    with pytest.raises(ValueError, match="expected 7 finite numbers for ee_twist"):
        env.unwrapped.step(action)


@pytest.mark.parametrize("wrong", [{"control": "mind"}, {"reward": "money"}, {"render_mode": "human3"}])
def test_an_unknown_option_says_which_there_are(wrong):
    with pytest.raises(ValueError, match="to be one of"):
        sim.gym.TaskEnv("panda", "lift", **wrong)


def test_an_unstable_world_truncates_its_episode_alone(monkeypatch):
    envs = gymnasium.make_vec(LIFT, num_envs=2, vectorization_mode="sync")
    envs.reset(seed=[1, 2])
    broken = envs.envs[1].unwrapped
    real = broken.world.send_action

    def explode(action):
        with monkeypatch.context() as patched:
            patched.setattr("sim.world.ROOM_M", 0.1)
            return real(action)

    monkeypatch.setattr(broken.world, "send_action", explode)
    _, _, terminated, truncated, infos = envs.step(envs.action_space.sample() * 0)
    assert truncated.tolist() == [False, True]
    assert not terminated.any()
    assert "within 0.1 m" in infos["invalid"][1]
    envs.close()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectorised_worlds_go_as_single_ones_do(mode, env):
    envs = gymnasium.make_vec(LIFT, num_envs=2, vectorization_mode=mode)
    seen, _ = envs.reset(seed=[5, 6])
    alone, _ = env.reset(seed=6)
    assert seen["cube_pose"][1].tobytes() == alone["cube_pose"].tobytes()
    action = np.full((2, 7), 0.3, np.float32)
    for _ in range(5):
        seen, *_ = envs.step(action)
        alone, *_ = env.step(action[1])
    assert seen["ee_pose"][1].tobytes() == alone["ee_pose"].tobytes()
    envs.close()
