"""Promises of downloads: many episodes in few requests, resumed, checked, repaired, and nothing outside the folder."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from armshare.failures import PlatformError
from armshare.researcher import downloading
from armshare.researcher.downloading import Downloads, Got, Outcome
from armshare.researcher.fetching import download, release, released_lines
from armshare.researcher.whole import Wanted
from recorder.hub.states import EpisodeState
from recorder.hub.store import FolderStore
from recorder.proof import manifest as manifests
from recorder.proof.bundle import BUNDLE_FILES, MANIFEST_FILE, SCORE_FILE
from rewards.datasets.version import FORMAT, Change, ChangeKind, DatasetVersion, Member, Split
from rewards.hub.bundles import EPISODES_MAX, router
from teleop.hub import errors
from tests.recorder.export import made


@dataclass
class Catalogue:
    """Says of every episode that it is verified, unless it is told otherwise."""

    states: dict[str, EpisodeState] = field(default_factory=dict)

    def get(self, episode: str) -> Any:
        return type("View", (), {"state": self.states.get(episode, EpisodeState.VERIFIED)})


class Hub(httpx.BaseTransport):
    """The hub's own routes of bundles and files, whose answers can be spoilt on their way."""

    def __init__(self, folder: Path) -> None:
        self.catalogue, self.folder = Catalogue(), folder
        self.ids = sorted(one.name for one in folder.iterdir())
        self.asked: list[tuple[str, str, str]] = []
        self.spoil: Callable[[httpx.Request, bytes], bytes | Exception] = lambda _request, data: data
        self.busy = 0
        self.sets: dict[str, httpx.Response] = {}
        app = FastAPI()
        errors.install(app)
        self.withdrawn: set[str] = set()
        catalogue: Any = self.catalogue
        app.include_router(router(catalogue, FolderStore(folder), self.score, lambda one: one in self.withdrawn))
        self.client = TestClient(app)

    async def score(self, episode: str) -> bytes | None:
        return None if episode.endswith("2") else b'{"of": "' + episode.encode() + b'"}'

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append((request.method, request.url.path, request.headers.get("Range", "")))
        if self.busy:
            self.busy -= 1
            return httpx.Response(503, json={"error": {"code": "bundles_busy", "message": "busy"}})
        if request.url.path.startswith("/api/sets/"):
            return self.sets[request.url.path]
        if request.url.path == "/api/bundles":
            answer = self.client.post("/api/bundles", content=request.content, headers=request.headers)
            if answer.is_error:
                return httpx.Response(answer.status_code, content=answer.content)
            data = answer.content
        else:
            *_, episode, _, name = request.url.path.split("/")
            file = self.folder / episode / name
            if not file.exists():
                return httpx.Response(404, json={"error": {"code": "unknown_file", "message": f"no {name}"}})
            data = file.read_bytes()
        spoilt = self.spoil(request, data)
        start = int(self.asked[-1][2].removeprefix("bytes=").rstrip("-") or 0)
        status = 206 if start else 200
        return httpx.Response(status, stream=Body(spoilt if isinstance(spoilt, Exception) else spoilt[start:], data))


