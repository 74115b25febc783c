"""The control plane: the JSON messages of both websockets, each a frozen struct, strictly decoded.

`PROTOCOL.md` describes them; `error(...)` makes the only answer to anything else.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from teleop.wire.driver import Driver
from teleop.wire.messages import PROTOCOL
from teleop.wire.notes import NoteText
from teleop.wire.reasons import EndReason
from teleop.wire.rules import RulesVersion

Epoch = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Count = Annotated[int, Meta(ge=0)]
Stop = Annotated[str, Meta(pattern=r"^0x[0-9a-f]{64}$(?!\n)", min_length=66, max_length=66)]
"""The name of what is latched, a stop or a fault: 32 random bytes of its host, as 0x-hex."""

TIMES_MAX: Final = 1_000_000
Times = Annotated[int, Meta(ge=1, le=TIMES_MAX)]
Seconds = Annotated[float, Meta(ge=0, le=1e6)]
CameraName = Annotated[str, Meta(min_length=1, max_length=64)]
PictureTrouble = Literal["missing", "frozen", "black", "dropped", "lost"]
"""What is wrong with a camera's pictures: the names of FORMAT.md, section 1.4."""


class SignallingError(Exception):
    """A control message cannot be served; `code` and the message go back to the sender."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", tag_field="type"):
    """Any control message; its `type` is the class's name in snake case."""


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The values of a `SessionGrant`."""

    operator: str
    session_key: str
    robot: str
    task: str
    nonce: str
    not_after_ms: int

    @property
    def values(self) -> dict[str, Any]:
        """The EIP-712 values that the wallet signed."""
        return dict(msgspec.to_builtins(self))


class Refusal(Message, frozen=True, tag="error", rename=None):
    """Hub: the request was not carried out; the message says what was expected, what came and what to do."""

    code: str
    message: str


class Hello(Message, frozen=True, tag=_snake):
    """Operator: the first frame."""

    protocol: int
    token: str


class Join(Message, frozen=True, tag=_snake):
    """Operator: queue for a robot."""

    grant: Grant
    signature: str


class Begin(Message, frozen=True, tag=_snake):
    """Operator: start an episode, and say who or what drives it."""

    driver: Driver


class Note(Message, frozen=True, tag=_snake):
    """Operator: keep these words with the episode that is being recorded, at this moment of it."""

    text: NoteText


class Finish(Message, frozen=True, tag=_snake):
    """Operator: end the episode, and say whether the task was done."""

    said: bool | None = None
    """The operator's word, which nobody takes for a fact; null if they say nothing."""


class Leave(Message, frozen=True, tag=_snake):
    """Operator: give the robot back, or leave the queue."""


class Estop(Message, frozen=True, tag=_snake):
    """Anyone: stop the robot, latched."""

    robot: str


class Clear(Message, frozen=True, tag=_snake):
    """The owner: release what is latched under that name, an e-stop or a fault; signed as `ClearRobot`."""

    robot: str
    stop: Stop
    signature: str


class Resume(Message, frozen=True, tag=_snake):
    """Operator: go on with a lease that this wallet holds, whose connection was lost; on a connection of its own."""

    lease: str
    driver: Driver
    """Who or what drives on: who or what began the episode, or a person."""


class Watch(Message, frozen=True, tag=_snake):
    """Anyone: see the robot's states."""

    robot: str


class Look(Message, frozen=True, tag=_snake):
    """Viewer: the first frame of /ws/camera. `codecs` are in order of preference."""

    protocol: int
    token: str
    robot: str
    camera: str
    codecs: list[str]


FromViewer = Look

FromOperator = Hello | Join | Resume | Begin | Note | Finish | Leave | Estop | Clear | Watch


class HostHello(Message, frozen=True, tag="hello", rename=None):
    """Host: who it is, with proof, and its robot's descriptor."""

    protocol: int
    robot: str
    signature: str
    descriptor: dict[str, Any]
    estopped: bool
    stop: Stop | None = None
    """What its owner's clear must name, if it is stopped."""
    takes_rules: bool = False
    """Whether it records the `rules` that `begin` names; a host of an earlier release says nothing of it."""
    takes_word: bool = False
    """Whether it records what an operator says at `finish`; a host of an earlier release knows no such field."""


class Refused(Message, frozen=True, tag=_snake, rename=None):
    """Host: the lease is refused."""

    lease: str
    reason: str


