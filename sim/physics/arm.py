"""A robot inside a PyBullet client: loaded from its description, driven by position targets, and observed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.description import RobotDescription
from sim.model.urdf import EngineRefusedError, UnknownJointError, UnknownLinkError, require_whole
from sim.physics.bullet import BulletClient, pybullet
from sim.physics.stepping import Stepping
from sim.robot import Action, Vector, clipped
from sim.words import listed

_VELOCITY_GAIN: Final = 1.0
_FINGER_FRICTION: Final = 1.0
_FINGER_SPINNING_FRICTION: Final = 0.1
_GEAR_FORCE_N: Final = 200.0
_STILL: Final = (0.0, 0.0, 0.0)


def parameters(stepping: Stepping) -> str:
    """Return the constants of this module that decide how a robot moves, for an episode's record."""
    motors = stepping.position_gain, _VELOCITY_GAIN, _GEAR_FORCE_N, stepping.gear_gain
    return " ".join(str(gain) for gain in (*motors, _FINGER_FRICTION, _FINGER_SPINNING_FRICTION))


def physical(robot: RobotDescription) -> tuple[object, ...]:
    """Return what the physics use of a description, besides its files."""
    hands = [(hand.link, hand.gripper_joints, hand.gripper_effort_max_n, hand.finger_links) for hand in robot.hands]
    limits = robot.joint_lower_rad, robot.joint_upper_rad, robot.joint_effort_max_nm
    return robot.joint_names, *limits, robot.home_rad, hands


def require_loadable(robot: RobotDescription) -> None:
    """Raise a UrdfError if the robot's file is incomplete, or lacks a joint or link that its description names."""
    urdf = require_whole(robot.model)
    for name in (*robot.joint_names, *(name for hand in robot.hands for name in hand.gripper_joints)):
        if not urdf.joint(name).moves:
            raise UnknownJointError(f"{urdf.path}: the joint {name!r} is fixed, and is named as one that moves")
    for link in (link for hand in robot.hands for link in (hand.link, *hand.finger_links)):
        if link not in urdf.links:
            raise UnknownLinkError(f"{urdf.path} has no link {link!r}. It has {listed(urdf.links)}.")


def _loaded(client: BulletClient, path: Path) -> int:
    try:
        body: int = client.loadURDF(str(path), useFixedBase=True, flags=pybullet.URDF_IGNORE_VISUAL_SHAPES)
    except pybullet.error as error:
        raise EngineRefusedError(
            f"{path}: expected a robot with a name, whose shapes and meshes (OBJ, STL, DAE) PyBullet reads; it says "
            f"{str(error)!r}, and more in the output of this process"
        ) from error
    return body


def _mean(values: Sequence[float]) -> float:
    """Return the mean of a hand's fingers, 0 without any, added in their order: BLAS takes an order of its own."""
    mean = 0.0
    for value in values:
        mean += value * (1.0 / len(values))
    return mean


