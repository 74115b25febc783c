"""Files over HTTP, from a folder and from a bucket: ranges, uploads that go on, and a bucket that is gone."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.hub.erasing import Erasing
from recorder.hub.ranges import RangeError, range_in
from recorder.hub.store.bucket import BucketStore
from recorder.hub.store.objects import Objects
from recorder.hub.store.store import StoreLostError
from recorder.hub.uploads import UploadBusyError
from recorder.proof.bundle import BUNDLE_FILES
from recorder.proof.unable import WORDS
from recorder.proof.verify import verify_bundle
from tests.recorder.bundles import TRUST, sealed_bundle
from tests.recorder.factory import ROBOT, WALLET
from tests.recorder.hub.test_api import append, create, handed_in, patch_of, resumed, seal, sign, upload
from tests.recorder.served import Hub, as_host, bearer, code
from tests.s3 import S3, serving


@pytest.fixture(params=["folder", "bucket"])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    objects = None
    if request.param == "bucket":
        objects = Objects.at(f"s3://{request.getfixturevalue('s3').bucket()}/episodes")
    made = Hub(tmp_path / "hub", objects=objects)
    yield made
    made.close()


def restarted(hub: Hub, folder: Path) -> Hub:
    """Return a hub that goes on with what another has: its folder, or its database and its bucket alone."""
    if isinstance(hub.store, BucketStore):
        return Hub(folder / "second", database_folder=folder / "hub", objects=hub.store.objects)
    return Hub(folder / "hub")


def test_a_file_is_given_out_by_ranges(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path, steps=400)
    sign(web, bundle)
    data = (bundle / "episode.h5").read_bytes()
    path, etag = f"/api/episodes/{bundle.name}/files/episode.h5", f'"{hashlib.sha256(data).hexdigest()}"'

    head, whole = web.head(path), web.get(path)
    assert (head.status_code, head.content, whole.content) == (200, b"", data)
    for answer in (head, whole):
        assert answer.headers["Content-Length"] == str(len(data))
        assert (answer.headers["Accept-Ranges"], answer.headers["ETag"]) == ("bytes", etag)
    for asked, found in {
        "bytes=0-0": data[:1],
        "bytes=100-199": data[100:200],
        "bytes=100-": data[100:],
        "bytes=-7": data[-7:],
        f"bytes=5-{len(data) + 5}": data[5:],
    }.items():
        part = web.get(path, headers={"Range": asked, "If-Range": etag})
        start = len(data) - len(found) if asked != "bytes=0-0" and not asked.startswith("bytes=100-199") else None
        assert (part.status_code, part.content, part.headers["ETag"]) == (206, found, etag), asked
        if start is not None:
            assert part.headers["Content-Range"] == f"bytes {start}-{len(data) - 1}/{len(data)}"
    beyond = web.get(path, headers={"Range": f"bytes={len(data)}-"})
    assert code(beyond) == (416, "range")
    assert beyond.headers["Content-Range"] == f"bytes */{len(data)}"
    assert web.get(path, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=0-9", "If-Range": '"another"'},
        {"Range": "bytes=0-9", "If-Range": "Fri, 27 Nov 2026 10:00:00 GMT"},
        {"Range": "bytes=0-1,4-5"},
        {"Range": "bytes=9-3"},
        {"Range": "bytes=-"},
        {"Range": "pictures=1-2"},
        {"Range": "bytes=٠-٩".encode()},
        {"If-None-Match": '"another"'},
    ],
)
def test_what_is_no_range_of_this_file_is_answered_with_all_of_it(tmp_path: Path, headers: dict[str, str]) -> None:
    hub = Hub(tmp_path / "hub")
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        bundle = handed_in(web, hub, tmp_path)
        asked = web.get(f"/api/episodes/{bundle.name}/files/episode.h5", headers=bearer(WALLET.address) | headers)
        assert (asked.status_code, asked.content) == (200, (bundle / "episode.h5").read_bytes())
    hub.close()


@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 40))
def test_a_range_is_what_rfc_9110_says(size: int, first: int, last: int) -> None:
    data = bytes(range(size))
    if first >= size and last >= first:
        with pytest.raises(RangeError):
            range_in(f"bytes={first}-{last}", size)
        return
    found = range_in(f"bytes={first}-{last}", size)
    assert (found is None) == (last < first)
    if found is not None:
        assert data[slice(*found)] == data[first : last + 1]
    if last:
        assert data[slice(*(range_in(f"bytes=-{last}", size) or (0, 0)))] == data[-last:]


def test_documents_are_ranged_too_and_change_their_etag_when_they_change(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = handed_in(web, hub, tmp_path)
    path = f"/api/episodes/{bundle.name}/files/signatures.json"
    before = web.get(path, headers=bearer(WALLET.address))
    sign(web, bundle)
    after = web.get(path, headers={"Range": "bytes=0-4", "If-Range": before.headers["ETag"]})

    assert (after.status_code, after.headers["ETag"] != before.headers["ETag"]) == (200, True)
    assert f'"{hashlib.sha256(after.content).hexdigest()}"' == after.headers["ETag"]


def test_a_recording_of_an_earlier_release_has_its_etag_too(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub")
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as web:
        bundle = handed_in(web, hub, tmp_path)
        (hub.store.folder(bundle.name) / "episode.h5.sha256").unlink()
        sign(web, bundle)
        etag = web.head(f"/api/episodes/{bundle.name}/files/episode.h5").headers["ETag"]
        assert etag == f'"{hashlib.sha256((bundle / "episode.h5").read_bytes()).hexdigest()}"'
    hub.close()


def test_an_episode_from_either_place_is_verified_by_a_stranger(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    answer = sign(web, bundle)
    assert answer.json()["state"] == "verified", answer.text

    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for name in BUNDLE_FILES:
        (fetched / name).write_bytes(web.get(f"/api/episodes/{bundle.name}/files/{name}").content)
    assert verify_bundle(fetched, TRUST).digest == answer.json()["digest"]
    assert web.get(f"/api/episodes/{bundle.name}/replay").status_code == 200


def test_a_cut_upload_goes_on_and_so_does_one_of_a_hub_that_is_gone(
    tmp_path: Path, hub: Hub, web: httpx.Client
) -> None:
    bundle = sealed_bundle(tmp_path, steps=400)
    hub.begin(bundle.name)
    data = (bundle / "episode.h5").read_bytes()
    location = create(web, bundle.name, len(data)).headers["Location"]
    with socket.create_connection((web.base_url.host, web.base_url.port)) as cut:
        cut.sendall(patch_of(location, len(data)) + data[:100_000])
    assert resumed(web, location, data[:150_000]).headers["Upload-Offset"] == "150000"

    second = restarted(hub, tmp_path)
    second.begin(bundle.name)
    with second.served() as url, httpx.Client(base_url=url, timeout=20) as other:
        assert other.head(location, headers=as_host(ROBOT.address)).headers["Upload-Offset"] == "150000"
        assert append(other, location, 150_000, data[150_000:]).status_code == 204
        assert seal(other, bundle, location).status_code == 202
        assert sign(other, bundle).json()["state"] == "verified"
    second.close()
    assert web.get(f"/api/episodes/{bundle.name}/files/episode.h5").content == data, "the first hub has it too"
    waiting = tmp_path / "hub" / "uploads"
    kept = hub.store.objects.keys("uploads/") if isinstance(hub.store, BucketStore) else waiting.iterdir()
    assert list(kept) == []


def test_two_hubs_never_add_to_the_same_upload_at_once(tmp_path: Path, hub: Hub) -> None:
    second = restarted(hub, tmp_path)
    made = hub.uploads.create("episode-1", ROBOT.address, 10)

    def send(one: Hub, data: bytes) -> bool:
        try:
            writer = one.uploads.write(made.upload, ROBOT.address, 0)
            try:
                writer.append(data)
            finally:
                writer.close()
        except UploadBusyError:
            return False
        return True

    first = hub.uploads.write(made.upload, ROBOT.address, 0)
    first.append(b"first")
    both = send(second, b"other")
    try:
        first.close()
    except UploadBusyError:
        assert both, "one of the two was first"
    else:
        assert not both

    found = second.uploads.find(made.upload, ROBOT.address)
    assert found.offset == 5
    with ThreadPoolExecutor(2) as threads:
        rest = [threads.submit(one.uploads.write, made.upload, ROBOT.address, 5) for one in (hub, second)]
        for one in rest:
            if one.exception() is None:
                one.result().close()
    second.close()


def test_a_discarded_episode_leaves_nothing_in_either_place(tmp_path: Path, hub: Hub, web: httpx.Client) -> None:
    bundle = handed_in(web, hub, tmp_path)
    web.post(f"/api/episodes/{bundle.name}/discard", headers=bearer(WALLET.address))

    assert Erasing(hub.database, hub.store, lambda: 1_750_000_300_000, 1).sweep() == [bundle.name]
    assert not any(hub.store.has(bundle.name, name) for name in BUNDLE_FILES)
    if isinstance(hub.store, BucketStore):
        assert list(hub.store.objects.keys("objects/")) == []


def test_an_episode_whose_bucket_is_gone_is_held_and_never_rejected(tmp_path: Path, s3: S3) -> None:
    name = s3.bucket()
    hub = Hub(tmp_path / "hub", objects=Objects.at(f"s3://{name}"))
    with hub.served() as url, httpx.Client(base_url=url, timeout=60) as web:
        bundle = handed_in(web, hub, tmp_path)
        s3.drop(name)
        for kept in (tmp_path / "hub" / "cache").iterdir():
            kept.unlink()
        answer = sign(web, bundle)
        assert (answer.status_code, answer.json()["state"]) == (200, "held")
        assert answer.json()["reason"] == f"StoreLost: {WORDS['StoreLost']}"
        path = f"/api/episodes/{bundle.name}/files/episode.h5"
        assert code(web.get(path, headers=bearer(WALLET.address))) == (503, "store_lost")
    hub.close()


def test_a_server_that_dies_in_the_middle_loses_nothing_and_nothing_is_done_twice(tmp_path: Path) -> None:
    """Before each step the server is killed; the step is refused or held by name, and is done once it is back."""
    with serving(tmp_path / "s3") as server:
        name, ports = server.bucket(), server.ports
        hub = Hub(tmp_path / "hub", objects=Objects.at(f"s3://{name}"))
        bundle = sealed_bundle(tmp_path, steps=400)
        hub.begin(bundle.name)
        with hub.served() as url, httpx.Client(base_url=url, timeout=60) as web:
            data = (bundle / "episode.h5").read_bytes()
            location = create(web, bundle.name, len(data)).headers["Location"]
            append(web, location, 0, data[:100_000])
            server.process.kill()
            server.process.wait()
            assert code(append(web, location, 100_000, data[100_000:])) == (503, "store_lost")
            with serving(tmp_path / "s3", ports) as server:
                offset = web.head(location, headers=as_host(ROBOT.address)).headers["Upload-Offset"]
                assert offset == "100000", "what was not kept is asked for again"
                assert append(web, location, 100_000, data[100_000:]).status_code == 204
                server.process.kill()
                server.process.wait()
                assert code(seal(web, bundle, location)) == (503, "store_lost")
            with serving(tmp_path / "s3", ports) as server:
                assert seal(web, bundle, location).status_code == 202
                for kept in (tmp_path / "hub" / "cache").iterdir():
                    kept.unlink()
                server.process.kill()
                server.process.wait()
                assert sign(web, bundle).json()["state"] == "held"
            with serving(tmp_path / "s3", ports):
                asyncio.run(hub.intake.check_held(hub.door.ticket, due=False))
                assert web.get(f"/api/episodes/{bundle.name}").json()["state"] == "verified"
                assert web.get(f"/api/episodes/{bundle.name}/files/episode.h5").content == data
                assert web.get(f"/api/episodes/{bundle.name}/files/receipt.json").status_code == 200
                with hub.database() as db:
                    assert hub.log.head(db)[0] == 1
        hub.close()


def test_a_receipt_that_the_bucket_could_not_take_is_written_once_it_is_asked_for(
    tmp_path: Path, s3: S3, monkeypatch
) -> None:
    hub = Hub(tmp_path / "hub", objects=Objects.at(f"s3://{s3.bucket()}"))
    with hub.served() as url, httpx.Client(base_url=url, timeout=60) as web:
        bundle = sealed_bundle(tmp_path)
        hub.begin(bundle.name)
        assert seal(web, bundle, upload(web, bundle)).status_code == 202

        def away(*_: object) -> None:
            raise StoreLostError("away")

        monkeypatch.setattr(Objects, "put", away)
        assert sign(web, bundle).json()["state"] == "verified"
        assert code(web.get(f"/api/episodes/{bundle.name}/files/receipt.json")) == (503, "store_lost")
        monkeypatch.undo()
        assert web.get(f"/api/episodes/{bundle.name}/files/receipt.json").status_code == 200
    hub.close()
