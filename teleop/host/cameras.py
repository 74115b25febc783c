"""The host's end of its camera process: started when someone looks for the first time, and never waited for."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog

from sim.robot import RobotSpec
from teleop.cameras.orders import Order, Reset, Setup, Streams, Uplink
from teleop.cameras.spec import CameraSpec
from teleop.wire.signalling import Stream

_log = structlog.get_logger()
_STOP_S: Final = 5.0


class HostCameras:
    """The cameras of one robot. Every method may be called from any thread, and `show` and `scene` never wait."""

    def __init__(self, hub_url: str, spec: RobotSpec, cameras: Sequence[CameraSpec]) -> None:
        self.cameras = tuple(cameras)
        layout = {array.name: list(array.shape) for array in spec.observation}
        task = spec.task.name if spec.task else ""
        self._setup = Setup(hub_url, list(cameras), spec.model.name, task, layout)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._scene: Reset | None = None
        self._uplink = Uplink("")
        self._streams = Streams([])
        self._waiting: dict[type, Order] = {}
        """Orders that did not fit; the newest of each kind goes with the next message."""

    def look(self, streams: list[Stream]) -> None:
        """Send exactly these streams."""
        with self._lock:
            self._streams = Streams(streams)
            self._order(self._streams)
            ended = self._process is not None and self._process.poll() is not None
            if not streams or (self._process is not None and not ended):
                return
        if ended:
            _log.error("the camera process has ended; starting another")
        ours, process = _start()  # without the lock: the control loop does not wait for it
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket, self._process = ours, process
            self._waiting.clear()
            for order in (self._setup, self._scene, self._uplink, self._streams):
                if order is not None:
                    self._order(order)

    def uplink(self, token: str) -> None:
        """Go to the hub with this token; empty where there is no connection."""
        with self._lock:
            self._uplink = Uplink(token)
            self._order(self._uplink)

    def scene(self, seed: int) -> None:
        """A simulated episode begins."""
        with self._lock:
            self._scene = Reset(seed)
            self._order(self._scene)

    def show(self, state: bytes) -> None:
        """Let the newest state be drawn; where the process is behind, this one is left out."""
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
        with contextlib.suppress(OSError):  # full, or ended: `look` starts another
            self._socket.send(message)
            return True
        return False


def _start() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Return a new process, and our end of the socket that both share."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with theirs:
        command = [sys.executable, "-m", "teleop.cameras.process", str(theirs.fileno())]
        return ours, subprocess.Popen(
            command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True
        )
