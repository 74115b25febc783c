"""What a host and its camera process tell each other, over the socket that both share: JSON; states unchanged."""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence
from typing import Final

import msgspec

from teleop.cameras.film import RECORDING_MAX
from teleop.cameras.spec import CameraSpec
from teleop.wire import signalling
from teleop.wire.messages import JSON_BYTES_MAX, STATE_BYTES_MAX

ORDER_BYTES_MAX: Final = max(JSON_BYTES_MAX, STATE_BYTES_MAX)


class Setup(msgspec.Struct, frozen=True, tag=True):
    """The first order: the cameras, and the robot that they show."""

    hub_url: str
    cameras: list[CameraSpec]
    robot: str


class Scene(msgspec.Struct, frozen=True, tag=True):
    """What the states show from now on: the task that the robot is at, and the episode's seed, once one begins."""

    task: str
    layout: dict[str, list[int]]
    """The shapes of the observation's arrays, in the order of a state's values."""
    seed: int | None = None


class Uplink(msgspec.Struct, frozen=True, tag=True):
    """The token by which the hub knows this host; empty while there is no connection."""

    token: str


class Streams(msgspec.Struct, frozen=True, tag=True):
    """The streams that someone is looking at."""

    streams: list[signalling.Stream]


class Hold(msgspec.Struct, frozen=True, tag=True):
    """Whether somebody holds the robot: its real cameras are open then, so that an episode finds them ready."""

    held: bool


class Record(msgspec.Struct, frozen=True, tag=True):
    """Record an episode. The open films come with it, one for each camera that is named, in that order."""

    episode: str
    cameras: list[str]
    timed: list[bool]
    """For each, whether its film gives the device's own times."""
    t_first_ns: int
    """Of the first observation: the newest picture before it is the film's first."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """The episode is over. Its last picture is the last one before this time, its last observation's."""

    episode: str
    t_last_ns: int


Order = Setup | Scene | Uplink | Streams | Hold | Record | Stop
ORDERS: Final[msgspec.json.Decoder[Order]] = msgspec.json.Decoder(Order)


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The camera process to its host: a real camera gives pictures."""

    camera: str
    timed: bool
    """Whether the device says when each was taken."""


class Closed(msgspec.Struct, frozen=True, tag=True):
    """The camera process to its host: nobody needs a real camera any more."""

    camera: str


class Troubled(msgspec.Struct, frozen=True, tag=True):
    """The camera process to its host: something is wrong with a camera's pictures, while an episode is recorded."""

    camera: str
    says: str


class Filmed(msgspec.Struct, frozen=True, tag=True):
    """The camera process to its host: a film has ended."""

    episode: str
    camera: str
    pictures: int


News = Opened | Closed | Troubled | Filmed
NEWS: Final[msgspec.json.Decoder[News]] = msgspec.json.Decoder(News)


def send(to: socket.socket, message: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a message, and open files with it; raise OSError rather than wait. (`socket.send_fds` may wait.)"""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    to.sendmsg([message], rights, socket.MSG_DONTWAIT)


def receive(of: socket.socket) -> tuple[bytes, list[int]]:
    """Return a message and the open files that came with it, empty if the other end is gone; never wait.

    Raises BlockingIOError if there is none now.
    """
    descriptors = array.array("i")
    room = socket.CMSG_SPACE(RECORDING_MAX * descriptors.itemsize)
    message, beside, _, _ = of.recvmsg(ORDER_BYTES_MAX, room, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return message, list(descriptors)
