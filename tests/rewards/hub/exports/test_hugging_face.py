"""Promises of the calls of Hugging Face's own client, which is what asks here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi, RepoFile, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.file_download import http_get
from packaging.version import InvalidVersion, Version

from rewards.hub.exports.releases import Releases
from teleop.hub.db import open_database, open_engine
from tests.rewards.datasets.sets import NAME, DictVersions
from tests.rewards.hub.exports.released_hub import Hub, opened

INFO = "meta/info.json"
FILM = "videos/observation.images.front/chunk-000/file-000.mp4"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with opened(tmp_path_factory.mktemp("hub")) as made:
        yield made


@pytest.fixture
def api(hub: Hub) -> HfApi:
    """Hugging Face's client, of this hub."""
    return HfApi(endpoint=hub.url, token=False)


def fetched(hub: Hub, target: Path, **given: Any) -> dict[str, bytes]:
    """Return what the client downloads into its cache."""
    folder = Path(
        snapshot_download(NAME, repo_type="dataset", endpoint=hub.url, cache_dir=target, token=False, **given)
    )
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_refs_hold_lerobots_version_and_a_tag_for_each_of_ours_that_cannot_be_taken_for_it(
    api: HfApi, hub: Hub
) -> None:
    refs = api.list_repo_refs(NAME, repo_type="dataset")
    assert {one.name: one.target_commit for one in refs.branches} == {"main": hub.second.digest[:40]}
    assert {one.name: one.target_commit for one in refs.tags} == {
        "v3.0": hub.second.digest[:40],
        "version-2": hub.second.digest[:40],
        "version-1": hub.first.digest[:40],
    }
    with pytest.raises(InvalidVersion):
        Version("version-3")  # as LeRobot parses tags: `v3` would be its format 3.0


def test_a_set_is_downloaded_whole(hub: Hub, tmp_path: Path) -> None:
    assert fetched(hub, tmp_path) == hub.files(hub.second)


@pytest.mark.parametrize("revision", ["version-1", "commit", "digest"])
def test_an_older_version_is_had_by_its_tag_or_its_digest(hub: Hub, tmp_path: Path, revision: str) -> None:
    named = {"commit": hub.first.digest[:40], "digest": hub.first.digest}.get(revision, revision)
    assert fetched(hub, tmp_path, revision=named) == hub.files(hub.first)


def test_a_part_of_a_set_is_downloaded_by_patterns(hub: Hub, tmp_path: Path) -> None:
    whole = hub.files(hub.second)
    assert fetched(hub, tmp_path, allow_patterns="meta/") == {k: v for k, v in whole.items() if k.startswith("meta/")}
    rest = fetched(hub, tmp_path / "rest", ignore_patterns="videos/")
    assert rest == {name: data for name, data in whole.items() if not name.startswith("videos/")}


def test_one_file_is_downloaded_and_asked_for_only_once(hub: Hub, tmp_path: Path) -> None:
    given = {"repo_id": NAME, "repo_type": "dataset", "endpoint": hub.url, "cache_dir": tmp_path, "token": False}
    place = Path(hf_hub_download(filename=FILM, **given))
    assert place.read_bytes() == hub.files(hub.second)[FILM]
    before = place.stat()
    assert Path(hf_hub_download(filename=FILM, **given)).stat() == before


