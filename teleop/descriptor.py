"""What a browser or a script needs to draw and drive a robot, as plain JSON made from its spec."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.robot import Observation, RobotSpec, TaskSpec
from teleop.messages import Values


def describe(name: str, spec: RobotSpec) -> dict[str, Any]:
    """Return the descriptor of `PROTOCOL.md`."""
    return {
        "name": name,
        "model": spec.model.name,
        "urdf": f"/assets/models/{spec.model.name}/{spec.model.urdf}",
        "simulated": spec.simulated,
        "control_hz": spec.control_hz,
        "joint_names": list(spec.joint_names),
        "joint_lower_rad": spec.joint_lower_rad.tolist(),
        "joint_upper_rad": spec.joint_upper_rad.tolist(),
        "joint_velocity_max_rad_s": spec.joint_velocity_max_rad_s.tolist(),
        "home_rad": spec.home_rad.tolist(),
        "ee_link": spec.ee_link,
        "workspace_lower_m": spec.workspace_lower_m.tolist(),
        "workspace_upper_m": spec.workspace_upper_m.tolist(),
        "has_gripper": spec.has_gripper,
        "gripper_joints": {name: list(ends) for name, ends in spec.gripper_joints.items()},
        "observation": [
            {"name": array.name, "shape": list(array.shape), "unit": array.unit, "doc": array.doc}
            for array in spec.observation
        ],
        "scene": [
            {
                "name": body.name,
                "half_extents_m": list(body.half_extents_m),
                "rgba": list(body.rgba),
                "position_m": list(body.position_m),
                "pose_from": body.pose_from,
            }
            for body in spec.scene
        ],
        "tasks": [] if spec.task is None else [describe_task(spec.task)],
        "engine": dict(spec.engine),
    }


def describe_task(task: TaskSpec) -> dict[str, Any]:
    """Return a task as a card or a drive page shows it."""
    return {
        "name": task.name,
        "version": task.version,
        "instruction": task.instruction,
        "max_steps": task.max_steps,
    }


def flatten(spec: RobotSpec, seen: Observation) -> Values:
    """Return the observation's arrays end to end, in the order of `spec.observation`, float32."""
    return np.concatenate([seen.values[array.name].ravel() for array in spec.observation]).astype(np.float32)
