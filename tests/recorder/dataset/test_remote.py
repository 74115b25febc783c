"""Episodes read where they are: at a real hub over a socket, in a bucket of a real S3 server, from servers that lie."""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest

from recorder.dataset import (
    EpisodeDataset,
    NoEpisodesError,
    RangedFile,
    RemoteChangedError,
    RemoteCutError,
    RemoteError,
    RemoteUnreachableError,
    UnreadableBundleError,
    facts_of,
)
from recorder.dataset.remote import ranged, source
from recorder.dataset.remote.bundle import bundles_at
from recorder.dataset.remote.reading import ArraysAtUrl, recording_at
from recorder.dataset.remote.signing import signed
from recorder.file.episode import read_episode
from recorder.hub.store.objects import Objects
from recorder.proof.bundle import BUNDLE_FILES
from recorder.proof.manifest import NO_PREVIOUS
from tests.recorder.bundles import TRUST, good_bundle
from tests.recorder.dataset.opened import read_here
from tests.recorder.filming import head
from tests.recorder.hub.test_api import handed_in, sign
from tests.recorder.served import Hub
from tests.s3 import S3

FILMED: dict[str, Any] = {"simulated": False, "cameras": (head("front"),)}
REACHES = {"episode-1": 0.5, "episode-2": 0.8}
READ: dict[str, Any] = {"action": "joint_position", "cameras": ["front"]}


