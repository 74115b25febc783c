"""Steps as actions: what a drive did, told as steps, does it again; and every environment takes every control."""

from __future__ import annotations

from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sim import rotation
from sim.catalogue import pairs
from sim.gym import TaskEnv
from sim.motion.actions import CONTROLS, leading
from sim.motion.control import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S, Controller
from sim.motion.kinematics import Kinematics
from sim.registry import env_id

pytestmark = pytest.mark.slow  # every world, once for each control


@pytest.mark.parametrize(("robot", "task"), pairs())
def test_every_environment_passes_gymnasiums_own_checker_with_every_control(robot, task):
    for control in CONTROLS:
        env = gymnasium.make(env_id(robot, task), control=control)
        check_env(env.unwrapped, skip_render_check=True)
        env.close()


def driven(env: TaskEnv, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Let the scripted operator do the task; return the joints it was sent to, and the openings, from the first on."""
    world, steps = env.world, []
    seen = world.reset(seed)
    controller, expert = Controller(world.spec), world.task.expert(world.description)
    controller.start(seen)
    path = [seen.values["joint_position"].copy()]
    while not seen.success:
        action = world.send_action(controller.step(expert.act(seen.values), seen).action)
        path.append(action.joint_position.copy())
        steps.append(action.gripper.copy())
        seen = world.observe()
    return np.array(path), np.array(steps)


def hands_of(env: TaskEnv, path: np.ndarray) -> np.ndarray:
    """Return where a one-handed robot's hand was on a path of joints, (N, 7)."""
    spec = env.world.spec
    columns = [spec.joint_names.index(name) for name in spec.end_effectors[0].joint_names]
    kinematics = Kinematics.of(spec, 0)
    return np.array([kinematics.forward(row[columns]) for row in path])


def as_steps(env: TaskEnv, control: str, path: np.ndarray, openings: np.ndarray) -> np.ndarray:
    """Return the actions that a path of joints is, as differences."""
    spec = env.world.spec
    if control == "joint_delta":
        moved = np.diff(path, axis=0) / (spec.joint_velocity_max_rad_s * spec.period_s)
        return np.hstack([moved, 2.0 * openings - 1.0])
    poses = hands_of(env, path)
    moved = np.diff(poses[:, :3], axis=0) / (EE_SPEED_MAX_M_S * spec.period_s)
    turned = [rotation.difference(to[3:], start[3:]) for start, to in pairwise(poses)]
    return np.hstack([moved, np.array(turned) / (EE_ROTATION_MAX_RAD_S * spec.period_s), 2.0 * openings - 1.0])


@pytest.mark.parametrize("control", ["ee_delta", "joint_delta"])
@pytest.mark.parametrize("robot", ["panda", "iiwa", "xarm6"])
def test_a_drive_told_as_steps_does_the_task_again(robot, control):
    env = TaskEnv(robot, "lift", control=control)
    again = 0
    for seed in range(3):
        path, openings = driven(env, seed)
        actions = as_steps(env, control, path, openings)
        assert np.abs(actions).max() < 1.05, "steps fit the scale"
        actions = np.vstack([actions, np.tile([*np.zeros(actions.shape[1] - 1), -1.0], (20, 1))])  # then it stays
        env.reset(seed=seed)
        for action in actions:
            *_, done, _, info = env.step(np.clip(action, -1.0, 1.0).astype(np.float32))
            if done:
                break
        again += info["success"]
        hand = hands_of(env, np.array([env._seen.values["joint_position"]]))[0, :3]
        assert np.linalg.norm(hand - hands_of(env, path)[-1, :3]) < 0.03
    assert again == 3
    env.close()


@pytest.mark.parametrize("control", ["ee_delta", "joint_delta"])
def test_the_first_step_counts_from_what_was_observed(control):
    env = TaskEnv("panda", "reach", control=control)
    env.reset(seed=1)
    for _ in range(8):
        env.step(np.full(env.action_space.shape, 0.7, np.float32))
    before, _ = env.reset(seed=2)
    for _ in range(8):
        after, *_ = env.step(np.zeros(env.action_space.shape, np.float32))
    assert np.abs(after["joint_position"] - before["joint_position"]).max() < 0.01
    env.close()


def test_a_joint_that_cannot_follow_does_not_wind_up():
    """A goal stays within reach of the joints, however long one asks for more: turning back takes effect soon."""
    env = TaskEnv("panda", "reach", control="joint_delta")
    env.reset(seed=1)
    spec = env.world.spec
    down = np.zeros(env.action_space.shape, np.float32)
    down[1] = 1.0  # the shoulder: forward and down, against the floor of its workspace
    for _ in range(200):
        env.step(down)
    joints = env._seen.values["joint_position"]
    assert np.abs(leading(spec, np.full(spec.joints, 100.0), joints) - joints).max() < 1.0
    assert abs(env._goal[1] - joints[1]) < 1.0
    for _ in range(12):
        env.step(-down)
    assert env._seen.values["joint_position"][1] < joints[1] - 0.1, "and it is on its way back within half a second"
    env.close()
