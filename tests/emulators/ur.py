"""A Universal Robots controller behind its sockets, as far as a driver needs it: a UR5e, and a Robotiq gripper.

The vendor's client (`ur-rtde`) talks to `Controller.host` as to a real one: RTDE on port 30004, the dashboard on 29999,
scripts on 30003; the gripper's own server is on 63352. Those ports are fixed, so each controller has a loopback address
of its own; and the client holds Python's lock while it connects, so a controller lives in a process of its own
(`controller()`). The uploaded script is not run: what it does with a command in the registers is done here. Joints go
to their targets within their speed, on the wall clock, since the client counts on data 125 times a second.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import Any, Final

RTDE, DASHBOARD, SCRIPT, GRIPPER = 30004, 29999, 30003, 63352
RATE_HZ: Final = 125.0
READY, DONE = 1, 2
SERVO_J, SERVO_STOP, STOP_SCRIPT, NOTHING = 11, 17, 255, 0
STOPPED, PLAYING = 1, 2
NORMAL, PROTECTIVE_STOP, EMERGENCY_STOP = 1, 3, 7
_SAFETY_BITS: Final = {NORMAL: 1, PROTECTIVE_STOP: 4, EMERGENCY_STOP: 64 | 1024}
POWER_ON, PROGRAM_RUNNING = 1, 2
_SPEED_RAD_S: Final = 3.14
_SIZES: Final = {
    "DOUBLE": "d",
    "VECTOR6D": "6d",
    "VECTOR3D": "3d",
    "INT32": "i",
    "UINT32": "I",
    "UINT64": "Q",
    "UINT8": "B",
    "VECTOR6INT32": "6i",
}
_VECTORS: Final = ("actual_q", "target_q", "actual_current", "target_current", "target_moment", "joint_control_output")
_VECTORS_TOO: Final = ("actual_TCP", "target_TCP", "joint_temperatures", "actual_joint_voltage", "ft_raw_wrench")
_KINDS: Final = {
    "joint_mode": "VECTOR6INT32",
    "actual_tool_accelerometer": "VECTOR3D",
    "payload_cog": "VECTOR3D",
    "payload_inertia": "VECTOR6D",
    "external_force_torque": "VECTOR6D",
    "robot_mode": "INT32",
    "safety_mode": "INT32",
    "runtime_state": "UINT32",
    "robot_status_bits": "UINT32",
    "safety_status_bits": "UINT32",
    "speed_slider_mask": "UINT32",
    "actual_digital_input_bits": "UINT64",
    "actual_digital_output_bits": "UINT64",
}


def kind_of(name: str) -> str:
    """Return the type of an RTDE variable."""
    if name in _KINDS:
        return _KINDS[name]
    if name.startswith((*_VECTORS, *_VECTORS_TOO)):
        return "VECTOR6D"
    if "int_register" in name:
        return "INT32"
    if "mask" in name or "digital_output" in name or name.endswith("_type"):
        return "UINT8"
    return "DOUBLE"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a controller has heard and where it stands."""

    joints: list[float]
    target: list[float] | None
    targets: int
    """How many came."""
    runtime: int
    gripper: int
    dashboard: list[str]


