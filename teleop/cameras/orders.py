"""What a host tells its camera process, over the socket that both share: orders as JSON, states unchanged."""

from __future__ import annotations

from typing import Final

import msgspec

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


Order = Setup | Scene | Uplink | Streams
ORDERS: Final[msgspec.json.Decoder[Order]] = msgspec.json.Decoder(Order)