class Ready(Message, frozen=True, tag=_snake, rename=None):
    """Host: the scene is reset."""

    episode: str
    seed: Count


class HostNoted(Message, frozen=True, tag="noted", rename=None):
    """Host: a note is kept with the open episode, which has so many now."""

    episode: str
    notes: Count


class Ended(Message, frozen=True, tag=_snake, rename=None):
    """Host: the episode is over; `kept` if it has at least one step."""

    episode: str
    kept: bool
    steps: Count
    success: bool | None
    valid: bool
    reason: EndReason


class HostResumed(Message, frozen=True, tag="resumed", rename=None):
    """Host: the operator who came back may drive; what is open, and how much of it had been recorded at which state."""

    lease: str
    epoch: Epoch
    episode: str | None
    steps: Count
    seq: Count
    """The number of the last state: the next one comes with one step more."""


class Estopped(Message, frozen=True, tag=_snake, rename=None):
    """Host: the e-stop is latched."""

    by: str
    stop: Stop


class Cleared(Message, frozen=True, tag=_snake, rename=None):
    """Host: the e-stop, or the fault, is released."""

    by: str


class Faulted(Message, frozen=True, tag=_snake, rename=None):
    """Host: the robot broke, and is not driven until its owner clears that; sent again if the reason changes."""

    reason: str
    stop: Stop


class NotCleared(Message, frozen=True, tag=_snake, rename=None):
    """Host: a clear was refused, and why; what is latched is told again after it."""

    reason: str


class CannotRecord(Message, frozen=True, tag=_snake, rename=None):
    """Host: no episode can be recorded, and begin is refused; the reason is what a sentence on that ends with."""

    reason: str


class CanRecord(Message, frozen=True, tag=_snake, rename=None):
    """Host: episodes can be recorded again."""


class CameraTroubled(Message, frozen=True, tag="camera_trouble", rename=None):
    """Host: what is wrong, or was, with the pictures of a camera that records the open episode, or the last one."""

    episode: str
    camera: CameraName
    trouble: PictureTrouble
    times: Times
    """How often it has come in this episode, a million for more; the rest is about the last time."""
    from_s: Seconds
    """From the episode's first observation."""
    until_s: Seconds | None
    """None while it goes on."""


class CameraHello(Message, frozen=True, tag="hello", rename=None):
    """Host: the first frame of /ws/host/camera; the token is that of its uploads."""

    protocol: int
    token: str


FromCamera = CameraHello

FromHost = (
    HostHello
    | Refused
    | Ready
    | HostNoted
    | Ended
    | HostResumed
    | Estopped
    | Cleared
    | Faulted
    | NotCleared
    | CannotRecord
    | CanRecord
    | CameraTroubled
)


class Challenge(Message, frozen=True, tag=_snake, rename=None):
    """Hub to host: prove your key."""

    protocol: int
    challenge: str
    chain_id: int
    vault: str


class HostWelcome(Message, frozen=True, tag="welcome", rename=None):
    """Hub to host: you are in; uploads carry this token."""

    upload_token: str
    now_ms: Count | None = None
    """The hub's wall clock, so that clocks that differ can be named; older hubs do not say it."""


class HostCannotCheck(Message, frozen=True, tag="cannot_check", rename=None):
    """Hub to host: what is driven at a task cannot be checked here, so it waits and is not paid; why, for its log."""

    task: str
    reason: str


class LeaseOrder(Message, frozen=True, tag="lease", rename=None):
    """Hub to host: who may drive from now on."""

    lease: str
    epoch: Epoch
    operator: str
    grant: Grant
    signature: str
    task: str


class BeginOrder(Message, frozen=True, tag="begin", rename=None):
    """Hub to host: reset to this seed, and record what this driver does, to be scored by these rules."""

    episode: str
    seed: Count
    nonce: str
    driver: Driver
    rules: RulesVersion | None = None
    """What the episode must say; null from a hub of an earlier release, whose episodes say nothing of it."""


class NoteOrder(Message, frozen=True, tag="note", rename=None):
    """Hub to host: keep the operator's words with the episode that is being recorded."""

    text: NoteText


class FinishOrder(Message, frozen=True, tag="finish", rename=None):
    """Hub to host: end the episode."""

    reason: EndReason
    said: bool | msgspec.UnsetType = msgspec.UNSET
    """The operator's word whether the task was done; absent if they said nothing, or the host does not keep it."""


