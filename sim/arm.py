"""An arm inside a PyBullet client: loaded from its description, driven by position targets, and observed."""

from __future__ import annotations

from typing import Final

import numpy as np

from sim.bullet import BulletClient, pybullet
from sim.description import ArmDescription
from sim.robot import Action, Vector

_POSITION_GAIN: Final = 0.2
_VELOCITY_GAIN: Final = 1.0
_FINGER_FRICTION: Final = 1.0


class Arm:
    """One loaded arm. Joint and link indices stay inside; names are what others use."""

    def __init__(self, client: BulletClient, description: ArmDescription) -> None:
        self.description = description
        self._client = client
        self._body: int = client.loadURDF(
            str(description.model.urdf_path), useFixedBase=True, flags=pybullet.URDF_IGNORE_VISUAL_SHAPES
        )
        infos = [client.getJointInfo(self._body, index) for index in range(client.getNumJoints(self._body))]
        by_joint = {info[1].decode(): info[0] for info in infos}
        by_link = {info[12].decode(): info[0] for info in infos}
        self._joints = [by_joint[name] for name in description.joint_names]
        self._fingers = [by_joint[name] for name in description.gripper_joints]
        self._ee: int = by_link[description.ee_link]
        ranges = np.array(list(description.gripper_joints.values()), dtype=np.float64).reshape(-1, 2)
        self._closed, self._stroke = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
        self._driven = self._joints + self._fingers
        self._efforts = [*description.joint_effort_max_nm, *[description.gripper_effort_max_n] * len(ranges)]
        self._gains = [_POSITION_GAIN] * len(self._driven), [_VELOCITY_GAIN] * len(self._driven)
        for name in description.finger_links:
            client.changeDynamics(
                self._body,
                by_link[name],
                lateralFriction=_FINGER_FRICTION,
                spinningFriction=0.1,
                rollingFriction=0.0,
            )

    def place(self, action: Action) -> None:
        """Put the joints at `action` at once, at rest."""
        for joint, position in zip(self._driven, self.targets(action), strict=True):
            self._client.resetJointState(self._body, joint, position)

    def targets(self, action: Action) -> Vector:
        """Return every driven joint's target: (J + fingers,) rad and m."""
        return np.concatenate([action.joint_position, self._closed + self._stroke * action.gripper])

    def drive(self, targets: Vector, velocities: Vector) -> None:
        """Set the motors' targets for the next physics step: (J + fingers,), rad and m, and their rates."""
        self._client.setJointMotorControlArray(
            self._body,
            self._driven,
            pybullet.POSITION_CONTROL,
            targetPositions=targets.tolist(),
            targetVelocities=velocities.tolist(),
            forces=self._efforts,
            positionGains=self._gains[0],
            velocityGains=self._gains[1],
        )

    def observe(self) -> dict[str, Vector]:
        """Return the arm's arrays, exactly as the engine has them."""
        states = self._client.getJointStates(self._body, self._driven)
        positions = np.array([state[0] for state in states])
        velocities = np.array([state[1] for state in states])
        arms = len(self._joints)
        link = self._client.getLinkState(self._body, self._ee, computeForwardKinematics=True)
        values = {"joint_position": positions[:arms], "joint_velocity": velocities[:arms]}
        if self._fingers:
            opening = np.mean((positions[arms:] - self._closed) / self._stroke)
            values["gripper_position"] = np.clip([opening], 0.0, 1.0)
            values["finger_state"] = np.concatenate([positions[arms:], velocities[arms:]])
        values["ee_pose"] = np.array([*link[4], *link[5]])
        return values
