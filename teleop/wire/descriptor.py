"""What a browser or a script needs to draw and drive a robot, as plain JSON made from its spec.

`Descriptor` is its shape and its bounds: a host is a stranger, and everyone's page reads what it says of itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from sim.robot import (
    EPISODE_S_MAX,
    RESOLUTION_MAX_RAD,
    Action,
    ArraySpec,
    EndEffector,
    MobileBase,
    Observation,
    RobotSpec,
    TaskSpec,
)
from sim.scene import Part, Scene
from teleop.wire.frames import CAMERAS_MAX
from teleop.wire.messages import STATE_VALUES_MAX, Values
from teleop.wire.signalling import SignallingError

DESCRIPTOR_BYTES_MAX: Final = 32 * 1024
"""At one of its tasks, as JSON: `granted` carries it, and that task again, in one frame."""
DESCRIPTOR_WHOLE_BYTES_MAX: Final = 48 * 1024
"""With the settings of all of its tasks, as JSON: `hello` carries it in one frame."""

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")]
Said = Annotated[str, Meta(max_length=500)]
Number = Annotated[float, Meta(ge=-1e6, le=1e6)]
Positive = Annotated[float, Meta(gt=0, le=1e6)]
Resolution = Annotated[float, Meta(ge=0, le=RESOLUTION_MAX_RAD)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
Names = Annotated[tuple[Name, ...], Meta(max_length=64)]
Numbers = Annotated[tuple[Number, ...], Meta(max_length=64)]
Triple = tuple[Number, Number, Number]
Quaternion = tuple[Number, Number, Number, Number]
Rgba = tuple[Share, Share, Share, Share]
Url = Annotated[str, Meta(max_length=200, pattern=r"^/assets/models/(?!.*\.\.)[\w./-]+$(?!\n)")]
"""Under this hub's own models, as a page loads it without asking."""


_PER_JOINT: Final = (
    "joint_lower_rad",
    "joint_upper_rad",
    "joint_velocity_max_rad_s",
    "joint_resolution_rad",
    "home_rad",
)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Any part of a descriptor: an unknown field is refused by name."""


class _Box(_Part, frozen=True, tag_field="kind", tag="box"):
    half_extents_m: tuple[Positive, Positive, Positive]


class _Sphere(_Part, frozen=True, tag_field="kind", tag="sphere"):
    radius_m: Positive


class _Cylinder(_Part, frozen=True, tag_field="kind", tag="cylinder"):
    radius_m: Positive
    length_m: Positive


class _BodyPart(_Part, frozen=True):
    shape: _Box | _Sphere | _Cylinder
    position_m: Triple
    orientation: Quaternion
    rgba: Rgba | None


class _Body(_Part, frozen=True):
    name: Name
    rgba: Rgba
    position_m: Triple
    orientation: Quaternion
    pose_from: Name | None
    row: Annotated[int, Meta(ge=0, le=STATE_VALUES_MAX)] | None
    goal: bool
    parts: Annotated[tuple[_BodyPart, ...], Meta(max_length=64)]


class _Light(_Part, frozen=True):
    towards: Triple
    intensity: Annotated[float, Meta(ge=0, le=100)]
    ambient: Annotated[float, Meta(ge=0, le=100)]


class _Scene(_Part, frozen=True):
    floor_rgba: Rgba
    light: _Light
    bodies: Annotated[tuple[_Body, ...], Meta(max_length=64)]


class _Hand(_Part, frozen=True):
    name: Name
    link: Name
    joint_names: Names
    workspace_lower_m: Triple
    workspace_upper_m: Triple
    gripper_joints: Annotated[dict[Name, tuple[Number, Number]], Meta(max_length=16)]
    base_link: Name | None
    pose: Name


class _Base(_Part, frozen=True):
    joint_names: tuple[Name, Name, Name]
    speed_max_m_s: Positive
    turn_max_rad_s: Positive


class _Array(_Part, frozen=True):
    name: Name
    shape: Annotated[tuple[Annotated[int, Meta(ge=1, le=STATE_VALUES_MAX)], ...], Meta(max_length=4)]
    unit: Name
    doc: Said


Arrays = Annotated[tuple[_Array, ...], Meta(max_length=64)]
Engine = Annotated[dict[Name, Said], Meta(max_length=64)]


class _Setting(_Part, frozen=True):
    observation: Arrays
    scene: _Scene
    engine: Engine


class _Task(_Part, frozen=True):
    name: Name
    version: Count
    instruction: Said
    paraphrases: Annotated[tuple[Said, ...], Meta(max_length=32)]
    stages: Annotated[tuple[Said, ...], Meta(max_length=32)]
    max_steps: Count
    setting: _Setting | None = None


class _Camera(_Part, frozen=True):
    name: Name
    width: Annotated[int, Meta(ge=1, le=1920)]
    height: Annotated[int, Meta(ge=1, le=1920)]
    fps: Annotated[float, Meta(gt=0, le=1000)]
    codecs: Annotated[tuple[Literal["jpeg", "h264"], ...], Meta(max_length=2)]


class Descriptor(_Part, frozen=True):
    """What a host may say about its robot."""

    name: Name
    model: Name
    urdf: Url
    simulated: bool
    control_hz: Annotated[float, Meta(gt=0, le=1000)]
    joint_names: Names
    joint_lower_rad: Numbers
    joint_upper_rad: Numbers
    joint_velocity_max_rad_s: Numbers
    joint_resolution_rad: Annotated[tuple[Resolution, ...], Meta(max_length=64)]
    home_rad: Numbers
    end_effectors: Annotated[tuple[_Hand, ...], Meta(max_length=16)]
    base: _Base | None
    observation: Arrays
    scene: _Scene
    tasks: Annotated[tuple[_Task, ...], Meta(max_length=32)]
    engine: Engine
    cameras: Annotated[tuple[_Camera, ...], Meta(max_length=CAMERAS_MAX)] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if the parts do not fit each other."""
        joints = len(self.joint_names)
        for field in _PER_JOINT:
            if len(getattr(self, field)) != joints:
                raise ValueError(f"expected {joints} numbers in `{field}`, one a joint")
        observations = [self.observation, *(task.setting.observation for task in self.tasks if task.setting)]
        for kind, parts in (
            *((kind, getattr(self, kind)) for kind in ("end_effectors", "tasks", "cameras")),
            *(("observation", arrays) for arrays in observations),
        ):
            names = [part.name for part in parts]
            if len(set(names)) != len(names):
                raise ValueError(f"expected different names in `{kind}`, got {names}")
        longest = EPISODE_S_MAX * self.control_hz
        for task in self.tasks:
            if not 1 <= task.max_steps <= longest:
                steps = f"{task.max_steps} of {task.name!r} at {self.control_hz:g} Hz"
                raise ValueError(f"expected `max_steps` of up to {EPISODE_S_MAX:.0f} s, got {steps}")
        values = max(sum(math.prod(array.shape) for array in arrays) for arrays in observations)
        if values > STATE_VALUES_MAX:
            raise ValueError(f"expected at most {STATE_VALUES_MAX} values in `observation`, got {values}")


