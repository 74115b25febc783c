"""The actions that an export holds ask the environment for what happened: each space is turned back."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from recorder.export.actions import ACTIONS, ActionName, EnvArgs, action_space, driven_steps
from recorder.export.errors import ActionError
from recorder.file.episode import Episode, read_episode
from sim import rotation
from sim.catalogue import description
from sim.motion.actions import setpoint_of
from sim.motion.control import Controller, Joints, Pose, Setpoint, Twist
from sim.motion.kinematics import Hands
from sim.motion.limits import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S
from sim.robot import Action, Observation, RobotSpec, TaskSpec, Vector
from teleop.steps import EpisodeEnd, EpisodeStart, Step
from teleop.wire.messages import Mode, Safety
from teleop.wire.setpoints import values_of
from tests.recorder.bundles import record
from tests.recorder.factory import FakeOperator, fake_end, fake_start

MS = 1_000_000


def spec_of(robot: str, *, simulated: bool = True) -> RobotSpec:
    found = description(robot)
    task = TaskSpec("lift", 1, "Lift the cube.", 400)
    return found.spec(found.arrays, simulated=simulated, control_hz=20.0, task=task)


def twists(spec: RobotSpec, count: int, *, fast: float = 0.9) -> list[Setpoint]:
    """Return `count` twists, all of them different, and not faster than `fast` of the top speeds."""
    random = np.random.default_rng(3)
    most = np.array((EE_SPEED_MAX_M_S,) * 3 + (EE_ROTATION_MAX_RAD_S,) * 3)
    made: list[Setpoint] = []
    for _ in range(count):
        twist = random.uniform(-1, 1, (spec.hands, 6)) / np.sqrt(3.0) * fast * most
        base = None if spec.base is None else random.uniform(-1, 1, 2) * (spec.base.speed_max_m_s, 0.9)
        made.append(Twist(twist, random.uniform(0, 1, spec.hands), base))
    return made


def driven(spec: RobotSpec, asked: Sequence[Setpoint], safety: Sequence[Safety] = ()) -> Sequence[object]:
    """Return an episode in which a controller does what is asked of an arm that goes exactly where it is told."""
    controller, hands, operator = Controller(spec), Hands(spec), FakeOperator()
    start = fake_start(spec=spec)
    seen = _seen(spec, hands, Action(spec.home_rad.copy(), np.ones(spec.hands)))
    start = dataclasses.replace(start, initial=seen)
    controller.start(seen)
    steps = []
    for index, setpoint in enumerate(asked):
        state = safety[index] if index < len(safety) else Safety.DRIVING
        mode, values = values_of(setpoint)
        began_ns = start.t_mono_ns + index * 50 * MS + MS
        taken = operator.send(began_ns - MS, values, mode, dead_man=state is Safety.DRIVING)
        action = (controller.step(setpoint, seen) if state is Safety.DRIVING else controller.hold()).action
        seen = _seen(spec, hands, action)
        steps.append(
            Step(
                index,
                operator.newest,
                state,
                action,
                hands.poses(action.joint_position),
                dataclasses.replace(seen, success=False, progress=0.0),
                began_ns + 1000,
                began_ns + 48 * MS,
                start.t_wall_ns + index * 50 * MS,
                began_ns,
                commands=(taken,),
            )
        )
    return start, steps, fake_end(start, steps, success=False)


def _seen(spec: RobotSpec, hands: Hands, action: Action) -> Observation:
    values = {array.name: np.zeros(array.shape) for array in spec.observation}
    values["joint_position"], values["gripper_position"] = action.joint_position.copy(), action.gripper.copy()
    for end, pose in zip(spec.end_effectors, hands.poses(action.joint_position), strict=True):
        values[end.pose] = pose
    return Observation(values, 0.0, False)


def recorded(folder: Path, made: Sequence[object]) -> Episode:
    start, steps, end = made
    assert isinstance(start, EpisodeStart)
    assert isinstance(steps, list)
    assert isinstance(end, EpisodeEnd)
    return read_episode(record(folder, (start, steps, end)))


def actions(episode: Episode, name: ActionName) -> np.ndarray:
    found = action_space(name, episode.meta)
    values, driven = found.of(episode)
    assert values.dtype == np.float32
    assert values.shape == (episode.steps, len(found.names))
    assert driven.shape == (episode.steps,)
    assert np.abs(values).max() <= 1.0
    return values


ROBOTS = ("panda", "so101", "dual_panda", "husky")


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_twist_asks_the_environment_for_what_the_operator_commanded(robot: str, tmp_path: Path) -> None:
    spec = spec_of(robot)
    asked = twists(spec, 30)
    episode = recorded(tmp_path, driven(spec, asked))
    for row, setpoint in zip(actions(episode, "ee_twist"), asked, strict=True):
        again = setpoint_of(spec, "ee_twist", row, spec.home_rad)
        assert isinstance(again, Twist)
        assert isinstance(setpoint, Twist)
        np.testing.assert_allclose(again.twist, setpoint.twist, atol=1e-6)
        np.testing.assert_allclose(again.gripper, setpoint.gripper, atol=1e-6)
        if spec.base is not None:
            np.testing.assert_allclose(again.base, setpoint.base, atol=1e-6)


@pytest.mark.parametrize("robot", ROBOTS)
def test_poses_and_joints_ask_the_environment_for_what_was_applied(robot: str, tmp_path: Path) -> None:
    spec = spec_of(robot)
    episode = recorded(tmp_path, driven(spec, twists(spec, 60)))
    joints, poses = actions(episode, "joint_position"), actions(episode, "ee_pose")
    for index in range(episode.steps):
        to = setpoint_of(spec, "joint_position", joints[index], spec.home_rad)
        assert isinstance(to, Joints)
        np.testing.assert_allclose(to.position, episode.applied_joint_position[index], atol=1e-5)
        np.testing.assert_allclose(to.gripper, episode.applied_gripper[index], atol=1e-6)
        there = setpoint_of(spec, "ee_pose", poses[index], spec.home_rad)
        assert isinstance(there, Pose)
        for hand, expected in enumerate(in_hand_frames(spec, episode.applied_joint_position[index])):
            np.testing.assert_allclose(there.pose[hand, :3], expected[:3], atol=1e-6)
            assert rotation.angle_between(there.pose[hand, 3:], expected[3:]) < 1e-5


def in_hand_frames(spec: RobotSpec, q: Vector) -> list[Vector]:
    """Return each hand's pose in the frame that its commands are in, by the controller's own kinematics."""
    from sim.motion.kinematics import Kinematics

    made = []
    for index, end in enumerate(spec.end_effectors):
        at = [spec.joint_names.index(name) for name in end.joint_names]
        made.append(Kinematics.of(spec, index).forward(q[at]))
    return made


@pytest.mark.parametrize("robot", ROBOTS)
def test_deltas_add_up_to_what_was_applied(robot: str, tmp_path: Path) -> None:
    spec = spec_of(robot)
    episode = recorded(tmp_path, driven(spec, twists(spec, 60, fast=0.5)))
    for name in ("joint_delta", "ee_delta"):
        assert action_space(name, episode.meta).clipped(episode) == 0
    q = episode.observation("joint_position")[0].copy()
    for row, applied in zip(actions(episode, "joint_delta"), episode.applied_joint_position, strict=True):
        to = setpoint_of(spec, "joint_delta", row, q)
        assert isinstance(to, Joints)
        np.testing.assert_allclose(to.position, applied, atol=1e-6)
        q = applied
    targets = in_hand_frames(spec, episode.observation("joint_position")[0])
    for row, applied in zip(actions(episode, "ee_delta"), episode.applied_joint_position, strict=True):
        step = setpoint_of(spec, "ee_delta", row, q)
        assert isinstance(step, Twist)  # for one period
        for hand, expected in enumerate(in_hand_frames(spec, applied)):
            moved = step.twist[hand] * spec.period_s
            np.testing.assert_allclose(targets[hand][:3] + moved[:3], expected[:3], atol=1e-6)
            turned = rotation.multiply(rotation.from_rotvec(moved[3:]), targets[hand][3:])
            assert rotation.angle_between(turned, expected[3:]) < 1e-5
            targets[hand] = expected


def test_the_bases_speeds_are_those_it_drove(tmp_path: Path) -> None:
    spec = spec_of("husky")
    assert spec.base is not None
    steady = [Twist(np.zeros((1, 6)), np.ones(1), np.array((0.3, 0.4)))] * 30
    episode = recorded(tmp_path, driven(spec, steady))
    for name in ("ee_pose", "ee_delta"):
        base = actions(episode, name)[-1, -2:] * (spec.base.speed_max_m_s, spec.base.turn_max_rad_s)
        np.testing.assert_allclose(base, (0.3, 0.4), atol=0.01)
    assert actions(episode, "ee_twist")[:, -2:] == pytest.approx(np.tile((0.5, 0.4), (30, 1)))


def test_a_rotation_near_half_a_turn_does_not_flicker(tmp_path: Path) -> None:
    spec = spec_of("panda")  # its gripper points straight down
    sway = [Twist(np.array([[0, 0, 0, 0.5 * np.sin(i / 3), 0.5 * np.cos(i / 3), 0.3]]), np.ones(1)) for i in range(80)]
    turns = actions(recorded(tmp_path, driven(spec, sway)), "ee_pose")[:, 3:6]
    lengths = np.linalg.norm(turns, axis=1)
    assert lengths.max() > 0.95
    assert np.abs(np.diff(turns, axis=0)).max() < 0.1


def test_steps_that_were_not_driven_are_masked_and_hold(tmp_path: Path) -> None:
    spec = spec_of("panda")
    safety = [Safety.DRIVING] * 4 + [Safety.HOLDING] * 3 + [Safety.DRIVING] * 3
    episode = recorded(tmp_path, driven(spec, twists(spec, 10), safety))
    values = actions(episode, "ee_twist")
    assert driven_steps(episode).tolist() == [state is Safety.DRIVING for state in safety]
    assert not values[4:7, :6].any()
    np.testing.assert_allclose(values[4:7, 6], 2 * episode.applied_gripper[4:7, 0] - 1, atol=1e-6)
    assert np.abs(values[[0, 9], :6]).max() > 0.1


def test_a_twist_beyond_the_top_speeds_is_shortened_as_the_controller_shortens_it(tmp_path: Path) -> None:
    spec = spec_of("panda")
    asked = Twist(np.array([[0.6, 0.8, 0.0, 0.0, 0.0, 3.0]]), np.ones(1))
    found = actions(recorded(tmp_path, driven(spec, [asked] * 3)), "ee_twist")[0]
    np.testing.assert_allclose(found, (0.6, 0.8, 0.0, 0.0, 0.0, 1.0, 1.0), atol=1e-6)


@pytest.mark.parametrize("mode", [Mode.JOINT_POSITION, Mode.EE_POSE])
def test_an_episode_that_nobody_drove_by_twists_has_none_and_says_what_it_has(mode: Mode, tmp_path: Path) -> None:
    spec = spec_of("panda")
    pose = Hands(spec).poses(spec.home_rad)
    asked: Setpoint = Joints(spec.home_rad, np.ones(1)) if mode is Mode.JOINT_POSITION else Pose(pose, np.ones(1))
    episode = recorded(tmp_path, driven(spec, [asked] * 5))
    fits = "joint_position or joint_delta" if mode is Mode.JOINT_POSITION else "ee_pose or ee_delta"
    with pytest.raises(ActionError, match=f"episode-1 was driven by .*{fits}"):
        actions(episode, "ee_twist")
    assert np.abs(actions(episode, "joint_delta")[:, :7]).max() < 0.01


def test_an_action_names_the_environment_that_takes_it(tmp_path: Path) -> None:
    episode = recorded(tmp_path, driven(spec_of("panda"), twists(spec_of("panda"), 3)))
    for name in ACTIONS:
        env = action_space(name, episode.meta).env
        assert (env.id, env.kwargs) == ("sim.gym:armshare/Lift-Panda-v0", {"control": name})
        assert env.call == f'gymnasium.make("sim.gym:armshare/Lift-Panda-v0", control={name!r})'
    (tmp_path / "real").mkdir()
    real = recorded(tmp_path / "real", driven(spec_of("panda", simulated=False), twists(spec_of("panda"), 3)))
    assert action_space("ee_twist", real.meta).env.call == ""


def test_a_name_that_a_stranger_chose_stays_a_name_in_the_call() -> None:
    env = EnvArgs('sim.gym:armshare/Lift-")+print("x-v0', {"control": "ee_twist"})
    tree = ast.parse(env.call, mode="eval").body
    assert isinstance(tree, ast.Call)
    assert [ast.literal_eval(one) for one in tree.args] == [env.id]


def test_an_unknown_action_is_refused_by_name(tmp_path: Path) -> None:
    episode = recorded(tmp_path, driven(spec_of("panda"), twists(spec_of("panda"), 3)))
    with pytest.raises(ActionError, match="no action 'ee_velocity'"):
        action_space("ee_velocity", episode.meta)  # type: ignore[arg-type]  # what a person may type