@pytest.fixture
def at_hub(hub: Hub, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A hub with two verified episodes, and a folder that has the same."""
    with hub.served() as url, httpx.Client(base_url=url, timeout=30) as web:
        folder, previous = tmp_path / "local", NO_PREVIOUS
        for episode, reach in REACHES.items():
            bundle = handed_in(web, hub, folder, episode=episode, reach=reach, previous=previous, **FILMED)
            signed_now = sign(web, bundle).json()
            assert signed_now["state"] == "verified", signed_now
            previous = signed_now["digest"]
            for name in BUNDLE_FILES[1:]:
                (bundle / name).write_bytes(web.get(f"/api/episodes/{episode}/files/{name}").content)
        yield url, folder


@pytest.fixture
def in_bucket(s3: S3, tmp_path: Path) -> tuple[str, Path]:
    """A bucket with two episodes, and a folder that has the same."""
    folder, url = tmp_path / "local", f"s3://{s3.bucket()}"
    for episode, reach in REACHES.items():
        bundle = good_bundle(folder, episode=episode, reach=reach, **FILMED)
        for name in BUNDLE_FILES:
            Objects.at(url).put(f"sets/of a lab/{episode}/{name}", bundle / name)
    Objects.at(url).put("sets/of a lab/README.md", b"beside them")
    return f"{url}/sets/of a lab", folder


def frames(data: EpisodeDataset) -> list[dict[str, Any]]:
    return [data[index] for index in range(0, len(data), 7)]


def require_equal(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected) > 5
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            np.testing.assert_array_equal(value, other[key])


def test_a_hubs_episodes_are_read_as_those_in_a_folder(at_hub: tuple[str, Path]) -> None:
    url, folder = at_hub
    data = EpisodeDataset(url, **READ)

    require_equal(frames(data), frames(EpisodeDataset(folder, **READ)))
    assert [one.facts for one in data.episodes] == [facts_of(folder / f"episode-{number}") for number in (1, 2)]
    for named, count in {
        f"{url}/api/episodes/episode-2": 1,
        f"{url}/api/episodes/episode-2/files": 1,
        f"{url}/api/episodes?task=lift": 2,
        f"{url}/api/episodes?limit=1": 2,
        f"{url}/": 2,
    }.items():
        assert len(bundles_at(named)) == count, named
    mixed = EpisodeDataset([folder / "episode-1", f"{url}/api/episodes/episode-2"], **READ)
    require_equal(frames(mixed), frames(data))
    with pytest.raises(NoEpisodesError):
        EpisodeDataset(f"{url}/api/episodes?task=stack")


def test_a_buckets_episodes_are_read_as_those_in_a_folder(in_bucket: tuple[str, Path]) -> None:
    url, folder = in_bucket
    data = EpisodeDataset(url, **READ)

    require_equal(frames(data), frames(EpisodeDataset(folder, **READ)))
    assert len(bundles_at(f"{url}/episode-1")) == 1
    assert EpisodeDataset(url, hub=TRUST, **READ).episodes[0].facts["trust"] == "witnessed"


def test_what_a_hub_vouches_for_is_read_whole_and_compared(at_hub: tuple[str, Path], hub: Hub) -> None:
    url, folder = at_hub
    data = EpisodeDataset(url, hub=TRUST, **READ)
    require_equal(frames(data), frames(EpisodeDataset(folder, **READ)))

    place = hub.store.path("episode-1", "episode.h5")
    spoilt = bytearray(place.read_bytes())
    where = bytes(spoilt).index(recording_at(data.episodes[0].bundle).arrays["cameras/front/bytes"][:64].tobytes())  # type: ignore[arg-type]
    spoilt[where + 40] ^= 1
    place.write_bytes(spoilt)
    (place.with_name("episode.h5.sha256")).write_text(hashlib.sha256(spoilt).hexdigest())
    with pytest.raises(UnreadableBundleError, match="not the file that was verified"):
        frames(EpisodeDataset(url, hub=TRUST, **READ))


@pytest.mark.parametrize(("where", "start"), [("at_hub", "fork"), ("in_bucket", "fork"), ("in_bucket", "spawn")])
def test_many_workers_read_the_same(request: pytest.FixtureRequest, where: str, start: str) -> None:
    url, _ = request.getfixturevalue(where)
    data = EpisodeDataset(url, **READ)
    indices = range(0, len(data), 5)
    expected = [read_here(data, index) for index in indices]

    with multiprocessing.get_context(start).Pool(2) as workers:
        found = workers.starmap(read_here, [(data, index) for index in indices])
    assert found == expected
    assert [read_here(data, index) for index in indices] == expected


def test_pictures_come_only_when_they_are_looked_at(in_bucket: tuple[str, Path]) -> None:
    url, folder = in_bucket
    episode = recording_at(bundles_at(url)[0])
    arrays = episode.arrays
    assert isinstance(arrays, ArraysAtUrl)
    pictures = read_episode(folder / "episode-1" / "episode.h5").arrays
    before = arrays.nbytes_here
    np.testing.assert_array_equal(arrays["cameras/front/bytes"], pictures["cameras/front/bytes"])
    assert arrays.nbytes_here - before == pictures["cameras/front/bytes"].nbytes > 0
    assert set(arrays) == set(pictures)


def test_only_what_is_read_comes_and_comes_once(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    url, data = f"s3://{s3.bucket()}", np.random.default_rng(1).bytes(5_000_000)
    Objects.at(url).put("a file", data)
    asked: list[tuple[int, int]] = []
    read = source.read_range

    def counted(url: str, start: int, end: int) -> source.Piece:
        asked.append((start, end))
        return read(url, start, end)

    monkeypatch.setattr(ranged, "read_range", counted)
    file = RangedFile(f"{url}/a file", blocks_max=4)
    file.seek(-10, 2)
    assert file.read() == data[-10:]
    file.seek(-10, 2)
    assert (file.read(4), file.read(100)) == (data[-10:-6], data[-6:])
    assert len(asked) == 2
    file.seek(300_000)
    assert file.read(2_000_000) == data[300_000:2_300_000]
    assert len(asked) == 3, "neighbours come in one request"
    file.seek(0)
    assert file.read() == data
    assert len(file._blocks) <= 4
    assert file.read(1) == b""
    assert pickle.loads(pickle.dumps(file)).read(5) == data[:5]


def test_anything_that_seeks_and_reads_takes_the_file(at_hub: tuple[str, Path]) -> None:
    url, folder = at_hub
    file = RangedFile(f"{url}/api/episodes/episode-1/files/episode.h5")
    digest = hashlib.sha256((folder / "episode-1" / "episode.h5").read_bytes()).hexdigest()
    assert file.etag == f'"{digest}"'
    with h5py.File(file, "r") as read:
        assert read.attrs["version"] == 2


Say = Callable[[BaseHTTPRequestHandler, int], None]
"""Answers a request; told how many came before."""


@contextmanager
def answering(say: Say) -> Iterator[str]:
    """Serve answers on a free port."""
    count = iter(range(10_000))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            say(self, next(count))

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/file"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DATA = bytes(range(256)) * 4096


def answer(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    declared: int | None = None,
) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body) if declared is None else declared))
    handler.end_headers()
    handler.wfile.write(body)
    if declared is not None and len(body) < declared:
        handler.close_connection = True  # only then: a client that keeps it open would lose a try to it


def a_range(
    handler: BaseHTTPRequestHandler, data: bytes = DATA, etag: str = '"one"', moved: int = 0, cut: int = 0
) -> None:
    first, last = (int(part) for part in handler.headers["Range"].removeprefix("bytes=").split("-"))
    last = min(last, len(data) - 1)
    body = data[first + moved : last + 1 + moved]
    said = {"Content-Range": f"bytes {first + moved}-{last + moved}/{len(data)}", "ETag": etag}
    answer(handler, 206, body[: len(body) - cut], said, declared=len(body))


HTML = b"<html><body>Please sign in to the hotel network</body></html>"
LIES: dict[str, tuple[Say, type[Exception], str]] = {
    "a page of a proxy's": (
        lambda to, _: answer(to, 200, HTML, {"Content-Type": "text/html"}),
        RemoteError,
        r"all of 200 \(text/html: '<html><body>Please sign in",
    ),
    "a page as a range": (lambda to, _: answer(to, 206, HTML), RemoteError, "instead of the file"),
    "all of the file": (lambda to, _: answer(to, 200, DATA), RemoteError, "instead of a range"),
    "a refusal": (lambda to, _: answer(to, 403, b"no"), RemoteError, "403"),
    "a cut answer": (lambda to, _: a_range(to, cut=10), RemoteCutError, "cut short"),
    "another range": (lambda to, _: a_range(to, moved=5), RemoteError, "expected bytes 0 to"),
    "an empty file": (lambda to, _: answer(to, 416, b""), RemoteChangedError, "ends before byte 0"),
    "a gateway without a hub": (lambda to, _: answer(to, 502, HTML), RemoteUnreachableError, "502"),
    "no file": (lambda to, _: answer(to, 404, b"{}"), FileNotFoundError, "404"),
    "a number that is none": (
        lambda to, _: answer(to, 206, b"x", {"Content-Range": "bytes 0-0/*"}),
        RemoteError,
        "instead of the file",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_the_file_is_named(lie: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_PAUSE_S", 0.0)
    say, error, said = LIES[lie]
    with answering(say) as url, pytest.raises(error, match=said):
        RangedFile(url)


def test_a_connection_that_is_lost_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_PAUSE_S", 0.0)

    def say(to: BaseHTTPRequestHandler, before: int) -> None:
        if before in (1, 3):
            a_range(to, cut=1000)
        elif before in (2, 5):
            answer(to, 503, b"busy")
        else:
            a_range(to)

    with answering(say) as url:
        file = RangedFile(url)
        assert file.read() == DATA


@pytest.mark.parametrize("change", ["etag", "length", "shorter"])
def test_a_file_that_is_changed_while_it_is_read_is_named(change: str) -> None:
    def say(to: BaseHTTPRequestHandler, before: int) -> None:
        if not before:
            a_range(to)
        elif change == "etag":
            a_range(to, etag='"two"')
        elif change == "length":
            a_range(to, DATA + b"x")
        else:
            answer(to, 416, b"")

    with answering(say) as url:
        file = RangedFile(url)
        with pytest.raises(RemoteChangedError):
            file.read()
        assert isinstance(file.trouble, RemoteChangedError)


@pytest.mark.parametrize("lie", ["changed", "page", "cut"])
def test_an_episode_whose_file_turns_into_something_else_is_named_and_never_believed(
    at_hub: tuple[str, Path], lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What HDF5 makes of it, an error of its own or worse, is not what the caller sees."""
    monkeypatch.setattr(source, "_PAUSE_S", 0.0)
    monkeypatch.setattr(ranged, "BLOCK_BYTES", 4096)
    _, folder = at_hub
    data = (folder / "episode-1" / "episode.h5").read_bytes()

    def say(to: BaseHTTPRequestHandler, before: int) -> None:
        name = to.path.rpartition("/")[2]
        if name != "episode.h5":
            path = folder / "episode-1" / name
            answer(to, *((200, path.read_bytes()) if path.exists() else (404, b"")))
        elif before < 8:
            a_range(to, data)
        elif lie == "changed":
            a_range(to, data, etag='"two"')
        elif lie == "page":
            answer(to, 200, HTML, {"Content-Type": "text/html"})
        else:
            a_range(to, data, cut=1)

    with answering(say) as url:
        hub = url.removesuffix("/file")
        expected = {"changed": RemoteChangedError, "page": RemoteError, "cut": RemoteCutError}[lie]
        with pytest.raises(expected):
            EpisodeDataset(f"{hub}/api/episodes/episode-1", **READ)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (HTML, "does not answer as a hub does"),
        (b'{"episodes": [{"episode": "../../etc"}], "next": null}', "cannot be one"),
        (b'{"episodes": 7}', "does not answer as a hub does"),
        (b'{"episodes": [], "next": "same"}', "follows itself"),
    ],
)
def test_what_does_not_answer_as_a_hub_is_named(body: bytes, said: str) -> None:
    with answering(lambda to, _: answer(to, 200, body)) as url, pytest.raises(RemoteError, match=said):
        bundles_at(url.removesuffix("/file"))


