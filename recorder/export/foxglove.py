"""What an episode says, as messages in Foxglove's schemas (docs.foxglove.dev, schemas), each with its two times.

A message's log time is when the robot's computer had it, and its publish time when it was taken or sent: both are wall
clock, the episode's start by that clock plus what has passed since by the monotonic one, so that no step of the wall
clock during an episode shifts anything. What Foxglove has no schema for is JSON, with a schema of ours.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo
from foxglove_schemas_protobuf.Event_pb2 import Event
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.JointState_pb2 import JointState
from foxglove_schemas_protobuf.JointStates_pb2 import JointStates
from foxglove_schemas_protobuf.KeyValuePair_pb2 import KeyValuePair
from foxglove_schemas_protobuf.Log_pb2 import Log
from numpy.typing import NDArray

from recorder.file.episode import Episode
from recorder.file.layout import RULES, camera_path
from recorder.file.meta import EndEffectorMeta, Meta
from recorder.pictures.channel import PictureCodec, Pictures
from sim.robot import Vector
from sim.rotation import from_matrix
from teleop.cameras.film import Mark, Trouble
from teleop.wire.messages import Command, Safety

BASE_FRAME: Final = "base"
"""The frame of the robot's base, in which the file's poses are."""

Clock: TypeAlias = Callable[[int], int]
"""Gives the wall clock's nanoseconds for the host's monotonic ones."""
Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a channel carries: one of Foxglove's messages, or JSON of a schema."""

    schema: Any
    """A class of `foxglove_schemas_protobuf`, or the name of one of `SCHEMAS`."""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Message(NamedTuple):
    """One message of a channel. The times are wall clock."""

    log_ns: int
    publish_ns: int
    topic: str
    kind: Kind
    said: Any
    """A message of `kind.schema`, or what goes into JSON."""


def _schema(title: str, doc: str, **properties: Json) -> Json:
    return {"title": title, "description": doc, "type": "object", "properties": properties}


def _numbers(doc: str) -> Json:
    return {"type": "array", "items": {"type": ["number", "null"]}, "description": doc}


_INTEGER: Final[Json] = {"type": "integer"}
_NUMBER: Final[Json] = {"type": ["number", "null"]}
_TRUTH: Final[Json] = {"type": "boolean"}
_TEXT: Final[Json] = {"type": "string"}

SCHEMAS: Final[Mapping[str, Json]] = {
    schema["title"]: schema
    for schema in (
        _schema(
            "armshare.Command",
            "What the operator asked for, as it came",
            step=_INTEGER,
            admitted=_TRUTH,
            mode=_TEXT,
            values=_numbers("as the mode says: PROTOCOL.md"),
            dead_man=_TRUTH,
            intervention=_TRUTH,
            epoch=_INTEGER,
            seq=_INTEGER,
            t_client_us=_INTEGER,
        ),
        _schema(
            "armshare.Action",
            "The action of a step, as the environment of the same control takes it",
            step=_INTEGER,
            values=_numbers("in [-1, 1]; the channel's metadata names them"),
            driven=_TRUTH,
            intervention=_TRUTH,
        ),
        _schema("armshare.Safety", "The safety machine's state from here on", step=_INTEGER, state=_TEXT),
        _schema(
            "armshare.Limit",
            "A rule changed what was asked for",
            step=_INTEGER,
            rule=_TEXT,
            axis=_INTEGER,
            requested=_NUMBER,
            applied=_NUMBER,
        ),
        _schema(
            "armshare.Progress",
            "How far the task is; null if the robot cannot know",
            progress=_NUMBER,
            success={"type": ["boolean", "null"]},
            stage={"type": ["integer", "null"]},
        ),
        _schema(
            "armshare.Marks",
            "What is wrong with a picture",
            picture=_INTEGER,
            frozen=_TRUTH,
            black=_TRUTH,
            late=_TRUTH,
        ),
        _schema("armshare.Array", "One observation array", values=_numbers("in C order")),
    )
}


def wall_clock(meta: Meta) -> Clock:
    """Return what turns the episode's monotonic nanoseconds into wall clock."""
    offset_ns = int(meta.t_wall_ns) - int(meta.t_mono_ns)
    return lambda mono_ns: int(mono_ns) + offset_ns