_DESCRIPTOR: Final = msgspec.json.Decoder(Descriptor)


def require_descriptor(said: dict[str, Any]) -> dict[str, Any]:
    """Return a host's description of its robot, if it is a `Descriptor`; raise SignallingError naming the place."""
    try:
        data = msgspec.json.encode(said)
        _DESCRIPTOR.decode(data)
    except (msgspec.ValidationError, RecursionError) as error:
        told = f"expected the robot's descriptor as PROTOCOL.md has it: {error}"
        raise SignallingError("malformed", told) from error
    _require_size("a descriptor", len(data), DESCRIPTOR_WHOLE_BYTES_MAX)
    for task in [one["name"] for one in said["tasks"]] or [None]:
        size = len(msgspec.json.encode(at_task(said, task)))
        _require_size("a descriptor at each of its tasks", size, DESCRIPTOR_BYTES_MAX)
    return said


def _require_size(what: str, size: int, most: int) -> None:
    if size > most:
        raise SignallingError("malformed", f"expected {what} of at most {most} bytes, got {size}")


def at_task(said: Mapping[str, Any], task: str | None) -> dict[str, Any]:
    """Return a robot's descriptor as it is while the robot is at one of its tasks: the setting of that task is its own.

    None, or a task that it does not offer: as it is at the first.
    """
    named = [one for one in said["tasks"] if one["name"] == task] or said["tasks"]
    setting = named[0].get("setting") if named else None
    own = {**setting, "engine": {**said["engine"], **setting["engine"]}} if setting else {}
    return {**said, **own, "tasks": [plain_task(one) for one in said["tasks"]]}


def plain_task(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a descriptor says of a task, without its setting."""
    return {name: value for name, value in said.items() if name != "setting"}


def describe(name: str, spec: RobotSpec, *others: RobotSpec) -> dict[str, Any]:
    """Return the descriptor of `PROTOCOL.md`; `others` are the specs of the same robot at its other tasks."""
    tasks = [] if spec.task is None else [describe_task(spec.task)]
    engine = dict(spec.engine)
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
        "joint_resolution_rad": spec.joint_resolution_rad.tolist(),
        "home_rad": spec.home_rad.tolist(),
        "end_effectors": [_end_effector(end) for end in spec.end_effectors],
        "base": None if spec.base is None else _base(spec.base),
        "observation": _observation(spec),
        "scene": _scene(spec.scene),
        "tasks": [
            *tasks,
            *({**describe_task(other.task), "setting": _setting(other, engine)} for other in others if other.task),
        ],
        "engine": engine,
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


def _setting(spec: RobotSpec, engine: Mapping[str, str]) -> dict[str, Any]:
    """Return what differs at this task from the robot's first."""
    differs = {name: value for name, value in spec.engine.items() if engine.get(name) != value}
    return {"observation": _observation(spec), "scene": _scene(spec.scene), "engine": differs}


def _observation(spec: RobotSpec) -> list[dict[str, Any]]:
    return [
        {"name": array.name, "shape": list(array.shape), "unit": array.unit, "doc": array.doc}
        for array in (*spec.observation, *_commanded(spec))
    ]


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

    If nothing was sent (`target` is None), the target is where the robot is.
    """
    joints = seen.values["joint_position"] if target is None else target.joint_position
    gripper = seen.values.get("gripper_position", np.ones(spec.hands)) if target is None else target.gripper
    arrays = [seen.values[array.name].ravel() for array in spec.observation]
    return np.concatenate((*arrays, joints, gripper), dtype=np.float32, casting="same_kind")
