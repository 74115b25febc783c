"""The host's uploader against a real hub: every bundle arrives once, whatever is cut, restarted or refused."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from recorder.host.recording import Recorder
from recorder.host.uploader import Backoff, Uploader, UploadFailedError
from tests.recorder.factory import DOMAIN, ROBOT, fake_episode
from tests.recorder.host.test_recording import events_of
from tests.recorder.served import Hub


def recorded(folder: Path, *names: str) -> Path:
    """Record episodes on a host's disk."""
    recorder = Recorder(folder, ROBOT, DOMAIN, lambda sealed: None)
    recorder.run(events_of(*(fake_episode(400, episode=name, seed=7, reach=0.5) for name in names)))
    return folder


def states(url: str, *names: str) -> list[str]:
    return [httpx.get(f"{url}/api/episodes/{name}").json()["state"] for name in names]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def uploader(folder: Path, client: httpx.Client) -> Uploader:
    return Uploader(folder, client, lambda: ROBOT.address, Backoff(0.01, 0.05))


def test_what_was_sealed_arrives_in_the_order_of_sealing(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "zebra", "ape", "mouse")
    for name in ("zebra", "ape", "mouse"):
        hub.begin(name)
    with httpx.Client(base_url=url) as client:
        assert uploader(host, client).upload_pending() == ["zebra", "ape", "mouse"]

    assert states(url, "zebra", "ape", "mouse") == 3 * ["uploaded"]
    assert names_in(host / "uploaded") == ["ape", "mouse", "zebra"]
    assert names_in(host / "sealed") == []
    assert names_in(host / "uploaded" / "ape") == ["episode.h5", "manifest.json", "signatures.json"]


