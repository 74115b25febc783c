"""The host's end of its camera process: that of a real robot is always there, another is started when someone looks.

The control loop never waits for it. If it ends while it is needed, another goes on: beside real cameras one stands by,
with all that takes long behind it, so that little of what they see is lost. If that ends soon as well, pauses grow.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from sim.robot import RobotSpec
from teleop.cameras.orders import (
    NEWS,
    ORDER_BYTES_MAX,
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
)
from teleop.cameras.spec import CameraSpec
from teleop.host.cameras.child import Child
from teleop.host.cameras.films import OpenFilms
from teleop.host.cameras.troubles import Troubles
from teleop.steps import EpisodeStart, FilmHead
from teleop.wire.signalling import Message, Stream

_log = structlog.get_logger()
_END_S: Final = 5.0
"""How long a film may take to end, after which its process is ended."""
_HEAR_MS: Final = 1000
_PAUSES_S: Final = (0.0, 0.5, 2.0, 10.0, 60.0)
"""The pauses before a restart, by how many times in a row a process ended within `_STEADY_S` of its start."""
_STEADY_S: Final = 60.0


class HostCameras:
    """The cameras of one robot. Every method may be called from any thread.

    `show`, `scene`, `change` and `heads` never wait for the process or the disk.
    """

    def __init__(
        self,
        hub_url: str,
        spec: RobotSpec,
        cameras: Sequence[CameraSpec],
        report: Callable[[Message], None] = lambda _message: None,
    ) -> None:
        """`report` tells the hub what is wrong with pictures that are recorded; it is called from several threads."""
        self.cameras = tuple(cameras)
        self._setup = Setup(hub_url, list(cameras), spec.model.name)
        self._lock = threading.Lock()
        self._troubles = Troubles(report)
        self._child: Child | None = None
        """The process that has the cameras; None before the first, and after `close`."""
        self._spare: Child | None = None
        """One that has loaded everything and opened nothing, to go on if the other ends."""
        self._scene = _scene_of(spec)
        self._uplink = Uplink("")
        self._streams = Streams([])
        self._real = [camera for camera in cameras if camera.device]
        self._simulated = spec.simulated
        self._hold = Hold(False)
        self._films: OpenFilms | None = None
        self._timed: dict[str, bool] = {}
        """Of each camera that has been opened: whether its device says when a picture was taken."""
        self._open: frozenset[str] = frozenset()
        """The real cameras that give pictures, or did before their device was gone."""
        self._ending: set[str] = set()
        """The cameras whose films are to end, by `_end_by_s`."""
        self._end_by_s = 0.0
        self._waiting: dict[type, Order] = {}
        """Orders that did not fit in the socket; the newest of each kind goes with the next message."""
        self._closed = threading.Event()
        self._crashes = 0

    def heads(self) -> tuple[FilmHead, ...]:
        """Return what records an episode that begins now: the cameras of a real robot."""
        if self._simulated:
            return ()
        return tuple(camera.head(timed=self._timed.get(camera.name, False)) for camera in self._real)

    def ready(self) -> bool:
        """Whether each camera that records gives pictures."""
        return self._simulated or all(camera.name in self._open for camera in self._real)

    def start(self) -> None:
        """Start the process of a real robot's cameras, so that it is there before an episode begins."""
        with self._lock:
            wanted = self._wanted and self._child is None and not self._closed.is_set()
        if wanted:
            self._begin()

    def hold(self, held: bool) -> None:
        """Somebody holds the robot, or nobody does any more: its real cameras are open meanwhile."""
        with self._lock:
            self._hold = Hold(held)
            self._order(self._hold)

    def record(self, start: EpisodeStart, folder: Path) -> None:
        """Record an episode into films in that folder; raise OSError if they cannot be created."""
        if not start.cameras:
            return
        films = OpenFilms(start, folder)
        self._troubles.begin(start)
        with self._lock:
            self._films = films
            self._waiting.pop(Stop, None)
            self._order(films.order)
            alone = self._child is None or not self._child.alive
        if alone:
            self._lose(films)
        films.settle()

    def end(self, t_last_ns: int) -> None:
        """Stop recording, with the pictures up to that time. Idempotent."""
        with self._lock:
            films, self._films = self._films, None
            if films is not None:
                if self._waiting.pop(Record, None) is None:
                    self._order(Stop(films.episode, t_last_ns))
                    self._ending, self._end_by_s = set(films.order.cameras), time.monotonic() + _END_S
                films.close()

    @property
    def _wanted(self) -> bool:
        return bool(self._real or self._streams.streams)

    def look(self, streams: list[Stream]) -> None:
        """Send exactly these streams."""
        with self._lock:
            self._streams = Streams(streams)
            self._order(self._streams)
            wanted = bool(streams) and self._child is None and not self._closed.is_set()
        if wanted:
            self._begin()

    def _begin(self) -> None:
        """Let the process that stands by, or else a new one, have the cameras, and a thread mind it."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and not spare.alive:
            spare.hang_up()
            spare = None
        child = spare or Child.start()  # without the lock, so that the control loop does not wait for it
        with self._lock:
            if self._closed.is_set():
                child.hang_up()
                return
            if self._child is not None:
                self._child.hang_up()
            child.started_s = time.monotonic()
            self._child, self._open = child, frozenset()
            self._waiting.clear()
            self._ending = set()  # the process before had those films, and has ended
            setup = () if child is spare else (self._setup,)
            for order in (*setup, self._scene, self._uplink, self._streams, self._hold):
                self._order(order)
            if self._films is not None:
                self._order(self._films.order)
        threading.Thread(target=self._mind, args=(child,), name="camera watch", daemon=True).start()

    def _stand_by(self) -> None:
        """Start a process that stands by, if there is none."""
        if self._spare is not None:
            return
        spare = Child.start()
        spare.send(msgspec.json.encode(self._setup))
        with self._lock:
            if not self._closed.is_set() and self._spare is None:
                self._spare = spare
                return
        spare.hang_up()
        spare.end()

    def _mind(self, child: Child) -> None:
        """Hear a process until it ends; if it was not told to and is needed, let another go on."""
        with contextlib.suppress(OSError):  # it was told to end
            self._hear(child)
        code = child.process.wait()
        with self._lock:
            if self._child is not child:
                return
            films = self._films
            self._crashes = self._crashes + 1 if time.monotonic() - child.started_s < _STEADY_S else 1
            pause_s = _PAUSES_S[min(self._crashes, len(_PAUSES_S)) - 1]
        _log.error("the camera process has ended; another goes on", code=code, in_s=pause_s)
        if films is not None:
            self._lose(films)
        if self._closed.wait(pause_s):
            return
        with self._lock:
            if self._child is not child:
                return
            wanted = self._wanted
            child.hang_up()
            self._child = None  # the next viewer starts one
        if wanted:
            self._begin()

    def _lose(self, films: OpenFilms) -> None:
        self._troubles.lose(films.episode, films.order.cameras, time.monotonic_ns())

    def _hear(self, child: Child) -> None:
        """Take note of what a process says, until it ends; end one that does not end its films: an episode waits."""
        hearing = select.poll()
        hearing.register(child.socket, select.POLLIN)
        while True:
            if hearing.poll(_HEAR_MS):
                data = child.socket.recv(ORDER_BYTES_MAX)
                if not data:
                    return
                self._note(NEWS.decode(data))
            elif self._ending and time.monotonic() > self._end_by_s:
                _log.error("the camera process does not end its films; it is ended", cameras=sorted(self._ending))
                self._ending = set()
                child.process.kill()

    def _note(self, news: News) -> None:
        match news:
            case Opened():
                self._timed[news.camera] = news.timed
                self._open = self._open | {news.camera}
                self._stand_by()
            case Closed():
                self._open = self._open - {news.camera}
            case Troubled():
                self._troubles.take(news)
            case Filmed():
                self._ending = self._ending - {news.camera}
                _log.info("a camera has recorded", camera=news.camera, episode=news.episode, pictures=news.pictures)

    def uplink(self, token: str) -> None:
        """Connect to the hub with this token; empty if there is no connection."""
        with self._lock:
            self._uplink = Uplink(token)
            self._order(self._uplink)

    def change(self, spec: RobotSpec) -> None:
        """The robot is at another task. It is drawn again once an episode begins."""
        with self._lock:
            self._scene = _scene_of(spec)
            self._order(self._scene)

    def scene(self, seed: int) -> None:
        """A simulated episode begins."""
        with self._lock:
            self._scene = replace(self._scene, seed=seed)
            self._order(self._scene)

    def show(self, state: bytes) -> None:
        """Have the newest state drawn, if somebody looks; if the process is behind, this one is left out."""
        drawn = self._streams.streams and not self._real
        if not (drawn or self._waiting) or not self._lock.acquire(blocking=False):
            return
        try:
            if all(self._ordered(order) for order in self._waiting.values()):
                self._waiting.clear()
                if drawn and self._child is not None:
                    self._child.send(state)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process."""
        self._closed.set()
        with self._lock:
            children = [child for child in (self._child, self._spare) if child is not None]
            self._child = self._spare = None
            films, self._films = self._films, None
            for child in children:
                child.hang_up()
            if films is not None:
                films.close()
        for child in children:
            child.end()

    def _order(self, order: Order) -> None:
        if self._child is not None and not self._ordered(order):
            self._waiting[type(order)] = order

    def _ordered(self, order: Order) -> bool:
        descriptors = self._films.descriptors if isinstance(order, Record) and self._films is not None else ()
        return self._child is not None and self._child.send(msgspec.json.encode(order), descriptors)


def _scene_of(spec: RobotSpec) -> Scene:
    layout = {array.name: list(array.shape) for array in spec.observation}
    return Scene(spec.task.name if spec.task else "", layout)