class Arm:
    """One loaded robot. Joint and link indices stay private; callers use names."""

    def __init__(self, client: BulletClient, description: RobotDescription, stepping: Stepping) -> None:
        self.description = description
        self._client = client
        # The client binds a method again at each look-up; methods called in every step are looked up once.
        self._reset_joint, self._set_motors = client.resetJointState, client.setJointMotorControlArray
        self._joint_states, self._link_state = client.getJointStates, client.getLinkState
        self._body = _loaded(client, description.model.urdf_path)
        self._gear_gain = stepping.gear_gain
        self._stood = client.getBasePositionAndOrientation(self._body)  # of its centre of mass, not of its frame
        infos = [client.getJointInfo(self._body, index) for index in range(client.getNumJoints(self._body))]
        by_joint = {info[1].decode(): info[0] for info in infos}
        by_link = {info[12].decode(): info[0] for info in infos}
        hands = description.hands
        fingers = [(k, name, ends) for k, hand in enumerate(hands) for name, ends in hand.gripper_joints.items()]
        self._joints = len(description.joint_names)
        self._driven = [by_joint[name] for name in (*description.joint_names, *(name for _, name, _ in fingers))]
        self._ends = [(description.pose_name(hand), by_link[hand.link]) for hand in hands]
        self._of_hand: NDArray[np.intp] = np.array([k for k, _, _ in fingers], dtype=np.intp)
        ranges = np.array([ends for _, _, ends in fingers], dtype=np.float64).reshape(-1, 2)
        self._closed, self._stroke = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
        self._fingers = [[place for place, (of, _, _) in enumerate(fingers) if of == k] for k in range(len(hands))]
        efforts = [hands[k].gripper_effort_max_n for k, _, _ in fingers]
        self._efforts = [*description.joint_effort_max_nm, *efforts]
        self._gains = [stepping.position_gain] * len(self._driven), [_VELOCITY_GAIN] * len(self._driven)
        for name in (name for hand in hands for name in hand.finger_links):
            client.changeDynamics(
                self._body,
                by_link[name],
                lateralFriction=_FINGER_FRICTION,
                spinningFriction=_FINGER_SPINNING_FRICTION,
                rollingFriction=0.0,
            )
        for hand in hands:
            self._couple([by_joint[name] for name in hand.gripper_joints])

    def _couple(self, fingers: Sequence[int]) -> None:
        """Gear two fingers, as one motor drives both: between two that push independently, an object would drift."""
        if len(fingers) != 2:
            return
        nowhere, axis = [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]
        gear = self._client.createConstraint(
            self._body, fingers[0], self._body, fingers[1], pybullet.JOINT_GEAR, axis, nowhere, nowhere
        )
        self._client.changeConstraint(gear, gearRatio=-1.0, erp=self._gear_gain, maxForce=_GEAR_FORCE_N)

    def place(self, action: Action) -> None:
        """Put the joints at `action` immediately, at rest."""
        for joint, position in zip(self._driven, self.targets(action), strict=True):
            self._reset_joint(self._body, joint, position)

    def stand(self, raised_m: float = 0.0) -> None:
        """Put its base where it was loaded, or `raised_m` higher, and every joint at zero, at rest."""
        (x, y, z), orientation = self._stood
        self._client.resetBasePositionAndOrientation(self._body, (x, y, z + raised_m), orientation)
        self._client.resetBaseVelocity(self._body, _STILL, _STILL)
        for joint in range(self._client.getNumJoints(self._body)):
            self._reset_joint(self._body, joint, 0.0)

    def targets(self, action: Action) -> Vector:
        """Return every driven joint's target: (J + fingers,) rad and m."""
        return np.concatenate([action.joint_position, self._closed + self._stroke * action.gripper[self._of_hand]])

    def drive(self, targets: Sequence[float], velocities: Sequence[float]) -> None:
        """Set the motors' targets for the next physics step: (J + fingers,), rad and m, and their rates."""
        self._set_motors(
            self._body,
            self._driven,
            pybullet.POSITION_CONTROL,
            targetPositions=targets,
            targetVelocities=velocities,
            forces=self._efforts,
            positionGains=self._gains[0],
            velocityGains=self._gains[1],
        )

    def observe(self) -> dict[str, Vector]:
        """Return the robot's arrays, exactly as the engine has them."""
        states = self._joint_states(self._body, self._driven)
        positions = np.array([state[0] for state in states])
        velocities = np.array([state[1] for state in states])
        joints = self._joints
        values = {"joint_position": positions[:joints], "joint_velocity": velocities[:joints]}
        if len(self._closed):
            opened = ((positions[joints:] - self._closed) / self._stroke).tolist()
            openings = np.array([_mean([opened[place] for place in places]) for places in self._fingers])
            values["gripper_position"] = clipped(openings, 0.0, 1.0)
            values["finger_state"] = np.concatenate([positions[joints:], velocities[joints:]])
        for index, (name, link) in enumerate(self._ends):
            state = self._link_state(self._body, link, computeForwardKinematics=index == 0)
            values[name] = np.array([*state[4], *state[5]])
        return values
