"""UFACTORY xArm6 with a parallel gripper of our own.

The arm's URDF is PyBullet's (UFACTORY, BSD licence), and so are the joint limits; the manufacturer's
top speed is 180 degrees per second, and here joints turn no faster than two thirds of that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pybullet_data

from sim.description import Field, Hand, RobotDescription
from sim.model.compose import PARTS, Piece, compose
from sim.rotation import looking

JOINT_NAMES: Final = tuple(f"joint{index}" for index in range(1, 7))
ARM: Final = Path(pybullet_data.getDataPath()) / "xarm" / "xarm6_robot_white.urdf"
LOWER_RAD: Final = (-6.283, -2.059, -3.927, -6.283, -1.692, -6.283)
UPPER_RAD: Final = (6.283, 2.094, 0.191, 6.283, 3.141, 6.283)
EFFORT_NM: Final = (50.0, 50.0, 32.0, 32.0, 32.0, 20.0)
_CAMERA: Final = (0.08, 0.0, -0.10)

DESCRIPTION: Final = RobotDescription(
    model=compose("xarm6", [Piece(ARM), Piece(PARTS / "gripper.urdf", onto="link6", prefix="gripper_")]),
    joint_names=JOINT_NAMES,
    joint_lower_rad=LOWER_RAD,
    joint_upper_rad=UPPER_RAD,
    joint_velocity_max_rad_s=(2.1,) * 6,
    joint_effort_max_nm=EFFORT_NM,
    home_rad=(0.0, -0.1791, -0.9408, 0.0, 1.12, 0.0),
    hands=(
        Hand(
            name="hand",
            link="gripper_tip",
            joint_names=JOINT_NAMES,
            workspace_lower_m=(0.20, -0.40, 0.012),
            workspace_upper_m=(0.62, 0.40, 0.60),
            gripper_joints={"gripper_slide_left": (0.0, 0.04), "gripper_slide_right": (0.0, 0.04)},
            gripper_effort_max_n=40.0,
            finger_links=("gripper_finger_left", "gripper_finger_right"),
            camera=(_CAMERA, looking(_CAMERA, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
        ),
    ),
    field=Field(center_m=(0.42, 0.0), half_extents_m=(0.09, 0.19)),
)
