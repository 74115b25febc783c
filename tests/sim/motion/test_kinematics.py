"""Kinematics is what PyBullet says it is, and inverse kinematics keeps its promises."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet
import pybullet_data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import rotation
from sim.model.urdf import (
    MeshMissingError,
    UnknownJointError,
    UnknownLinkError,
    UrdfMissingError,
    UrdfSyntaxError,
    read_urdf,
)
from sim.motion.kinematics import IkOptions, Kinematics, KinematicsInputError, Vector, urdf_files
from sim.robot import RobotModel

DATA = Path(pybullet_data.getDataPath())
PANDA = RobotModel("panda", DATA, "franka_panda/panda.urdf")
JOINTS = tuple(f"panda_joint{index}" for index in range(1, 8))
HOME = np.array((0.0, -0.215, 0.0, -2.57, 0.0, 2.356, 0.785))
ARM = Kinematics(PANDA.urdf_path, JOINTS, "panda_grasptarget", home=HOME)
FIVE = Kinematics(PANDA.urdf_path, JOINTS[:5], "panda_grasptarget", constants={"panda_joint6": 2.3})

fractions = st.lists(st.floats(0.0, 1.0), min_size=7, max_size=7).map(np.array)
inner_fractions = st.lists(st.floats(0.1, 0.9), min_size=7, max_size=7).map(np.array)
nudges = st.lists(st.floats(-1.0, 1.0), min_size=7, max_size=7).map(np.array)


def within(arm: Kinematics, fraction: Vector) -> Vector:
    return arm.lower + fraction[: arm.joints] * (arm.upper - arm.lower)


class Bullet:
    """The same arm in PyBullet, moved by hand."""

    def __init__(self, client: int, ee_link: str) -> None:
        self.client = client
        self.body = pybullet.loadURDF(str(PANDA.urdf_path), useFixedBase=True, physicsClientId=client)
        count = pybullet.getNumJoints(self.body, physicsClientId=client)
        infos = [pybullet.getJointInfo(self.body, index, physicsClientId=client) for index in range(count)]
        self.joints = [info[0] for info in infos if info[1].decode() in JOINTS]
        self.movable = [info[0] for info in infos if info[2] != pybullet.JOINT_FIXED]
        self.link = next(info[0] for info in infos if info[12].decode() == ee_link)

    def pose(self, q: Vector) -> Vector:
        for joint, angle in zip(self.joints, q, strict=True):
            pybullet.resetJointState(self.body, joint, angle, physicsClientId=self.client)
        state = pybullet.getLinkState(self.body, self.link, computeForwardKinematics=True, physicsClientId=self.client)
        return np.array((*state[4], *state[5]))

    def jacobian(self, q: Vector) -> Vector:
        positions = [*q, *[0.0] * (len(self.movable) - len(q))]
        still = [0.0] * len(positions)
        linear, angular = pybullet.calculateJacobian(
            self.body, self.link, (0.0, 0.0, 0.0), positions, still, still, physicsClientId=self.client
        )
        return np.vstack((linear, angular))[:, : len(q)]


@pytest.fixture(scope="module", params=["panda_grasptarget", "panda_hand", "panda_link4"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Kinematics, Bullet]]:
    link = request.param
    joints = JOINTS[:4] if link == "panda_link4" else JOINTS
    client = pybullet.connect(pybullet.DIRECT)
    yield Kinematics(PANDA.urdf_path, joints, link), Bullet(client, link)
    pybullet.disconnect(client)


@settings(deadline=None)
@given(fraction=fractions)
def test_forward_kinematics_is_that_of_the_physics_engine(pair: tuple[Kinematics, Bullet], fraction: Vector) -> None:
    arm, bullet = pair
    q = within(arm, fraction)
    expected = bullet.pose(np.concatenate((q, np.zeros(7 - len(q)))))
    pose = arm.forward(q)
    assert np.abs(pose[:3] - expected[:3]).max() < 1e-6
    assert rotation.angle_between(pose[3:], expected[3:]) < 1e-5


@settings(deadline=None)
@given(fraction=fractions)
def test_the_jacobian_is_that_of_the_physics_engine(pair: tuple[Kinematics, Bullet], fraction: Vector) -> None:
    arm, bullet = pair
    q = within(arm, fraction)
    expected = bullet.jacobian(np.concatenate((q, np.zeros(7 - len(q)))))
    assert np.abs(arm.jacobian(q) - expected[:, : arm.joints]).max() < 1e-6


@settings(deadline=None)
@given(fraction=fractions, nudge=nudges)
def test_the_jacobian_predicts_a_small_motion(fraction: Vector, nudge: Vector) -> None:
    q, dq = within(ARM, fraction), 1e-5 * nudge
    before, after = ARM.forward(q), ARM.forward(q + dq)
    moved = np.concatenate((after[:3] - before[:3], rotation.difference(after[3:], before[3:])))
    assert np.abs(moved - ARM.jacobian(q) @ dq).max() < 1e-8


def test_a_prismatic_joint_slides_the_end_effector(tmp_path: Path) -> None:
    fingers = Kinematics(PANDA.urdf_path, ["panda_finger_joint1", "panda_joint1"], "panda_leftfinger")
    closed, opened = fingers.forward(np.array((0.0, 0.3))), fingers.forward(np.array((0.03, 0.3)))
    assert np.linalg.norm(opened[:3] - closed[:3]) == pytest.approx(0.03)
    jacobian = fingers.jacobian(np.array((0.0, 0.3)))
    assert jacobian[:3, 0] * 0.03 == pytest.approx(opened[:3] - closed[:3])
    assert not jacobian[3:, 0].any()


@settings(deadline=None)
@given(fraction=inner_fractions, nudge=nudges)
def test_a_near_pose_is_reached(fraction: Vector, nudge: Vector) -> None:
    start = within(ARM, fraction)
    target = ARM.forward(start + 0.05 * nudge)
    found = ARM.solve(start, target, IkOptions(iterations=60))
    assert found.position_error_m < 1e-4
    assert found.rotation_error_rad < 2e-2
    reached = ARM.forward(found.q)
    assert np.linalg.norm(reached[:3] - target[:3]) == pytest.approx(found.position_error_m, abs=1e-9)
    assert rotation.angle_between(reached[3:], target[3:]) == pytest.approx(found.rotation_error_rad, abs=1e-6)


@settings(deadline=None)
@given(nudge=nudges)
def test_a_control_period_away_from_home_is_reached_with_the_default_steps(nudge: Vector) -> None:
    target = ARM.forward(HOME + 0.05 * nudge)
    found = ARM.solve(HOME, target)
    assert found.position_error_m < 1e-5
    assert found.rotation_error_rad < 1e-4


@settings(deadline=None)
@given(fraction=fractions, aim=st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3), nudge=nudges)
def test_joint_limits_are_kept_and_the_joints_stay_near_the_start(
    fraction: Vector, aim: list[float], nudge: Vector
) -> None:
    start = within(ARM, fraction)
    target = np.concatenate((aim, rotation.from_rotvec(3.0 * nudge[:3])))
    options = IkOptions(iterations=4)
    found = ARM.solve(start, target, options)
    assert np.isfinite(found.q).all()
    assert (found.q >= ARM.lower).all()
    assert (found.q <= ARM.upper).all()
    assert np.abs(found.q - start).max() <= options.iterations * options.step_max_rad + 1e-12


@settings(deadline=None)
@given(fraction=fractions)
def test_an_arm_that_is_there_does_not_move(fraction: Vector) -> None:
    start = within(ARM, fraction)
    assert (ARM.solve(start, ARM.forward(start)).q == start).all()


@settings(deadline=None)
@given(fraction=inner_fractions, turn=nudges)
def test_five_joints_keep_the_position_when_the_rotation_cannot_be_had(fraction: Vector, turn: Vector) -> None:
    start = within(FIVE, 0.25 + 0.5 * fraction)
    if np.linalg.svd(FIVE.jacobian(start)[:3])[1].min() < 0.15:
        return
    pose = FIVE.forward(start)
    target = np.concatenate((pose[:3], rotation.multiply(rotation.from_rotvec(0.1 * turn[:3]), pose[3:])))
    found = FIVE.solve(start, target, IkOptions(iterations=30))
    assert found.position_error_m < 1e-3
    assert found.rotation_error_rad <= np.linalg.norm(0.1 * turn[:3]) + 1e-2


def test_a_target_out_of_reach_is_approached_without_trembling() -> None:
    target = np.concatenate(((3.0, 0.0, 0.5), ARM.forward(HOME)[3:]))
    q = HOME
    steps = []
    for _ in range(300):
        found = ARM.solve(q, target)
        steps.append(np.abs(found.q - q).max())
        q = found.q
    assert max(steps[-20:]) < 0.02, "the arm still moves although it stands as near as it can"
    assert ARM.forward(q)[0] > 0.75


def test_a_straight_line_is_followed_without_jumps() -> None:
    pose = ARM.forward(HOME)
    q = HOME
    for _ in range(100):
        pose = pose + np.array((0.0, 0.002, 0.001, 0.0, 0.0, 0.0, 0.0))
        found = ARM.solve(q, pose)
        assert np.abs(found.q - q).max() < 0.05
        assert found.position_error_m < 1e-4
        q = found.q


def test_the_null_space_brings_a_redundant_arm_home_while_the_hand_goes_to_and_fro() -> None:
    q = HOME + np.array((0.4, 0.0, -0.4, 0.0, 0.3, 0.0, 0.0))
    pose = ARM.forward(q)
    away = np.linalg.norm(q - HOME)
    for step in range(200):
        target = pose + np.array((0.0, 0.0, 0.01 * math.sin(0.3 * step), 0.0, 0.0, 0.0, 0.0))
        found = ARM.solve(q, target)
        assert found.position_error_m < 1e-4
        q = found.q
    assert np.linalg.norm(q - HOME) < 0.8 * away


def test_joint_order_is_the_callers() -> None:
    order = [3, 0, 6, 1, 2, 5, 4]
    shuffled = Kinematics(PANDA.urdf_path, [JOINTS[index] for index in order], "panda_hand")
    straight = Kinematics(PANDA.urdf_path, JOINTS, "panda_hand")
    q = HOME + 0.1
    assert shuffled.forward(q[order]) == pytest.approx(straight.forward(q))
    assert shuffled.jacobian(q[order]) == pytest.approx(straight.jacobian(q)[:, order])


@pytest.mark.parametrize("q", [np.zeros(6), np.zeros((7, 1)), np.full(7, np.nan)])
def test_wrong_joint_positions_are_refused(q: Vector) -> None:
    with pytest.raises(KinematicsInputError, match="expected 7 finite joint positions"):
        ARM.forward(q)


def test_a_pose_that_is_not_finite_is_refused() -> None:
    with pytest.raises(KinematicsInputError, match="expected a finite pose"):
        ARM.solve(HOME, np.array((0.0, 0.0, math.inf, 0.0, 0.0, 0.0, 1.0)))


quaternions = (
    st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4)
    .map(np.array)
    .filter(lambda q: float(np.linalg.norm(q)) > 0.1)
    .map(rotation.normalized)
)
vectors = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3).map(np.array)


@settings(deadline=None)
@given(a=quaternions, b=quaternions, v=vectors)
def test_quaternions_turn_as_matrices_do(a: Vector, b: Vector, v: Vector) -> None:
    product = rotation.multiply(a, b)
    assert rotation.to_matrix(product) == pytest.approx(rotation.to_matrix(a) @ rotation.to_matrix(b), abs=1e-12)
    assert rotation.rotate(a, v) == pytest.approx(rotation.to_matrix(a) @ v, abs=1e-12)
    assert rotation.rotate(rotation.conjugate(a), rotation.rotate(a, v)) == pytest.approx(v, abs=1e-12)
    assert rotation.angle_between(rotation.from_matrix(rotation.to_matrix(a)), a) < 1e-7
    turn = rotation.difference(b, a)
    assert np.linalg.norm(turn) <= math.pi + 1e-12
    assert rotation.angle_between(rotation.multiply(rotation.from_rotvec(turn), a), b) < 1e-7


def test_the_quaternion_of_a_hand_that_points_down_does_not_flicker() -> None:
    tilts = [
        rotation.multiply(rotation.from_rotvec(np.array((t, 0.0, 0.0))), np.array((1.0, 0.0, 0.0, 0.0)))
        for t in (-0.01, 0.01)
    ]
    signs = [rotation.from_matrix(rotation.to_matrix(tilt))[0] > 0.0 for tilt in tilts]
    assert signs == [True, True]


def test_all_files_of_a_model_are_found() -> None:
    files = urdf_files(PANDA)
    assert files[0] == PANDA.urdf_path
    assert all(file.is_file() for file in files)
    assert {file.suffix for file in files[1:]} == {".obj"}
    assert len(set(files)) == len(files) > 10


def write(folder: Path, body: str) -> RobotModel:
    (folder / "arm.urdf").write_text(f'<robot name="arm">{body}</robot>', encoding="utf-8")
    return RobotModel("arm", folder, "arm.urdf")


LINKS = '<link name="base"/><link name="tip"/>'
HINGE = '<joint name="hinge" type="revolute"><parent link="base"/><child link="tip"/>{}</joint>'
LIMIT = '<limit lower="-1" upper="1" effort="1" velocity="1"/>'


def test_a_missing_mesh_is_named(tmp_path: Path) -> None:
    visual = '<visual><geometry><mesh filename="package://arm/gone.stl"/></geometry></visual>'
    model = write(tmp_path, f'<link name="base">{visual}</link>')
    with pytest.raises(MeshMissingError, match=r"gone\.stl"):
        urdf_files(model)
    (tmp_path / "gone.stl").write_bytes(b"here")
    assert urdf_files(model)[1].name == "gone.stl"


def test_a_mesh_outside_the_root_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "secret.stl").write_bytes(b"x")
    folder = tmp_path / "model"
    folder.mkdir()
    model = write(
        folder, '<link name="b"><visual><geometry><mesh filename="../secret.stl"/></geometry></visual></link>'
    )
    with pytest.raises(MeshMissingError, match="secret"):
        urdf_files(model)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UrdfMissingError, match=r"none\.urdf"):
        read_urdf(tmp_path / "none.urdf")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<link", "XML"),
        ("<link/>", "attribute 'name'"),
        (LINKS + HINGE.format(""), "<limit>"),
        (LINKS + HINGE.format(LIMIT + '<axis xyz="0 0 0"/>'), "axis with a direction"),
        (LINKS + HINGE.format(LIMIT + '<origin xyz="0 0 up"/>'), "3 finite numbers"),
        (LINKS + HINGE.format(LIMIT + '<origin xyz="0 nan 0"/>'), "3 finite numbers"),
        (LINKS + HINGE.format(LIMIT).replace("revolute", "spring"), "'spring'"),
        (LINKS + HINGE.format(LIMIT) * 2, "each joint once"),
        (LINKS + '<joint name="hinge" type="fixed"><parent link="base"/></joint>', "<child>"),
    ],
)
def test_a_file_that_is_no_urdf_says_what_is_wrong(tmp_path: Path, body: str, complaint: str) -> None:
    model = write(tmp_path, body)
    with pytest.raises(UrdfSyntaxError, match=complaint):
        read_urdf(model.urdf_path)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UnknownLinkError, match="'nowhere'"):
        Kinematics(PANDA.urdf_path, JOINTS, "nowhere")
    with pytest.raises(UnknownJointError, match="'elbow'"):
        Kinematics(PANDA.urdf_path, [*JOINTS, "elbow"], "panda_hand")
    with pytest.raises(UnknownJointError, match="panda_joint8"):
        Kinematics(PANDA.urdf_path, [*JOINTS, "panda_joint8"], "panda_hand")
    with pytest.raises(UnknownJointError, match="panda_joint7"):
        Kinematics(PANDA.urdf_path, JOINTS, "panda_link4")
    with pytest.raises(UnknownLinkError, match="hang"):
        Kinematics(PANDA.urdf_path, JOINTS, "panda_hand", base_link="panda_leftfinger")
