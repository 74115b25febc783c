"""The host's end of its camera process: that of a real robot is always there, another is started when someone looks.

The control loop never waits for it. If it ends while it is needed, it is restarted automatically, after a pause that
grows.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
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
    send,
)
from teleop.cameras.spec import CameraSpec
from teleop.host.films import OpenFilms
from teleop.steps import EpisodeStart, FilmHead
from teleop.wire.signalling import Stream

_log = structlog.get_logger()
_STOP_S: Final = 5.0
_END_S: Final = 5.0
"""How long a film may take to end, after which its process is ended."""
_HEAR_MS: Final = 1000
_PAUSES_S: Final = (0.5, 2.0, 10.0, 60.0)
"""The pauses before a restart, by how many times in a row a process ended within `_STEADY_S` of its start."""
_STEADY_S: Final = 60.0


class HostCameras:
    """The cameras of one robot. Every method may be called from any thread.

    `show`, `scene`, `change` and `heads` never wait for the process or the disk.
    """

    def __init__(self, hub_url: str, spec: RobotSpec, cameras: Sequence[CameraSpec]) -> None:
        self.cameras = tuple(cameras)
        self._setup = Setup(hub_url, list(cameras), spec.model.name)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
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
            wanted = self._wanted and self._process is None and not self._closed.is_set()
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
        with self._lock:
            self._films = films
            self._waiting.pop(Stop, None)
            self._order(films.order)
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
            wanted = bool(streams) and self._process is None and not self._closed.is_set()
        if wanted:
            self._begin()

    def _begin(self) -> None:
        """Start a process, and a thread that starts another once it ends."""
        ours, process = _start()  # without the lock, so that the control loop does not wait for it
        with self._lock:
            if self._closed.is_set():
                ours.close()  # which ends it
                return
            self._hang_up()
            self._socket, self._process, self._open = ours, process, frozenset()
            self._waiting.clear()
            self._ending = set()  # the process before had those films, and has ended
            for order in (self._setup, self._scene, self._uplink, self._streams, self._hold):
                self._order(order)
            if self._films is not None:
                self._order(self._films.order)
        minding = self._mind, (ours, process, time.monotonic())
        threading.Thread(target=minding[0], args=minding[1], name="camera watch", daemon=True).start()

    def _mind(self, ours: socket.socket, process: subprocess.Popen[bytes], started_s: float) -> None:
        """Hear a process until it ends; if it was not told to and is needed, start another after a pause."""
        with contextlib.suppress(OSError):  # it was told to end
            self._hear(ours, process)
        code = process.wait()
        with self._lock:
            if self._process is not process:
                return
            self._crashes = self._crashes + 1 if time.monotonic() - started_s < _STEADY_S else 1
            pause_s = _PAUSES_S[min(self._crashes, len(_PAUSES_S)) - 1]
        _log.error("the camera process has ended; starting another", code=code, in_s=pause_s)
        if self._closed.wait(pause_s):
            return
        with self._lock:
            if self._process is not process:
                return
            wanted = self._wanted
            self._process = None  # the next viewer starts one
        if wanted:
            self._begin()

    def _hear(self, ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """Take note of what a process says, until it ends; end one that does not end its films: an episode waits."""
        hearing = select.poll()
        hearing.register(ours, select.POLLIN)
        while True:
            if hearing.poll(_HEAR_MS):
                data = ours.recv(ORDER_BYTES_MAX)
                if not data:
                    return
                self._note(NEWS.decode(data))
            elif self._ending and time.monotonic() > self._end_by_s:
                _log.error("the camera process does not end its films; it is ended", cameras=sorted(self._ending))
                self._ending = set()
                process.kill()

    def _note(self, news: News) -> None:
        match news:
            case Opened():
                self._timed[news.camera] = news.timed
                self._open = self._open | {news.camera}
            case Closed():
                self._open = self._open - {news.camera}
            case Troubled():
                _log.warning("a camera has trouble while an episode is recorded", camera=news.camera, says=news.says)
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
                if drawn:
                    self._sent(state)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process."""
        self._closed.set()
        with self._lock:
            process, self._process = self._process, None
            films, self._films = self._films, None
            self._hang_up()
            if films is not None:
                films.close()
        if process is not None:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _hang_up(self) -> None:
        """Close the socket to a process, which then ends; the thread that hears it wakes up."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def _order(self, order: Order) -> None:
        if self._socket is not None and not self._ordered(order):
            self._waiting[type(order)] = order

    def _ordered(self, order: Order) -> bool:
        descriptors = self._films.descriptors if isinstance(order, Record) and self._films is not None else ()
        return self._sent(msgspec.json.encode(order), descriptors)

    def _sent(self, message: bytes, descriptors: Sequence[int] = ()) -> bool:
        if self._socket is None:
            return False
        with contextlib.suppress(OSError):  # full, or ended: another is started
            send(self._socket, message, descriptors)
            return True
        return False


def _scene_of(spec: RobotSpec) -> Scene:
    layout = {array.name: list(array.shape) for array in spec.observation}
    return Scene(spec.task.name if spec.task else "", layout)


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Return a new process, and our end of the socket that both share."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "teleop.cameras.process", str(theirs.fileno())]
        return ours, subprocess.Popen(
            command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True
        )
