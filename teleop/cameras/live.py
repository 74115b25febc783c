"""Pictures on their way from a robot's cameras to the hub: what is new of each stream that has credit.

While a camera is recorded, viewers of the film's codec get its very bytes; others are encoded apart, once for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from sim.robot import RobotError
from teleop.cameras.encoders import Encoder, open_encoder
from teleop.cameras.film import FilmPicture
from teleop.cameras.sources import Source
from teleop.cameras.spec import CameraSpec
from teleop.dialing import tls_of, websocket_url
from teleop.wire import signalling
from teleop.wire.credits import Feed
from teleop.wire.frames import FRAME_BYTES_MAX, Codec, Frame, Seen
from teleop.wire.messages import JSON_BYTES_MAX, PROTOCOL, WireError

_log = structlog.get_logger()
_BACKOFF_S: Final = 1.0
_KEY_GAP_NS: Final = 250_000_000
"""Key frames are large: this is the shortest time between two, however many viewers want one."""


@dataclass(slots=True)
class _Channel:
    """One camera in one codec, while someone looks."""

    camera: int
    codec: Codec
    spec: CameraSpec
    source: Source
    encoder: Encoder
    feed: Feed[Frame]
    shown: int = -1
    """The number of the picture that was sent last."""
    seq: int = 0
    key_ns: int = -_KEY_GAP_NS
    want_key: bool = False
    """Whether some reader waits for a key frame; readers that need none go on meanwhile."""
    filmed: bool = False
    """Whether its pictures come from a film, already encoded."""

    def offer(self, payload: bytes, key: bool, state: int, t_us: int) -> None:
        """Let a picture wait for credit."""
        self.seq += 1
        head = self.camera, self.codec, key, self.spec.width, self.spec.height, self.seq, state, t_us
        self.feed.offer(self.seq, key, Frame(*head, payload))


class Live:
    """The streams of one robot's cameras. It belongs to the event loop; any thread may read `looked`."""

    def __init__(self, hub_url: str, cameras: Sequence[CameraSpec], source: Callable[[CameraSpec], Source]) -> None:
        """`source` opens a camera, or returns it if it is open."""
        self._hub_url, self._cameras, self._source = hub_url, cameras, source
        self._names = [camera.name for camera in cameras]
        self._channels: dict[tuple[int, Codec], _Channel] = {}
        self._films: set[tuple[int, Codec]] = set()
        self._token = ""
        self._changed = asyncio.Event()
        self.news = asyncio.Event()
        """Set it when a camera has something new."""

    @property
    def looked(self) -> set[str]:
        """The cameras that someone looks at."""
        return {self._names[camera] for camera, _ in tuple(self._channels)}

    def uplink(self, token: str) -> None:
        """Connect to the hub with this token; empty if there is no connection."""
        self._token = token
        self._changed.set()

    def look_at(self, streams: Sequence[signalling.Stream]) -> None:
        """Open new streams, and close those that nobody looks at any more."""
        keys = {
            (self._names.index(one.camera), Codec[one.codec.upper()]) for one in streams if one.camera in self._names
        }
        for key in self._channels.keys() - keys:
            del self._channels[key]
        for camera, codec in keys - self._channels.keys():
            spec = self._cameras[camera]
            encoder, filmed = open_encoder(codec, spec.width, spec.height), (camera, codec) in self._films
            self._channels[camera, codec] = _Channel(
                camera, codec, spec, self._source(spec), encoder, Feed(), filmed=filmed
            )
        self.news.set()
        self._changed.set()

    def film(self, spec: CameraSpec, *, recorded: bool) -> None:
        """A camera is being recorded from now on, or not any more."""
        key = self._film_key(spec)
        if key is None:
            return
        (self._films.add if recorded else self._films.discard)(key)
        channel = self._channels.get(key)
        if channel is not None:
            channel.filmed, channel.shown = recorded, channel.source.number
            channel.want_key, channel.key_ns = True, -_KEY_GAP_NS  # the other encoder's pictures are of no use here
        self.news.set()

    def looks_at_film(self, spec: CameraSpec) -> bool:
        """Whether someone looks at a camera in the codec of its film. From any thread."""
        return self._film_key(spec) in self._channels

    def filmed(self, spec: CameraSpec, picture: FilmPicture) -> None:
        """Show a picture as it is in the film."""
        key = self._film_key(spec)
        channel = None if key is None else self._channels.get(key)
        if channel is None or not channel.filmed:
            return
        if len(picture.data) > FRAME_BYTES_MAX:
            channel.filmed = False  # until the next film, it is encoded apart, so that it fits
        else:
            channel.offer(bytes(picture.data), picture.key, 0, picture.t_captured_ns // 1000)
        self.news.set()

    async def serve(self) -> None:
        """Keep the socket to the hub open while someone looks; dial again after any loss."""
        while True:
            token = self._token
            if not token or not self._channels:
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                async with self._dial() as hub:
                    await hub.send(signalling.encode(signalling.CameraHello(PROTOCOL, token)))
                    await self._converse(hub)
            except (OSError, TimeoutError, WebSocketException, WireError) as error:
                _log.warning("cannot reach the hub to send pictures", hub=self._hub_url, error=str(error))
            await asyncio.sleep(_BACKOFF_S)

    def _film_key(self, spec: CameraSpec) -> tuple[int, Codec] | None:
        """Return the stream that is the same as a camera's film."""
        codec = Codec.__members__.get(spec.film_codec.upper())
        return None if codec is None else (self._names.index(spec.name), codec)

    def _dial(self) -> connect:
        url = websocket_url(self._hub_url, "/ws/host/camera")
        return connect(url, ssl=tls_of(url), compression=None, max_size=JSON_BYTES_MAX, proxy=None)

    async def _converse(self, hub: ClientConnection) -> None:
        for channel in self._channels.values():
            channel.feed = Feed()  # what an earlier connection left unanswered is not answered here
            channel.shown = -1
        self.news.set()
        tasks = [asyncio.create_task(self._pump(hub)), asyncio.create_task(self._hear(hub))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not isinstance(ended, ConnectionClosed):
                    raise ended

    async def _hear(self, hub: ClientConnection) -> None:
        async for answer in hub:
            if isinstance(answer, str):
                _log.warning("the hub refuses pictures", answer=answer)
                return
            seen = Seen.decode(answer)
            channel = self._channels.get((seen.camera, seen.codec))
            if channel is not None:
                channel.feed.seen(seen.seq, time.monotonic_ns())
                channel.want_key = channel.want_key or seen.want_key
                self.news.set()

    async def _pump(self, hub: ClientConnection) -> None:
        """Send what is new of each stream that has credit: a picture that would have to wait is not even drawn."""
        while self._channels:
            await self.news.wait()
            self.news.clear()
            for channel in list(self._channels.values()):
                frame = self._next(channel)
                if frame is not None:
                    await hub.send(frame)

    def _next(self, channel: _Channel) -> bytes | None:
        if not channel.filmed and channel.feed.free and channel.source.number != channel.shown:
            self._encode(channel)
        taken = channel.feed.take(time.monotonic_ns())
        return replace(taken[0], asks=taken[1]).encode() if taken is not None else None

    def _encode(self, channel: _Channel) -> None:
        try:
            number, sight = channel.source.number, channel.source.look()
        except RobotError:
            return  # there is nothing to see yet
        channel.shown = number
        now_ns = time.monotonic_ns()
        wanted = channel.feed.broken or channel.want_key
        ask_key = wanted and now_ns - channel.key_ns >= _KEY_GAP_NS
        payload, key = channel.encoder.encode(sight.image, sight.t_us, key=ask_key)
        if key:
            channel.key_ns, channel.want_key = now_ns, False
        channel.offer(payload, key, sight.state, sight.t_us)
