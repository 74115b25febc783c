"""UFACTORY xArm6 with UFACTORY's own gripper: the real arm that `teleop.hardware.xarm` drives. No task simulates it.

The URDF is PyBullet's (UFACTORY, BSD licence). Joint limits are the narrowest of the URDF's and of those that
UFACTORY's SDK has for any xArm6 whose joints turn as the URDF's do.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pybullet_data

from sim.description import Field, Hand, RobotDescription
from sim.model.compose import PARTS, Piece, compose
from sim.robots import xarm6
from sim.rotation import looking

JOINT_NAMES: Final = xarm6.JOINT_NAMES
_ARM: Final = Path(pybullet_data.getDataPath()) / "xarm" / "xarm6_with_gripper.urdf"
_BARS: Final = (
    "drive_joint",
    "left_finger_joint",
    "left_inner_knuckle_joint",
    "right_outer_knuckle_joint",
    "right_finger_joint",
    "right_inner_knuckle_joint",
)
_CLOSED_RAD: Final = 0.85
_TIP_M: Final = 0.165
"""From the gripper's base to the middle between its fingertips."""
_CAMERA: Final = (0.08, 0.0, -0.12)

DESCRIPTION: Final = RobotDescription(
    model=compose(
        "xarm6_gripper",
        [Piece(_ARM), Piece(PARTS / "tip.urdf", onto="xarm_gripper_base_link", xyz=(0.0, 0.0, _TIP_M))],
    ),
    joint_names=JOINT_NAMES,
    joint_lower_rad=(-6.283, -2.042, -3.822, -6.283, -1.692, -6.283),
    joint_upper_rad=(6.283, 2.024, 0.174, 6.283, 3.141, 6.283),
    joint_velocity_max_rad_s=(2.1,) * 6,
    joint_effort_max_nm=xarm6.EFFORT_NM,
    home_rad=(0.0, -0.2105, -1.1538, 0.0, 1.3642, 0.0),
    hands=(
        Hand(
            name="hand",
            link="tip",
            joint_names=JOINT_NAMES,
            workspace_lower_m=(0.20, -0.40, 0.012),
            workspace_upper_m=(0.62, 0.40, 0.60),
            gripper_joints=dict.fromkeys(_BARS, (_CLOSED_RAD, 0.0)),
            gripper_effort_max_n=5.0,
            finger_links=("left_finger", "right_finger"),
            camera=(_CAMERA, looking(_CAMERA, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
        ),
    ),
    field=Field(center_m=(0.42, 0.0), half_extents_m=(0.09, 0.19)),
)
