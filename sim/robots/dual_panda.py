"""Two Franka Emika Pandas side by side, 60 cm apart, for tasks that need two hands: `left` and `right`."""

from __future__ import annotations

from typing import Final

from sim.description import Field, Hand, RobotDescription
from sim.model.compose import Piece, compose
from sim.robots import panda
from sim.scene import Triple

_ONE: Final = panda.DESCRIPTION
_HAND: Final = _ONE.hands[0]
_APART_M: Final = 0.6


def _hand(side: str, lower_m: Triple, upper_m: Triple) -> Hand:
    return Hand(
        name=side,
        link=f"{side}_{_HAND.link}",
        joint_names=tuple(f"{side}_{name}" for name in _HAND.joint_names),
        workspace_lower_m=lower_m,
        workspace_upper_m=upper_m,
        gripper_joints={f"{side}_{name}": ends for name, ends in _HAND.gripper_joints.items()},
        gripper_effort_max_n=_HAND.gripper_effort_max_n,
        finger_links=tuple(f"{side}_{name}" for name in _HAND.finger_links),
        camera=_HAND.camera,
    )


_HANDS: Final = (
    _hand("left", (0.25, -0.12, 0.012), (0.75, 0.70, 0.7)),
    _hand("right", (0.25, -0.70, 0.012), (0.75, 0.12, 0.7)),
)

DESCRIPTION: Final = RobotDescription(
    model=compose(
        "dual_panda",
        [
            Piece(_ONE.model.urdf_path, prefix="left_", xyz=(0.0, 0.5 * _APART_M, 0.0)),
            Piece(_ONE.model.urdf_path, prefix="right_", xyz=(0.0, -0.5 * _APART_M, 0.0)),
        ],
    ),
    joint_names=_HANDS[0].joint_names + _HANDS[1].joint_names,
    joint_lower_rad=_ONE.joint_lower_rad * 2,
    joint_upper_rad=_ONE.joint_upper_rad * 2,
    joint_velocity_max_rad_s=_ONE.joint_velocity_max_rad_s * 2,
    joint_effort_max_nm=_ONE.joint_effort_max_nm * 2,
    home_rad=_ONE.home_rad * 2,
    hands=_HANDS,
    field=Field(center_m=(0.51, 0.0), half_extents_m=(0.10, 0.40)),
)
