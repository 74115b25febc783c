"""Dials a hub: TCP, TLS if the address says so, and the websocket's opening handshake; it may wait, but not for long.

Part of teleop; exports `dial`, which makes what `HubSocket` reads and writes.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Final

from websockets.client import ClientProtocol
from websockets.http11 import USER_AGENT
from websockets.protocol import Event, State
from websockets.uri import WebSocketURI, parse_uri

from teleop.dialing import trusted

_READ_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Connected:
    """A websocket after its opening handshake."""

    socket: socket.socket
    """Connected; an `ssl.SSLSocket` if the address says so."""
    protocol: ClientProtocol
    """What frames and parses, of the `websockets` library."""
    events: list[Event]
    """What came together with the answer to the handshake."""


def dial(url: str, bytes_max: int, within_s: float) -> Connected:
    """Connect to a websocket without compression, whose messages have at most `bytes_max` bytes.

    Raises OSError (TimeoutError among them) or WebSocketException; looking up a name has only the system's time limits.
    """
    uri, until_s = parse_uri(url), time.monotonic() + within_s
    connection = socket.create_connection((uri.host, uri.port), within_s)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if uri.secure:
            _limit(connection, until_s)
            connection = trusted().wrap_socket(connection, server_hostname=uri.host)
        return _upgraded(connection, uri, bytes_max, until_s)
    except BaseException:
        connection.close()
        raise


def _upgraded(connection: socket.socket, uri: WebSocketURI, bytes_max: int, until_s: float) -> Connected:
    protocol = ClientProtocol(uri, max_size=bytes_max)
    request = protocol.connect()
    request.headers["User-Agent"] = USER_AGENT
    protocol.send_request(request)
    _limit(connection, until_s)
    connection.sendall(b"".join(protocol.data_to_send()))
    while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
        _limit(connection, until_s)
        data = connection.recv(_READ_BYTES)
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
    if protocol.handshake_exc is not None:
        raise protocol.handshake_exc
    return Connected(connection, protocol, protocol.events_received()[1:])  # the first is the handshake's answer


def _limit(connection: socket.socket, until_s: float) -> None:
    """Let the next call take until then; raise TimeoutError if it is later already."""
    left_s = until_s - time.monotonic()
    if left_s <= 0.0:
        raise TimeoutError("the hub did not complete the opening handshake in time; is the address that of a hub?")
    connection.settimeout(left_s)
