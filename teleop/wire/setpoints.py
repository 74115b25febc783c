"""Converts between a command's values on the wire and a setpoint for one robot."""

from __future__ import annotations

import numpy as np

from sim.motion.control import Joints, Pose, Setpoint, Twist
from sim.robot import RobotSpec, Vector
from teleop.wire.messages import Command, Mode, Values


def setpoint_of(command: Command, spec: RobotSpec) -> Setpoint | None:
    """Return what a command asks of the robot; None for a neutral one.

    If the values do not fit the robot, neither does the setpoint, and the controller holds.
    """
    values = command.values.astype(np.float64)
    if command.mode is Mode.NEUTRAL:
        return None
    if command.mode is Mode.JOINT_POSITION:
        return Joints(values[: spec.joints], values[spec.joints :])
    made, width = (Twist, 6) if command.mode is Mode.EE_TWIST else (Pose, 7)
    arms = spec.hands * (width + 1)
    if len(values) not in (arms, arms + 2 if spec.base is not None else arms):
        return made(values.reshape(1, -1), np.empty(0))
    hands, base = values[:arms].reshape(spec.hands, width + 1), values[arms:]
    return made(hands[:, :width], hands[:, width], base if len(base) else None)


def values_of(setpoint: Setpoint) -> tuple[Mode, Values]:
    """Return the mode and the values of the command that asks for `setpoint`."""
    if isinstance(setpoint, Joints):
        return Mode.JOINT_POSITION, _packed(setpoint.position, setpoint.gripper)
    moved, mode = (setpoint.twist, Mode.EE_TWIST) if isinstance(setpoint, Twist) else (setpoint.pose, Mode.EE_POSE)
    base = np.empty(0) if setpoint.base is None else setpoint.base
    return mode, _packed(np.hstack([moved, setpoint.gripper[:, None]]).ravel(), base)


def _packed(*parts: Vector) -> Values:
    return np.concatenate(parts).astype(np.float32)
