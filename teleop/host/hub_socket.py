"""A host's connection to its hub: one thread reads it, any thread writes to it, and no writer waits for the hub.

Part of teleop; exports `HubSocket`. The `websockets` library's protocol frames and parses; here are the socket, plain
or TLS, and what waits to be sent: signals in order, and of the states only the newest. Why not asyncio:
`docs/decisions/0023-a-socket-without-an-event-loop.md`.
"""

from __future__ import annotations

import secrets
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Event, State

from teleop.host.dial import Connected

UNREAD_BYTES_MAX: Final = 1 << 20
"""A hub that leaves more than this unread is considered dead."""
CLOSE_S: Final = 5.0
"""How long a hub may take to close a connection that one side has said it closes."""
_READ_BYTES: Final = 1 << 16


class HubSocket:
    """A websocket that hands on binary frames at once, and can be written to without waiting.

    Iterating over it and `finish` belong to one thread; `begin`, `signal`, `latest` and `close` to any.
    """

    def __init__(self, connected: Connected, ping_s: float) -> None:
        """Take over a connection; a hub that has not answered one ping before the next, `ping_s` later, is dead."""
        self.take: Callable[[bytes], None] | None = None
        """Called with each binary message as it comes; until it is set, they are yielded."""
        self._socket, self._protocol, self._events = connected.socket, connected.protocol, connected.events
        self._socket.setblocking(False)
        self._turn = threading.Lock()
        """Held while the protocol or the socket is used, and never while waiting for the hub."""
        self._open = False
        self._early: list[str] = []
        self._unsent = bytearray()
        """Framed, and not yet taken by the system: a frame that has begun is finished first."""
        self._newest: bytes | None = None
        """The state that goes once nothing is unsent."""
        self._dropped: OSError | None = None
        self._close_by_s: float | None = None
        self._ping_s, self._ping, self._ping_at_s = ping_s, b"", time.monotonic() + ping_s
        self._whole, self._kind = bytearray(), Opcode.BINARY
        """The message of which some fragments have come."""
        self._bell, self._ringer = socket.socketpair()
        """Wakes the reading thread if there is something else to wait for."""
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._send_needs, self._read_needs = select.POLLOUT, select.POLLIN
        """What must be possible before it is tried again; with TLS, either may need the other."""
        self._poll, self._polled = select.poll(), select.POLLIN
        self._poll.register(self._socket, self._polled)
        self._poll.register(self._bell, select.POLLIN)

    def begin(self, hello: str) -> None:
        """Send the first message, then signals and states, earliest first: the hub now knows who this is."""
        with self._turn:
            for text in (hello, *self._early):
                self._send_text(text)
            self._early.clear()
            self._open = True
            self._flush()

    def signal(self, text: str) -> None:
        """Send a text frame, after those before it. A hub that reads nothing is dropped."""
        with self._turn:
            if self._open:
                self._send_text(text)
            else:
                self._early.append(text)

    def latest(self, data: bytes) -> None:
        """Send a binary frame, now or, if the hub is slow to read, instead of the one that waits."""
        with self._turn:
            self._newest = data
            if self._open:
                self._flush()

    def close(self) -> None:
        """Say that this connection ends: iterating over it ends once the hub has closed it, after `CLOSE_S` at most."""
        with self._turn:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
                self._flush()
            self._expect_close()
            self._ring()

    def finish(self) -> None:
        """Close the connection, wait until the hub has closed it too, and release the socket."""
        self.close()
        self.take = _ignore
        with suppress(ConnectionClosed):
            for _ in self:
                pass
        with self._turn:
            for one in (self._socket, self._bell, self._ringer):
                one.close()

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield messages as they come, except those that are taken; raise ConnectionClosed at the end."""
        while True:
            events, self._events = self._events, []
            for event in events:
                message = self._message(event)
                if self.take is not None and isinstance(message, bytes):
                    self.take(message)
                elif message is not None:
                    yield message
            if self._protocol.state is State.CLOSED:
                closed = self._protocol.close_exc
                closed.__cause__ = self._dropped or closed.__cause__
                raise closed
            self._wait()
            self._events = self._receive()

    def _message(self, event: Event) -> str | bytes | None:
        """Return the message that this frame completes, if it does."""
        if not isinstance(event, Frame):
            return None
        if event.opcode is Opcode.BINARY and event.fin:
            return bytes(event.data)
        if event.opcode is Opcode.PONG and event.data == self._ping:
            self._ping = b""
        if event.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._whole, self._kind = bytearray(event.data), event.opcode
        elif event.opcode is Opcode.CONT:
            self._whole += event.data
        else:
            return None
        if not event.fin:
            return None
        return self._text(self._whole) if self._kind is Opcode.TEXT else bytes(self._whole)

    def _text(self, data: bytearray) -> str | None:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            with self._turn:
                self._protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
                self._flush()
                self._expect_close()
            return None

    def _wait(self) -> None:
        """Wait until something can be read or sent, or the time has come for a ping or an end."""
        with self._turn:
            self._keep_alive()
            if self._dropped is not None or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
                return
            needed = self._read_needs | (self._send_needs if self._unsent else 0)
            if needed != self._polled:
                self._poll.modify(self._socket, needed)
                self._polled = needed
            due_s = self._ping_at_s if self._close_by_s is None else self._close_by_s
        for ready, _ in self._poll.poll(max(0.0, due_s - time.monotonic()) * 1e3):
            if ready == self._bell.fileno():
                self._bell.recv(_READ_BYTES)

    def _keep_alive(self) -> None:
        """Ping when it is time to; drop a hub that does not answer, or does not close in time."""
        now_s = time.monotonic()
        if self._close_by_s is not None:
            if now_s >= self._close_by_s:
                self._drop(TimeoutError("the hub did not close the connection in time"))
        elif now_s >= self._ping_at_s:
            if self._ping:
                self._protocol.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
                self._flush()
                self._drop(TimeoutError(f"the hub did not answer a ping within {self._ping_s} s"))
            else:
                self._ping, self._ping_at_s = secrets.token_bytes(4), now_s + self._ping_s
                self._protocol.send_ping(self._ping)
                self._flush()

    def _receive(self) -> list[Event]:
        """Read what is there, answer what has to be answered, send what waits; return what came."""
        with self._turn:
            data = self._read()
            if data:
                self._protocol.receive_data(data)
            elif data is not None:
                self._protocol.receive_eof()
            if self._protocol.close_expected():
                self._expect_close()
            self._flush()
            return self._protocol.events_received()

    def _read(self) -> bytes | None:
        """Return what has come, empty if no more will; None if there is nothing yet."""
        if self._dropped is not None:
            return b""
        self._read_needs = select.POLLIN
        try:
            return self._socket.recv(_READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self._read_needs = select.POLLOUT
            return None
        except OSError as error:
            self._drop(error)
            return b""

    def _send_text(self, text: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._flush()

    def _flush(self) -> None:
        """Send what is framed, then the newest state. What the system does not take now goes when it does."""
        self._unsent += b"".join(self._protocol.data_to_send())
        while self._dropped is None:
            if not self._unsent and self._newest is not None and self._open:
                self._frame_newest()
            if not self._unsent:
                return
            try:
                del self._unsent[: self._socket.send(self._unsent)]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._send_needs = select.POLLOUT
                break
            except ssl.SSLWantReadError:
                self._send_needs = select.POLLIN
                break
            except OSError as error:
                self._drop(error)
        if len(self._unsent) > UNREAD_BYTES_MAX:
            self._drop(TimeoutError(f"the hub left more than {UNREAD_BYTES_MAX} bytes unread"))
        elif not self._polled & self._send_needs & select.POLLOUT:
            self._ring()

    def _frame_newest(self) -> None:
        newest, self._newest = self._newest, None
        if newest is not None and self._protocol.state is State.OPEN:
            self._protocol.send_binary(newest)
            self._unsent += b"".join(self._protocol.data_to_send())

    def _expect_close(self) -> None:
        if self._close_by_s is None:
            self._close_by_s = time.monotonic() + CLOSE_S

    def _drop(self, error: OSError) -> None:
        """End without the hub; the reading thread does what is left to do."""
        self._dropped = self._dropped or error
        self._unsent.clear()
        self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # it rings already, or there is nobody to hear it
            self._ringer.send(b"\0")


def _ignore(_message: bytes) -> None:
    """A message that came too late."""