def test_a_document_that_is_a_page_or_without_end_is_refused(at_hub: tuple[str, Path]) -> None:
    with answering(lambda to, _: answer(to, 200, HTML, {"Content-Type": "text/html"})) as url:
        hub = url.removesuffix("/file")
        with pytest.raises(RemoteError, match="text/html"):
            EpisodeDataset(f"{hub}/api/episodes/episode-1")
    with answering(lambda to, _: answer(to, 200, b"{}", declared=1 << 40)) as url:
        hub = url.removesuffix("/file")
        with pytest.raises(RemoteError, match="expected at most"):
            EpisodeDataset(f"{hub}/api/episodes/episode-1")


def test_a_bucket_that_is_none_is_named(s3: S3) -> None:
    with pytest.raises(RemoteError, match="There is no bucket"):
        bundles_at("s3://nobody-has-this-one")


def test_nobody_at_the_port_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_PAUSE_S", 0.0)
    with answering(lambda to, _: a_range(to)) as url:
        pass
    with pytest.raises(RemoteUnreachableError, match="cannot be reached"):
        RangedFile(url)


def test_a_request_is_signed_as_amazons_example_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html: "GET Bucket (List Objects)"."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    url, query = "https://examplebucket.s3.amazonaws.com/", {"max-keys": "2", "prefix": "J"}
    headers = signed(url, query, datetime(2013, 5, 24, tzinfo=UTC))
    signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    assert headers["authorization"].endswith(f"Signature={signature}")