def states(episode: Episode) -> Iterator[Message]:
    """Yield the measured joints, poses and other arrays, and the task's progress, observation by observation."""
    clock, rest = wall_clock(episode.meta), _other_arrays(episode)
    joints, transforms = _measured(episode), _poses(episode)
    progress, success, stage = (_column(episode, name) for name in ("progress", "success", "stage"))
    for index, mono_ns in enumerate(episode.t_observed_ns.tolist()):
        at = clock(mono_ns)
        yield _message(at, "/joint_states", JointStates, joints(index))
        if transforms:
            yield _message(at, "/tf", FrameTransforms, _transforms(at, index, transforms))
        for name, kind, array in rest:
            yield Message(at, at, f"/observation/{name}", kind, {"values": _plain(array[index])})
        said = {
            "progress": None if progress is None or math.isnan(progress[index]) else float(progress[index]),
            "success": None if success is None or success[index] < 0 else bool(success[index]),
            "stage": None if stage is None or stage[index] < 0 else int(stage[index]),
        }
        yield Message(at, at, "/progress", Kind("armshare.Progress"), said)


def applied(episode: Episode) -> Iterator[Message]:
    """Yield what the robot was given, at the moment at which it was."""
    clock, spec = wall_clock(episode.meta), episode.meta.spec
    joints = _joints(spec.joint_names, episode.applied_joint_position, None, _fingers(episode, episode.applied_gripper))
    ends = [(f"applied/{end.pose}", episode.applied_ee_pose[:, hand]) for hand, end in enumerate(spec.end_effectors)]
    for index, mono_ns in enumerate(episode.t_sent_ns.tolist()):
        at = clock(mono_ns)
        yield _message(at, "/applied/joint_states", JointStates, joints(index))
        yield _message(at, "/tf", FrameTransforms, _transforms(at, index, ends))


def commands(episode: Episode) -> Iterator[Message]:
    """Yield every command as it came; an episode of version 1 did not keep them."""
    clock, kind = wall_clock(episode.meta), Kind("armshare.Command")
    for row in episode.commands():
        command, at = Command.decode(row.data), clock(row.arrived_ns)
        said = {
            "step": row.step,
            "admitted": row.admitted,
            "mode": command.mode.name.lower(),
            "values": _plain(command.values),
            "dead_man": command.dead_man,
            "intervention": command.intervention,
            "epoch": command.epoch,
            "seq": command.seq,
            "t_client_us": command.t_client_us,
        }
        yield Message(at, at, "/command", kind, said)


def actions(
    episode: Episode, names: Sequence[str], values: NDArray[np.float32], driven: NDArray[np.bool_], env: str
) -> Iterator[Message]:
    """Yield the exported action of each step, when it was sent; `env` is the call that makes its environment."""
    clock = wall_clock(episode.meta)
    kind = Kind("armshare.Action", {"names": ",".join(names), "environment": env})
    intervention = _column(episode, "commanded/intervention")
    for index, mono_ns in enumerate(episode.t_sent_ns.tolist()):
        at = clock(mono_ns)
        said = {
            "step": index,
            "values": _plain(values[index]),
            "driven": bool(driven[index]),
            "intervention": intervention is not None and bool(intervention[index]),
        }
        yield Message(at, at, "/action", kind, said)


def safety(episode: Episode) -> Iterator[Message]:
    """Yield the safety machine's first state, and each that differs from the one before."""
    clock, found = wall_clock(episode.meta), episode.arrays["safety"].astype(np.int64)
    for index in np.flatnonzero(np.diff(found, prepend=-1)).tolist():
        at = clock(episode.t_sent_ns[index])
        said = {"step": index, "state": Safety(int(found[index])).name.lower()}
        yield Message(at, at, "/safety", Kind("armshare.Safety"), said)


def limits(episode: Episode) -> Iterator[Message]:
    """Yield each clamp, at the moment at which its step's action was sent."""
    clock, kind = wall_clock(episode.meta), Kind("armshare.Limit")
    for step, rule, axis, requested, let in episode.arrays["limits"].tolist():
        at = clock(episode.t_sent_ns[step])
        said = {
            "step": step,
            "rule": str(RULES[rule]),
            "axis": axis,
            "requested": _finite(requested),
            "applied": _finite(let),
        }
        yield Message(at, at, "/limits", kind, said)


def log(episode: Episode) -> Iterator[Message]:
    """Yield how the episode began, what was said while driving, and how it ended, as lines of a log."""
    meta, clock = episode.meta, wall_clock(episode.meta)
    success = {True: "it succeeded", False: "it did not succeed", None: "nobody can say whether it succeeded"}
    lines = [
        (meta.t_mono_ns, "episode", f"{meta.episode}: {meta.task.instruction}"),
        *((note.t_mono_ns, "note", note.text) for note in meta.notes),
        (episode.end.t_mono_ns, "episode", f"{episode.end.reason}; {success[episode.end.success]}"),
    ]
    for mono_ns, who, said in sorted(lines, key=lambda line: int(line[0])):
        yield _message(clock(int(mono_ns)), "/log", Log, Log(level=Log.INFO, name=who, message=said))


