"""A camera process as its host holds it: the process, and the host's end of the socket that both share."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from teleop.cameras.orders import send

_STOP_S: Final = 5.0


@dataclass(eq=False, slots=True)
class Child:
    """One process. Whoever calls sees to it that one thread at a time does."""

    socket: socket.socket
    process: subprocess.Popen[bytes]
    started_s: float
    """By the monotonic clock: since when it has been used, or has been there, if it is not used yet."""

    @classmethod
    def start(cls) -> Self:
        """Start one; it waits for its first order."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "teleop.cameras.process", str(theirs.fileno())]
            process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True
            )
        return cls(ours, process, time.monotonic())

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def send(self, message: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Send it a message, if that takes no waiting; return whether it was sent."""
        with contextlib.suppress(OSError):  # full, or ended
            send(self.socket, message, descriptors)
            return True
        return False

    def hang_up(self) -> None:
        """Close the socket, so that the process ends; a thread that hears it wakes up. Idempotent."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def end(self) -> None:
        """Wait until it has ended after `hang_up`; kill it if it does not."""
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
