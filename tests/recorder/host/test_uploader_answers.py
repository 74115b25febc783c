"""An answer may hold anything: the uploader goes on, sets nothing aside, and its token goes to the hub alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from recorder.host.uploader import ANSWER_BYTES_MAX, Backoff, Uploader, UploadFailedError
from tests.recorder.factory import ROBOT
from tests.recorder.host.test_uploader import names_in, recorded, states, uploader
from tests.recorder.served import Hub

WAIT_S = 20.0
EVIL: dict[str, dict[str, Any]] = {
    "an empty 200": {"status_code": 200},
    "a page of a proxy": {"status_code": 200, "content": b"<h1>Sign in to the hotel's network</h1>"},
    "a portal that refuses": {"status_code": 403, "content": b"<h1>Sign in</h1>"},
    "a refusal without a name": {"status_code": 422, "content": b'{"error": "no"}'},
    "a refusal of another shape": {"status_code": 404, "content": b'{"error": {"code": {"deep": 1}, "message": 3}}'},
    "a proxy's 404": {"status_code": 404, "content": b"<h1>404 Not Found</h1><hr>nginx"},
    "a proxy's 413": {"status_code": 413, "content": b"<h1>413 Request Entity Too Large</h1><hr>nginx"},
    "a redirect": {"status_code": 302, "headers": {"Location": "https://elsewhere.example/api/uploads/1"}},
    "a list": {"status_code": 201, "content": b"[1, 2]"},
    "null": {"status_code": 201, "content": b"null"},
    "nesting without end": {"status_code": 201, "content": b"[" * 100_000},
    "no UTF-8": {"status_code": 201, "content": b'{"state": "\xff\xfe"}'},
    "a state that is none": {"status_code": 202, "content": b'{"state": 7}'},
    "an offset that is none": {"status_code": 200, "headers": {"Upload-Offset": "all of it"}},
    "an offset below nothing": {"status_code": 200, "headers": {"Upload-Offset": "-5"}},
    "an offset beyond the end": {"status_code": 200, "headers": {"Upload-Offset": str(10**17)}},
    "an offset of many digits": {"status_code": 200, "headers": {"Upload-Offset": "9" * 5000}},
    "a place elsewhere": {"status_code": 201, "headers": {"Location": "https://elsewhere.example/1"}},
    "a place without a scheme": {"status_code": 201, "headers": {"Location": "//elsewhere.example/1"}},
    "a place that is none": {"status_code": 201, "headers": {"Location": "http://[::1/%%"}},
    "bytes said to be gzip": {"status_code": 201, "headers": {"Content-Encoding": "gzip"}, "content": b"no"},
    "an error of a server": {"status_code": 599, "content": b"\x00" * 100},
}


class Liar(httpx.HTTPTransport):
    """Answers the first requests of a kind with something else, and passes the rest on; remembers who was asked."""

    def __init__(self, lies: list[httpx.Response], method: str, end: str = "") -> None:
        super().__init__()
        self.lies, self.method, self.end = lies, method, end
        self.asked: set[str] = set()
        self.arrived = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, or lie."""
        self.asked.add(request.url.host)
        if self.lies and request.method == self.method and request.url.path.endswith(self.end):
            return self.lies.pop(0)
        answer = super().handle_request(request)
        if request.url.path.endswith("/seal") and answer.is_success:
            self.arrived.set()
        return answer


def said(status_code: int, headers: dict[str, str] | None = None, content: bytes = b"") -> httpx.Response:
    """Return an answer as from a network: not read yet."""
    return httpx.Response(status_code, headers=headers, stream=httpx.ByteStream(content))


@pytest.fixture
def waiting(tmp_path: Path, hub: Hub) -> Path:
    """Return a host's folder in which an episode waits."""
    hub.begin("episode-1")
    return recorded(tmp_path / "host", "episode-1")


@pytest.mark.parametrize(("method", "end"), [("POST", "/uploads"), ("PATCH", ""), ("POST", "/seal"), ("HEAD", "")])
def test_whatever_an_answer_holds_the_episode_arrives(
    waiting: Path,
    url: str,
    method: str,
    end: str,
) -> None:
    if method == "HEAD":  # an upload that was begun is gone on with
        cut = Liar([said(500)], "PATCH")
        with httpx.Client(base_url=url, transport=cut) as client, pytest.raises(UploadFailedError):
            uploader(waiting, client).upload_pending()
    transport = Liar([said(**lie) for lie in EVIL.values()], method, end)
    with capture_logs() as logged, httpx.Client(base_url=url, transport=transport) as client:
        made = uploader(waiting, client)
        thread = threading.Thread(target=made.run)
        thread.start()
        assert transport.arrived.wait(WAIT_S)
        made.stop()
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert transport.asked == {"127.0.0.1"}
    assert [line for line in logged if line["event"] == "upload broke"] == [], "each is expected, and said"
    assert names_in(waiting / "refused") == []
    assert names_in(waiting / "uploaded") == ["episode-1"]
    assert states(url, "episode-1") == ["uploaded"]


def test_an_answer_without_end_is_not_read_to_it(waiting: Path, url: str) -> None:
    read = [0]

    def endless() -> Iterator[bytes]:
        while True:
            read[0] += 65536
            yield b"x" * 65536

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return endless()

    lie = httpx.Response(201, stream=Endless())
    liar = Liar([lie], "POST", "/uploads")
    with httpx.Client(base_url=url, transport=liar) as client, pytest.raises(UploadFailedError, match="a Location"):
        uploader(waiting, client).upload_pending()
    assert read[0] <= 2 * ANSWER_BYTES_MAX


def test_bundles_that_cannot_be_read_hold_up_no_other(tmp_path: Path, hub: Hub, url: str) -> None:
    broken = ["no-manifest", "no-signatures", "no-file", "torn-manifest", "torn-signatures"]
    host = recorded(tmp_path / "host", *broken, "whole")
    for name in (*broken, "whole"):
        hub.begin(name)
    sealed = host / "sealed"
    (sealed / "no-manifest" / "manifest.json").unlink()
    (sealed / "no-signatures" / "signatures.json").unlink()
    (sealed / "no-file" / "episode.h5").unlink()
    (sealed / "torn-manifest" / "manifest.json").write_bytes(b"\xff{")
    (sealed / "torn-signatures" / "signatures.json").write_bytes(b"\xff{")
    with httpx.Client(base_url=url) as client, pytest.raises(UploadFailedError, match="cannot be read"):
        uploader(host, client).upload_pending()
    assert names_in(host / "uploaded") == ["whole"]
    assert names_in(host / "sealed") == sorted(broken)


def test_what_nobody_thought_of_ends_no_uploader(waiting: Path, url: str) -> None:
    broke, arrived = threading.Event(), Liar([], "NONE")

    def token() -> str:
        if not broke.is_set():
            broke.set()
            raise KeyError("nobody thought of this")
        return ROBOT.address

    with httpx.Client(base_url=url, transport=arrived) as client:
        made = Uploader(waiting, client, token, Backoff(0.01, 0.05))
        thread = threading.Thread(target=made.run)
        thread.start()
        assert arrived.arrived.wait(WAIT_S)
        made.stop()
        thread.join(WAIT_S)
    assert names_in(waiting / "uploaded") == ["episode-1"]
