"""What teleop produces: one episode as a start, its steps, and an end, handed on through a bounded queue.

A step holds what was asked, what was done after safety, and what was then seen, with the clocks of the host. The
monotonic clock orders and measures; the wall clock only dates. They are never subtracted from each other.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from sim.motion.control import LimitEvent
from sim.robot import Action, Observation, RobotSpec, Vector
from teleop.wire.driver import PERSON as PERSON
from teleop.wire.driver import Driver as Driver
from teleop.wire.driver import DriverKind as DriverKind
from teleop.wire.messages import Command, Safety
from teleop.wire.notes import NOTE_CHARACTERS_MAX as NOTE_CHARACTERS_MAX
from teleop.wire.notes import NOTES_MAX as NOTES_MAX
from teleop.wire.notes import NoteText
from teleop.wire.reasons import EndReason

QUEUE_STEPS: Final = 512
"""How far a recorder may fall behind: 25 s at 20 Hz; then the episode ends, invalid."""


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that was said while driving."""

    t_mono_ns: Annotated[int, msgspec.Meta(ge=0)]
    """The host's monotonic clock."""
    text: NoteText


class FilmHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A camera that records beside the steps; goes into `/meta` of the episode as it is (FORMAT.md, section 1.4)."""

    name: str
    codec: str
    """`h264` (Annex B, one access unit to a picture), `jpeg`, `png` (lossless), `depth16` (PNG of 16 bits)."""
    width: int
    height: int
    fps: float
    """The rate that was asked of the device."""
    timed: str
    """`device` if `t_captured_ns` is the device's own time, `arrival` if it is when the picture came."""
    encoder: str = ""
    """The encoder and its settings, as text."""
    depth_unit_m: float = 0.0
    """Of `depth16`: how far away 1 is; 0 for other codecs."""
    intrinsics: tuple[float, ...] = ()
    """fx, fy, cx, cy (pixels), then OpenCV's distortion coefficients; empty if nobody has measured them."""
    mount: str = ""
    """The link that carries the camera; empty: it stands in the room."""
    extrinsics: tuple[float, ...] = ()
    """The camera's frame in that of `mount` (of the base, if it stands in the room): x y z in m, quaternion x y z w.
    Its x points right, its y down and its z along the view. Empty if nobody has measured it."""


@dataclass(frozen=True, slots=True)
class EpisodeStart:
    """All that is known when recording begins."""

    episode: str
    robot: str
    """The robot's address."""
    robot_name: str
    spec: RobotSpec
    operator: str
    grant: Mapping[str, Any]
    """The values of the `SessionGrant` that the operator's wallet signed."""
    grant_signature: str
    seed: int
    nonce: str
    """The hub's, so that an episode cannot be made before it is asked for."""
    initial: Observation
    t_mono_ns: int
    t_wall_ns: int
    cameras: tuple[FilmHead, ...] = ()
    """Those that record: each has a film beside the journal, unless its process failed."""
    driver: Driver = PERSON
    rules: str | None = None
    """The version of the scoring rules that the hub named in its order; None if it named none."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A command as it came, of the lease's epoch, in order, and linked to the one before it."""

    data: bytes
    arrived_ns: int
    """Monotonic."""
    admitted: bool
    """Whether it counted; False if it was stale."""


@dataclass(frozen=True, slots=True)
class Step:
    """One control period."""

    index: int
    commanded: Command | None
    """The newest admitted command of the lease; None if there was none yet."""
    safety: Safety
    applied: Action
    """What the robot's `send_action` returned."""
    applied_ee_pose: Vector
    """(K, 7) m and quaternion: the pose in which `applied` puts the end effectors, by forward kinematics."""
    observed: Observation
    """What was seen at the end of the period."""
    t_sent_ns: int
    """Monotonic: just before the action was handed to the robot."""
    t_observed_ns: int
    """Monotonic: just after the observation came back."""
    t_wall_ns: int
    t_began_ns: int
    """Monotonic: when the period began. What had arrived by then counts."""
    limits: tuple[LimitEvent, ...] = ()
    commands: tuple[Taken, ...] = ()
    """What came since the period before; with the first step, at least the command that it obeys."""


@dataclass(frozen=True, slots=True)
class EpisodeEnd:
    """How an episode ended."""

    episode: str
    steps: int
    success: bool | None
    reason: EndReason
    t_mono_ns: int
    t_wall_ns: int
    notes: tuple[Note, ...] = ()
    """At most `NOTES_MAX`, in order: those that came between the steps."""
    said: bool | None = None
    """Whether the task was done, in the operator's word as they finished; None if they said nothing."""


EpisodeEvent = EpisodeStart | Step | Note | EpisodeEnd


@dataclass(frozen=True, slots=True)
class CannotRecord:
    """What keeps a recorder from keeping steps: a driver would drive for nothing."""

    says: str
    """What happened, as the rest of a sentence about the robot's computer: "its disk is full"."""
    reason: EndReason
    """How an episode that is open ends."""


class Events(queue.Queue[EpisodeEvent | None]):
    """The stream that teleop produces; None says that no more will come.

    A thread that waits in `get` is woken at once for a start or an end, and for every `steps_together`th step of an
    episode: waking it for each step would cost the control loop more than handing the step on.
    """

    def __init__(self, steps_together: int = 1) -> None:
        super().__init__()
        self._steps_together = steps_together

    def put(self, item: EpisodeEvent | None, block: bool = True, timeout: float | None = None) -> None:
        """Hand on an event, without ever waiting for its reader."""
        with self.mutex:
            self._put(item)
            if not isinstance(item, Step) or (item.index + 1) % self._steps_together == 0:
                self.not_empty.notify()
