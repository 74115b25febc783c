"""A Robotiq gripper behind a Universal Robots controller, asked and told without waiting for it.

Part of teleop; exports `RobotiqGripper`. Its maker's add-on serves lines of text on port 63352 of the controller, some
of them only after a few milliseconds; a control period does not wait, and takes what has come by then.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Final

from sim.robot import RobotFaultError

PORT: Final = 63352
POSITIONS: Final = 255
"""The gripper's position when it is closed; 0 is open."""
_ACTIVE: Final = 3
_FAULTS: Final = {
    5: "it is still busy with its activation",
    7: "it must be activated first",
    8: "it is too hot",
    9: "it has not heard from the controller for a while",
    10: "its supply voltage is too low",
    11: "it is being released automatically",
    12: "it has an internal fault",
    13: "its activation failed",
    14: "it drew too much current",
    15: "it was released automatically",
}
"""What Robotiq's manual says of the fault status."""


class GripperError(RobotFaultError):
    """The gripper cannot be reached, or reports a fault."""


class RobotiqGripper:
    """The gripper at one controller."""

    def __init__(self, host: str, wait_s: float) -> None:
        """Connect, and require that it is activated: activating it would move it. Raises GripperError."""
        self._host, self._unread, self._asked = host, b"", 0
        try:
            self._socket = socket.create_connection((host, PORT), wait_s)
        except OSError as error:
            raise GripperError(
                f"the gripper of the arm at {host} cannot be reached ({error}); is Robotiq's add-on installed on the "
                "controller?"
            ) from error
        try:
            status, fault, position = (self._waited(word, wait_s) for word in ("STA", "FLT", "POS"))
            self._require_well(fault)
            if status != _ACTIVE:
                raise GripperError(
                    f"the gripper of the arm at {host} is not active; activate it at the pendant, where you see it move"
                )
        except BaseException:
            self.close()
            raise
        self._socket.setblocking(False)
        self._position = position

    @property
    def opening(self) -> float:
        """How far it was open when it last said so, in [0, 1]."""
        return 1.0 - min(max(self._position, 0), POSITIONS) / POSITIONS

    def close(self) -> None:
        """End the connection; the gripper stays as it is."""
        self._socket.close()

    def ask(self) -> None:
        """Take what it has answered, and ask again if it owes nothing. Raises GripperError."""
        for name, value in self._answers():
            if name == "FLT":
                self._require_well(value)
            elif name == "POS":
                self._position = value
        if not self._asked:
            self._send("GET POS\nGET FLT\n")
            self._asked = 2

    def tell(self, opening: float) -> float:
        """Send it somewhere; return the opening that it is sent to, in its own steps."""
        position = round((1.0 - opening) * POSITIONS)
        self._send(f"SET POS {position} GTO 1\n")
        return 1.0 - position / POSITIONS

    def _answers(self) -> Iterator[tuple[str, int]]:
        """Yield what has come since, by name."""
        while True:
            try:
                came = self._socket.recv(1024)
            except BlockingIOError:
                break
            except OSError as error:
                raise self._gone() from error
            if not came:
                raise self._gone()
            self._unread += came
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            if line != b"ack":
                self._asked = max(0, self._asked - 1)
                yield self._read(line)

    def _read(self, line: bytes) -> tuple[str, int]:
        name, _, value = line.decode("ascii", "replace").partition(" ")
        if not value.strip().isdecimal():
            raise GripperError(f"the gripper of the arm at {self._host} answers with {line[:40]!r}, which is no status")
        return name, int(value)

    def _waited(self, word: str, wait_s: float) -> int:
        """Ask for one word and wait for it."""
        self._send(f"GET {word}\n")
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._socket], [], [], wait_s)
            came = self._socket.recv(1024) if ready else b""
            if not came:
                raise self._gone()
            self._unread += came
        line, _, self._unread = self._unread.partition(b"\n")
        return self._read(line)[1]

    def _send(self, text: str) -> None:
        try:
            self._socket.sendall(text.encode())
        except OSError as error:
            raise self._gone() from error

    def _require_well(self, fault: int) -> None:
        if fault:
            said = _FAULTS.get(fault, "an unknown one")
            raise GripperError(f"the gripper of the arm at {self._host} reports fault {fault}: {said}; look at it")

    def _gone(self) -> GripperError:
        return GripperError(f"the gripper of the arm at {self._host} does not answer; look at its cable")