def test_a_download_that_was_cut_goes_on_from_its_place(hub: Hub, tmp_path: Path) -> None:
    """The client's own function for it, which asks for a range and holds the file to its length."""
    whole = hub.files(hub.second)[FILM]
    with (tmp_path / "film").open("w+b") as file:
        file.write(whole[: len(whole) // 3])
        url = f"{hub.url}/datasets/{NAME}/resolve/main/{FILM}"
        http_get(url, file, resume_size=file.tell(), expected_size=len(whole))
    assert (tmp_path / "film").read_bytes() == whole


def test_a_folder_that_was_downloaded_is_verified_by_the_client(api: HfApi, hub: Hub, tmp_path: Path) -> None:
    snapshot_download(NAME, repo_type="dataset", endpoint=hub.url, local_dir=tmp_path / "lift", token=False)
    found = api.verify_repo_checksums(NAME, repo_type="dataset", local_dir=tmp_path / "lift")
    assert (found.checked_count, found.mismatches, found.missing_paths) == (len(hub.files(hub.second)), [], [])
    film = tmp_path / "lift" / FILM
    film.write_bytes(film.read_bytes()[:-1] + b"x")
    assert [
        one["path"]
        for one in api.verify_repo_checksums(NAME, repo_type="dataset", local_dir=tmp_path / "lift").mismatches
    ] == [FILM]


def test_an_unknown_set_revision_or_file_is_the_clients_own_error(api: HfApi, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError, match="this hub has no data set 'lab/nowhere'"):
        api.dataset_info("lab/nowhere")
    with pytest.raises(RepositoryNotFoundError, match="no version of it is released yet"):
        api.list_repo_refs("lab/unreleased", repo_type="dataset")
    with pytest.raises(RepositoryNotFoundError):
        snapshot_download("lab/nowhere", repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path, token=False)
    for revision in ("version-3", "v2.1", "refs/pr/1", "0" * 40):
        with pytest.raises(RevisionNotFoundError, match=r"It has main, v3\.0, version-2, version-1"):
            api.dataset_info(NAME, revision=revision)
        with pytest.raises(RevisionNotFoundError):
            fetched(hub, tmp_path, revision=revision)
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(
            NAME, "meta/nothing.json", repo_type="dataset", endpoint=hub.url, cache_dir=tmp_path, token=False
        )
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree(NAME, "nowhere", repo_type="dataset"))


def test_a_tree_is_listed_folder_by_folder_or_whole_and_in_pages(api: HfApi, hub: Hub) -> None:
    whole = {one.path: one for one in api.list_repo_tree(NAME, recursive=True, expand=True, repo_type="dataset")}
    files = {path: one for path, one in whole.items() if isinstance(one, RepoFile)}
    expected = hub.files(hub.second)
    assert {path: one.size for path, one in files.items()} == {path: len(data) for path, data in expected.items()}
    assert "videos/observation.images.front/chunk-000" in whole
    assert all(one.last_commit and one.last_commit.oid == hub.second.digest[:40] for one in whole.values())
    top = sorted(one.path for one in api.list_repo_tree(NAME, repo_type="dataset"))
    assert top == sorted({path.split("/")[0] for path in expected})
    inner = [one.path for one in api.list_repo_tree(NAME, "meta/episodes", repo_type="dataset")]
    assert inner == ["meta/episodes/chunk-000"]
    seen, url = [], f"{hub.url}/api/datasets/{NAME}/tree/main?recursive=True&limit=3"
    while url:
        answer = httpx.get(url)
        assert len(answer.json()) <= 3
        seen += [one["path"] for one in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert seen == sorted(whole)
    named = httpx.get(f"{hub.url}/api/datasets/{NAME}/tree/main?limit=1", headers={"Host": "hub.example"})
    assert named.links["next"]["url"].startswith(f"http://hub.example/api/datasets/{NAME}/tree/main?")


def test_paths_are_looked_up_by_name(api: HfApi) -> None:
    found = api.get_paths_info(NAME, [INFO, "data", "nothing"], repo_type="dataset", expand=True)
    assert [one.path for one in found] == [INFO, "data"]
    info = api.dataset_info(NAME, files_metadata=True)
    assert info.siblings is not None
    assert {one.rfilename: one.size for one in info.siblings}[INFO] == found[0].size


@pytest.mark.parametrize("body", [b"", b"{", b'{"paths": 3}', b'{"paths": [3]}', b"[]", b"\xff"])
def test_paths_that_are_none_are_refused(hub: Hub, body: bytes) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        answer = httpx.post(
            f"{hub.url}/api/datasets/{NAME}/paths-info/main", content=body, headers={"Content-Type": kind}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "paths")


def test_a_file_says_what_it_is_and_gives_ranges(hub: Hub) -> None:
    whole, url = hub.files(hub.second)[FILM], f"{hub.url}/datasets/{NAME}/resolve/main/{FILM}"
    head = httpx.head(url)
    assert head.headers["X-Repo-Commit"] == hub.second.digest[:40]
    assert (int(head.headers["Content-Length"]), head.content) == (len(whole), b"")
    assert head.headers["Accept-Ranges"] == "bytes"
    part = httpx.get(url, headers={"Range": "bytes=10-19", "If-Range": head.headers["ETag"]})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole)}"
    other = httpx.get(url, headers={"Range": "bytes=10-19", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole)
    assert httpx.get(url, headers={"Range": f"bytes={len(whole)}-"}).status_code == 416
    readme = httpx.get(f"{hub.url}/datasets/{NAME}/resolve/main/README.md").headers
    assert (readme["content-type"], readme["x-content-type-options"]) == ("text/plain; charset=utf-8", "nosniff")


def test_lerobots_visualizer_reads_it_from_another_site(hub: Hub) -> None:
    """It fetches `{DATASET_URL}/{org}/{name}/resolve/main/meta/info.json`, and ranges of Parquet, in the browser."""
    url, site = f"{hub.url}/datasets/{NAME}/resolve/main/{INFO}", {"Origin": "https://visualizer.example"}
    answer = httpx.get(url, headers=site)
    assert answer.json()["codebase_version"] == "v3.0"
    for one in (answer, httpx.get(url + "x", headers=site), httpx.get(url, headers={**site, "Range": "bytes=0-3"})):
        assert one.headers["Access-Control-Allow-Origin"] == "*"
        assert {"Content-Range", "ETag", "Content-Length"} <= set(
            one.headers["Access-Control-Expose-Headers"].split(", ")
        )
        assert "Access-Control-Allow-Credentials" not in one.headers
    asked = {**site, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    before = httpx.options(url, headers=asked)
    assert before.status_code == 204
    assert "Range" in before.headers["Access-Control-Allow-Headers"]


def test_no_path_leads_out_of_the_folder(hub: Hub) -> None:
    """Sent as bytes, since a client would tidy the path."""
    host, port = hub.url.removeprefix("http://").split(":")
    for path in ("../index.json", "..%2Findex.json", "meta/../../index.json", "%2e%2e/index.json", "/etc/passwd", ""):
        head = f"GET /datasets/{NAME}/resolve/main/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as link:
            link.sendall(head.encode())
            said = b"".join(iter(lambda: link.recv(65536), b""))
        assert said.startswith(b"HTTP/1.1 404"), (path, said[:200])


def test_a_version_with_a_withdrawn_episode_is_no_longer_given_out(api: HfApi, hub: Hub, tmp_path: Path) -> None:
    last = hub.second.episodes[2].episode
    hub.versions.gone = {last}
    try:
        assert api.dataset_info(NAME).sha == hub.first.digest[:40], "the newest that is still given out"
        for revision in ("version-2", hub.second.digest[:40], hub.second.digest):
            with pytest.raises(RevisionNotFoundError, match="that its operator has withdrawn: take main, which is ve"):
                api.dataset_info(NAME, revision=revision)
            answer = httpx.get(f"{hub.url}/datasets/{NAME}/resolve/{revision}/meta/info.json")
            assert (answer.status_code, answer.json()["error"]["code"]) == (410, "taken_down")
        with pytest.raises(RevisionNotFoundError, match="take main"):
            api.snapshot_download(NAME, repo_type="dataset", revision="version-2", cache_dir=tmp_path)
        hub.versions.gone = {hub.first.episodes[0].episode}
        with pytest.raises(RepositoryNotFoundError, match="that its operator has withdrawn"):
            api.dataset_info(NAME)
    finally:
        hub.versions.gone = set()


def test_one_environment_variable_is_all_that_a_stranger_sets(hub: Hub, tmp_path: Path) -> None:
    """`hf download`, and then `model_signing verify` of what came, as the card says."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    tool = Path(sys.executable).with_name("hf")
    words = ["download", NAME, "--repo-type", "dataset", "--revision", "version-1", "--local-dir", "lift"]
    done = subprocess.run(
        [str(tool), *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    got = {
        path.relative_to(tmp_path / "lift").as_posix(): path.read_bytes()
        for path in (tmp_path / "lift").rglob("*")
        if path.is_file() and ".cache" not in path.parts
    }
    assert got == hub.files(hub.first)


def test_what_is_given_out_is_looked_up_once_for_all_that_a_client_asks_in_a_second(hub: Hub) -> None:
    engine = open_engine(f"sqlite:///{hub.folder.parent / 'armshare.sqlite'}")
    asked: list[Sequence[str]] = []

    class Counting(DictVersions):
        def withdrawn(self, digests: Sequence[str]) -> frozenset[str]:
            asked.append(digests)
            return super().withdrawn(digests)

    releases = Releases(open_database(engine), hub.folder, Counting(hub.versions.made), fresh_s=3600.0)
    assert releases.revision(NAME, "main").commit == hub.second.digest[:40]
    assert releases.revision(NAME, "version-1").commit == hub.first.digest[:40]
    assert len(asked) == 1
    engine.dispose()
