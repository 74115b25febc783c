"""A desktop arm the size of an SO-101; the description is our own and made of primitives.

The real arm (`teleop.hardware`) and the simulated one share this. Joint limits are the URDF's; the servos could turn
at 4.7 rad/s, but are kept slower.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim.description import Field, Hand, RobotDescription
from sim.model.urdf import read_urdf
from sim.robot import RobotModel
from sim.rotation import looking

JOINT_NAMES: Final = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
GRIPPER_JOINT: Final = "gripper"

MODEL: Final = RobotModel(name="so101", root=Path(__file__).parent / "so101", urdf="so101.urdf")

_URDF: Final = read_urdf(MODEL.urdf_path)
_JOINTS: Final = tuple(_URDF.joint(name) for name in JOINT_NAMES)
_GRIPPER: Final = _URDF.joint(GRIPPER_JOINT)
_CAMERA: Final = (0.05, 0.0, -0.08)

DESCRIPTION: Final = RobotDescription(
    model=MODEL,
    joint_names=JOINT_NAMES,
    joint_lower_rad=tuple(joint.lower for joint in _JOINTS),
    joint_upper_rad=tuple(joint.upper for joint in _JOINTS),
    joint_velocity_max_rad_s=(2.0,) * len(JOINT_NAMES),
    joint_effort_max_nm=(1.9,) * len(JOINT_NAMES),
    home_rad=(0.0, -0.5, 0.5, 1.1, 0.0),
    hands=(
        Hand(
            name="hand",
            link="gripper_tip",
            joint_names=JOINT_NAMES,
            workspace_lower_m=(0.08, -0.30, 0.01),
            workspace_upper_m=(0.42, 0.30, 0.40),
            gripper_joints={GRIPPER_JOINT: (_GRIPPER.lower, _GRIPPER.upper)},
            gripper_effort_max_n=0.95,
            finger_links=("gripper_body", "jaw"),
            camera=(_CAMERA, looking(_CAMERA, (0.0, 0.0, 0.03), up=(1.0, 0.0, 0.0))),
        ),
    ),
    field=Field(center_m=(0.24, 0.0), half_extents_m=(0.05, 0.10), scale=0.6),
)
