"""What is known about an episode besides its arrays: the file's `/meta`, as typed values and as canonical JSON.

The parts that the manifest repeats (robot, operator, grant) have the same types there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

import msgspec
import rfc8785

from recorder.file.layout import (
    ARRAY_NAME,
    CAMERA_NAME,
    FORMAT,
    HANDS_MAX,
    JOINTS_MAX,
    META_BYTES_MAX,
    VERSION,
    VERSIONS,
    Column,
    Sizes,
    columns,
    require_episode_id,
    with_action,
)
from recorder.pictures.channel import PictureCodec
from recorder.pictures.units import PIXELS_MAX, SIDE_MAX
from sim.robot import RESOLUTION_MAX_RAD, EndEffector, MobileBase, RobotSpec, TaskSpec
from teleop.cameras.film import RECORDING_MAX
from teleop.steps import NOTE_CHARACTERS_MAX, NOTES_MAX, PERSON, Driver, EpisodeEnd, EpisodeStart, FilmHead
from teleop.wire.notes import cleaned
from teleop.wire.reasons import EndReason
from teleop.wire.rules import RulesVersion

Hex32 = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-f]{64}$(?!\n)")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
Address = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}$(?!\n)")]
Signature = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-f]{128}1[bc]$(?!\n)")]
"""65 bytes r, s, v; v is 27 or 28."""
Decimal = Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,18})$(?!\n)")]
Triple = tuple[float, float, float]
SafeInt = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Resolution = Annotated[float, msgspec.Meta(ge=0, le=RESOLUTION_MAX_RAD)]


class MetaError(ValueError):
    """An episode's metadata cannot be written, or a file's cannot be read."""


class RobotMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which robot; `urdf_sha256` maps each file of its description to the file's SHA-256."""

    address: Address
    name: str
    model: str
    simulated: bool
    urdf_sha256: dict[str, Sha256]


class OperatorMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who drove: the wallet, and the session key that it granted."""

    address: Address
    session_key: Address


class GrantValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The values of a `SessionGrant`."""

    operator: Address
    session_key: Address
    robot: Address
    task: str
    nonce: Hex32
    not_after_ms: Decimal

    def statement(self) -> dict[str, Any]:
        """Return the values as EIP-712 takes them."""
        return {**msgspec.to_builtins(self), "notAfterMs": int(self.not_after_ms)}


class GrantMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The grant with the wallet's signature."""

    values: GrantValues
    signature: str


class TaskMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator was asked to do."""

    name: str
    version: int
    instruction: str
    max_steps: int
    success_hold_steps: int
    paraphrases: list[str]
    stages: list[str]


class ArrayMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One observation array."""

    name: Annotated[str, msgspec.Meta(pattern=rf"^{ARRAY_NAME.pattern}$(?!\n)")]
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=4096)]], msgspec.Meta(max_length=4)]
    unit: str
    doc: str


class EndEffectorMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One end effector; `pose` is the observation array that says where it is."""

    name: str
    link: str
    joint_names: list[str]
    workspace_lower_m: Triple
    workspace_upper_m: Triple
    gripper_joints: dict[str, tuple[float, float]]
    base_link: str | None
    pose: str


class BaseMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mobile base."""

    joint_names: tuple[str, str, str]
    speed_max_m_s: float
    turn_max_rad_s: float
    acceleration_max_m_s2: float
    turn_acceleration_max_rad_s2: float


class SpecMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The robot's limits and observation arrays, as in `sim.robot.RobotSpec`."""

    joint_names: Annotated[list[str], msgspec.Meta(max_length=JOINTS_MAX)]
    joint_lower_rad: list[float]
    joint_upper_rad: list[float]
    joint_velocity_max_rad_s: list[float]
    joint_acceleration_max_rad_s2: list[float]
    joint_jerk_max_rad_s3: list[float]
    home_rad: list[float]
    end_effectors: Annotated[list[EndEffectorMeta], msgspec.Meta(max_length=HANDS_MAX)]
    base: BaseMeta | None
    observation: Annotated[list[ArrayMeta], msgspec.Meta(max_length=256)]
    control_hz: Annotated[float, msgspec.Meta(gt=0, le=10_000)]
    joint_resolution_rad: list[Resolution] | msgspec.UnsetType = msgspec.UNSET
    """Version 1 has none."""

    @property
    def joints(self) -> int:
        """J."""
        return len(self.joint_names)

    @property
    def sizes(self) -> Sizes:
        """What gives the datasets their shapes."""
        return Sizes(self.joints, len(self.end_effectors), self.base is not None)

    @property
    def has_gripper(self) -> bool:
        """Whether any end effector can grip."""
        return any(end.gripper_joints for end in self.end_effectors)

    @property
    def arrays(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape of each observation array."""
        return [(array.name, tuple(array.shape)) for array in self.observation]

    @property
    def resolution_rad(self) -> list[float]:
        """(J,) rad: the smallest step in which a joint's position is measured or taken; zeros if nobody says."""
        return [0.0] * self.joints if self.joint_resolution_rad is msgspec.UNSET else self.joint_resolution_rad

    def columns(self, version: int, cameras: Iterable[str] = ()) -> tuple[Column, ...]:
        """Return every dataset but `/meta` of an episode of this robot with these cameras, by path."""
        return columns(version, self.sizes, self.arrays, cameras)


class CameraMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A camera that recorded pictures, as in `teleop.steps.FilmHead`."""

    codec: PictureCodec
    width: Annotated[int, msgspec.Meta(ge=1, le=SIDE_MAX)]
    height: Annotated[int, msgspec.Meta(ge=1, le=SIDE_MAX)]
    fps: Annotated[float, msgspec.Meta(gt=0, le=1000)]
    timed: Literal["device", "arrival"]
    encoder: Annotated[str, msgspec.Meta(max_length=1000)]
    depth_unit_m: Annotated[float, msgspec.Meta(ge=0, le=1)]
    intrinsics: Annotated[list[float], msgspec.Meta(max_length=18)]
    mount: Annotated[str, msgspec.Meta(max_length=64)]
    extrinsics: Annotated[list[float], msgspec.Meta(max_length=7)]

    def __post_init__(self) -> None:
        """Raise ValueError if the parts do not fit each other."""
        if self.width * self.height > PIXELS_MAX:
            raise ValueError(f"expected at most {PIXELS_MAX} pixels, got {self.width}x{self.height}")
        if (self.depth_unit_m > 0) is not (self.codec is PictureCodec.DEPTH16):
            raise ValueError(f"expected a unit for depth and for nothing else, got {self.depth_unit_m} m")
        if 0 < len(self.intrinsics) < 4 or len(self.extrinsics) not in (0, 7):
            found = len(self.intrinsics), len(self.extrinsics)
            raise ValueError(f"expected 0 or at least 4 intrinsics and 0 or 7 extrinsics, got {found}")


class NoteMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was said while driving."""

    t_mono_ns: Decimal
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_CHARACTERS_MAX)]


class EndMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an episode ended."""

    steps: SafeInt
    success: bool | None
    reason: EndReason
    t_mono_ns: Decimal
    t_wall_ns: Decimal
    notes: Annotated[list[NoteMeta], msgspec.Meta(max_length=NOTES_MAX)] | msgspec.UnsetType = msgspec.UNSET
    """Version 1 has none."""
    said: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether the task was done, in the operator's word as they finished: nobody computed it, and nobody is paid by it.

    Absent if they said nothing, as from any host of an earlier release.
    """


class ImportedAction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an imported episode's `/imported/action` holds, as the source says."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """`source`, or the action of `armshare export` that wrote the source."""
    names: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(min_length=1, max_length=4096)]


class ImportMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an imported episode comes from, and which of its values are the source's."""

    source: Annotated[str, msgspec.Meta(max_length=4096)]
    sha256: Sha256
    """Of the source: of its file, or of a list of its files and their digests."""
    format: Literal["lerobot", "robomimic"]
    format_version: Annotated[str, msgspec.Meta(max_length=64)]
    index: SafeInt
    """Which episode of the source it is."""
    name: Annotated[str, msgspec.Meta(max_length=200)]
    """What the source calls it."""
    software: str
    imported_ms: Decimal
    times: Literal["clock", "timestamps", "rate"]
    """What its times are: a clock's; the source's timestamps; or nominal, a step's number over the rate."""
    final: bool
    """Whether the source has an observation after the last action; else the last row of each is NaN."""
    action: ImportedAction
    values: dict[str, str]
    """Dataset -> what in the source it is from. What is not named here is unknown, whatever the dataset holds."""
    left_out: list[str]
    """What the source has and this file has not."""
    says: dict[str, str | float | bool]
    """What the source says of the episode: nobody signed it."""


class Meta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`/meta`; `end` is None while the episode is being recorded."""

    format: str
    version: int
    episode: str
    robot: RobotMeta
    spec: SpecMeta
    operator: OperatorMeta
    grant: GrantMeta
    task: TaskMeta
    seed: SafeInt
    nonce: Hex32
    engine: dict[str, str]
    t_mono_ns: Decimal
    t_wall_ns: Decimal
    end: EndMeta | None
    driver: Driver | msgspec.UnsetType = msgspec.UNSET
    """Version 1 has none."""
    cameras: Annotated[dict[str, CameraMeta], msgspec.Meta(max_length=RECORDING_MAX)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    """Version 1 has none."""
    rules: RulesVersion | msgspec.UnsetType = msgspec.UNSET
    """By which version of the scoring rules it is scored, as its hub said when it began; not every episode says it."""
    imported: ImportMeta | msgspec.UnsetType = msgspec.UNSET
    """Only there if it was imported from another format: then nobody signed it, and nobody ever will."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Every dataset but `/meta`, by path."""
        found = self.spec.columns(self.version, self.recorded)
        return found if self.origin is None else with_action(found, len(self.origin.action.names))

    @property
    def origin(self) -> ImportMeta | None:
        """Where it was imported from; None if a host recorded it."""
        return None if self.imported is msgspec.UNSET else self.imported

    @property
    def recorded(self) -> dict[str, CameraMeta]:
        """The cameras whose pictures are in the file, by name."""
        return {} if self.cameras is msgspec.UNSET else self.cameras

    @property
    def driven_by(self) -> Driver:
        """Who or what drove it; version 1 does not say, and only knew people."""
        return PERSON if self.driver is msgspec.UNSET else self.driver

    @property
    def notes(self) -> list[NoteMeta]:
        """What was said while driving."""
        return [] if self.end is None or self.end.notes is msgspec.UNSET else self.end.notes

    def encode(self) -> bytes:
        """Return canonical JSON; raise MetaError if a value has none (such as an infinite limit)."""
        data = canonical(self)
        if len(data) > META_BYTES_MAX:
            raise MetaError(f"{self.episode}: expected at most {META_BYTES_MAX} bytes of /meta, got {len(data)}")
        return data


_META: Final = msgspec.json.Decoder(Meta)
_CAMERA: Final = msgspec.json.Decoder(CameraMeta)


def canonical(value: object) -> bytes:
    """Return RFC 8785 JSON of structs or plain values; raise MetaError if a number cannot be written in it."""
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except rfc8785.CanonicalizationError as error:
        raise MetaError(f"expected finite numbers, and integers up to 2^53: {error}") from error


