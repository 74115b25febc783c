"""What hubs say to each other on the bus, and by what each knows that another one said it.

Everything is bounded and read by a schema. Nothing here moves a robot: there is no command among these, and a bus that
anybody could write to would still move nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from teleop.wire.messages import JSON_BYTES_MAX
from teleop.wire.signalling import (
    Left,
    RobotCannotRecord,
    RobotCanRecord,
    RobotCleared,
    RobotFaulted,
    RobotStopped,
    Watching,
)

Address = Annotated[str, Meta(pattern=r"^0x[0-9a-fA-F]{40}$(?!\n)", max_length=42)]
HubName = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$(?!\n)", max_length=32)]
Word = Annotated[str, Meta(max_length=64)]
Said = Annotated[str, Meta(max_length=300)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
ROBOTS_MAX: Final = 200
"""Robots of one message; a hub with more sends several."""
WATCHED_MAX: Final = 1000
MESSAGE_BYTES_MAX: Final = 1 << 20
_Any = TypeVar("_Any")
_TAG, _RUN, _COUNT = 16, 16, 8
_RUNS_MAX: Final = 4096


class RobotSaid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a card says about a robot that is at another hub."""

    robot: Address
    docked: Count
    """How often its host has connected, to any hub."""
    estopped: bool
    fault: Said | None
    unrecordable: Said | None
    driver: Annotated[str, Meta(max_length=42)] | None
    queue_length: Count
    wait_s: Count
    kept_s: Count | None
    task: Annotated[str, Meta(max_length=64)] | None
    stop: Annotated[str, Meta(max_length=66)] | None
    unchecked: Annotated[dict[Word, Word], Meta(max_length=64)]
    lease: Annotated[str, Meta(max_length=32)] | None
    """Under which it is held."""


class Beat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A hub lives, and has these robots."""

    hub: HubName
    run: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)", max_length=32)]
    number: Count
    last: bool
    """Whether this is the last message of that number: a robot that none of them named is not at that hub."""
    robots: Annotated[list[RobotSaid], Meta(max_length=ROBOTS_MAX)]
    watched: Annotated[list[Address], Meta(max_length=WATCHED_MAX)] = []
    """The robots of other hubs that somebody watches at this one."""
    leaving: bool = False


class Arrived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something is in the database that somebody may wait for at another hub: look."""

    what: Annotated[str, Meta(max_length=16)]
    key: Annotated[str, Meta(max_length=64)]


News = Watching | Left | RobotStopped | RobotFaulted | RobotCleared | RobotCannotRecord | RobotCanRecord
_BEAT: Final[msgspec.json.Decoder[Beat]] = msgspec.json.Decoder(Beat)
_ARRIVED: Final[msgspec.json.Decoder[Arrived]] = msgspec.json.Decoder(Arrived)
_NEWS: Final[msgspec.json.Decoder[News]] = msgspec.json.Decoder(News)


def beat_of(data: bytes) -> Beat | None:
    """Return another hub's beat; None if it is not one."""
    return _read(_BEAT, data, MESSAGE_BYTES_MAX)


def arrived_of(data: bytes) -> Arrived | None:
    """Return what has arrived at another hub; None if it is not that."""
    return _read(_ARRIVED, data, 256)


def news_of(data: bytes) -> News | None:
    """Return what a watcher is told of a robot; None if it is nothing that a watcher may be told."""
    return _read(_NEWS, data, 4 * JSON_BYTES_MAX)


def _read(decoder: msgspec.json.Decoder[_Any], data: bytes, most: int) -> _Any | None:
    if len(data) > most:
        return None
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Seal:
    """The hubs' common secret, made of their key: what it does not seal is dropped, as is what came before."""

    def __init__(self, secret: bytes, run: str) -> None:
        """`run`: this hub's, 16 bytes in hex."""
        self._key = hashlib.blake2b(secret, person=b"armshare-hubs", digest_size=32).digest()
        self._run, self._number = bytes.fromhex(run), 0
        self._newest: OrderedDict[tuple[str, bytes], int] = OrderedDict()

    @property
    def prefix(self) -> str:
        """What the subjects of this platform begin with, so that several can share a bus."""
        return f"armshare.{hashlib.blake2b(self._key, person=b'armshare-bus', digest_size=8).hexdigest()}"

    def sealed(self, subject: str, body: bytes) -> bytes:
        """Return a message, for one subject."""
        self._number += 1
        whole = self._run + self._number.to_bytes(_COUNT, "big") + body
        return self._tag(subject, whole) + whole

    def opened(self, subject: str, data: bytes) -> bytes | None:
        """Return what another hub said; None if it is no hub of ours, or not newer than what it said before."""
        if not _TAG + _RUN + _COUNT <= len(data) <= MESSAGE_BYTES_MAX:
            return None
        tag, whole = data[:_TAG], data[_TAG:]
        if not hmac.compare_digest(tag, self._tag(subject, whole)):
            return None
        run, number = whole[:_RUN], int.from_bytes(whole[_RUN : _RUN + _COUNT], "big")
        if number <= self._newest.get((subject, run), 0):
            return None
        self._newest[subject, run] = number
        self._newest.move_to_end((subject, run))
        while len(self._newest) > _RUNS_MAX:
            self._newest.popitem(last=False)
        return whole[_RUN + _COUNT :]

    def pass_of(self, said: str) -> str:
        """Return what proves to another hub that a hub said this."""
        return hmac.new(self._key, said.encode(), hashlib.sha256).hexdigest()

    def _tag(self, subject: str, whole: bytes) -> bytes:
        head = len(subject).to_bytes(2, "big") + subject.encode()
        return hashlib.blake2b(head + whole, key=self._key, digest_size=_TAG).digest()
