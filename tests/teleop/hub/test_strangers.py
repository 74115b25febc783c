"""Promises to those who drive: a stranger's request, whole or half, is bounded in bytes, in time and in pieces.

Every test talks to a real server over sockets of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request, WebSocket
from starlette.websockets import WebSocketDisconnect
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from teleop.hub import errors
from teleop.hub.server import connections
from teleop.hub.server.bodies import BODY_BYTES_MAX, JSON_DEPTH_MAX, BodyLimit
from tests.teleop.served import served

HALF_S = 0.3
"""The time limits of these tests."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with a route that takes any JSON, one that takes a stream, and a websocket that says nothing."""
    monkeypatch.setattr(connections, "HEAD_S", HALF_S)
    app = FastAPI()
    errors.install(app)
    app.add_middleware(
        BodyLimit, bytes_max=lambda scope: None if scope["path"] == "/stream" else BODY_BYTES_MAX, body_s=HALF_S
    )

    async def take(request: Request) -> int:
        return len(await request.body())

    async def silent(socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await socket.receive_bytes()

    app.add_api_route("/json", take, methods=["GET", "POST", "PUT", "DELETE"])
    app.add_api_route("/stream", take, methods=["POST"])
    app.add_api_websocket_route("/ws", silent)
    with served(app) as number:
        yield number


@contextlib.contextmanager
def dialled(port: int, *sent: bytes) -> Iterator[socket.socket]:
    """Open a connection, and send."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as one:
        for data in sent:
            one.sendall(data)
        yield one


def everything(one: socket.socket) -> bytes:
    """Read until the server closes; it is a failure of the test if it never does."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := one.recv(65536):
            data += part
    return data


def asked(port: int, *sent: bytes) -> tuple[int, str]:
    """Return the status, and what it was refused by or the body, of one request whose connection the server closes."""
    with dialled(port, *sent) as one:
        answer = everything(one)
    head, _, body = answer.partition(b"\r\n\r\n")
    said = json.loads(body)
    return int(head.split()[1]), said["error"]["code"] if isinstance(said, dict) else str(said)


def post(path: str, *headers: str, method: str = "POST") -> bytes:
    """Return a request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: hub", *headers, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """Return data as a chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET"])
@pytest.mark.parametrize("path", ["/json", "/nowhere"])
def test_a_body_that_says_it_is_large_is_refused_before_any_of_it_comes(port, method, path):
    head = post(path, f"Content-Length: {60 << 20}", method=method)
    assert asked(port, head) == (413, "body_too_large")


def test_a_length_that_no_file_has_is_refused_too(port):
    assert asked(port, post("/json", "Content-Length: " + "9" * 19))[0] in (400, 413)


def test_a_body_without_a_length_is_read_up_to_the_limit_and_no_further(port):
    head, piece = post("/json", "Transfer-Encoding: chunked"), chunk(bytes(4096))
    whole = [piece] * (BODY_BYTES_MAX // 4096)
    close = post("/json", "Transfer-Encoding: chunked", "Connection: close")
    assert asked(port, close, *whole, b"0\r\n\r\n") == (200, str(BODY_BYTES_MAX))
    assert asked(port, head, *whole, chunk(b"x")) == (413, "body_too_large")


def test_only_a_route_that_says_so_takes_a_longer_body(port):
    length = 2 * BODY_BYTES_MAX
    head = post("/stream", f"Content-Length: {length}", "Connection: close")
    assert asked(port, head, bytes(length)) == (200, str(length))


def test_a_body_is_refused_for_its_depth_and_not_for_what_its_strings_hold(port):
    def sent(body: bytes) -> tuple[int, str]:
        return asked(port, post("/json", f"Content-Length: {len(body)}", "Connection: close"), body)

    deep, more = JSON_DEPTH_MAX, JSON_DEPTH_MAX + 1
    assert sent(b"[" * deep + b"]" * deep)[0] == 200
    assert sent(b"[" * more + b"]" * more) == (422, "body_too_deep")
    assert sent(b'{"a":' * more + b"1" + b"}" * more) == (422, "body_too_deep")
    assert sent(b'[{"a":' * (more // 2 + 1)) == (422, "body_too_deep")
    assert sent(b'["' + b"[" * 900 + b'\\"[\\\\"]')[0] == 200
    assert sent(b'["\\\\",' + b"[" * more) == (422, "body_too_deep")
    assert sent(b"[" + b"[]," * 5000 + b"[]]")[0] == 200


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"P",
        b"POST /json HTTP/1.1\r\nHost: hub\r\nX-Slow: ",
        post("/json", "Content-Length: 1") + b"{" + b"GET /json HTTP/1.1\r\n",
    ],
    ids=["nothing", "a letter", "half a head", "half a head after a request"],
)
def test_half_a_head_is_closed_in_time(port, half):
    with dialled(port, half) as one:
        everything(one)  # returns: the server closes


def test_a_head_that_trickles_is_closed_in_time(port):
    with dialled(port, b"GET /json HTTP/1.1\r\nHost: hub\r\n") as one:
        one.settimeout(HALF_S / 10)
        for _ in range(600):  # a letter more before each limit for doing nothing could end
            with contextlib.suppress(TimeoutError):
                if not one.recv(1):
                    return
            try:
                one.sendall(b"x")
            except OSError:
                return
        pytest.fail("a head of 600 letters, one at a time, was waited for")


@pytest.mark.parametrize("header", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("path", ["/json", "/nowhere"])
def test_half_a_body_is_refused_and_closed_in_time(port, header, path):
    assert asked(port, post(path, header), b"1\r\n{") == (408, "body_timeout")


def test_a_connection_that_is_kept_serves_the_next_request_too(port):
    one_more = post("/json", "Content-Length: 2") + b"{}"
    with dialled(port) as one:
        for _ in range(3):
            one.sendall(one_more)
            assert b"200 OK" in one.recv(65536)
    last = post("/json", "Content-Length: 2", "Connection: close") + b"{}"
    with dialled(port, one_more + one_more + last) as one:
        assert everything(one).count(b"200 OK") == 3


def test_a_body_in_scraps_is_refused(port):
    scraps = [chunk(b"x")] * (connections.SCRAPS_MAX + 1)
    head = post("/stream", "Transfer-Encoding: chunked", "Connection: close")
    assert asked(port, head, *scraps[1:], b"0\r\n\r\n") == (200, str(connections.SCRAPS_MAX))
    with dialled(port, head, b"".join(scraps)) as one:
        assert everything(one).startswith(b"HTTP/1.1 400 ")


def websocket(port: int) -> ClientConnection:
    """Open a websocket that never compresses."""
    return connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None)


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG, Opcode.CONT, Opcode.BINARY])
def test_a_websocket_that_floods_is_closed(port, opcode):
    few = 20 * connections.FRAMES_MAX if opcode is Opcode.BINARY else connections.CONTROL_FRAMES_PER_S
    with websocket(port) as flood:
        begin = Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True) if opcode is Opcode.CONT else b""
        frame = Frame(opcode, b"", fin=opcode is not Opcode.CONT).serialize(mask=True)
        with contextlib.suppress(OSError):
            flood.socket.sendall(begin + frame * (few + 2))
        with pytest.raises(Exception, match="at most"):
            flood.recv(timeout=20)


def test_a_websocket_that_pings_as_clients_do_stays(port):
    with websocket(port) as calm:
        for _ in range(connections.CONTROL_FRAMES_PER_S // 2):
            assert calm.ping().wait(20)
        calm.send(b"here")
        assert calm.ping().wait(20)
