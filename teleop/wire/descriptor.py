"""What a browser or a script needs to draw and drive a robot, as plain JSON made from its spec."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from sim.robot import Action, ArraySpec, EndEffector, MobileBase, Observation, RobotSpec, TaskSpec
from sim.scene import Part, Scene
from teleop.wire.messages import Values


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
        "end_effectors": [_end_effector(end) for end in spec.end_effectors],
        "base": None if spec.base is None else _base(spec.base),
        "observation": [
            {"name": array.name, "shape": list(array.shape), "unit": array.unit, "doc": array.doc}
            for array in (*spec.observation, *_commanded(spec))
        ],
        "scene": _scene(spec.scene),
        "tasks": [] if spec.task is None else [describe_task(spec.task)],
        "engine": dict(spec.engine),
    }


def describe_task(task: TaskSpec) -> dict[str, Any]:
    """Return a task as a card or a drive page shows it."""
    return {
        "name": task.name,
        "version": task.version,
        "instruction": task.instruction,
        "paraphrases": list(task.paraphrases),
        "stages": list(task.stages),
        "max_steps": task.max_steps,
    }


def _end_effector(end: EndEffector) -> dict[str, Any]:
    return {
        "name": end.name,
        "link": end.link,
        "joint_names": list(end.joint_names),
        "workspace_lower_m": end.workspace_lower_m.tolist(),
        "workspace_upper_m": end.workspace_upper_m.tolist(),
        "gripper_joints": {name: list(ends) for name, ends in end.gripper_joints.items()},
        "base_link": end.base_link,
        "pose": end.pose,
    }


def _base(base: MobileBase) -> dict[str, Any]:
    return {
        "joint_names": list(base.joint_names),
        "speed_max_m_s": base.speed_max_m_s,
        "turn_max_rad_s": base.turn_max_rad_s,
    }


def _scene(scene: Scene) -> dict[str, Any]:
    return {
        "floor_rgba": list(scene.floor_rgba),
        "light": asdict(scene.light),
        "bodies": [
            {
                "name": body.name,
                "rgba": list(body.rgba),
                "position_m": list(body.position_m),
                "orientation": list(body.orientation),
                "pose_from": body.pose_from,
                "row": body.row,
                "goal": body.goal,
                "parts": [_part(part) for part in body.parts],
            }
            for body in scene.bodies
        ],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "shape": {"kind": type(part.shape).__name__.lower(), **asdict(part.shape)},
        "position_m": list(part.position_m),
        "orientation": list(part.orientation),
        "rgba": None if part.rgba is None else list(part.rgba),
    }


def _commanded(spec: RobotSpec) -> tuple[ArraySpec, ...]:
    """Return the arrays that a state has after the robot's own: where it was last sent, never recorded as observed."""
    return (
        ArraySpec("commanded_joint_position", (spec.joints,), "rad", "the joints' last target, after all limits"),
        ArraySpec("commanded_gripper_position", (spec.hands,), "1", "the grippers' last target: 0 closed, 1 open"),
    )


def flatten(spec: RobotSpec, seen: Observation, target: Action | None) -> Values:
    """Return a state's arrays end to end, in the order of the descriptor's `observation`, float32.

    Where nothing was sent (`target` is None), the robot was sent where it is.
    """
    joints = seen.values["joint_position"] if target is None else target.joint_position
    gripper = seen.values.get("gripper_position", np.ones(spec.hands)) if target is None else target.gripper
    arrays = [seen.values[array.name].ravel() for array in spec.observation]
    return np.concatenate((*arrays, joints, gripper), dtype=np.float32, casting="same_kind")
