"""The uploader behind what stands before a hub: pieces that a proxy takes, and only the hub's own word is final."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from armshare.platform.sub_path import SubPath
from recorder.host.recording import Recorder
from recorder.host.uploader import PIECE_BYTES_MAX, PIECE_BYTES_MIN, Uploader, UploadFailedError
from tests.recorder.factory import DOMAIN, ROBOT, fake_episode
from tests.recorder.host.test_recording import events_of
from tests.recorder.host.test_uploader import names_in, recorded, states, uploader
from tests.recorder.served import Hub

MIB = 1 << 20
PAGE = b"<html>\r\n<head><title>%d</title></head>\r\n<body>nginx/1.22.1</body>\r\n</html>\r\n"
OWN = b'{"error": {"code": "%s", "message": "said by a hub"}}'


@pytest.fixture
def hub(hub: Hub) -> Hub:
    hub.begin("long")
    hub.begin("short")
    return hub


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host's folder in which an episode of more than a MiB waits."""
    folder = tmp_path_factory.mktemp("recorded")
    Recorder(folder, ROBOT, DOMAIN, lambda sealed: None).run(events_of(fake_episode(5000, episode="long", reach=0.5)))
    assert size_of(folder) > 3 * MIB // 2
    return folder


@pytest.fixture
def waiting(recording: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    folder = tmp_path / "host"
    for name in ("recording", "sealed", "uploaded", "refused", "damaged", "sealed/long"):
        (folder / name).mkdir(parents=True)
    for file in (recording / "sealed" / "long").iterdir():
        (folder / "sealed" / "long" / file.name).write_bytes(file.read_bytes())
    return folder


def size_of(folder: Path) -> int:
    return (folder / "sealed" / "long" / "episode.h5").stat().st_size


class Proxy(httpx.HTTPTransport):
    """Refuses bodies above a limit with a page of its own, as nginx does, and notes what it was sent."""

    def __init__(self, bytes_max: int = MIB, lies: list[httpx.Response] | None = None, to: str = "") -> None:
        """`lies` are the answers to the first requests of a method that ends as `to`: `PATCH`, `POST /seal`, ..."""
        super().__init__()
        self.bytes_max, self.lies = bytes_max, lies or []
        self.method, _, self.end = to.partition(" ")
        self.pieces: list[tuple[int, int]] = []
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, or refuse it."""
        length = int(request.headers.get("Content-Length", "0"))
        self.asked.append(f"{request.method} {request.url.path}")
        if length > self.bytes_max:
            return page(413)
        if self.lies and request.method == self.method and request.url.path.endswith(self.end):
            return self.lies.pop(0)
        if request.method == "PATCH":
            self.pieces.append((int(request.headers["Upload-Offset"]), length))
        return super().handle_request(request)


def page(status: int) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(PAGE % status), headers={"Content-Type": "text/html"})


def own(status: int, code: str) -> httpx.Response:
    content = httpx.ByteStream(OWN % code.encode())
    return httpx.Response(status, stream=content, headers={"Content-Type": "application/json"})


def until_it_arrives(made: Uploader, episode: str = "long", tries: int = 20) -> list[str]:
    """Try again as often as is needed, as `run` does; return why each try failed."""
    failed: list[str] = []
    while True:
        try:
            assert made.upload_pending() == [episode]
            return failed
        except UploadFailedError as error:
            failed.append(str(error))
            assert len(failed) < tries, failed


def test_a_long_episode_goes_in_pieces_that_a_proxy_takes_as_it_comes(waiting: Path, url: str) -> None:
    size, proxy = size_of(waiting), Proxy(MIB)
    with httpx.Client(base_url=url, transport=proxy) as client:
        assert until_it_arrives(uploader(waiting, client)) == []
    assert max(length for _, length in proxy.pieces) == PIECE_BYTES_MAX < MIB
    assert [offset for offset, _ in proxy.pieces] == list(range(0, size, PIECE_BYTES_MAX))
    assert states(url, "long") == ["uploaded"]


def test_a_proxy_that_takes_less_gets_smaller_pieces_and_is_named_in_the_log(waiting: Path, url: str) -> None:
    proxy = Proxy(100_000)
    with httpx.Client(base_url=url, transport=proxy) as client:
        failed = until_it_arrives(uploader(waiting, client))
    assert all("413, not the hub's own answer: <html>" in said for said in failed)
    assert len(failed) >= 3, "512, 256 and 128 KiB are more than it takes"
    assert all(PIECE_BYTES_MIN <= length <= 100_000 for _, length in proxy.pieces[:-1])
    assert names_in(waiting / "refused") == []


@pytest.mark.parametrize("to", ["POST /api/uploads", "PATCH", "POST /seal"])
@pytest.mark.parametrize(
    "lie",
    [lambda: page(413), lambda: page(404), lambda: page(403), lambda: page(502), lambda: page(200)]
    + [
        lambda status=status, code=code: own(status, code)
        for status, code in [(404, "http_404"), (413, "body_too_large"), (401, "auth"), (404, "unknown_upload")]
    ],
    ids=["413", "404", "403", "502", "a portal", "http_404", "body_too_large", "auth", "unknown_upload"],
)
def test_what_is_not_the_hubs_final_word_loses_nothing(tmp_path: Path, url: str, to: str, lie) -> None:
    host, proxy = recorded(tmp_path / "host", "short"), Proxy(lies=[lie(), lie(), lie()], to=to)
    with httpx.Client(base_url=url, transport=proxy) as client:
        failed = until_it_arrives(uploader(host, client), "short")
    assert len(failed) == 3
    assert names_in(host / "refused") == []
    assert states(url, "short") == ["uploaded"]


@pytest.mark.parametrize(
    ("status", "code"), [(409, "episode_state"), (404, "unknown_episode"), (422, "refused"), (413, "upload_too_large")]
)
def test_the_hubs_own_final_word_sets_an_episode_aside(tmp_path: Path, url: str, status: int, code: str) -> None:
    host = recorded(tmp_path / "host", "short")
    proxy = Proxy(lies=[own(status, code)], to="POST /api/uploads" if code != "refused" else "POST /seal")
    with httpx.Client(base_url=url, transport=proxy) as client:
        assert uploader(host, client).upload_pending() == []
    assert names_in(host / "refused") == ["short"]


def test_the_same_word_from_a_broken_server_is_not_final(tmp_path: Path, url: str) -> None:
    host = recorded(tmp_path / "host", "short")
    proxy = Proxy(lies=[own(500, "episode_state")], to="POST /api/uploads")
    with httpx.Client(base_url=url, transport=proxy) as client:
        assert len(until_it_arrives(uploader(host, client), "short")) == 1


def test_a_proxys_404_does_not_begin_an_upload_again(waiting: Path, url: str) -> None:
    proxy = Proxy()
    with httpx.Client(base_url=url, transport=proxy) as client:
        made = uploader(waiting, client)
        proxy.lies, proxy.method = [page(502)], "PATCH"
        first = until_cut(made, proxy, after=PIECE_BYTES_MAX)
        proxy.lies, proxy.method = [page(404), page(404)], "HEAD"
        failed = until_it_arrives(made)
    assert len(failed) == 2, "said, and tried again"
    assert proxy.asked.count("POST /api/uploads") == 1
    assert [offset for offset, _ in proxy.pieces].count(0) == 1
    assert first == PIECE_BYTES_MAX


def until_cut(made: Uploader, proxy: Proxy, after: int) -> int:
    """Let one piece through, then the proxy's lie; return how much has arrived."""
    lies, proxy.lies = proxy.lies, []
    handle = proxy.handle_request

    def cut(request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH" and request.headers["Upload-Offset"] == str(after):
            proxy.handle_request = handle  # type: ignore[method-assign]  # once
            return lies.pop(0)
        return handle(request)

    proxy.handle_request = cut  # type: ignore[method-assign]  # one request is answered otherwise
    with pytest.raises(UploadFailedError, match="502, not the hub's own answer"):
        made.upload_pending()
    return sum(length for _, length in proxy.pieces)


def test_a_failure_after_progress_is_tried_again_soon(waiting: Path, url: str) -> None:
    """A line that is cut again and again still moves on: its pauses do not grow."""
    lies = [page(502) for _ in range(2)]

    class Flaky(Proxy):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH" and request.headers["Upload-Offset"] != "0" and lies:
                return lies.pop()
            answer = super().handle_request(request)
            if request.url.path.endswith("/seal"):
                made.stop()
            return answer

    with capture_logs() as logged, httpx.Client(base_url=url, transport=Flaky()) as client:
        made = uploader(waiting, client)
        made.run()
    pauses = [line["again_in_s"] for line in logged if line["event"] == "upload failed"]
    assert pauses == [0.01, 0.02], "the first came after progress, the second did not"
    assert states(url, "long") == ["uploaded"]


def test_a_hub_below_a_path_is_uploaded_to_wherever_it_says_that_it_is(waiting: Path, hub: Hub) -> None:
    hub.app.add_middleware(SubPath, path="/arms")
    proxy = Proxy()
    with hub.served() as url, httpx.Client(base_url=f"{url}/arms", transport=proxy) as client:
        assert until_it_arrives(uploader(waiting, client)) == []
        assert client.get("/api/episodes/long").json()["state"] == "uploaded"
    assert all(path.startswith(("POST /arms/", "PATCH /arms/")) for path in proxy.asked[:-1])


def test_a_small_episode_is_one_piece(tmp_path: Path, url: str) -> None:
    proxy = Proxy()
    with httpx.Client(base_url=url, transport=proxy) as client:
        uploader(recorded(tmp_path / "other", "short"), client).upload_pending()
    assert len(proxy.pieces) == 1
