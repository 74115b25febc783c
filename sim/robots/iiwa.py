"""KUKA LBR iiwa 7 R800 with a parallel gripper of our own.

The arm's URDF is PyBullet's (R. Krug and T. Stoyanov, BSD licence), and so are the joint limits; velocity limits are
the manufacturer's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pybullet_data

from sim.description import Field, Hand, RobotDescription
from sim.model.compose import PARTS, Piece, compose
from sim.rotation import looking

JOINT_NAMES: Final = tuple(f"lbr_iiwa_joint_{index}" for index in range(1, 8))
_ARM: Final = Path(pybullet_data.getDataPath()) / "kuka_iiwa" / "model.urdf"
_CAMERA: Final = (0.08, 0.0, -0.10)

DESCRIPTION: Final = RobotDescription(
    model=compose(
        "iiwa",
        [
            Piece(_ARM),
            Piece(PARTS / "gripper.urdf", onto="lbr_iiwa_link_7", prefix="gripper_", xyz=(0.0, 0.0, 0.045)),
        ],
    ),
    joint_names=JOINT_NAMES,
    joint_lower_rad=(-2.967, -2.094, -2.967, -2.094, -2.967, -2.094, -3.054),
    joint_upper_rad=(2.967, 2.094, 2.967, 2.094, 2.967, 2.094, 3.054),
    joint_velocity_max_rad_s=(1.71, 1.71, 1.75, 2.27, 2.44, 3.14, 3.14),
    joint_effort_max_nm=(176.0, 176.0, 110.0, 110.0, 110.0, 40.0, 40.0),
    home_rad=(0.0, 0.4536, 0.0, -1.5328, 0.0, 1.1551, 0.0),
    hands=(
        Hand(
            name="hand",
            link="gripper_tip",
            joint_names=JOINT_NAMES,
            workspace_lower_m=(0.30, -0.45, 0.012),
            workspace_upper_m=(0.75, 0.45, 0.70),
            gripper_joints={"gripper_slide_left": (0.0, 0.04), "gripper_slide_right": (0.0, 0.04)},
            gripper_effort_max_n=40.0,
            finger_links=("gripper_finger_left", "gripper_finger_right"),
            camera=(_CAMERA, looking(_CAMERA, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
        ),
    ),
    field=Field(center_m=(0.55, 0.0), half_extents_m=(0.10, 0.20)),
)
