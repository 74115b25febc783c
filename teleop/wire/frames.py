"""The wire's camera frames, and their readers' answers; `wire.json` is the specification, as in `messages.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from teleop.wire.messages import PROTOCOL, WIRE, WireError, head_of, header_of


class Codec(IntEnum):
    """How a frame's picture is encoded."""

    JPEG = WIRE["codecs"]["jpeg"]
    H264 = WIRE["codecs"]["h264"]


KEY: Final[int] = WIRE["frame_flags"]["key"]
ASKS: Final[int] = WIRE["frame_flags"]["asks"]
FRAME_BYTES_MAX: Final[int] = WIRE["limits"]["frame_bytes"]
CAMERAS_MAX: Final[int] = WIRE["limits"]["cameras"]
_FRAME: Final = header_of("frame")
_SEEN: Final = header_of("seen")
FRAME_MESSAGE_BYTES_MAX: Final[int] = _FRAME.size + FRAME_BYTES_MAX
_FRAME_KIND: Final[int] = WIRE["messages"]["frame"]["kind"]
_SEEN_KIND: Final[int] = WIRE["messages"]["seen"]["kind"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera."""

    camera: int
    codec: Codec
    key: bool
    width: int
    height: int
    seq: int
    state: int
    t_host_us: int
    payload: bytes
    asks: bool = False
    """Whether its reader should answer once it has read it."""

    def encode(self) -> bytes:
        """Return the message's bytes."""
        flags = KEY * self.key | ASKS * self.asks
        head = (_FRAME_KIND, PROTOCOL, self.camera, self.codec, flags, 0, self.width, self.height)
        return _FRAME.pack(*head, self.seq, self.state, self.t_host_us) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Frame:
        """Read a frame; raise WireError if the header is invalid, or there is no picture."""
        head = head_of(_FRAME, data, "frame", _FRAME_KIND)
        _, _, camera, codec, flags, reserved, width, height, seq, state, t_host_us = head
        _require(camera, codec, flags & ~ASKS, reserved)
        if not _FRAME.size < len(data) <= FRAME_MESSAGE_BYTES_MAX:
            raise WireError(f"expected a picture of 1 to {FRAME_BYTES_MAX} bytes, got {len(data) - _FRAME.size}")
        key, asks, payload = bool(flags & KEY), bool(flags & ASKS), data[_FRAME.size :]
        return cls(camera, Codec(codec), key, width, height, seq, state, t_host_us, payload, asks)


@dataclass(frozen=True, slots=True)
class Seen:
    """A reader's answer: it has read up to this frame, and may need a key frame to go on."""

    camera: int
    codec: Codec
    seq: int
    want_key: bool = False

    def encode(self) -> bytes:
        """Return the message's bytes."""
        return _SEEN.pack(_SEEN_KIND, PROTOCOL, self.camera, self.codec, KEY * self.want_key, 0, self.seq)

    @classmethod
    def decode(cls, data: bytes) -> Seen:
        """Read an answer; raise WireError unless every byte is accounted for."""
        _, _, camera, codec, flags, reserved, seq = head_of(_SEEN, data, "seen", _SEEN_KIND)
        _require(camera, codec, flags, reserved)
        if len(data) != _SEEN.size:
            raise WireError(f"expected a seen of {_SEEN.size} bytes, got {len(data)}")
        return cls(camera, Codec(codec), seq, bool(flags))


def _require(camera: int, codec: int, flags: int, reserved: int) -> None:
    if camera >= CAMERAS_MAX:
        raise WireError(f"expected a camera below {CAMERAS_MAX}, got {camera}")
    if codec not in Codec._value2member_map_:
        raise WireError(f"expected codec {[one.value for one in Codec]}, got {codec}")
    if flags & ~KEY or reserved:
        raise WireError(f"expected no unknown flags and reserved 0, got flags {flags} and {reserved}")
