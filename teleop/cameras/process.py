"""The process beside a host that draws or reads its cameras, encodes them once, sends them to the hub, and records.

It has a socket of its own to the hub, so that no picture ever delays a state or a command, and nothing that it does
can hold up the control loop. It gets orders and states from its host, over a socket that both share, and ends when the
host does, and when what it still records has ended.

python -m teleop.cameras.process FD
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import cv2
import msgspec
import structlog

from teleop.cameras.capture import CaptureSource
from teleop.cameras.encoders import open_film_encoder
from teleop.cameras.film import PICTURE_BYTES_MAX, FilmEvent, FilmPicture
from teleop.cameras.filming import Filming
from teleop.cameras.live import Live
from teleop.cameras.orders import (
    ORDERS,
    Closed,
    Filmed,
    Hold,
    News,
    Opened,
    Order,
    Record,
    Scene,
    Setup,
    Stop,
    Streams,
    Troubled,
    Uplink,
    receive,
    send,
)
from teleop.cameras.sources import SimulatedScene, SimulatedSource, Source
from teleop.cameras.spec import CameraSpec
from teleop.wire.messages import State, WireError
from teleop.wire.signalling import SignallingError

_log = structlog.get_logger()
_NICE: Final = 5
"""The control loop goes first."""
_LINGER_S: Final = 5.0
"""How long cameras stay open after nobody holds the robot any more: opening one takes long."""


class CameraProcess:
    """All cameras of one robot."""

    def __init__(self, setup: Setup, parent: socket.socket) -> None:
        self._cameras = {camera.name: camera for camera in setup.cameras}
        self._parent = parent
        self._scene = SimulatedScene(setup.robot)
        self._sources: dict[str, Source] = {}
        self._films: dict[str, tuple[str, Filming]] = {}
        """By camera: the episode that is recorded, and its film."""
        self._held = False
        self._loop = asyncio.get_running_loop()
        for camera in setup.cameras:
            if camera.device:
                open_film_encoder(camera, PICTURE_BYTES_MAX)  # the first one loads its library, and no episode waits
        self.live = Live(setup.hub_url, setup.cameras, self._source)

    def obey(self, order: Order, descriptors: Sequence[int] = ()) -> None:
        """Carry out an order from the host; the open films of `Record` come with it."""
        match order:
            case Scene():
                layout = {name: tuple(shape) for name, shape in order.layout.items()}
                self._scene.reset(order.task, layout, order.seed)
            case Uplink():
                self.live.uplink(order.token)
            case Streams():
                self.live.look_at(order.streams)
                self._settle()
            case Hold():
                self._held = order.held
                self._loop.call_later(0.0 if order.held else _LINGER_S, self._settle)
            case Record():
                for name, timed, descriptor in zip(order.cameras, order.timed, descriptors, strict=True):
                    self._record(order, self._cameras[name], timed, descriptor)
            case Stop():
                for episode, film in self._films.values():
                    if episode == order.episode:
                        film.stop(order.t_last_ns)
            case Setup():
                raise SignallingError("state", "expected one setup only")

    def show(self, data: bytes) -> None:
        """Take note of a state."""
        self._scene.show(State.decode(data))
        self.live.news.set()

    def finish(self) -> None:
        """End what is recorded: the host is gone."""
        films = [film for _, film in self._films.values()]
        for film in films:
            film.stop(time.monotonic_ns())
        for film in films:
            film.join()

    def close(self) -> None:
        """Release the cameras."""
        for source in self._sources.values():
            source.close()

    def _record(self, order: Record, spec: CameraSpec, timed: bool, descriptor: int) -> None:
        if spec.name in self._films:  # its end was not heard of
            self._films[spec.name][1].stop(order.t_first_ns)
            self._ended(spec, self._films[spec.name][1])
        source = self._source(spec)
        assert isinstance(source, CaptureSource), f"expected a real camera to record, got {spec.name}"
        film = Filming(
            descriptor,
            spec,
            order.t_first_ns,
            timed=timed,
            share=partial(self._share, spec),
            tell=partial(self._troubled, order.episode, spec.name),
            ended=lambda pictures: self._call(self._filmed, order.episode, spec, film, pictures),
        )
        self._films[spec.name] = order.episode, film
        self.live.film(spec, recorded=True)
        film.start()
        source.record(film.offer, order.t_first_ns)

    def _troubled(self, episode: str, camera: str, event: FilmEvent, over: bool) -> None:
        """Called from the film's thread."""
        self._tell(Troubled(episode, camera, event.trouble, event.t_from_ns, event.t_to_ns, over))

    def _share(self, spec: CameraSpec, picture: FilmPicture) -> None:
        """Called from the film's thread."""
        if self.live.looks_at_film(spec):
            self._call(self.live.filmed, spec, picture)

    def _filmed(self, episode: str, spec: CameraSpec, film: Filming, pictures: int) -> None:
        self._tell(Filmed(episode, spec.name, pictures))
        self._ended(spec, film)

    def _ended(self, spec: CameraSpec, film: Filming) -> None:
        source = self._sources.get(spec.name)
        if isinstance(source, CaptureSource):
            source.release(film.offer)
        if spec.name in self._films and self._films[spec.name][1] is film:
            del self._films[spec.name]
            self.live.film(spec, recorded=False)
            self._settle()

    def _settle(self) -> None:
        """Open the cameras that somebody needs, and close the others."""
        wanted = self.live.looked | self._films.keys()
        if self._held:
            wanted |= {camera.name for camera in self._cameras.values() if camera.device}
        for name in self._sources.keys() - wanted:
            self._sources.pop(name).close()
            self._tell(Closed(name))
        for name in wanted:
            self._source(self._cameras[name])

    def _source(self, spec: CameraSpec) -> Source:
        if spec.name not in self._sources:
            self._sources[spec.name] = (
                CaptureSource(spec, self._wake, lambda timed: self._tell(Opened(spec.name, timed)))
                if spec.device
                else SimulatedSource(self._scene, spec)
            )
        return self._sources[spec.name]

    def _wake(self) -> None:
        """Say, from another thread, that there is something new."""
        if self.live.looked:
            self._call(self.live.news.set)

    def _call(self, call: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)

    def _tell(self, news: News) -> None:
        """Tell the host, from any thread; if it does not listen, it is not told."""
        with contextlib.suppress(OSError):
            send(self._parent, msgspec.json.encode(news))