def pictures(episode: Episode, camera: Pictures) -> Iterator[Message]:
    """Yield one camera's pictures as they are stored; drawn ones came when they were taken."""
    clock, arrived_ns = wall_clock(episode.meta), _column(episode, camera_path(camera.name, "t_arrived_mono_ns"))
    video = camera.codec is PictureCodec.H264
    topic = f"/camera/{camera.name}/{'video' if video else 'image'}"
    schema = CompressedVideo if video else CompressedImage
    kind = Kind(schema, {"fps": f"{camera.fps:g}", "depth_unit_m": f"{camera.depth_unit_m:g}"})
    for index, mono_ns in enumerate(camera.t_captured_ns.tolist()):
        taken = clock(mono_ns)
        had = taken if arrived_ns is None else max(taken, clock(arrived_ns[index]))
        said = schema(frame_id=camera.name, data=camera.encoded(index), format=_FORMATS[camera.codec])
        said.timestamp.FromNanoseconds(taken)
        yield Message(had, taken, topic, kind, said)


_FORMATS: Final = {
    PictureCodec.H264: "h264",
    PictureCodec.JPEG: "jpeg",
    PictureCodec.PNG: "png",
    PictureCodec.DEPTH16: "png",
}


def camera(episode: Episode, name: str) -> Iterator[Message]:
    """Yield what is known of a camera that recorded: at the start its calibration and place, then its troubles."""
    streams = _placed(episode.meta, name), _troubles(episode, name), _marks(episode, name)
    return heapq.merge(*streams, key=lambda message: message.log_ns)


def drawn_camera(episode: Episode, camera: Pictures) -> Iterator[Message]:
    """Yield the calibration and place of a camera that was drawn; the place again, with each picture, if it moves."""
    if camera.geometry is None:
        return
    clock, name, size = wall_clock(episode.meta), camera.name, (camera.width, camera.height)
    matrix, places = camera.geometry.intrinsics, camera.geometry.extrinsics
    lens = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    moves = bool((places != places[:1]).any())
    poses = [(name, np.array([_pose(place) for place in (places if moves else places[:1])]))]
    for index, mono_ns in enumerate(camera.t_captured_ns[: len(poses[0][1])].tolist()):
        at = clock(mono_ns)
        if index == 0:
            yield _message(at, f"/camera/{name}/calibration", CameraCalibration, _calibrated(name, size, lens))
        yield _message(at, "/tf", FrameTransforms, _transforms(at, index, poses))


def _pose(frame: Vector) -> Vector:
    """Return a frame (4, 4) as a pose (7,)."""
    return np.concatenate([frame[:3, 3], from_matrix(frame[:3, :3])])


def _placed(meta: Meta, name: str) -> Iterator[Message]:
    at, known = wall_clock(meta)(int(meta.t_mono_ns)), meta.recorded[name]
    if known.intrinsics:
        calibrated = _calibrated(name, (known.width, known.height), known.intrinsics)
        yield _message(at, f"/camera/{name}/calibration", CameraCalibration, calibrated)
    if known.extrinsics:
        placed = [(name, np.array([known.extrinsics]))]
        yield _message(at, "/tf", FrameTransforms, _transforms(at, 0, placed, parent=known.mount or BASE_FRAME))


def _troubles(episode: Episode, name: str) -> Iterator[Message]:
    clock, kind = wall_clock(episode.meta), Kind(Event)
    for from_ns, to_ns, trouble, count in episode.arrays[camera_path(name, "events")].tolist():
        said = {"trouble": Trouble(trouble).name.lower(), "pictures": str(count)}
        event = Event(metadata=[KeyValuePair(key=key, value=value) for key, value in said.items()])
        event.start_time.FromNanoseconds(clock(from_ns))
        event.end_time.FromNanoseconds(clock(to_ns))
        yield Message(clock(from_ns), clock(from_ns), f"/camera/{name}/events", kind, event)


