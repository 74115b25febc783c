"""What an action in [-1, 1] asks for, in each way of control that an environment has.

Part of sim; exports `Control`, `action_size`, `setpoint_of` and `leading`. A step (`ee_delta`, `joint_delta`) counts
from where the one before it aimed, not from where the arm has got: the arm follows its target by about a tenth of a
second, and a step from there would be shortened by that lag each time.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sim import rotation
from sim.motion.control import Joints, Pose, Setpoint, Twist
from sim.motion.limits import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S, TRACKING_MAX_RAD
from sim.robot import ArraySpec, RobotSpec, Vector, clipped

Control = Literal["ee_twist", "ee_delta", "ee_pose", "joint_position", "joint_delta"]

CONTROLS: Final[tuple[Control, ...]] = get_args(Control)


def action_size(spec: RobotSpec, control: Control) -> int:
    """Return how many numbers an action has."""
    if control in ("joint_position", "joint_delta"):
        return spec.joints + spec.hands
    return 7 * spec.hands + (2 if spec.base is not None else 0)


def setpoint_of(spec: RobotSpec, control: Control, action: NDArray[np.float32], goal: Vector) -> Setpoint:
    """Return what an action in [-1, 1] asks for; raise ArrayMismatchError, a ValueError, if it does not fit.

    `goal` (J,) rad is where the joints were last sent: `joint_delta` goes on from there.
    """
    size = action_size(spec, control)
    values = ArraySpec(f"action for {control}", (size,), "1", "in [-1, 1]; clipped to it").conform(action)
    values = np.clip(values, -1.0, 1.0)
    if control in ("joint_position", "joint_delta"):
        gripper = 0.5 * (values[spec.joints :] + 1.0)
        low, high = spec.joint_lower_rad, spec.joint_upper_rad
        if control == "joint_position":
            return Joints(low + 0.5 * (values[: spec.joints] + 1.0) * (high - low), gripper)
        step = values[: spec.joints] * spec.joint_velocity_max_rad_s * spec.period_s
        return Joints(clipped(goal + step, low, high), gripper)
    hands = values[: 7 * spec.hands].reshape(spec.hands, 7)
    gripper, base = 0.5 * (hands[:, 6] + 1.0), None
    if spec.base is not None:
        base = values[-2:] * np.array((spec.base.speed_max_m_s, spec.base.turn_max_rad_s))
    if control in ("ee_twist", "ee_delta"):  # a controller adds up what twists ask for: a step in each period
        fastest = np.array((EE_SPEED_MAX_M_S,) * 3 + (EE_ROTATION_MAX_RAD_S,) * 3)
        return Twist(hands[:, :6] * fastest, gripper, base)
    low = np.array([end.workspace_lower_m for end in spec.end_effectors])
    high = np.array([end.workspace_upper_m for end in spec.end_effectors])
    turned = np.array([rotation.from_rotvec(np.pi * hand[3:6]) for hand in hands])
    return Pose(np.hstack([low + 0.5 * (hands[:, :3] + 1.0) * (high - low), turned]), gripper, base)


def leading(spec: RobotSpec, goal: Vector, measured: Vector) -> Vector:
    """Return `goal` (J,), no farther ahead of the joints than one that they can follow, so that none winds up.

    That is how far a target may lead (`TRACKING_MAX_RAD`), and behind it the way to stop from full speed: v / 2 times
    the time v / a + a / j that a stop takes within acceleration a and jerk j.
    """
    fastest, hardest = spec.joint_velocity_max_rad_s, spec.joint_acceleration_max_rad_s2
    stop = 0.5 * fastest * (fastest / hardest + hardest / spec.joint_jerk_max_rad_s3)
    lead = TRACKING_MAX_RAD + stop + fastest * spec.period_s
    return clipped(goal, measured - lead, measured + lead)