class Revoke(Message, frozen=True, tag=_snake, rename=None):
    """Hub to host: the lease is over."""

    epoch: Epoch
    reason: EndReason


class PauseOrder(Message, frozen=True, tag="pause", rename=None):
    """Hub to host: the operator's connection is gone; brake, and keep the episode open for them."""

    epoch: Epoch


class ResumeOrder(Message, frozen=True, tag="resume", rename=None):
    """Hub to host: the operator of this lease is back; their commands have a new epoch."""

    lease: str
    epoch: Epoch


class EstopOrder(Message, frozen=True, tag="estop", rename=None):
    """Hub to host: stop, latched."""

    by: str


class ClearOrder(Message, frozen=True, tag="clear", rename=None):
    """Hub to host: the owner releases what is latched under that name, and signed that as `ClearRobot`."""

    stop: Stop
    signature: str


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One camera in one codec."""

    camera: str
    codec: str


class Looked(Message, frozen=True, tag=_snake, rename=None):
    """Hub to host: exactly these cameras are being looked at."""

    streams: list[Stream]


ToHost = (
    Looked
    | Challenge
    | HostWelcome
    | HostCannotCheck
    | LeaseOrder
    | BeginOrder
    | NoteOrder
    | FinishOrder
    | PauseOrder
    | ResumeOrder
    | Revoke
    | EstopOrder
    | ClearOrder
    | Refusal
)


class Welcome(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: you are in; a grant is signed over this nonce."""

    protocol: int
    address: str
    nonce: str
    now_ms: Count | None = None
    """The hub's wall clock, so that clocks that differ can be named; older hubs do not say it."""


