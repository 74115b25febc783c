"""The hub's relay of one robot's cameras: each is encoded once, by its host, however many viewers it has.

A host sends the streams that someone looks at, and no others. Everything runs on one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from teleop.hub.server.serving import FramedSocket, framed
from teleop.wire import signalling
from teleop.wire.credits import Feed
from teleop.wire.frames import CAMERAS_MAX, Codec, Frame, Seen
from teleop.wire.signalling import SignallingError

CODECS: Final = {codec.name.lower(): codec for codec in Codec}
Key = tuple[int, Codec]
Relayed = tuple[bytes, bytes]
"""A frame as it goes to readers: once for those that need not answer, once for those that should."""


@dataclass(eq=False, slots=True)
class Viewer:
    """One reader of one stream."""

    stream: Stream
    socket: FramedSocket | None = None
    """Where frames go, once the reader has been told the codec."""
    feed: Feed[Relayed] = field(default_factory=Feed)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """The robot is gone."""

    def start(self, socket: FramedSocket) -> None:
        """Send frames from now on; a waiting one goes at once."""
        self.socket = socket
        socket.freed = lambda: self.send(time.monotonic_ns())
        socket.freed()

    def send(self, now_ns: int) -> None:
        """Send the waiting frame, if there is credit and the socket is free; otherwise it goes when there is."""
        if self.socket is not None and self.socket.free and (taken := self.feed.take(now_ns)) is not None:
            relayed, asks = taken
            self.socket.write(relayed[asks])

    def seen(self, answer: Seen) -> None:
        """Take note of the reader's answer."""
        now_ns = time.monotonic_ns()
        self.feed.seen(answer.seq, now_ns, want_key=answer.want_key)
        self.send(now_ns)


@dataclass(eq=False, slots=True)
class Stream:
    """One camera in one codec, and who looks."""

    camera: str
    number: int
    codec: Codec
    viewers: set[Viewer] = field(default_factory=set)
    last: tuple[int, Relayed] | None = None
    """The newest picture that can be shown by itself to the next viewer: with JPEG, any can."""

    @property
    def name(self) -> str:
        """The codec's name on the control plane."""
        return self.codec.name.lower()

    def frame(self, frame: Frame) -> None:
        """Offer a frame to every viewer."""
        relayed = framed(replace(frame, asks=False).encode()), framed(replace(frame, asks=True).encode())
        self.last = (frame.seq, relayed) if self.codec is Codec.JPEG else None
        now_ns = time.monotonic_ns()
        for viewer in self.viewers:
            viewer.feed.offer(frame.seq, frame.key, relayed)
            viewer.send(now_ns)


class Cameras:
    """All streams of one robot. `ask` tells its host which ones to send."""

    def __init__(self, described: Sequence[Mapping[str, Any]], ask: Callable[[signalling.Looked], None]) -> None:
        """Read the descriptor's `cameras`; raise SignallingError if they are not as PROTOCOL.md says."""
        self._ask = ask
        self._streams: dict[Key, Stream] = {}
        self._offered = _offered(described)

    def join(self, camera: str, codecs: Sequence[str]) -> Viewer:
        """Let someone look at a camera, in the first of their codecs that the host offers; raise SignallingError."""
        names = [name for name, _ in self._offered]
        if camera not in names:
            raise SignallingError("unknown_camera", f"expected one of {names} at this robot, got {camera!r}")
        number = names.index(camera)
        offered = self._offered[number][1]
        codec = next((CODECS[name] for name in codecs if name in offered), None)
        if codec is None:
            raise SignallingError("codec", f"expected one of {list(offered)} for {camera}, got {list(codecs)}")
        stream = self._streams.setdefault((number, codec), Stream(camera, number, codec))
        viewer = Viewer(stream)
        stream.viewers.add(viewer)
        if len(stream.viewers) == 1:
            self._tell()
        if stream.last is not None:
            seq, relayed = stream.last
            viewer.feed.offer(seq, True, relayed)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer."""
        stream = viewer.stream
        stream.viewers.discard(viewer)
        if not stream.viewers and self._streams.pop((stream.number, stream.codec), None) is not None:
            self._tell()

    def frame(self, data: bytes) -> Seen | None:
        """Relay a host's frame; return the answer if it asks for one, or if a key frame is needed. Raises WireError."""
        frame = Frame.decode(data)
        stream = self._streams.get((frame.camera, frame.codec))
        broken = False
        if stream is not None:
            stream.frame(frame)
            broken = any(viewer.feed.broken for viewer in stream.viewers)
        return Seen(frame.camera, frame.codec, frame.seq, want_key=broken) if frame.asks or broken else None

    def asked(self) -> signalling.Looked:
        """Return which streams someone looks at."""
        return signalling.Looked([signalling.Stream(stream.camera, stream.name) for stream in self._streams.values()])

    def end(self) -> None:
        """The robot is gone."""
        for stream in self._streams.values():
            for viewer in stream.viewers:
                viewer.gone.set()

    @property
    def watching(self) -> int:
        """How many look."""
        return sum(len(stream.viewers) for stream in self._streams.values())

    def _tell(self) -> None:
        self._ask(self.asked())


def _offered(described: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """Return each camera's name and codecs."""
    if not isinstance(described, list) or len(described) > CAMERAS_MAX:
        raise SignallingError(
            "malformed", f"expected `cameras` in the descriptor to be a list of at most {CAMERAS_MAX}"
        )
    found = []
    for camera in described:
        name, codecs = (camera.get("name"), camera.get("codecs")) if isinstance(camera, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(codecs, list) or not all(one in CODECS for one in codecs):
            known = ", ".join(CODECS)
            raise SignallingError(
                "malformed", f"expected each camera to have a name and codecs of {known}, got {camera!r}"
            )
        found.append((name, tuple(codecs)))
    return found