def decode_meta(data: bytes) -> Meta:
    """Read `/meta`; raise MetaError unless it is canonical, correctly typed, and of a known version."""
    try:
        meta = _META.decode(data)
    except (ValueError, RecursionError) as error:
        raise MetaError(f"/meta is not what FORMAT.md section 1.1 says: {error}") from error
    if meta.format != FORMAT or meta.version not in VERSIONS:
        raise MetaError(f"expected {FORMAT} of {VERSIONS}, got {meta.format!r} {meta.version}; use a newer reader")
    if meta.encode() != data:
        raise MetaError("/meta is not canonical JSON (RFC 8785); it must be byte for byte what the writer made")
    require_episode_id(meta.episode)
    _require_version(meta)
    _require_lengths(meta.spec, meta.version)
    _require_robot_or_import(meta)
    _require_cameras(meta)
    _require_notes(meta)
    return meta


def _require_version(meta: Meta) -> None:
    """Raise MetaError if it says what its version does not know, or not what it must."""
    newer: dict[str, object] = {"driver": meta.driver, "cameras": meta.cameras}
    newer |= {} if meta.end is None else {"end.notes": meta.end.notes}
    for name, value in newer.items():
        if (value is msgspec.UNSET) is not (meta.version == 1):
            raise MetaError(f"expected {name} from version 2 on, got {value} in version {meta.version}")
    if meta.rules is not msgspec.UNSET and meta.version == 1:
        raise MetaError(f"expected no rules in version 1, got {meta.rules!r}")


def _require_cameras(meta: Meta) -> None:
    if meta.recorded and meta.robot.simulated and meta.origin is None:
        raise MetaError("expected no cameras of a simulated robot: its pictures are drawn from its states")
    if len(meta.recorded) > RECORDING_MAX:
        raise MetaError(f"expected at most {RECORDING_MAX} cameras, got {len(meta.recorded)}")
    if wrong := [name for name in meta.recorded if not CAMERA_NAME.fullmatch(name)]:
        raise MetaError(f"expected names of cameras of 1 to 64 letters, digits, - or _, got {wrong}")


def _require_notes(meta: Meta) -> None:
    if wrong := [note.text for note in meta.notes if cleaned(note.text) != note.text]:
        raise MetaError(f"expected notes without control characters or spaces at their ends, got {wrong[0]!r}")
    times = [int(note.t_mono_ns) for note in meta.notes]
    if times != sorted(times):
        raise MetaError("expected the notes in order of their times")


_PER_JOINT: Final = (
    "joint_lower_rad",
    "joint_upper_rad",
    "joint_velocity_max_rad_s",
    "joint_acceleration_max_rad_s2",
    "joint_jerk_max_rad_s3",
    "home_rad",
)


def _require_lengths(spec: SpecMeta, version: int) -> None:
    resolution = spec.joint_resolution_rad
    if (resolution is msgspec.UNSET) is not (version == 1):
        raise MetaError(f"expected spec.joint_resolution_rad from version 2 on, got {resolution} in version {version}")
    for name in _PER_JOINT:
        if len(getattr(spec, name)) != spec.joints:
            raise MetaError(f"expected {spec.joints} values in spec.{name}, got {len(getattr(spec, name))}")
    if len(spec.resolution_rad) != spec.joints:
        found = len(spec.resolution_rad)
        raise MetaError(f"expected {spec.joints} values in spec.joint_resolution_rad, got {found}")
    names = [array.name for array in spec.observation]
    if len(set(names)) != len(names):
        raise MetaError(f"expected distinct observation names, got {names}")
    poses = {array.name for array in spec.observation if array.shape == [7]}
    if lost := [end.pose for end in spec.end_effectors if end.pose not in poses]:
        raise MetaError(f"expected an observation of 7 numbers for each end effector, got none called {lost}")


def _require_robot_or_import(meta: Meta) -> None:
    """Raise MetaError unless it has joints, a hand and their positions, or was imported from a set that has none."""
    if meta.origin is None:
        names = [array.name for array in meta.spec.observation]
        if not meta.spec.joint_names or not meta.spec.end_effectors or "joint_position" not in names:
            raise MetaError(f"expected joints, an end effector, and an observation joint_position, got {names}")
    elif meta.version == 1:
        raise MetaError("expected an import to have version 2, got 1")


