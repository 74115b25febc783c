"""Both ends of a websocket without a network: a host's `HubSocket`, and a hub that reads only when a test says so."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from teleop.host.dial import Connected
from teleop.host.hub_socket import HubSocket
from tests.certificates import Certificates

WAIT_S = 20.0
SMALL = 1 << 14
"""What the system keeps of what a test's hub has not read, roughly."""


class Wire:
    """A host's socket, what its reading thread has got, and the hub's end."""

    def __init__(self, ours: socket.socket, theirs: socket.socket, ping_s: float) -> None:
        protocol = ClientProtocol(parse_uri("ws://hub/ws/host"), state=State.OPEN, max_size=1 << 18)
        self.socket, self.hub = HubSocket(Connected(ours, protocol, []), ping_s), Hub(theirs)
        self.got: queue.SimpleQueue[str | bytes | ConnectionClosed] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read)

    def start(self) -> None:
        """Read, in a thread of its own."""
        self._reading.start()

    def next(self) -> str | bytes | ConnectionClosed:
        """Return the next message, or how the connection ended."""
        return self.got.get(timeout=WAIT_S)

    def end(self) -> None:
        """Let the hub vanish, and wait until our end has noticed."""
        self.hub.vanish()
        if self._reading.ident:
            self._reading.join()
        self.socket.finish()

    def _read(self) -> None:
        try:
            for message in self.socket:
                self.got.put(message)
        except ConnectionClosed as closed:
            self.got.put(closed)


class Hub:
    """The hub's end: it sends what it is told to, and reads when it is asked for a frame."""

    def __init__(self, connection: socket.socket) -> None:
        self.protocol = ServerProtocol(state=State.OPEN, max_size=None)
        self._socket, self._events = connection, []
        connection.settimeout(WAIT_S)

    def send(self) -> None:
        """Send what the protocol has been told to."""
        for data in self.protocol.data_to_send():
            if data:
                self._socket.sendall(data)

    def text(self, text: str) -> None:
        """Send a text message."""
        self.protocol.send_text(text.encode())
        self.send()

    def binary(self, data: bytes) -> None:
        """Send a binary message."""
        self.protocol.send_binary(data)
        self.send()

    def frame(self) -> Frame:
        """Return the next frame; raise EOFError if no more comes."""
        while not self._events:
            data = self._socket.recv(1 << 12)
            if not data:
                raise EOFError
            self.protocol.receive_data(data)
            self._events += self.protocol.events_received()
            self.send()
        return self._events.pop(0)

    def vanish(self) -> None:
        """Close without a word."""
        self._socket.close()


@contextmanager
def wired(tls: Certificates | None = None, ping_s: float = 100.0) -> Iterator[Wire]:
    """Yield both ends, over TLS if there is a certificate for it."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        end.settimeout(WAIT_S)
    if tls is not None:
        ours, theirs = _wrapped(ours, theirs, tls)
    wire = Wire(ours, theirs, ping_s)
    try:
        yield wire
    finally:
        wire.end()


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Return what a hub with that certificate serves TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def _wrapped(ours: socket.socket, theirs: socket.socket, tls: Certificates) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Shake hands, each end in a thread of its own."""
    served: queue.SimpleQueue[ssl.SSLSocket] = queue.SimpleQueue()
    server = server_context(tls)
    serving = threading.Thread(target=lambda: served.put(server.wrap_socket(theirs, server_side=True)))
    serving.start()
    client = ssl.create_default_context(cafile=str(tls.authority)).wrap_socket(ours, server_hostname="localhost")
    serving.join()
    return client, served.get(timeout=WAIT_S)