class Scissors(httpx.HTTPTransport):
    """A network that is cut `at` the nth request of a method: before its answer, or in the middle of its body."""

    def __init__(self, method: str, *, before: bool) -> None:
        super().__init__()
        self.method, self.before, self.cuts = method, before, 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, and cut the first one of the method."""
        if request.method != self.method or self.cuts:
            return super().handle_request(request)
        self.cuts += 1
        if self.before:
            raise httpx.ConnectError("cut before it was sent")
        super().handle_request(request).read()
        raise httpx.ReadError("cut before the answer came")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("before", [True, False])
def test_a_cut_anywhere_is_made_good(tmp_path: Path, hub: Hub, url: str, method: str, before: bool) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    transport = Scissors(method, before=before)
    with httpx.Client(base_url=url, transport=transport) as client:
        made = uploader(host, client)
        with pytest.raises(httpx.TransportError):
            made.upload_pending()
        assert made.upload_pending() == ["episode-1"]

    assert transport.cuts == 1
    assert states(url, "episode-1") == ["uploaded"]


def test_a_lost_answer_to_the_seal_is_made_good(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")

    class CutSeal(httpx.HTTPTransport):
        cuts = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("/seal") and not self.cuts:
                self.cuts += 1
                answer.read()
                raise httpx.ReadError("cut before the answer came")
            return answer

    with httpx.Client(base_url=url, transport=CutSeal()) as client:
        made = uploader(host, client)
        with pytest.raises(httpx.ReadError):
            made.upload_pending()
        assert made.upload_pending() == ["episode-1"]
    assert states(url, "episode-1") == ["uploaded"]


def test_an_upload_goes_on_where_it_was_cut(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    data = (host / "sealed" / "episode-1" / "episode.h5").read_bytes()
    begun = hub.uploads.create("episode-1", ROBOT.address, len(data))
    writer = hub.uploads.write(begun.upload, ROBOT.address, 0)
    writer.append(data[:50_000])
    writer.close()
    (host / "sealed" / "episode-1" / "upload.txt").write_text(f"/api/uploads/{begun.upload}")
    sent: list[int] = []

    class Counting(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH":
                sent.append(int(request.headers["Content-Length"]))
            return super().handle_request(request)

    with httpx.Client(base_url=url, transport=Counting()) as client:
        uploader(host, client).upload_pending()

    assert sent == [len(data) - 50_000]
    assert states(url, "episode-1") == ["uploaded"]


def test_an_upload_that_the_hub_has_forgotten_begins_anew(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    (host / "sealed" / "episode-1" / "upload.txt").write_text("/api/uploads/0123456789abcdef")
    with httpx.Client(base_url=url) as client:
        assert uploader(host, client).upload_pending() == ["episode-1"]


def test_what_the_hub_never_asked_for_is_set_aside_and_the_rest_goes_on(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "stray", "wanted")
    hub.begin("wanted")
    with httpx.Client(base_url=url) as client:
        assert uploader(host, client).upload_pending() == ["wanted"]

    assert names_in(host / "refused") == ["stray"]
    assert "unknown_episode" in (host / "refused" / "stray" / "refusal.json").read_text()


def test_an_answer_that_may_be_another_tomorrow_sets_nothing_aside(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    with httpx.Client(base_url=url) as client:
        signed_out = Uploader(host, client, lambda: "expired")
        with pytest.raises(UploadFailedError, match="401 auth"):
            signed_out.upload_pending()

    assert names_in(host / "sealed") == ["episode-1"]


def test_an_episode_that_the_operator_discarded_is_not_sent_again(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    hub.records.discard(hub.door.tickets["episode-1"])
    with httpx.Client(base_url=url) as client:
        assert uploader(host, client).upload_pending() == ["episode-1"]
    assert states(url, "episode-1") == ["discarded"]


def test_a_running_uploader_keeps_trying_until_the_hub_is_there(tmp_path: Path, hub: Hub) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    tried, arrived = threading.Event(), threading.Event()
    with hub.served() as url:

        class LateNetwork(httpx.HTTPTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                if not tried.is_set():
                    tried.set()
                    raise httpx.ConnectError("no network yet")
                answer = super().handle_request(request)
                if request.url.path.endswith("/seal"):
                    arrived.set()
                return answer

        with httpx.Client(base_url=url, transport=LateNetwork()) as client:
            made = uploader(host, client)
            thread = threading.Thread(target=made.run)
            thread.start()
            assert arrived.wait(20)
            made.stop()
            thread.join(20)
            assert not thread.is_alive()
        assert states(url, "episode-1") == ["uploaded"]


def test_an_uploader_that_is_offline_waits_to_be_woken(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    tokens, asked, arrived = [""], threading.Event(), threading.Event()

    def token() -> str:
        asked.set()
        return tokens[-1]

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("/seal"):
                arrived.set()
            return answer

    with capture_logs() as said, httpx.Client(base_url=url, transport=Watching()) as client:
        made = Uploader(host, client, token, Backoff(0.01, 0.05))
        thread = threading.Thread(target=made.run)
        thread.start()
        assert asked.wait(20)
        tokens.append(ROBOT.address)
        made.wake()
        assert arrived.wait(20)
        made.stop()
        thread.join(20)
    assert [line["event"] for line in said if line["log_level"] != "info"] == []


def test_a_connection_that_is_lost_between_two_requests_sets_nothing_aside(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host", "episode-1")
    hub.begin("episode-1")
    tokens = iter([ROBOT.address, "", *[ROBOT.address] * 10])
    with httpx.Client(base_url=url) as client:
        made = Uploader(host, client, lambda: next(tokens))
        with pytest.raises(UploadFailedError, match="connection to the hub was lost"):
            made.upload_pending()
        assert made.upload_pending() == ["episode-1"]


def test_waking_a_running_uploader_sends_what_came_since(tmp_path: Path, hub: Hub, url: str) -> None:
    host = recorded(tmp_path / "host")
    hub.begin("episode-1")
    arrived = threading.Event()

    class Watching(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            if request.url.path.endswith("/seal"):
                arrived.set()
            return answer

    with httpx.Client(base_url=url, transport=Watching()) as client:
        made = uploader(host, client)
        thread = threading.Thread(target=made.run)
        thread.start()
        recorder = Recorder(host, ROBOT, DOMAIN, lambda sealed: made.wake())
        recorder.run(events_of(fake_episode(episode="episode-1")))
        assert arrived.wait(20)
        made.stop()
        thread.join(20)


def test_waits_grow_and_have_an_end() -> None:
    backoff = Backoff(0.5, 60.0)

    assert [backoff.wait_s(failures) for failures in (1, 2, 3, 8, 500)] == [0.5, 1.0, 2.0, 60.0, 60.0]
