"""One robot as data: what its URDF does not say, and what of it a driver may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.robot import ArraySpec, RobotModel


@dataclass(frozen=True, slots=True)
class ArmDescription:
    """An arm, perhaps with a gripper, bolted to the origin of its room. Tuples are in the order of `joint_names`."""

    model: RobotModel
    joint_names: tuple[str, ...]
    joint_lower_rad: tuple[float, ...]
    joint_upper_rad: tuple[float, ...]
    joint_velocity_max_rad_s: tuple[float, ...]
    joint_effort_max_nm: tuple[float, ...]
    home_rad: tuple[float, ...]
    ee_link: str
    workspace_lower_m: tuple[float, float, float]
    workspace_upper_m: tuple[float, float, float]
    gripper_joints: Mapping[str, tuple[float, float]]
    """URDF joint name -> (position when closed, position when open)."""
    gripper_effort_max_n: float = 0.0
    finger_links: tuple[str, ...] = ()
    """Links that touch what is grasped."""

    @property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """The observation arrays that any driver of this arm sees."""
        joints = len(self.joint_names)
        arrays = [
            ArraySpec("joint_position", (joints,), "rad", "measured, in the order of joint_names"),
            ArraySpec("joint_velocity", (joints,), "rad/s", "measured, in the order of joint_names"),
        ]
        if self.gripper_joints:
            arrays.append(ArraySpec("gripper_position", (1,), "1", "opening, 0 closed to 1 open"))
        arrays.append(ArraySpec("ee_pose", (7,), "m, 1", "end effector in the base frame: x y z, quaternion x y z w"))
        return tuple(arrays)

    @property
    def exact_arrays(self) -> tuple[ArraySpec, ...]:
        """The observation arrays of the simulated arm: those of any driver, and the fingers' exact state."""
        fingers = len(self.gripper_joints)
        if not fingers:
            return self.arrays
        state = ArraySpec("finger_state", (2 * fingers,), "m, m/s", "finger joints: positions, then velocities")
        return (*self.arrays, state)
