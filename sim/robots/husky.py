"""A mobile manipulator: Clearpath Husky with an xArm6 and a parallel gripper on its front.

Both URDFs are PyBullet's (Clearpath Robotics and UFACTORY, BSD licences). The wheels are visible but do not turn: the
base moves over the floor by three joints, and the controller allows only the motion that wheels could make.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pybullet_data

from sim.description import Field, Hand, RobotDescription
from sim.model.compose import PARTS, Piece, compose
from sim.robot import MobileBase
from sim.robots import xarm6

_CHASSIS: Final = Path(pybullet_data.getDataPath()) / "husky" / "husky.urdf"
_WHEELS: Final = tuple(f"{end}_{side}_wheel" for end in ("front", "rear") for side in ("left", "right"))
_SEEN: Final = (*(f"{wheel}_link" for wheel in _WHEELS), "top_plate_link", "front_bumper_link", "rear_bumper_link")
_ARM: Final = tuple(f"arm_{name}" for name in xarm6.JOINT_NAMES)
_BASE: Final = MobileBase(("x", "y", "heading"), 0.6, 1.0, acceleration_max_m_s2=1.0, turn_acceleration_max_rad_s2=2.0)

DESCRIPTION: Final = RobotDescription(
    model=compose(
        "husky",
        [
            Piece(PARTS / "rolling.urdf"),
            Piece(_CHASSIS, onto="carried", without=("imu_link", "user_rail_link"), welded=_WHEELS, hollow=_SEEN),
            Piece(xarm6.ARM, onto="top_plate_link", prefix="arm_", xyz=(0.28, 0.0, 0.008)),
            Piece(PARTS / "gripper.urdf", onto="arm_link6", prefix="gripper_"),
        ],
    ),
    joint_names=_BASE.joint_names + _ARM,
    joint_lower_rad=(-3.0, -3.0, -12.56, *xarm6.LOWER_RAD),
    joint_upper_rad=(3.0, 3.0, 12.56, *xarm6.UPPER_RAD),
    joint_velocity_max_rad_s=(0.7, 0.7, 1.2, *xarm6.DESCRIPTION.joint_velocity_max_rad_s),
    joint_effort_max_nm=(5000.0, 5000.0, 5000.0, *xarm6.EFFORT_NM),
    home_rad=(0.0, 0.0, 0.0, 0.0, 0.3198, -1.1425, 0.0, 0.8227, 0.0),
    hands=(
        Hand(
            name="hand",
            link="gripper_tip",
            joint_names=_ARM,
            workspace_lower_m=(0.60, -0.40, 0.012),
            workspace_upper_m=(1.00, 0.40, 0.90),
            gripper_joints=xarm6.DESCRIPTION.hands[0].gripper_joints,
            gripper_effort_max_n=40.0,
            finger_links=("gripper_finger_left", "gripper_finger_right"),
            base_link="base_footprint",
            camera=xarm6.DESCRIPTION.hands[0].camera,
        ),
    ),
    field=Field(center_m=(0.81, 0.0), half_extents_m=(0.06, 0.20)),
    base=_BASE,
)
