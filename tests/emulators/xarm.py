"""UFACTORY's control box behind a socket, as far as a driver needs it: an xArm6 with UFACTORY's gripper.

The vendor's SDK talks to `XArmBox.port` as to port 502 of a real box. A joint goes to its target within its speed; the
gripper too; both on the clock that the box is given. What goes wrong on a real box is done by name.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

VERSION, MOTION_EN, SET_STATE, GET_STATE, GET_CMDNUM, GET_ERROR, CLEAN_ERR, CLEAN_WAR, SET_MODE = (
    *(1, 11, 12, 13, 14, 15, 16, 17, 19),
)
MOVE_SERVOJ, JOINTS, RS485, TOOL_READ = 29, 42, 124, 128
STOPPED, PAUSED, READY = 4, 3, 2
SERVO_MODE: Final = 1
GRIPPER: Final = 8
_BAUD_2M: Final = 11
_JOINTS: Final = 6
_SPEED_RAD_S: Final = 3.14
_GRIPPER_SPEED: Final = 3000.0
_HEADER: Final = struct.Struct(">HHHB")
EMERGENCY_STOP: Final = 2
OVER_CURRENT: Final = 19


class XArmBox:
    """The box. Use it as a context manager; `port` is where it listens on loopback."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        detail: str = "6,6,XI1202,AC1202,v2.5.0",
    ) -> None:
        self.detail = detail
        """What it says of itself: axes, type, two serial numbers and the firmware's version."""
        self.joints = [0.0, -0.2105, -1.1538, 0.0, 1.3642, 0.0]
        self.targets = list(self.joints)
        self.speeds = [0.0] * _JOINTS
        self.gripper, self.gripper_target = 850.0, 850.0
        self.enabled, self.state, self.mode, self.error = False, STOPPED, 0, 0
        self.gripper_error = 0
        self.heard: list[int] = []
        """The functions of the requests, oldest first."""
        self.mute = False
        """Whether it hears and says nothing: a hung controller, or a network that loses everything."""
        self.gripper_away = False
        self._clock, self._then_s = clock, clock()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._wake_read, self._wake_write = socket.socketpair()
        self._open: dict[socket.socket, bytes] = {}
        self._thread = threading.Thread(target=self._serve, name="xarm-box", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where it is, as an owner writes it."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """Take its power away. Idempotent."""
        if not self._thread.is_alive():
            return
        self._wake_write.send(b"x")
        self._thread.join()
        for one in (*self._open, self._listener, self._wake_read, self._wake_write):
            one.close()

    def fail(self, error: int) -> None:
        """Stop with an error of the controller: it holds by its brakes."""
        with self._lock:
            self._run()
            self.error, self.state, self.enabled, self.targets = error, STOPPED, False, list(self.joints)

    def press_stop(self) -> None:
        """Press the emergency stop."""
        self.fail(EMERGENCY_STOP)

    def pause(self) -> None:
        """Pause it, as somebody at the maker's own program may."""
        with self._lock:
            self.state = PAUSED

    def settle(self) -> list[float]:
        """Return where the joints are at the clock's present."""
        with self._lock:
            self._run()
            return list(self.joints)

    @property
    def ready(self) -> bool:
        """Whether it would move."""
        return self.enabled and self.state < PAUSED and not self.error

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._wake_read, *self._open], [], [])
            if self._wake_read in ready:
                return
            for one in ready:
                if one is self._listener:
                    self._open[one.accept()[0]] = b""
                else:
                    self._read(one)

    def _read(self, one: socket.socket) -> None:
        try:
            data = one.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            del self._open[one]
            one.close()
            return
        waiting = self._open[one] + data
        while len(waiting) >= _HEADER.size:
            number, protocol, length, function = _HEADER.unpack_from(waiting)
            if len(waiting) < length + 6:
                break
            answer = self._answered(number, protocol, function, waiting[_HEADER.size : length + 6])
            waiting = waiting[length + 6 :]
            if answer:
                one.sendall(answer)
        self._open[one] = waiting

    def _answered(self, number: int, protocol: int, function: int, data: bytes) -> bytes:
        with self._lock:
            self._run()
            self.heard.append(function)
            if self.mute:
                return b""
            said = self._do(function, data)
            status = (0x40 if self.error else 0) | (0 if self.ready else 0x10)
            return _HEADER.pack(number, protocol, len(said) + 2, function) + bytes((status,)) + said

    def _do(self, function: int, data: bytes) -> bytes:
        if function == VERSION:
            return self.detail.encode().ljust(40, b"\0")
        if function == MOTION_EN:
            self.enabled = bool(data[1]) and not self.error
        elif function == SET_STATE and not self.error:
            self.state = {0: READY, 3: PAUSED, 4: STOPPED}[data[0]] if self.enabled else STOPPED
        elif function == SET_MODE:
            self.mode, self.state, self.targets = data[0], STOPPED, list(self.joints)
        elif function == CLEAN_ERR:
            self.error = 0
        elif function == MOVE_SERVOJ and self.ready and self.mode == SERVO_MODE:
            self.targets = list(struct.unpack_from(f"<{_JOINTS}f", data))
        return self._said(function, data)

    def _said(self, function: int, data: bytes) -> bytes:
        if function == GET_STATE:
            return bytes((self.state,))
        if function == GET_CMDNUM:
            return b"\0\0"
        if function == GET_ERROR:
            return bytes((self.error, 0))
        if function == JOINTS:
            arrays = (self.joints, self.speeds, [0.0] * _JOINTS)[: data[0] & 0x0F if data else 1]
            return b"".join(struct.pack("<7f", *array, 0.0) for array in arrays)
        if function == TOOL_READ:
            return struct.pack(">i", _BAUD_2M)
        if function == RS485:
            return self._tool(data)
        return b""

    def _tool(self, data: bytes) -> bytes:
        """Answer what is asked of the gripper, in Modbus RTU without its checksum."""
        host, unit, function, address, count = struct.unpack_from(">BBBHH", data)
        if self.gripper_away or unit != GRIPPER:
            self.error = OVER_CURRENT
            return b""
        if function == 0x10:
            if address == 0x0700:
                self.gripper_target = float(struct.unpack_from(">i", data, 8)[0])
            return bytes((host, unit, function)) + struct.pack(">HH", address, count)
        if address == 0x0702:
            held = struct.pack(">i", round(self.gripper))
        else:
            held = struct.pack(">H", self.gripper_error) * count
        return bytes((host, unit, function, len(held))) + held

    def _run(self) -> None:
        """Bring joints and gripper to the clock's present."""
        passed_s = self._clock() - self._then_s
        self._then_s += passed_s
        for index, target in enumerate(self.targets):
            away = target - self.joints[index] if self.ready else 0.0
            moved = max(-_SPEED_RAD_S * passed_s, min(_SPEED_RAD_S * passed_s, away))
            self.joints[index] += moved
            self.speeds[index] = moved / passed_s if passed_s > 1e-4 else 0.0
        away = self.gripper_target - self.gripper
        self.gripper += max(-_GRIPPER_SPEED * passed_s, min(_GRIPPER_SPEED * passed_s, away))
