"""The process beside a host that draws or reads its cameras, encodes them once, and sends them to the hub.

It has a socket of its own to the hub, so that no picture ever delays a state or a command, and nothing that it does
can hold up the control loop. It gets orders and states from its host, over a socket that both share, and ends when the
host does.

python -m teleop.cameras.process FD
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from dataclasses import dataclass, replace
from typing import Final

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from sim.robot import RobotError
from teleop.cameras.encoders import Encoder, open_encoder
from teleop.cameras.orders import ORDER_BYTES_MAX, ORDERS, Order, Scene, Setup, Streams, Uplink
from teleop.cameras.sources import CaptureSource, SimulatedScene, SimulatedSource, Source
from teleop.cameras.spec import CameraSpec
from teleop.dialing import tls_of, websocket_url
from teleop.wire import signalling
from teleop.wire.credits import Feed
from teleop.wire.frames import Codec, Frame, Seen
from teleop.wire.messages import JSON_BYTES_MAX, PROTOCOL, State, WireError

_log = structlog.get_logger()
_BACKOFF_S: Final = 1.0
_KEY_GAP_NS: Final = 250_000_000
"""Key frames are large: this is the shortest time between two, however many viewers want one."""
_NICE: Final = 5
"""The control loop goes first."""


@dataclass(slots=True)
class _Channel:
    """One camera in one codec, while someone looks."""

    camera: int
    codec: Codec
    source: Source
    encoder: Encoder
    feed: Feed[Frame]
    shown: int = -1
    """The number of the picture that was sent last."""
    seq: int = 0
    key_ns: int = -_KEY_GAP_NS
    want_key: bool = False
    """Whether some reader waits for a key frame; readers that need none go on meanwhile."""


class CameraProcess:
    """All cameras of one robot."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._scene = SimulatedScene(setup.robot)
        self._names = [camera.name for camera in setup.cameras]
        self._sources: dict[str, Source] = {}
        self._channels: dict[tuple[int, Codec], _Channel] = {}
        self._token = ""
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def obey(self, order: Order) -> None:
        """Carry out an order from the host."""
        match order:
            case Scene():
                layout = {name: tuple(shape) for name, shape in order.layout.items()}
                self._scene.reset(order.task, layout, order.seed)
            case Uplink():
                self._token = order.token
                self._changed.set()
            case Streams():
                self._look_at({(one.camera, Codec[one.codec.upper()]) for one in order.streams})
            case Setup():
                raise signalling.SignallingError("state", "expected one setup only")

    def show(self, data: bytes) -> None:
        """Take note of a state."""
        self._scene.show(State.decode(data))
        self._news.set()

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
                _log.warning("cannot reach the hub to send pictures", hub=self._setup.hub_url, error=str(error))
            await asyncio.sleep(_BACKOFF_S)

    def close(self) -> None:
        """Release the cameras."""
        for source in self._sources.values():
            source.close()

    def _dial(self) -> connect:
        url = websocket_url(self._setup.hub_url, "/ws/host/camera")
        return connect(url, ssl=tls_of(url), compression=None, max_size=JSON_BYTES_MAX, proxy=None)

    async def _converse(self, hub: ClientConnection) -> None:
        for channel in self._channels.values():
            channel.feed = Feed()  # what an earlier connection left unanswered is not answered here
            channel.shown = -1
        self._news.set()
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
                self._news.set()

    async def _pump(self, hub: ClientConnection) -> None:
        """Send what is new of each stream that has credit: a picture that would have to wait is not even drawn."""
        while self._channels:
            await self._news.wait()
            self._news.clear()
            for channel in list(self._channels.values()):
                frame = self._next(channel)
                if frame is not None:
                    await hub.send(frame)

    def _next(self, channel: _Channel) -> bytes | None:
        if channel.source.number == channel.shown or not channel.feed.free:
            return None
        try:
            number, sight = channel.source.number, channel.source.look()
        except RobotError:
            return None  # there is nothing to see yet
        channel.shown = number
        now_ns = time.monotonic_ns()
        wanted = channel.feed.broken or channel.want_key
        ask_key = wanted and now_ns - channel.key_ns >= _KEY_GAP_NS
        payload, key = channel.encoder.encode(sight.rgb, sight.t_us, key=ask_key)
        if key:
            channel.key_ns, channel.want_key = now_ns, False
        channel.seq += 1
        height, width = sight.rgb.shape[:2]
        head = (channel.camera, channel.codec, key, width, height, channel.seq, sight.state, sight.t_us)
        channel.feed.offer(channel.seq, key, Frame(*head, payload))
        taken = channel.feed.take(time.monotonic_ns())
        return replace(taken[0], asks=taken[1]).encode() if taken is not None else None

    def _look_at(self, wanted: set[tuple[str, Codec]]) -> None:
        """Open new streams, and close those that nobody looks at any more."""
        keys = {(self._names.index(name), codec) for name, codec in wanted if name in self._names}
        for key in self._channels.keys() - keys:
            del self._channels[key]
        for camera, codec in keys - self._channels.keys():
            spec = self._setup.cameras[camera]
            encoder = open_encoder(codec, spec.width, spec.height)
            self._channels[camera, codec] = _Channel(camera, codec, self._source(spec), encoder, Feed())
        looked = {self._names[camera] for camera, _ in keys}
        for name in self._sources.keys() - looked:
            self._sources.pop(name).close()
        self._news.set()
        self._changed.set()

    def _source(self, spec: CameraSpec) -> Source:
        if spec.name not in self._sources:
            real = bool(spec.device)
            self._sources[spec.name] = CaptureSource(spec, self._wake) if real else SimulatedSource(self._scene, spec)
        return self._sources[spec.name]

    def _wake(self) -> None:
        """Say, from another thread, that there is something new."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._news.set)


async def _run(parent: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    setup = ORDERS.decode(await loop.sock_recv(parent, ORDER_BYTES_MAX))
    assert isinstance(setup, Setup), f"expected the setup first, got {setup}"
    process = CameraProcess(setup)
    try:
        async with asyncio.TaskGroup() as group:  # if one of the two fails, the process ends, and says why
            serving = group.create_task(process.serve())
            while data := await loop.sock_recv(parent, ORDER_BYTES_MAX):
                if data[:1] == b"{":
                    process.obey(ORDERS.decode(data))
                    continue
                try:
                    process.show(data)
                except WireError as error:
                    _log.error("a state that cannot be read", error=str(error))
            serving.cancel()
    finally:
        process.close()


def main() -> None:
    """Serve until the host ends."""
    os.nice(_NICE)
    parent = socket.socket(fileno=int(sys.argv[1]))
    parent.setblocking(False)
    asyncio.run(_run(parent))


if __name__ == "__main__":
    main()
