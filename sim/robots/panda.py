"""Franka Emika Panda with its two-finger hand, from the URDF that PyBullet ships.

Joint limits are the URDF's; velocity limits are the manufacturer's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pybullet_data

from sim.description import Field, Hand, RobotDescription
from sim.robot import RobotModel
from sim.rotation import looking

JOINT_NAMES: Final = tuple(f"panda_joint{index}" for index in range(1, 8))
_CAMERA: Final = (0.07, 0.0, -0.11)

DESCRIPTION: Final = RobotDescription(
    model=RobotModel(name="panda", root=Path(pybullet_data.getDataPath()), urdf="franka_panda/panda.urdf"),
    joint_names=JOINT_NAMES,
    joint_lower_rad=(-2.9671, -1.8326, -2.9671, -3.1416, -2.9671, -0.0873, -2.9671),
    joint_upper_rad=(2.9671, 1.8326, 2.9671, 0.0, 2.9671, 3.8223, 2.9671),
    joint_velocity_max_rad_s=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    joint_effort_max_nm=(87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0),
    home_rad=(0.0, -0.215, 0.0, -2.57, 0.0, 2.356, 0.785),
    hands=(
        Hand(
            name="hand",
            link="panda_grasptarget",
            joint_names=JOINT_NAMES,
            workspace_lower_m=(0.25, -0.45, 0.012),
            workspace_upper_m=(0.75, 0.45, 0.7),
            gripper_joints={"panda_finger_joint1": (0.0, 0.04), "panda_finger_joint2": (0.0, 0.04)},
            gripper_effort_max_n=40.0,
            finger_links=("panda_leftfinger", "panda_rightfinger"),
            camera=(_CAMERA, looking(_CAMERA, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
        ),
    ),
    field=Field(center_m=(0.51, 0.0), half_extents_m=(0.11, 0.20)),
)
