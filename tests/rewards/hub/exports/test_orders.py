"""Promises of exports and releases over HTTP, with jobs in their own processes, of episodes that cameras recorded."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import httpx
import pytest
from huggingface_hub import snapshot_download
from sqlalchemy import update

from recorder.hub.store.bundles import StoredBundle
from rewards.hub.exports.releasing import Releasing, Source
from rewards.tables import JobRow
from tests.rewards.datasets.sets import NAME
from tests.rewards.hub.exports.ordering_hub import JOINTS, Hub, opened


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with opened(tmp_path_factory.mktemp("hub")) as served:
        yield served


@pytest.fixture(scope="module")
def exported(hub: Hub) -> dict[str, Any]:
    """An export that is done."""
    asked = hub.export()
    assert asked.status_code == 202, asked.text
    return hub.ended(asked.json()["id"])


@pytest.fixture(scope="module")
def released(hub: Hub) -> dict[str, Any]:
    """A release that is done."""
    asked = hub.post(f"/api/sets/{NAME}/versions/2/release", JOINTS)
    assert asked.status_code == 202, asked.text
    return hub.ended(asked.json()["id"])


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_export_is_a_job_whose_archive_is_downloaded_by_ranges(hub: Hub, exported: dict[str, Any]) -> None:
    assert (exported["state"], exported["set"], exported["format"]) == ("done", f"{NAME}@1", "robomimic")
    result = exported["result"]
    assert (result["name"], result["written"]) == ("lift-1.hdf5", "1 demonstration, 14 samples")
    path = f"/api/exports/{exported['id']}/archive"
    whole = hub.client.get(path).content
    assert (len(whole), hashlib.sha256(whole).hexdigest()) == (result["bytes"], result["sha256"])
    seen = hub.client.head(path)
    assert (int(seen.headers["Content-Length"]), seen.headers["ETag"]) == (len(whole), f'"{result["sha256"]}"')
    rest = hub.client.get(path, headers={"Range": "bytes=1000-"})
    assert (rest.status_code, rest.content) == (206, whole[1000:])
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        assert tar.getnames() == ["lift-1.hdf5"]
        data = tar.extractfile("lift-1.hdf5")
        assert data is not None
        with h5py.File(io.BytesIO(data.read())) as file:
            assert list(file["data"]) == ["demo_0"]
            assert file["data/demo_0"].attrs["episode"] == "e0"


def test_the_same_request_is_the_same_job(hub: Hub, exported: dict[str, Any]) -> None:
    again = hub.export(size="640x480")
    assert (again.status_code, again.json()) == (202, exported)
    newest = hub.export(set=NAME).json()
    assert (newest["set"], newest["id"] != exported["id"]) == (f"{NAME}@2", True)
    assert hub.ended(newest["id"])["result"]["written"].startswith("2 demonstrations")


@pytest.mark.parametrize(
    ("said", "status", "named", "message"),
    [
        ({"format": "rlds"}, 422, "order", "there is no format 'rlds'"),
        ({"action": "speed"}, 422, "order", "there is no action 'speed'"),
        ({"size": "9x9"}, 422, "order", "of 16 to 1920 pixels"),
        ({"size": "99999x99999"}, 422, "order", "of 16 to 1920 pixels"),
        ({"size": "big"}, 422, "order", "such as 640x480"),
        ({"camera": ["../etc"]}, 422, "invalid", "camera"),
        ({"camera": ["c"] * 9}, 422, "invalid", "camera"),
        ({"length": 10**9}, 422, "invalid", "length"),
        ({"sice": "1x1"}, 422, "invalid", "sice"),
        ({"set": "lab/nowhere"}, 404, "unknown_dataset", "no data set version 'lab/nowhere'"),
        ({"set": f"{NAME}@9"}, 404, "unknown_dataset", f"no data set version '{NAME}@9'"),
        ({"set": "../x@1"}, 404, "unknown_dataset", "no data set version"),
        ({"set": "x"}, 404, "unknown_dataset", "NAMESPACE/NAME@N"),
    ],
)
def test_what_cannot_be_ordered_is_refused_at_once(
    hub: Hub, said: dict[str, Any], status: int, named: str, message: str
) -> None:
    answer = hub.export(**said)
    assert code(answer) == (status, named)
    assert message in answer.json()["error"]["message"]


def test_only_who_is_signed_in_may_order(hub: Hub) -> None:
    body = {"set": NAME, "format": "robomimic"}
    assert code(hub.client.post("/api/exports", json=body)) == (401, "auth")
    assert code(hub.client.post(f"/api/sets/{NAME}/versions/1/release", json={})) == (401, "auth")


def test_what_does_not_fit_is_a_sentence_as_the_command_line_says_it(hub: Hub) -> None:
    asked = hub.export(camera=["wrist"])
    ended = hub.ended(asked.json()["id"])
    assert (ended["state"], ended["result"]) == ("failed", None)
    assert ended["error"] == "e0 has no camera 'wrist'. It has front."


def test_a_release_is_downloaded_by_hugging_faces_client(hub: Hub, released: dict[str, Any], tmp_path: Path) -> None:
    result = released["result"]
    assert (released["kind"], result["name"], result["version"]) == ("release", NAME, 2)
    folder = Path(
        snapshot_download(NAME, repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path, token=False, revision="v3.0")
    )
    assert folder.name == result["commit"] == result["digest"][:40]
    assert len([path for path in folder.rglob("*") if path.is_file()]) == result["files"]
    assert hub.giving.releases.when([result["digest"], "0" * 64]).keys() == {result["digest"]}
    assert hub.client.get("/api/release.pub").text == hub.giving.public_key
    assert code(hub.client.get(f"/api/exports/{released['id']}/archive")) == (409, "no_archive")


def test_a_version_is_released_once_and_by_its_owner(hub: Hub, released: dict[str, Any]) -> None:
    path = f"/api/sets/{NAME}/versions/2/release"
    assert hub.post(path, JOINTS).json() == released
    assert code(hub.post(path, {**JOINTS, "size": "64x48"})) == (409, "release_differs")
    assert code(hub.post(path, JOINTS, "mallory")) == (403, "not_the_namespace")
    assert code(hub.post(f"/api/sets/{NAME}/versions/7/release", JOINTS)) == (404, "unknown_dataset")


def test_a_folder_that_was_half_written_is_never_given_out(hub: Hub, released: dict[str, Any]) -> None:
    digest = released["result"]["digest"]
    half = hub.work / "released" / f".{digest}.77.tmp" / "files"
    half.mkdir(parents=True)
    (half / "README.md").write_text("half")
    for name in (half.parent.name, "77", f".{digest}.77.tmp"):
        answer = hub.client.get(f"/datasets/{NAME}/resolve/{name}/README.md")
        assert answer.headers["X-Error-Code"] == "RevisionNotFound"


def test_an_unknown_job_has_no_archive(hub: Hub) -> None:
    assert code(hub.client.get("/api/jobs/nothing")) == (404, "unknown_job")
    assert code(hub.client.get("/api/exports/nothing/archive")) == (404, "unknown_job")


def test_an_archive_of_a_withdrawn_episode_is_no_longer_given_out(hub: Hub, exported: dict[str, Any]) -> None:
    hub.versions.gone = {"e0"}
    try:
        assert code(hub.client.get(f"/api/exports/{exported['id']}/archive")) == (410, "archive_erased")
        ended = hub.ended(hub.export(format="mcap").json()["id"])
        assert "that its operator has withdrawn: take a newer version" in ended["error"]
    finally:
        hub.versions.gone = set()


def test_archives_that_nobody_asks_for_are_erased_and_made_again_if_somebody_does(
    hub: Hub, exported: dict[str, Any]
) -> None:
    path = hub.work / "exports" / f"{exported['id']}.tar"
    (hub.work / "exports" / "ffff.tar").write_text("nobody's")
    assert hub.giving.archives.sweep() == []
    assert [path.exists(), (hub.work / "exports" / "ffff.tar").exists()] == [True, False]
    with hub.database() as db, db.begin():
        db.execute(update(JobRow).where(JobRow.id == exported["id"]).values(used_ms=1))
    assert hub.giving.archives.sweep() == [exported["id"]]
    assert not path.exists()
    assert code(hub.client.get(f"/api/exports/{exported['id']}/archive")) == (410, "archive_erased")
    again = hub.ended(hub.export().json()["id"])
    assert (again["id"], again["result"]) == (exported["id"], exported["result"]), "the same bytes"


def test_archives_take_no_more_than_they_may_the_oldest_go_first(hub: Hub, exported: dict[str, Any]) -> None:
    with hub.database() as db, db.begin():
        for number in range(3):
            job = JobRow(id=f"{number:032}", kind="export", request={}, wallet="0x", state="done", created_ms=1)
            job.bytes, job.used_ms = 30_000_000, 2**50 + number
            db.add(job)
            (hub.work / "exports" / f"{number:032}.tar").write_bytes(b"x")
    erased = hub.giving.archives.sweep()
    assert {f"{0:032}", f"{1:032}"} <= set(erased), "two of them and the newest would be too much"
    assert f"{2:032}" not in erased


def test_a_release_that_was_written_and_not_heard_is_not_written_again(
    hub: Hub, released: dict[str, Any], tmp_path: Path
) -> None:
    """And what a process left behind that was ended in the middle is removed."""
    digest = released["result"]["digest"]
    folder = Path(shutil.copytree(hub.work / "released" / digest, tmp_path / "released" / digest))
    half = folder.with_name(f".{digest}.77.tmp")
    half.mkdir()
    source = Source(hub.versions, lambda one: StoredBundle(one, ()), dict, "")
    work = Releasing(hub.database, source, folder.parent, hub.work / "keys" / "release.key", 10**9)
    request = hub.giving.jobs.get(released["id"]).request
    before = folder.stat()
    assert work.work(released["id"], request)(lambda what, done, total: None) == {
        name: value for name, value in released["result"].items() if value is not None
    }
    assert (half.exists(), folder.stat().st_mtime_ns) == (False, before.st_mtime_ns)
