"""The host's end of its camera process: started when someone looks for the first time, and never waited for.

If it ends while somebody looks, it is restarted automatically, after a pause that grows.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from sim.robot import RobotSpec
from teleop.cameras.orders import Order, Scene, Setup, Streams, Uplink
from teleop.cameras.spec import CameraSpec
from teleop.wire.signalling import Stream

_log = structlog.get_logger()
_STOP_S: Final = 5.0
_PAUSES_S: Final = (0.5, 2.0, 10.0, 60.0)
"""The pauses before a restart, by how many times in a row a process ended within `_STEADY_S` of its start."""
_STEADY_S: Final = 60.0


class HostCameras:
    """The cameras of one robot. Every method may be called from any thread; `show`, `scene` and `change` never wait."""

    def __init__(self, hub_url: str, spec: RobotSpec, cameras: Sequence[CameraSpec]) -> None:
        self.cameras = tuple(cameras)
        self._setup = Setup(hub_url, list(cameras), spec.model.name)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._scene = _scene_of(spec)
        self._uplink = Uplink("")
        self._streams = Streams([])
        self._waiting: dict[type, Order] = {}
        """Orders that did not fit in the socket; the newest of each kind goes with the next message."""
        self._closed = threading.Event()
        self._crashes = 0

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
            if self._socket is not None:
                self._socket.close()
            self._socket, self._process = ours, process
            self._waiting.clear()
            for order in (self._setup, self._scene, self._uplink, self._streams):
                self._order(order)
        threading.Thread(target=self._mind, args=(process, time.monotonic()), name="camera watch", daemon=True).start()

    def _mind(self, process: subprocess.Popen[bytes], started_s: float) -> None:
        """Wait until a process ends; if it was not told to and somebody looks, start another after a pause."""
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
            wanted = bool(self._streams.streams)
            self._process = None  # the next viewer starts one
        if wanted:
            self._begin()

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
        """Have the newest state drawn; if the process is behind, this one is left out."""
        if not self._streams.streams or not self._lock.acquire(blocking=False):
            return
        try:
            if all(self._sent(msgspec.json.encode(order)) for order in self._waiting.values()):
                self._waiting.clear()
                self._sent(state)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process."""
        self._closed.set()
        with self._lock:
            process, self._process = self._process, None
            if self._socket is not None:
                self._socket.close()
                self._socket = None
        if process is not None:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _order(self, order: Order) -> None:
        if self._socket is not None and not self._sent(msgspec.json.encode(order)):
            self._waiting[type(order)] = order

    def _sent(self, message: bytes) -> bool:
        if self._socket is None:
            return False
        with contextlib.suppress(OSError):  # full, or ended: another is started
            self._socket.send(message)
            return True
        return False


def _scene_of(spec: RobotSpec) -> Scene:
    layout = {array.name: list(array.shape) for array in spec.observation}
    return Scene(spec.task.name if spec.task else "", layout)


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Return a new process, and our end of the socket that both share."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with theirs:
        command = [sys.executable, "-m", "teleop.cameras.process", str(theirs.fileno())]
        return ours, subprocess.Popen(
            command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True
        )