class Queued(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: where you are in the queue."""

    robot: str
    position: Count
    length: Count
    wait_s: Count
    """How long the wait will probably take."""


class Waiting(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator who holds a robot: how many wait for it, again whenever that changes."""

    length: Count
    left_s: Count
    """After this long the robot goes to the next in the queue, if anyone is waiting then."""


class Granted(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: the robot is yours, described as it is at the task that was asked for."""

    lease: str
    epoch: Epoch
    robot: dict[str, Any]
    task: dict[str, Any] | None


class Resumed(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: the drive is yours again; at state `seq` of this epoch, `steps` had been recorded."""

    lease: str
    epoch: Epoch
    episode: str
    steps: Count
    seq: Count
    robot: dict[str, Any]
    task: dict[str, Any] | None
    driver: Driver
    """Who or what began the episode. A person who drives on in place of a program marks that (`intervention`)."""


class EpisodeReady(Message, frozen=True, tag="ready", rename=None):
    """Hub to operator: the scene is reset; drive."""

    episode: str
    seed: Count
    task: dict[str, Any] | None


class Noted(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: your note is kept with the episode, which has so many now."""

    episode: str
    notes: Count


class EpisodeEnded(Message, frozen=True, tag="ended", rename=None):
    """Hub to operator: the episode is over; `episode` is null if nothing of it is kept."""

    episode: str | None
    steps: Count
    success: bool | None
    valid: bool
    reason: EndReason


class Left(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: the lease, the place in the queue, or the watching is over."""

    reason: str


class RobotStopped(Message, frozen=True, tag="estopped", rename=None):
    """Hub to everyone at a robot: its e-stop is latched."""

    robot: str
    by: str
    stop: Stop
    """What its owner's clear must name."""


class RobotFaulted(Message, frozen=True, tag="faulted", rename=None):
    """Hub to everyone at a robot: it broke; the reason is its host's sentence."""

    robot: str
    reason: str
    stop: Stop
    """What its owner's clear must name."""


class RobotCleared(Message, frozen=True, tag="cleared", rename=None):
    """Hub to everyone at a robot: its e-stop, or its fault, is released."""

    robot: str
    by: str


class RobotCannotRecord(Message, frozen=True, tag="cannot_record", rename=None):
    """Hub to everyone at a robot: its host cannot record, and says why; nothing that is driven would be kept."""

    robot: str
    reason: str


class RobotCanRecord(Message, frozen=True, tag="can_record", rename=None):
    """Hub to everyone at a robot: its host can record again."""

    robot: str


class RobotCannotCheck(Message, frozen=True, tag="cannot_check", rename=None):
    """Hub to who is at a robot: what is driven at their task cannot be checked now, so it waits and is not paid."""

    robot: str
    task: str
    reason: str


class RobotCameraTroubled(Message, frozen=True, tag="camera_trouble", rename=None):
    """Hub to who drives: what is wrong, or was, with a camera's pictures; in place of what was said of it before."""

    episode: str
    camera: CameraName
    trouble: PictureTrouble
    times: Times
    """How often it has come in this episode, a million for more; the rest is about the last time."""
    from_s: Seconds
    """From the episode's first observation."""
    until_s: Seconds | None
    """None while it goes on."""


class Looking(Message, frozen=True, tag=_snake, rename=None):
    """Hub to viewer: frames follow, of this camera in this codec."""

    camera: str
    codec: str


ToViewer = Looking | Refusal


class Watching(Message, frozen=True, tag=_snake, rename=None):
    """Hub to operator: the robot's states follow, laid out as it is at this task; again when it is at another."""

    robot: dict[str, Any]
    task: dict[str, Any] | None
    epoch: Epoch
    """States of an earlier epoch may be of another task."""


ToOperator = (
    Welcome
    | Queued
    | Waiting
    | Granted
    | Resumed
    | EpisodeReady
    | Noted
    | EpisodeEnded
    | Left
    | RobotStopped
    | RobotFaulted
    | RobotCleared
    | RobotCannotRecord
    | RobotCanRecord
    | RobotCannotCheck
    | RobotCameraTroubled
    | Watching
    | Refusal
)

_Any = TypeVar("_Any")
_FROM_OPERATOR: Final[msgspec.json.Decoder[FromOperator]] = msgspec.json.Decoder(FromOperator)
_FROM_HOST: Final[msgspec.json.Decoder[FromHost]] = msgspec.json.Decoder(FromHost)
_FROM_VIEWER: Final[msgspec.json.Decoder[FromViewer]] = msgspec.json.Decoder(FromViewer)
_FROM_CAMERA: Final[msgspec.json.Decoder[FromCamera]] = msgspec.json.Decoder(FromCamera)
_TO_HOST: Final[msgspec.json.Decoder[ToHost]] = msgspec.json.Decoder(ToHost)


def from_operator(text: str | bytes) -> FromOperator:
    """Read an operator's frame; raise SignallingError (`malformed` or `unknown_type`)."""
    return _decoded(_FROM_OPERATOR, text)


def from_host(text: str | bytes) -> FromHost:
    """Read a host's frame; raise SignallingError."""
    return _decoded(_FROM_HOST, text)


def from_viewer(text: str | bytes) -> FromViewer:
    """Read a viewer's first frame; raise SignallingError."""
    return _decoded(_FROM_VIEWER, text)


def from_camera(text: str | bytes) -> FromCamera:
    """Read the first frame of a host's cameras; raise SignallingError."""
    return _decoded(_FROM_CAMERA, text)


def to_host(text: str | bytes) -> ToHost:
    """Read the hub's frame, as a host; raise SignallingError."""
    return _decoded(_TO_HOST, text)


class _Versioned(msgspec.Struct, frozen=True):
    """The only part of a first message that is read before its version is known to be ours."""

    protocol: int


_VERSIONED: Final = msgspec.json.Decoder(_Versioned)


def require_protocol(frame: str | bytes, todo: str) -> None:
    """Raise SignallingError (`protocol`) if a first message names another version, whatever else it holds.

    A message that names no version is left to its reader.
    """
    try:
        named = _VERSIONED.decode(frame).protocol
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if named != PROTOCOL:
        raise SignallingError("protocol", f"expected protocol {PROTOCOL}, got {named}; {todo}")


def _decoded(decoder: msgspec.json.Decoder[_Any], text: str | bytes) -> _Any:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        code = "unknown_type" if "Invalid value" in str(error) and "$.type" in str(error) else "malformed"
        raise SignallingError(code, f"expected a message of the control plane (PROTOCOL.md): {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SignallingError("malformed", f"expected one JSON object: {error}") from error


def encode(message: Message) -> str:
    """Return a message's JSON text."""
    return msgspec.json.encode(message).decode()


def error(code: str, message: str) -> str:
    """Return the JSON text of an error."""
    return encode(Refusal(code, message))