def _marks(episode: Episode, name: str) -> Iterator[Message]:
    clock, kind = wall_clock(episode.meta), Kind("armshare.Marks")
    marks, arrived_ns = (episode.arrays[camera_path(name, part)] for part in ("marks", "t_arrived_mono_ns"))
    for index in np.flatnonzero(marks).tolist():
        at, found = clock(arrived_ns[index]), Mark(int(marks[index]))
        said = {one.name.lower(): one in found for one in (Mark.FROZEN, Mark.BLACK, Mark.LATE) if one.name}
        yield Message(at, at, f"/camera/{name}/marks", kind, {"picture": index, **said})


def _calibrated(name: str, size: tuple[int, int], lens: Sequence[float]) -> CameraCalibration:
    """Return the calibration of a lens `fx, fy, cx, cy`, then its distortion."""
    fx, fy, cx, cy, *distortion = lens
    return CameraCalibration(
        frame_id=name,
        width=size[0],
        height=size[1],
        distortion_model="plumb_bob" if len(distortion) <= 5 else "rational_polynomial",
        D=distortion,
        K=[fx, 0, cx, 0, fy, cy, 0, 0, 1],
        R=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        P=[fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0],
    )


def _message(at: int, topic: str, schema: Any, said: Any) -> Message:
    """Return a message whose `timestamp`, if it has one, is its log time."""
    if "timestamp" in schema.DESCRIPTOR.fields_by_name:
        said.timestamp.FromNanoseconds(at)
    return Message(at, at, topic, Kind(schema), said)


_Fingers: TypeAlias = Sequence[tuple[str, Vector]]


def _measured(episode: Episode) -> Callable[[int], JointStates]:
    observed, spec = episode.observations, episode.meta.spec
    fingers = _fingers(episode, observed.get("gripper_position"))
    return _joints(spec.joint_names, observed["joint_position"], observed.get("joint_velocity"), fingers)


def _joints(
    names: Sequence[str], position: Vector, velocity: Vector | None, fingers: _Fingers
) -> Callable[[int], JointStates]:
    """Return what makes the message of one row."""

    def row(index: int) -> JointStates:
        speeds = [None] * len(names) if velocity is None else velocity[index].tolist()
        measured = zip(names, position[index].tolist(), speeds, strict=True)
        made = [JointState(name=name, position=at, velocity=speed) for name, at, speed in measured]
        made += [JointState(name=name, position=float(at[index])) for name, at in fingers]
        return JointStates(joints=made)

    return row


def _fingers(episode: Episode, opening: Vector | None) -> _Fingers:
    """Return the URDF's finger joints with their positions (n,), from openings (n, K) in [0, 1]."""
    ends = episode.meta.spec.end_effectors
    if opening is None or opening.shape[1:] != (len(ends),):
        return []
    return [named for hand, end in enumerate(ends) for named in _fingers_of(end, opening[:, hand])]


def _fingers_of(end: EndEffectorMeta, opening: Vector) -> Iterator[tuple[str, Vector]]:
    for name, (closed, opened) in end.gripper_joints.items():
        yield name, closed + opening * (opened - closed)


def _poses(episode: Episode) -> list[tuple[str, Vector]]:
    """Return each observed pose: its name, (N+1, 7)."""
    return [(name, array) for name, array in episode.observations.items() if array.shape[1:] == (7,)]


def _other_arrays(episode: Episode) -> list[tuple[str, Kind, Vector]]:
    shown = {"joint_position", "joint_velocity", *(name for name, _ in _poses(episode))}
    units = {array.name: array for array in episode.meta.spec.observation}
    return [
        (name, Kind("armshare.Array", {"unit": units[name].unit, "doc": units[name].doc}), array)
        for name, array in episode.observations.items()
        if name not in shown
    ]


def _transforms(at: int, index: int, poses: Sequence[tuple[str, Vector]], parent: str = BASE_FRAME) -> FrameTransforms:
    made = FrameTransforms()
    for name, array in poses:
        x, y, z, qx, qy, qz, qw = array[index].tolist()
        one: FrameTransform = made.transforms.add()
        one.timestamp.FromNanoseconds(at)
        one.parent_frame_id, one.child_frame_id = parent, name
        one.translation.x, one.translation.y, one.translation.z = x, y, z
        one.rotation.x, one.rotation.y, one.rotation.z, one.rotation.w = qx, qy, qz, qw
    return made


def _column(episode: Episode, path: str) -> NDArray[Any] | None:
    """Return a dataset that only some versions of the format have."""
    return episode.arrays.get(path)


def _plain(values: NDArray[Any]) -> list[float | None]:
    return [_finite(value) for value in values.ravel().tolist()]


def _finite(value: float) -> float | None:
    """Return a number as JSON has it: nothing for one that is not finite."""
    return value if math.isfinite(value) else None
