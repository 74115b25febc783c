"""Universal Robots' UR5e with a parallel gripper on its flange, such as Robotiq's 2F-85. No task simulates it.

The real arm that `teleop.hardware.ur` drives. Its links are our own, of primitives; where its joints are, and their
limits, is what the maker publishes. A shoulder that turned over would reach below the table, so it is kept from that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.description import Field, Hand, RobotDescription
from sim.model.compose import PARTS, Piece, compose
from sim.rotation import looking

JOINT_NAMES: Final = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
_BODY_M: Final = 0.063
"""Of the gripper, from the flange to where its fingers are mounted: its tip is then 0.163 m away, as a 2F-85's."""
_CAMERA: Final = (0.08, 0.0, -0.10)

DESCRIPTION: Final = RobotDescription(
    model=compose(
        "ur5e_gripper",
        [
            Piece(Path(__file__).parent / "ur5e" / "ur5e.urdf"),
            Piece(PARTS / "gripper.urdf", onto="wrist_3_link", prefix="gripper_", xyz=(0.0, 0.0, _BODY_M)),
        ],
    ),
    joint_names=JOINT_NAMES,
    joint_lower_rad=(-6.283, -3.14, -3.141, -6.283, -6.283, -6.283),
    joint_upper_rad=(6.283, 0.0, 3.141, 6.283, 6.283, 6.283),
    joint_velocity_max_rad_s=(2.1,) * 6,
    joint_effort_max_nm=(150.0, 150.0, 150.0, 28.0, 28.0, 28.0),
    home_rad=(0.0, -1.57, 1.57, -1.57, -1.57, 0.0),
    hands=(
        Hand(
            name="hand",
            link="gripper_tip",
            joint_names=JOINT_NAMES,
            workspace_lower_m=(-0.75, -0.75, 0.012),
            workspace_upper_m=(0.75, 0.75, 0.70),
            gripper_joints={"gripper_slide_left": (0.0, 0.04), "gripper_slide_right": (0.0, 0.04)},
            gripper_effort_max_n=40.0,
            finger_links=("gripper_finger_left", "gripper_finger_right"),
            camera=(_CAMERA, looking(_CAMERA, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
        ),
    ),
    field=Field(center_m=(-0.45, 0.0), half_extents_m=(0.10, 0.20)),
)