class Body(httpx.SyncByteStream):
    """A body in pieces; one that breaks off has its first half."""

    def __init__(self, data: bytes | Exception, whole: bytes) -> None:
        self.data, self.whole = data, whole

    def __iter__(self) -> Iterator[bytes]:
        data = self.whole[: len(self.whole) // 2] if isinstance(self.data, Exception) else self.data
        for at in range(0, len(data), 4096):
            yield data[at : at + 4096]
        if isinstance(self.data, Exception):
            raise self.data


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    made.bundles(folder)
    return folder


@pytest.fixture
def hub(tmp_path: Path, bundles: Path) -> Hub:
    return Hub(Path(shutil.copytree(bundles, tmp_path / "hub")))


def wanted(hub: Hub) -> list[Wanted]:
    found = []
    for episode in hub.ids:
        file = manifests.decode((hub.folder / episode / MANIFEST_FILE).read_bytes()).files[0]
        found.append(Wanted(episode, file.sha256, file.size))
    return found


def downloaded(hub: Hub, target: Path, **options: Any) -> list[Got]:
    client = httpx.Client(transport=hub, base_url="http://hub.example")
    got = Downloads(client, target, pause=lambda _s: None, **options).run(wanted(hub))
    return sorted(got, key=lambda one: one.episode)


def same(hub: Hub, target: Path) -> bool:
    """Return whether every file of every episode is what the hub has, and nothing else is there."""
    episodes = hub.ids
    assert sorted(one.name for one in target.iterdir()) == episodes
    return all(
        (target / episode / name).read_bytes() == (hub.folder / episode / name).read_bytes()
        for episode in episodes
        for name in BUNDLE_FILES
    )


def test_many_come_in_one_request_whole_with_their_scores(hub: Hub, tmp_path: Path):
    got = downloaded(hub, tmp_path / "here")
    assert {one.outcome for one in got} == {Outcome.FETCHED}
    assert [path for _, path, _ in hub.asked] == ["/api/bundles"]
    assert same(hub, tmp_path / "here")
    for one in got:
        kept = tmp_path / "here" / one.episode / SCORE_FILE
        assert kept.exists() != one.episode.endswith("2")
        assert not kept.exists() or json.loads(kept.read_bytes()) == {"of": one.episode}


def test_what_is_there_and_whole_is_not_asked_for_again(hub: Hub, tmp_path: Path):
    downloaded(hub, tmp_path / "here")
    hub.asked.clear()
    assert {one.outcome for one in downloaded(hub, tmp_path / "here")} == {Outcome.THERE}
    assert [path for _, path, _ in hub.asked] == ["/api/episodes/e2/files/score.json"], "which had no score before"


def spoilt_file(folder: Path) -> None:
    data = bytearray((folder / "episode.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "episode.h5").write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (spoilt_file, "episode.h5 has other bytes than its manifest says"),
        (lambda folder: (folder / "receipt.json").unlink(), "receipt.json is missing"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"{}"), "manifest.json: "),
        (lambda folder: (folder / "episode.h5").write_bytes(b"short"), "episode.h5 has 5 of "),
    ],
)
def test_what_is_damaged_is_named_and_repaired_and_the_owners_own_files_stay(
    hub: Hub, tmp_path: Path, harm: Callable[[Path], None], why: str
):
    downloaded(hub, tmp_path / "here")
    first = wanted(hub)[0].episode
    (tmp_path / "here" / first / "notes.txt").write_text("mine")
    harm(tmp_path / "here" / first)
    got = downloaded(hub, tmp_path / "here")
    assert [one.outcome for one in got] == [Outcome.REPAIRED, *[Outcome.THERE] * (len(got) - 1)]
    assert why in got[0].why
    assert same(hub, tmp_path / "here")
    assert (tmp_path / "here" / first / "notes.txt").read_text() == "mine"


def test_an_answer_that_breaks_off_is_gone_on_with_from_the_first_that_did_not_come(hub: Hub, tmp_path: Path):
    broken: list[bytes] = []

    def once(request: httpx.Request, data: bytes) -> bytes | Exception:
        broken.append(request.content)
        return httpx.RemoteProtocolError("peer closed") if len(broken) == 1 else data

    hub.spoil = once
    got = downloaded(hub, tmp_path / "here")
    assert {one.outcome for one in got} == {Outcome.FETCHED}
    assert len(broken) == 2
    assert 0 < len(json.loads(broken[1])["episodes"]) < len(json.loads(broken[0])["episodes"])
    assert same(hub, tmp_path / "here")