async def _run(parent: socket.socket) -> None:
    setup, _ = await _heard(parent)
    assert isinstance(setup, Setup), f"expected the setup first, got {setup!r}"
    process = CameraProcess(setup, parent)
    try:
        async with asyncio.TaskGroup() as group:  # if one of the two fails, the process ends, and says why
            serving = group.create_task(process.live.serve())
            while True:
                try:
                    order, descriptors = await _heard(parent)
                    if order is None:
                        break
                    if isinstance(order, bytes):
                        process.show(order)
                    else:
                        process.obey(order, descriptors)
                except WireError as error:
                    _log.error("a state that cannot be read", error=str(error))
            serving.cancel()
    finally:
        await asyncio.to_thread(process.finish)
        process.close()


async def _heard(parent: socket.socket) -> tuple[Order | bytes | None, list[int]]:
    """Return the next order with its descriptors, or a state; None if the host is gone."""
    while True:
        try:
            data, descriptors = receive(parent)
        except BlockingIOError:
            await _readable(parent)
            continue
        except ConnectionError:
            return None, []
        if not data:
            return None, []
        return (ORDERS.decode(data) if data[:1] == b"{" else data), descriptors


async def _readable(parent: socket.socket) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(parent, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(parent)


def main() -> None:
    """Serve until the host ends."""
    os.nice(_NICE)
    cv2.setNumThreads(1)  # its threads would cost more than they help: each camera has its own
    asyncio.run(_run(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