def start_meta(start: EpisodeStart, urdf_sha256: dict[str, str]) -> Meta:
    """Return the meta of an episode that is starting; raise MetaError if its cameras cannot be recorded."""
    spec = start.spec
    values = GrantValues(
        operator=start.grant["operator"],
        session_key=start.grant["sessionKey"],
        robot=start.grant["robot"],
        task=start.grant["task"],
        nonce=start.grant["nonce"],
        not_after_ms=str(start.grant["notAfterMs"]),
    )
    meta = Meta(
        format=FORMAT,
        version=VERSION,
        episode=require_episode_id(start.episode),
        robot=RobotMeta(start.robot, start.robot_name, spec.model.name, spec.simulated, urdf_sha256),
        spec=spec_meta(spec),
        operator=OperatorMeta(start.operator, values.session_key),
        grant=GrantMeta(values, start.grant_signature),
        task=task_meta(spec.task, values.task),
        seed=start.seed,
        nonce=start.nonce,
        engine=dict(spec.engine),
        t_mono_ns=str(start.t_mono_ns),
        t_wall_ns=str(start.t_wall_ns),
        end=None,
        driver=start.driver,
        cameras={head.name: camera_meta(head) for head in start.cameras},
        rules=msgspec.UNSET if start.rules is None else start.rules,
    )
    _require_cameras(meta)
    return meta


def end_meta(end: EpisodeEnd) -> EndMeta:
    """Return the meta of an episode's end."""
    notes = [NoteMeta(str(note.t_mono_ns), note.text) for note in end.notes]
    said = msgspec.UNSET if end.said is None else end.said
    return EndMeta(end.steps, end.success, end.reason, str(end.t_mono_ns), str(end.t_wall_ns), notes, said)


def camera_meta(head: FilmHead) -> CameraMeta:
    """Return what an episode says about a camera; raise MetaError if no episode may say that."""
    said = msgspec.to_builtins(head)
    del said["name"]
    try:
        return _CAMERA.decode(msgspec.json.encode(said))
    except msgspec.ValidationError as error:
        raise MetaError(f"the camera {head.name!r} cannot be recorded: {error}") from error


def task_meta(task: TaskSpec | None, granted: str) -> TaskMeta:
    """Return what an episode says about its task."""
    if task is None:
        return TaskMeta(granted, 0, "", 0, 0, [], [])
    said = task.instruction, task.max_steps, task.success_hold_steps, list(task.paraphrases), list(task.stages)
    return TaskMeta(task.name, task.version, *said)


def spec_meta(spec: RobotSpec) -> SpecMeta:
    """Return what an episode says about its robot."""
    return SpecMeta(
        joint_names=list(spec.joint_names),
        **{name: getattr(spec, name).tolist() for name in _PER_JOINT},
        end_effectors=[_end_effector_meta(end) for end in spec.end_effectors],
        base=None if spec.base is None else _base_meta(spec.base),
        observation=[ArrayMeta(a.name, list(a.shape), a.unit, a.doc) for a in spec.observation],
        control_hz=spec.control_hz,
        joint_resolution_rad=spec.joint_resolution_rad.tolist(),
    )


def _end_effector_meta(end: EndEffector) -> EndEffectorMeta:
    return EndEffectorMeta(
        name=end.name,
        link=end.link,
        joint_names=list(end.joint_names),
        workspace_lower_m=tuple(end.workspace_lower_m.tolist()),
        workspace_upper_m=tuple(end.workspace_upper_m.tolist()),
        gripper_joints=dict(end.gripper_joints),
        base_link=end.base_link,
        pose=end.pose,
    )


def _base_meta(base: MobileBase) -> BaseMeta:
    return BaseMeta(
        base.joint_names,
        base.speed_max_m_s,
        base.turn_max_rad_s,
        base.acceleration_max_m_s2,
        base.turn_acceleration_max_rad_s2,
    )
