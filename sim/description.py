"""One simulated robot as data: what its URDF does not say, and which parts of it a driver may use.

`sim/contract.py` checks every description against its URDF; `docs/adding-a-robot.md` says how to write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from sim.robot import ArraySpec, EndEffector, MobileBase, RobotModel, RobotSpec, TaskSpec, Vector
from sim.scene import Quaternion, Scene, Triple

_JERK_PART: Final = 0.25
"""The fraction of `acceleration_time_s` during which the acceleration rises."""


@dataclass(frozen=True, slots=True)
class Hand:
    """An end effector, and the gripper that it carries."""

    name: str
    link: str
    joint_names: tuple[str, ...]
    """The robot's joints that follow its twists, nearest the base first."""
    workspace_lower_m: Triple
    workspace_upper_m: Triple
    """In the frame of `base_link`."""
    gripper_joints: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """URDF joint name -> (position when closed, position when open)."""
    gripper_effort_max_n: float = 0.0
    finger_links: tuple[str, ...] = ()
    """The links that touch a grasped object."""
    base_link: str | None = None
    """The link in whose frame twists and workspace are given; None: the URDF's base."""
    camera: tuple[Triple, Quaternion] | None = None
    """Where a wrist camera sits in the frame of `link`, with OpenCV's axes; None: it has no camera."""


@dataclass(frozen=True, slots=True)
class Field:
    """The part of the floor where a task puts its things."""

    center_m: tuple[float, float]
    half_extents_m: tuple[float, float]
    scale: float = 1.0
    """How large things are, relative to those that a Panda handles."""


@dataclass(frozen=True, slots=True)
class RobotDescription:
    """A robot at the origin of its room. Tuples are in the order of `joint_names`."""

    model: RobotModel
    joint_names: tuple[str, ...]
    joint_lower_rad: tuple[float, ...]
    joint_upper_rad: tuple[float, ...]
    joint_velocity_max_rad_s: tuple[float, ...]
    joint_effort_max_nm: tuple[float, ...]
    home_rad: tuple[float, ...]
    hands: tuple[Hand, ...]
    field: Field
    base: MobileBase | None = None
    acceleration_time_s: float = 0.15
    """How long a joint may take from rest to its highest speed; the acceleration rises for a quarter of it."""

    @property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """The observation arrays that any driver of this robot sees."""
        joints = len(self.joint_names)
        arrays = [
            ArraySpec("joint_position", (joints,), "rad", "measured, in the order of joint_names"),
            ArraySpec("joint_velocity", (joints,), "rad/s", "measured, in the order of joint_names"),
        ]
        if any(hand.gripper_joints for hand in self.hands):
            arrays.append(ArraySpec("gripper_position", (len(self.hands),), "1", "openings, 0 closed to 1 open"))
        arrays += [
            ArraySpec(self.pose_name(hand), (7,), "m, 1", f"{hand.name} in the base frame: x y z, quaternion x y z w")
            for hand in self.hands
        ]
        return tuple(arrays)

    @property
    def exact_arrays(self) -> tuple[ArraySpec, ...]:
        """The observation arrays of the simulated robot: those that any driver sees, and the fingers' exact state."""
        fingers = sum(len(hand.gripper_joints) for hand in self.hands)
        if not fingers:
            return self.arrays
        state = ArraySpec("finger_state", (2 * fingers,), "m, m/s", "finger joints: positions, then velocities")
        return (*self.arrays, state)

    def spec(
        self,
        observation: tuple[ArraySpec, ...],
        *,
        simulated: bool,
        control_hz: float,
        scene: Scene | None = None,
        task: TaskSpec | None = None,
        engine: Mapping[str, str] | None = None,
    ) -> RobotSpec:
        """Return what a driver needs to know about this robot, simulated or real."""
        fastest = _vector(self.joint_velocity_max_rad_s)
        hardest = fastest / self.acceleration_time_s
        return RobotSpec(
            model=self.model,
            joint_names=self.joint_names,
            joint_lower_rad=_vector(self.joint_lower_rad),
            joint_upper_rad=_vector(self.joint_upper_rad),
            joint_velocity_max_rad_s=fastest,
            joint_acceleration_max_rad_s2=hardest,
            joint_jerk_max_rad_s3=hardest / (_JERK_PART * self.acceleration_time_s),
            home_rad=_vector(self.home_rad),
            end_effectors=tuple(self._end_effector(hand) for hand in self.hands),
            observation=observation,
            simulated=simulated,
            control_hz=control_hz,
            base=self.base,
            scene=scene or Scene(),
            task=task,
            engine=engine or {},
        )

    def _end_effector(self, hand: Hand) -> EndEffector:
        return EndEffector(
            name=hand.name,
            link=hand.link,
            joint_names=hand.joint_names,
            workspace_lower_m=_vector(hand.workspace_lower_m),
            workspace_upper_m=_vector(hand.workspace_upper_m),
            gripper_joints=hand.gripper_joints,
            base_link=hand.base_link,
            pose=self.pose_name(hand),
        )

    def pose_name(self, hand: Hand) -> str:
        """Return the observation array that says where `hand` is."""
        return "ee_pose" if len(self.hands) == 1 else f"{hand.name}_ee_pose"


def _vector(values: tuple[float, ...]) -> Vector:
    return np.array(values, dtype=np.float64)