def test_a_truncated_tar_is_noticed_without_the_connection_telling(hub: Hub, tmp_path: Path):
    hub.spoil = lambda request, data: data[: len(data) // 2] if request.url.path == "/api/bundles" else data
    got = downloaded(hub, tmp_path / "here")
    fetched = {one.episode for one in got if one.outcome is Outcome.FETCHED}
    failed = [one for one in got if one.outcome is Outcome.FAILED]
    assert fetched
    assert len(fetched) + len(failed) == len(hub.ids)
    assert failed
    assert all("broke off" in one.why for one in failed)
    assert {one.name for one in (tmp_path / "here").iterdir() if not one.name.startswith(".")} == fetched


def test_bytes_that_are_not_the_promised_ones_are_never_put_in_place(hub: Hub, tmp_path: Path):
    def flipped(_request: httpx.Request, data: bytes) -> bytes:
        spoilt = bytearray(data)
        spoilt[2048] ^= 1
        return bytes(spoilt)

    hub.spoil = flipped
    got = downloaded(hub, tmp_path / "here")
    first = wanted(hub)[0].episode
    assert [(one.episode, one.outcome) for one in got if one.outcome is Outcome.FAILED] == [(first, Outcome.FAILED)]
    assert "the hub sent it damaged: episode.h5 has other bytes" in got[0].why
    assert not (tmp_path / "here" / first).exists()


def test_a_large_one_comes_by_ranges_from_where_an_earlier_try_ended(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(downloading, "_ALONE_BYTES", 1)
    broken: list[str] = []

    def once(request: httpx.Request, data: bytes) -> bytes | Exception:
        if request.url.path.endswith(".h5") and request.url.path not in broken:
            broken.append(request.url.path)
            return httpx.ReadError("gone")
        return data

    hub.spoil = once
    got = downloaded(hub, tmp_path / "here", workers=1)
    assert {one.outcome for one in got} == {Outcome.FETCHED}
    assert same(hub, tmp_path / "here")
    for one in wanted(hub):
        asked = [ranged for _, path, ranged in hub.asked if path.endswith(f"{one.episode}/files/episode.h5")]
        assert asked == ["", f"bytes={one.size // 2}-"]


def test_one_that_is_not_everybodys_does_not_keep_the_others_from_coming(hub: Hub, tmp_path: Path):
    ask = wanted(hub)
    first = ask[0].episode
    hub.catalogue.states[first] = EpisodeState.REJECTED
    (hub.folder / first / MANIFEST_FILE).unlink()
    client = httpx.Client(transport=hub, base_url="http://hub.example")
    got = {one.episode: one for one in Downloads(client, tmp_path / "here", pause=lambda _s: None).run(ask)}
    assert got.pop(first).outcome is Outcome.FAILED
    assert {one.outcome for one in got.values()} == {Outcome.FETCHED}


@pytest.mark.parametrize("alone_bytes", [1, 16 << 20], ids=["each by itself", "many at once"])
def test_what_its_operator_has_withdrawn_does_not_come_and_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone_bytes: int
):
    monkeypatch.setattr(downloading, "_ALONE_BYTES", alone_bytes)
    hub.withdrawn.add(hub.ids[1])
    got = {one.episode: one for one in downloaded(hub, tmp_path / "here")}
    gone = got.pop(hub.ids[1])
    assert gone.outcome is Outcome.FAILED
    assert f"its operator has withdrawn {hub.ids[1]}" in gone.why
    assert {one.outcome for one in got.values()} == {Outcome.FETCHED}
    assert not (tmp_path / "here" / hub.ids[1]).exists()


def test_a_busy_hub_is_asked_again(hub: Hub, tmp_path: Path):
    hub.busy = 2
    assert {one.outcome for one in downloaded(hub, tmp_path / "here")} == {Outcome.FETCHED}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../../outside/episode.h5", tarfile.REGTYPE),
        ("/etc/outside", tarfile.REGTYPE),
        ("{episode}/../../outside", tarfile.REGTYPE),
        ("{episode}/.bashrc", tarfile.REGTYPE),
        ("{episode}/episode.h5", tarfile.SYMTYPE),
        ("{episode}/episode.h5", tarfile.LNKTYPE),
        ("{episode}/episode.h5", tarfile.DIRTYPE),
        ("another/episode.h5", tarfile.REGTYPE),
    ],
)
def test_no_name_in_a_tar_leads_out_of_the_folder(hub: Hub, tmp_path: Path, name: str, kind: bytes):
    def evil(_request: httpx.Request, _data: bytes) -> bytes:
        entry = tarfile.TarInfo(name.format(episode=wanted(hub)[0].episode))
        entry.type, entry.linkname, entry.size = kind, "/etc/passwd", 4 if kind == tarfile.REGTYPE else 0
        made_of = io.BytesIO()
        with tarfile.open(fileobj=made_of, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(b"evil"))
        return made_of.getvalue()

    hub.spoil = evil
    with pytest.raises(PlatformError, match="which nobody asked for"):
        downloaded(hub, tmp_path / "deep" / "here")
    assert [path for path in (tmp_path / "deep").rglob("*") if path.is_file()] == []
    assert not (tmp_path / "outside").exists()


def test_a_file_that_is_longer_than_promised_is_cut_off(hub: Hub, tmp_path: Path):
    first = wanted(hub)[0]

    def endless(_request: httpx.Request, _data: bytes) -> bytes:
        entry = tarfile.TarInfo(f"{first.episode}/episode.h5")
        entry.size = first.size + 1
        made_of = io.BytesIO()
        with tarfile.open(fileobj=made_of, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
        return made_of.getvalue()

    hub.spoil = endless
    with pytest.raises(PlatformError, match="bytes, of at most"):
        downloaded(hub, tmp_path / "here")


@pytest.mark.parametrize("episode", ["../up", "/etc", "a/b", "", ".hidden"])
def test_a_hub_that_calls_an_episode_a_path_is_refused(hub: Hub, tmp_path: Path, episode: str):
    client = httpx.Client(transport=hub, base_url="http://hub.example")
    with pytest.raises(PlatformError, match="which no episode is called"):
        list(Downloads(client, tmp_path / "here").run([Wanted(episode, "0" * 64, 3)]))


def test_the_hub_refuses_what_is_not_everybodys_before_it_sends_anything(hub: Hub):
    episodes = [one.episode for one in wanted(hub)]
    hub.catalogue.states[episodes[1]] = EpisodeState.HELD
    answer = hub.client.post("/api/bundles", json={"episodes": episodes})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "episode_private")
    assert episodes[1] in answer.json()["error"]["message"]


