"""What is wrong is named: by one error each, which says what was expected. What breaks in one world stays in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sim.gym
from sim.catalogue import description, make_world, task
from sim.model.compose import ComposeError, Piece, compose
from sim.model.urdf import (
    EngineRefusedError,
    MeshMissingError,
    UnknownJointError,
    UnknownLinkError,
    UrdfError,
    UrdfMissingError,
    UrdfSyntaxError,
)
from sim.motion.actions import CONTROLS
from sim.motion.control import Controller, Joints, Limit, Pose, Twist
from sim.physics.replay import compared, replay
from sim.physics.world import World
from sim.robot import Action, ActionShapeError, RobotModel, UnstableWorldError

PANDA = description("panda")
NAN = float("nan")
HOME = np.array(PANDA.home_rad)
BASE, ARM = '<link name="base"/>', '<link name="arm"/>'
JOINT = (
    '<joint name="j" type="revolute"><parent link="base"/><child link="arm"/>'
    '<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>'
)
HOLLOW = '<link name="base"><collision><geometry><torus/></geometry></collision></link>'


def meshed(name: str) -> str:
    return f'<link name="base"><collision><geometry><mesh filename="{name}"/></geometry></collision></link>'


FILES = {
    "not XML": ("<robot", UrdfSyntaxError, "is not XML"),
    "another root": ("<sdf/>", UrdfSyntaxError, "it begins with <sdf>"),
    "no limit": (f"{BASE}{ARM}{JOINT.replace('limit', 'l')}", UrdfSyntaxError, "joint 'j' has no <limit>"),
    "a word for a number": (BASE + ARM + JOINT.replace("-1", "low"), UrdfSyntaxError, "finite numbers, got 'low'"),
    "two bases": (f'{BASE}{ARM}{JOINT}<link name="alone"/>', UrdfSyntaxError, "exactly one link has no parent"),
    "a ring": (BASE + ARM + JOINT + JOINT.replace('"j"', '"k"'), UrdfSyntaxError, "each link on one joint once"),
    "a lost link": (BASE + JOINT, UnknownLinkError, r"expected 'j' between its links, got \['arm'\]"),
    "a lost mesh": (meshed("arm.obj") + ARM + JOINT, MeshMissingError, "no mesh 'arm.obj' below"),
    "a mesh of no kind": (meshed("robot.urdf") + ARM + JOINT, EngineRefusedError, "PyBullet reads; it says 'Cannot"),
    "a shape of no kind": (HOLLOW + ARM + JOINT, EngineRefusedError, "PyBullet reads; it says 'Cannot"),
    "another joint": (
        BASE + ARM + JOINT.replace('"j"', '"k"'),
        UnknownJointError,
        "has no joint 'j'. It has k.",
    ),
    "a fixed joint": (
        BASE + ARM + JOINT.replace("revolute", "fixed"),
        UnknownJointError,
        "is fixed, and is named as one that moves",
    ),
    "no name": ("<robot>" + BASE + ARM + JOINT + "</robot>", EngineRefusedError, "a robot with a name"),
    "another hand": (
        BASE + ARM.replace("arm", "leg") + JOINT.replace("arm", "leg"),
        UnknownLinkError,
        "has no link 'arm'",
    ),
}


def robot_of(folder: Path, text: str):
    """Return a robot of one joint whose URDF says `text`."""
    (folder / "robot.urdf").write_text(
        text if text.startswith("<robot") or "sdf" in text else f"<robot name='bad'>{text}</robot>"
    )
    one = {"joint_names": ("j",), "joint_lower_rad": (-1.0,), "joint_upper_rad": (1.0,), "home_rad": (0.0,)}
    one |= {"joint_velocity_max_rad_s": (1.0,), "joint_effort_max_nm": (1.0,)}
    hand = replace(PANDA.hands[0], link="arm", joint_names=("j",), gripper_joints={}, finger_links=())
    return replace(PANDA, model=RobotModel("bad", folder, "robot.urdf"), hands=(hand,), **one)


@pytest.mark.parametrize("fault", FILES)
def test_a_robot_whose_file_is_wrong_is_refused_by_name_and_nothing_is_left_open(tmp_path, fault):
    text, error, said = FILES[fault]
    world = World(robot_of(tmp_path, text), task("reach"))
    for _ in range(2):
        with pytest.raises(error, match=said):
            world.connect()
    assert world._client is None


def test_a_robot_without_a_file_is_refused_by_name(tmp_path):
    world = World(replace(PANDA, model=RobotModel("none", tmp_path, "none.urdf")), task("reach"))
    with pytest.raises(UrdfMissingError, match="There is no URDF at"):
        world.connect()


def test_a_file_that_is_whole_is_loaded(tmp_path):
    world = World(robot_of(tmp_path, BASE + ARM + JOINT), task("reach"))
    world.connect()
    world.send_action(Action(np.zeros(1)))
    world.disconnect()


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("<robot", UrdfSyntaxError, "is not XML"),
        (f"<robot>{meshed('arm.obj')}</robot>", MeshMissingError, "no mesh 'arm.obj' below"),
        (None, UrdfMissingError, "There is no URDF at"),
        (f"<robot>{BASE}</robot>", UnknownLinkError, "expected to be mounted on one of the links"),
    ],
)
def test_a_part_whose_file_is_wrong_is_refused_before_it_is_put_together(tmp_path, monkeypatch, text, error, said):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    part = tmp_path / "part.urdf"
    if text is not None:
        part.write_text(text)
    with pytest.raises(error, match=said):
        compose("bad", [Piece(part, onto="nowhere" if error is UnknownLinkError else "base")])
    assert not list(tmp_path.glob("cache/**/bad*")), "nothing of it is kept"


def test_parts_with_the_same_names_are_refused(tmp_path):
    part = tmp_path / "part.urdf"
    part.write_text(f"<robot name='part'>{ARM}</robot>")
    with pytest.raises(ComposeError, match=r"expected each link once, got \['arm'\] again; give the pieces prefixes"):
        compose("twins", [Piece(part), Piece(part)])


@pytest.fixture(scope="module")
def world():
    world = make_world("panda", "lift")
    world.connect()
    yield world
    world.disconnect()


@pytest.mark.parametrize(
    ("joints", "gripper", "said"),
    [
        (
            HOME[:6],
            np.ones(1),
            r"panda: expected joint_position of shape \(7,\), got \(6,\)",
        ),
        (HOME.reshape(1, 7), np.ones(1), r"expected joint_position of shape \(7,\)"),
        (HOME, np.ones(2), r"panda: expected gripper of shape \(1,\), got \(2,\)"),
        (HOME * NAN, np.ones(1), "expected joint_position of finite numbers, got .*nan"),
        (HOME + np.inf, np.ones(1), "expected joint_position of finite numbers"),
        (HOME, np.array([NAN]), r"expected gripper of finite numbers, got \[nan\]"),
    ],
)
def test_a_malformed_action_is_named_and_moves_nothing(world, joints, gripper, said):
    expected = run(world, 4)
    world.reset(4)
    with pytest.raises(ActionShapeError, match=said):
        world.send_action(Action(joints, gripper))
    assert run(world, None) == expected


@pytest.mark.parametrize(
    "setpoint",
    [
        Twist(np.zeros((1, 5)), np.ones(1)),
        Twist(np.zeros((2, 6)), np.ones(2)),
        Twist(np.zeros((1, 6)), np.ones(1), np.zeros(2)),
        Twist(np.full((1, 6), NAN), np.ones(1)),
        Twist(np.zeros((1, 6)), np.array([np.inf])),
        Pose(np.full((1, 7), NAN), np.ones(1)),
        Pose(np.zeros((1, 6)), np.ones(1)),
        Joints(np.zeros(6), np.ones(1)),
        Joints(np.full(7, np.inf), np.ones(1)),
    ],
)
def test_a_setpoint_that_does_not_fit_holds_and_says_so(world, setpoint):
    controller, seen = Controller(world.spec), world.reset(1)
    controller.start(seen)
    directive = controller.step(setpoint, seen)
    assert [event.rule for event in directive.limits] == [Limit.SHAPE]
    assert np.array_equal(directive.action.joint_position, seen.values["joint_position"])


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("action", [np.zeros(3), np.zeros((2, 8)), np.full(7, NAN), np.full(8, np.inf), "left", None])
def test_an_environment_says_what_action_it_expected(environments, control, action):
    env = environments[control]
    with pytest.raises(ValueError, match=rf"expected action for {control} (of|as) "):
        env.step(action)


@pytest.fixture(scope="module")
def environments():
    made = {control: sim.gym.TaskEnv("panda", "lift", control=control) for control in CONTROLS}
    for env in made.values():
        env.reset(seed=1)
    yield made
    for env in made.values():
        env.close()


def run(world: World, seed: int | None, steps: int = 12) -> bytes:
    """Drive a little; return every bit that is seen."""
    seen = [world.observe() if seed is None else world.reset(seed)]
    for step in range(steps):
        world.send_action(Action(HOME + 0.05 * (step % 3), np.array([float(step % 2)])))
        seen.append(world.observe())
    return b"".join(value.tobytes() for one in seen for value in one.values.values())


def hold(world: World, steps: int) -> None:
    for _ in range(steps):
        world.send_action(Action(HOME, np.zeros(1)))


def thrown(world: World) -> None:
    world._client.resetBaseVelocity(cube(world), [0.0, 0.0, 1000.0])


def speed_of_nothing(world: World) -> None:
    world._client.resetBaseVelocity(cube(world), [NAN, 0.0, 0.0])


def place_of_nothing(world: World) -> None:
    world._client.resetBasePositionAndOrientation(cube(world), [NAN, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0])


def endless_joint(world: World) -> None:
    world._client.resetJointState(world._arm._body, 3, 0.0, 1e300)


def mountain(world: World) -> None:
    """Let a cube of a thousand million tonnes fall on the arm."""
    world._client.changeDynamics(cube(world), -1, mass=1e12)
    world._client.resetBasePositionAndOrientation(cube(world), [0.45, 0.0, 0.5], [0.0, 0.0, 0.0, 1.0])


def cube(world: World) -> int:
    return world._bodies._handles[0][1]


@pytest.mark.parametrize("provoke", [thrown, speed_of_nothing, place_of_nothing, endless_joint, mountain])
def test_a_world_that_breaks_says_so_until_it_is_reset_and_breaks_nothing_else(provoke):
    world, neighbour = make_world("panda", "lift"), make_world("panda", "lift")
    world.connect()
    neighbour.connect()
    fresh = run(world, 3)
    world.reset(3)
    neighbour.reset(3)
    provoke(world)
    said = r"expected \w+ finite and within 4\.0 m, got .*; the episode cannot count"
    with pytest.raises(UnstableWorldError, match=said):
        hold(world, 40)
    with pytest.raises(UnstableWorldError):
        hold(world, 1)
    assert run(neighbour, 3) == fresh
    assert run(world, 3) == fresh, "a reset world is a fresh one"
    world.disconnect()
    neighbour.disconnect()


def test_a_replay_that_an_action_breaks_names_the_step(world):
    seen = [world.reset(2)]
    joints = np.tile(HOME, (5, 1))
    for row in joints:
        world.send_action(Action(row))
        seen.append(world.observe())
    recorded, joints[3, 2] = compared(seen), NAN
    with pytest.raises(ActionShapeError, match="step 3: panda: expected joint_position of finite numbers"):
        replay(world, 2, joints, np.ones((5, 1)), recorded)


def test_every_error_about_a_robots_file_is_one_kind():
    kinds = (
        EngineRefusedError,
        MeshMissingError,
        UnknownJointError,
        UnknownLinkError,
        UrdfMissingError,
        UrdfSyntaxError,
    )
    assert all(issubclass(kind, UrdfError) for kind in kinds)
