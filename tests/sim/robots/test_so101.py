"""The SO-101's description is one that physics, kinematics and a browser can use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pybullet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import rotation
from sim.model.urdf import read_urdf, urdf_files
from sim.motion.kinematics import IkOptions, Kinematics, Vector
from sim.robots.so101 import DESCRIPTION, GRIPPER_JOINT

HAND = DESCRIPTION.hands[0]
ARM = Kinematics(DESCRIPTION.model.urdf_path, DESCRIPTION.joint_names, HAND.link, home=np.array(DESCRIPTION.home_rad))
HOME = np.array(DESCRIPTION.home_rad)

fractions = st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5).map(np.array)


class Bullet:
    """The arm in PyBullet."""

    def __init__(self) -> None:
        self.client = pybullet.connect(pybullet.DIRECT)
        path = str(DESCRIPTION.model.urdf_path)
        self.body = pybullet.loadURDF(path, useFixedBase=True, physicsClientId=self.client)
        count = pybullet.getNumJoints(self.body, physicsClientId=self.client)
        infos = [pybullet.getJointInfo(self.body, index, physicsClientId=self.client) for index in range(count)]
        self.joints = {info[1].decode(): info[0] for info in infos}
        self.links = {info[12].decode(): info[0] for info in infos}

    def place(self, joint: str, angle: float) -> None:
        pybullet.resetJointState(self.body, self.joints[joint], angle, physicsClientId=self.client)

    def pose(self, q: Vector) -> Vector:
        for joint, angle in zip(DESCRIPTION.joint_names, q, strict=True):
            self.place(joint, angle)
        state = pybullet.getLinkState(
            self.body, self.links["gripper_tip"], computeForwardKinematics=True, physicsClientId=self.client
        )
        return np.array((*state[4], *state[5]))

    def gap_m(self, opening: float) -> float:
        """The distance between the fingers."""
        closed, opened = HAND.gripper_joints[GRIPPER_JOINT]
        self.place(GRIPPER_JOINT, closed + opening * (opened - closed))
        jaw, fixed = self.links["jaw"], self.links["gripper_body"]
        points = pybullet.getClosestPoints(self.body, self.body, 0.2, jaw, fixed, physicsClientId=self.client)
        tips = [point[8] for point in points if min(point[5][0], point[6][0]) > 0.30]
        return float(min(tips, default=0.2))


@pytest.fixture(scope="module")
def bullet() -> Iterator[Bullet]:
    bullet = Bullet()
    yield bullet
    pybullet.disconnect(bullet.client)


@given(fraction=fractions)
def test_the_physics_engine_puts_the_hand_where_kinematics_does(bullet: Bullet, fraction: Vector) -> None:
    q = ARM.lower + fraction * (ARM.upper - ARM.lower)
    expected, pose = bullet.pose(q), ARM.forward(q)
    assert np.abs(pose[:3] - expected[:3]).max() < 1e-6
    assert rotation.angle_between(pose[3:], expected[3:]) < 1e-5


def test_every_link_has_a_mass_and_the_moving_part_weighs_what_six_servos_do(bullet: Bullet) -> None:
    dynamics = [pybullet.getDynamicsInfo(bullet.body, i, physicsClientId=bullet.client) for i in range(7)]
    assert all(info[0] > 0.0 and min(info[2]) > 0.0 for info in dynamics)
    assert 0.4 < sum(info[0] for info in dynamics) < 0.7


def test_the_fingers_meet_when_closed_and_part_when_open(bullet: Bullet) -> None:
    bullet.pose(np.zeros(5))
    assert abs(bullet.gap_m(0.0)) < 0.004
    assert bullet.gap_m(0.5) > 0.03


def test_it_needs_no_mesh() -> None:
    assert urdf_files(DESCRIPTION.model) == (DESCRIPTION.model.urdf_path,)
    assert read_urdf(DESCRIPTION.model.urdf_path).base_link == "base_link"


def test_the_hand_at_home_is_in_the_workspace_and_points_down_and_forward() -> None:
    pose = ARM.forward(HOME)
    assert (pose[:3] > HAND.workspace_lower_m).all()
    assert (pose[:3] < HAND.workspace_upper_m).all()
    approach = rotation.rotate(pose[3:], np.array((0.0, 0.0, 1.0)))
    assert approach[2] < -0.8
    assert approach[0] > 0.0


@given(
    x=st.floats(0.16, 0.26),
    y=st.floats(-0.15, 0.15),
    z=st.floats(0.03, 0.16),
)
def test_the_hand_reaches_what_lies_in_front_of_it(x: float, y: float, z: float) -> None:
    target = np.array((x, y, z, *ARM.forward(HOME)[3:]))
    assert ARM.solve(HOME, target, IkOptions(iterations=100)).position_error_m < 1e-3