def test_the_hub_takes_only_so_many_at_once_and_in_a_request(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    assert hub.client.post("/api/bundles", json={"episodes": ["e"] * (EPISODES_MAX + 1)}).status_code == 422
    assert hub.client.post("/api/bundles", json={"episodes": []}).status_code == 422
    monkeypatch.setattr("rewards.hub.bundles.AT_ONCE", 0)
    answer = hub.client.post("/api/bundles", json={"episodes": [wanted(hub)[0].episode]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "bundles_busy")


def test_every_tar_reader_reads_what_the_hub_sends(hub: Hub):
    episodes = [one.episode for one in wanted(hub)]
    answer = hub.client.post("/api/bundles", json={"episodes": [*episodes, episodes[0]]})
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        names = tar.getnames()
        assert names[: len(BUNDLE_FILES)] == [f"{episodes[0]}/{name}" for name in BUNDLE_FILES]
        assert len(names) == len(set(names))
        for name in names:
            if not name.endswith(SCORE_FILE):
                source = tar.extractfile(name)
                assert source is not None
                assert source.read() == (hub.folder / name).read_bytes()


def data_set(hub: Hub, *, number: int = 1, digest: str = "", document: bytes | None = None) -> DatasetVersion:
    """Give the hub a data set of all its episodes; return it."""
    members = tuple(Member(one.episode, "0x" + "0" * 64, one.sha256, one.size, Split.TRAIN) for one in wanted(hub))
    said = (FORMAT, "lab/lift", number, "", "Lifts", "", "CC-BY-4.0", "0x" + "0" * 40, 1)
    made_of = DatasetVersion(*said, Change(ChangeKind.CREATED, ""), members)
    answer = {"name": "lab/lift", "version": number, "digest": digest or made_of.digest}
    at = f"/api/sets/lab/lift/versions/{number}"
    hub.sets["/api/sets/lab/lift"] = hub.sets[at] = httpx.Response(200, json=answer)
    hub.sets[f"{at}/document"] = httpx.Response(200, content=made_of.encode() if document is None else document)
    hub.sets[f"{at}/croissant.json"] = httpx.Response(200, json={"@type": "sc:Dataset"})
    return made_of


def client_of(hub: Hub) -> httpx.Client:
    return httpx.Client(transport=hub, base_url="http://hub.example")


def test_a_data_set_comes_with_its_document_whose_sha256_is_its_digest(hub: Hub, tmp_path: Path):
    version = data_set(hub)
    found = release(client_of(hub), "lab/lift", tmp_path / "here")
    got = list(download(client_of(hub), found, tmp_path / "here"))
    assert {one.outcome for one in got} == {Outcome.FETCHED}
    kept = (tmp_path / "here" / "version.json").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == version.digest == found.digest
    assert (tmp_path / "here" / "croissant.json").exists()
    (tmp_path / "here" / "old").mkdir()
    shutil.copy(tmp_path / "here" / hub.ids[0] / MANIFEST_FILE, tmp_path / "here" / "old")
    said = "\n".join(released_lines(found, tmp_path / "here", got))
    assert f"lab/lift@1: {len(hub.ids)} episodes, in" in said
    assert "1 episodes here are not in this version, such as old" in said


@pytest.mark.parametrize(
    ("change", "given", "match"),
    [
        ({"digest": "f" * 64}, "", "has the digest .* expected f{64}. Tell whoever runs the hub"),
        ({}, "e" * 64, "expected e{64}. Another version has it"),
        ({"document": b"{}"}, hashlib.sha256(b"{}").hexdigest(), "cannot be read .* A newer armshare may read it"),
    ],
)
def test_a_data_set_that_is_not_what_its_digest_says_is_refused_before_anything_comes(
    hub: Hub, tmp_path: Path, change: dict[str, Any], given: str, match: str
):
    data_set(hub, **change)
    with pytest.raises(PlatformError, match=match):
        release(client_of(hub), "lab/lift@1", tmp_path / "here", given)
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("name", ["lift", "a/b/c", "lab/lift@new"])
def test_a_name_that_no_data_set_has_is_a_sentence(hub: Hub, tmp_path: Path, name: str):
    with pytest.raises(PlatformError, match="A data set is called NAMESPACE/NAME"):
        release(client_of(hub), name, tmp_path / "here")