class Controller:
    """One controller, at the address `where()`."""

    def __init__(self, *, remote: bool = True, model: str = "UR5", mode: int = 7, hand_status: int = 3) -> None:
        """`remote`: whether the pendant lets others command it. `mode`: 7 if it is on and its brakes are released.

        `hand_status`: 3 if the gripper is activated.
        """
        self.model, self.mode, self.hand_status = model, mode, hand_status
        self.joints = [0.0, -1.57, 1.57, -1.57, -1.57, 0.0]
        self.targets = list(self.joints)
        self.speeds = [0.0] * 6
        self.remote, self.safety, self.runtime = remote, NORMAL, STOPPED
        self.servoed: list[list[float]] = []
        """The targets that came, oldest first."""
        self.dashboard: list[str] = []
        self.gripper, self.gripper_fault = 0, 0
        self.silent = False
        """Whether it stops sending data, as behind a network that loses everything."""
        self._status = READY
        self._inputs: dict[str, float] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._then_s = time.monotonic()
        self.host, self._listeners = _listening()
        self._threads = [
            threading.Thread(target=self._accept, args=(one, serve), daemon=True)
            for one, serve in zip(self._listeners, (self._rtde, self._dashboard, self._script, self._hand), strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def where(self) -> str:
        """Return its address."""
        return self.host

    def seen(self) -> Seen:
        """Return what it has heard and where it stands."""
        with self._lock:
            self._run()
            last = self.servoed[-1] if self.servoed else None
            return Seen(list(self.joints), last, len(self.servoed), self.runtime, self.gripper, list(self.dashboard))

    def hang(self) -> None:
        """Send no more data, as behind a network that loses everything."""
        self.silent = True

    def drop_gripper(self) -> None:
        """Let the gripper report a fault."""
        self.gripper_fault = 11

    def close(self) -> None:
        """Take its power away. Idempotent."""
        self._ended.set()
        for one in (*self._listeners, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def protect(self) -> None:
        """Stop as after a collision."""
        self._stop(PROTECTIVE_STOP)

    def press_stop(self) -> None:
        """Press the emergency stop."""
        self._stop(EMERGENCY_STOP)

    def end_program(self) -> None:
        """End the program at the pendant."""
        with self._lock:
            self.runtime = STOPPED

    def _stop(self, safety: int) -> None:
        with self._lock:
            self._run()
            self.safety, self.runtime, self.targets = safety, STOPPED, list(self.joints)

    def _accept(self, listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        while not self._ended.is_set():
            try:
                one, _ = listener.accept()
            except OSError:
                return
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(one)
            thread = threading.Thread(target=self._served, args=(one, serve), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _served(self, one: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        with suppress(OSError, EOFError), one:
            serve(one)
        self._open.discard(one)

    def _rtde(self, one: socket.socket) -> None:
        outputs: list[str] = []
        recipes: list[list[str]] = []
        sending: list[threading.Thread] = []
        writing = threading.Lock()

        def send(kind: int, data: bytes) -> None:
            with writing:
                one.sendall(struct.pack(">HB", len(data) + 3, kind) + data)

        while True:
            length, kind = struct.unpack(">HB", _exactly(one, 3))
            data = _exactly(one, length - 3)
            if kind == ord("v"):
                send(kind, struct.pack(">IIII", 5, 12, 0, 0))
            elif kind == ord("O"):
                outputs = data[8:].decode().strip(",").split(",")
                send(kind, b"\x01" + ",".join(map(kind_of, outputs)).encode())
            elif kind == ord("I"):
                recipes.append(data.decode().strip(",").split(","))
                send(kind, bytes((len(recipes),)) + ",".join(map(kind_of, recipes[-1])).encode())
            elif kind == ord("U"):
                self._take(recipes[data[0] - 1], data[1:])
            else:
                send(kind, b"\x01")
                if kind == ord("S") and not sending:
                    arguments = send, outputs
                    sending.append(threading.Thread(target=self._stream, args=arguments, daemon=True))
                    sending[0].start()

    def _stream(self, send: Callable[[int, bytes], None], outputs: list[str]) -> None:
        with suppress(OSError):
            while not self._ended.wait(1.0 / RATE_HZ):
                if not self.silent:
                    send(ord("U"), b"\x01" + b"".join(map(self._packed, outputs)))

    def _packed(self, name: str) -> bytes:
        with self._lock:
            self._run()
            held: dict[str, list[float]] = {
                "actual_q": self.joints,
                "target_q": self.targets,
                "actual_qd": self.speeds,
                "robot_mode": [self.mode],
                "safety_mode": [self.safety],
                "safety_status_bits": [_SAFETY_BITS[self.safety]],
                "robot_status_bits": [POWER_ON | (PROGRAM_RUNNING if self.runtime == PLAYING else 0)],
                "runtime_state": [self.runtime],
                "output_int_register_0": [self._status],
                "timestamp": [self._then_s],
                "joint_temperatures": [31.0] * 6,
            }
            layout = _SIZES[kind_of(name)]
            found = held.get(name, [0.0] * int(layout[:-1] or 1))
            return struct.pack(f">{layout}", *(one if layout[-1] == "d" else int(one) for one in found))

    def _take(self, names: list[str], data: bytes) -> None:
        layout = ">" + "".join(_SIZES[kind_of(name)] for name in names)
        values = struct.unpack(layout, data)
        with self._lock:
            self._run()
            self._inputs.update(zip(names, values, strict=True))
            self._command(int(self._inputs.get("input_int_register_0", NOTHING)))

    def _command(self, command: int) -> None:
        """Do what the uploaded script does with a command."""
        self._status = READY if command in (NOTHING, SERVO_J) else DONE
        if command == SERVO_J and self.runtime == PLAYING:
            target = [float(self._inputs[f"input_double_register_{index}"]) for index in range(6)]
            self.servoed.append(target)
            self.targets = target
        elif command == STOP_SCRIPT:
            self.runtime = STOPPED

    def _script(self, one: socket.socket) -> None:
        text = b""
        while data := one.recv(65536):
            text += data
            if text.rstrip().endswith(b"end") and self.safety == NORMAL:
                with self._lock:
                    self.runtime, self._status = PLAYING, READY

    def _dashboard(self, one: socket.socket) -> None:
        one.sendall(b"Connected: Universal Robots Dashboard Server\n")
        with one.makefile("rb") as lines:
            for line in lines:
                asked = line.decode().strip()
                self.dashboard.append(asked)
                one.sendall(self._said(asked).encode() + b"\n")

    def _said(self, asked: str) -> str:
        if asked == "PolyscopeVersion":
            return "URSoftware 5.12.0.1101319 (Mar 22 2022)"
        if asked == "get serial number":
            return "20225500123"
        if asked == "get robot model":
            return self.model
        if asked == "is in remote control":
            return str(self.remote).lower()
        if asked == "stop":
            self.end_program()
            return "Stopped"
        return "unknown command"

    def _hand(self, one: socket.socket) -> None:
        with one.makefile("rb") as lines:
            for line in lines:
                one.sendall(self._hand_said(line.decode().split()).encode() + b"\n")

    def _hand_said(self, words: list[str]) -> str:
        if words[0] == "SET":
            pairs = dict(zip(words[1::2], words[2::2], strict=True))
            self.gripper = int(pairs.get("POS", self.gripper))
            return "ack"
        held = {"POS": self.gripper, "STA": self.hand_status, "FLT": self.gripper_fault, "OBJ": 3}
        return f"{words[1]} {held[words[1]]}"

    def _run(self) -> None:
        now_s = time.monotonic()
        passed_s, self._then_s = now_s - self._then_s, now_s
        for index, target in enumerate(self.targets):
            most = _SPEED_RAD_S * passed_s
            moved = max(-most, min(most, target - self.joints[index]))
            self.joints[index] += moved
            self.speeds[index] = moved / passed_s if passed_s > 1e-4 else 0.0


def _listening() -> tuple[str, list[socket.socket]]:
    """Return a loopback address that has the four ports free, and sockets that listen there."""
    while True:
        host = f"127.{random.randrange(2, 255)}.{random.randrange(256)}.{random.randrange(2, 255)}"
        found: list[socket.socket] = []
        try:
            for port in (RTDE, DASHBOARD, SCRIPT, GRIPPER):
                found += [socket.create_server((host, port))]
        except OSError:
            for one in found:
                one.close()
            continue
        return host, found


def _exactly(one: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = one.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class _Elsewhere(BaseManager):
    """A process that holds controllers."""


_Elsewhere.register("Controller", Controller)


@contextmanager
def controller(**said: Any) -> Iterator[Controller]:
    """Yield a controller that lives in another process."""
    with _Elsewhere(ctx=get_context("spawn")) as elsewhere:
        one: Controller = elsewhere.Controller(**said)  # type: ignore[attr-defined]  # what `register` adds
        yield one
        one.close()
