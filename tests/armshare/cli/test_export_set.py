"""`armshare export SET` and `armshare dataset release`: what a hub makes is brought, and nothing else is written."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import httpx
import pytest

from armshare import client as armshare_client
from armshare.operator import orders, sets
from armshare.operator.orders import ArchiveError, OrderFailedError, download, unpack
from recorder.export.errors import TargetError
from tests.armshare.command import armshare_here
from tests.rewards.datasets.sets import NAME
from tests.rewards.hub.exports.ordering_hub import Hub, opened


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with opened(tmp_path_factory.mktemp("hub")) as served:
        yield served


@pytest.fixture(autouse=True)
def ada(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever types is Ada, in a folder of her own; how a wallet signs in is for other tests."""

    async def sign_in(http: httpx.AsyncClient, _wallet: object) -> str:
        http.headers["Authorization"] = "Bearer ada"
        return "ada"

    monkeypatch.setattr(sets, "sign_in", sign_in)
    monkeypatch.setattr(armshare_client, "_token", lambda _client, _wallet: "ada")
    monkeypatch.chdir(tmp_path)


def export(hub: Hub, *words: str) -> Any:
    return armshare_here("export", *words, "--hub", hub.url, "--key", "ada.key", "--action", "joint_position")


def test_a_set_is_exported_in_the_words_of_folders(hub: Hub, tmp_path: Path) -> None:
    folders = sorted(str(one) for one in (hub.work / "bundles").glob("e*") if one.is_dir())
    words = ["export", *folders, "--to", "own.hdf5", "--action", "joint_position"]
    own = armshare_here(*words)
    assert own.returncode == 0, own.stderr
    done = export(hub, f"{NAME}@2", "--to", "lift.hdf5")
    assert done.returncode == 0, done.stderr
    assert done.stdout == own.stdout.replace("own.hdf5", "lift.hdf5")
    with h5py.File("lift.hdf5") as file, h5py.File("own.hdf5") as other:
        assert list(file["data"]) == list(other["data"]) == ["demo_0", "demo_1"]
        assert (file["data/demo_1/actions"][:] == other["data/demo_1/actions"][:]).all()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_folder_is_brought_whole_and_never_over_another(hub: Hub, tmp_path: Path) -> None:
    done = export(hub, NAME, "--to", "films", "--format", "mcap", "--camera", "front")
    assert done.returncode == 0, done.stderr
    assert sorted(path.suffix for path in (tmp_path / "films").iterdir()) == [".mcap", ".mcap"]
    again = export(hub, NAME, "--to", "films", "--format", "mcap", "--camera", "front")
    assert again.returncode == 2
    assert "films exists already" in " ".join(again.stderr.split())


def test_a_refusal_is_the_hubs_sentence(hub: Hub) -> None:
    done = export(hub, NAME, "--to", "lift.hdf5", "--camera", "wrist")
    assert (done.returncode, done.stdout) == (2, "")
    assert "e0 has no camera 'wrist'. It has front." in " ".join(done.stderr.split())
    unknown = export(hub, "lab/nowhere", "--to", "x.hdf5")
    assert "no data set version 'lab/nowhere'" in " ".join(unknown.stderr.split())
    assert not Path("lift.hdf5").exists()


def test_what_cannot_be_asked_of_a_hub_is_said(hub: Hub) -> None:
    assert "--hub" in armshare_here("export", NAME, "--to", "x.hdf5").stderr
    assert "are for folders" in " ".join(export(hub, NAME, "--to", "x.hdf5", "--unverified").stderr.split())
    assert "is a folder" in " ".join(export(hub, NAME, "--to", "x.mcap").stderr.split())
    assert "does not exist" in export(hub, "nowhere", "--to", "x.hdf5").stderr


def test_a_release_says_how_it_is_loaded(hub: Hub) -> None:
    words = ["--hub", hub.url, "--key", "ada.key", "--action", "joint_position"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "version", lambda _hub, _name: {"name": NAME, "version": 1})
        done = armshare_here("dataset", "release", f"{NAME}@1", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{NAME}@1 is released: 1 episode, 14 frames, ")
    assert f"HF_ENDPOINT={hub.url}" in done.stdout
    assert f"LeRobotDataset('{NAME}')" in done.stdout


def test_a_download_that_was_cut_goes_on_and_a_wrong_one_is_refused(hub: Hub, tmp_path: Path) -> None:
    job = hub.ended(hub.export(set=f"{NAME}@2").json()["id"])  # the same one as above
    result, part, asked = job["result"], tmp_path / "part", []
    whole = hub.client.get(f"/api/exports/{job['id']}/archive").content
    part.write_bytes(whole[: len(whole) // 2])
    told = lambda what, done, total: asked.append(done)  # noqa: E731
    download(hub.url, job["id"], part, result["bytes"], result["sha256"], told)
    assert part.read_bytes() == whole
    assert min(asked) > len(whole) // 2
    part.write_bytes(b"x" + whole[1 : len(whole) // 2])
    with pytest.raises(ArchiveError, match="is not the archive that it made"):
        download(hub.url, job["id"], part, result["bytes"], result["sha256"], told)
    assert not part.exists(), "so the next try is not of it"
    with pytest.raises(ArchiveError, match="more than"):
        download(hub.url, job["id"], part, 100, result["sha256"], told)
    with pytest.raises(OrderFailedError, match="there is no job"):
        download(hub.url, "0" * 32, tmp_path / "other", 10, result["sha256"], told)


def test_a_job_is_waited_for_while_its_hub_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [httpx.ConnectError("refused"), {"state": "running"}, {"state": "done", "result": {}}]
    said: list[str] = []

    def answer(_request: httpx.Request) -> httpx.Response:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return httpx.Response(200, json={"id": "j", "what": "writing", "done": 1, "total": 2, **one})

    transport = httpx.MockTransport(answer)
    client = httpx.Client
    monkeypatch.setattr(
        "armshare.client.httpx.Client", lambda **given: client(base_url="http://hub", transport=transport)
    )
    monkeypatch.setattr(orders.time, "sleep", lambda _s: None)
    job = {"id": "j", "state": "queued", "what": "", "done": 0, "total": 2}
    assert orders.ended("http://hub", job, lambda what, done, total: said.append(what))["state"] == "done"
    assert said == ["queued", "http://hub does not answer; waiting", "queued", "writing"]
    answers.append({"state": "failed", "error": "Name another camera."})
    with pytest.raises(OrderFailedError, match="Name another camera"):
        orders.ended("http://hub", job, lambda what, done, total: None)


def packed(path: Path, *entries: tuple[str, dict[str, Any], bytes]) -> Path:
    """Write an archive with these entries."""
    with tarfile.open(path, "w") as tar:
        for name, said, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in said.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return path


FOLDER = ("lift", {"type": tarfile.DIRTYPE}, b"")


@pytest.mark.parametrize(
    "entry",
    [
        ("lift/../../out", {}, b"x"),
        ("../out", {}, b"x"),
        ("/tmp/out", {}, b"x"),
        ("other/out", {}, b"x"),
        ("lift/out", {"type": tarfile.SYMTYPE, "linkname": "/etc"}, b""),
        ("lift/out", {"type": tarfile.LNKTYPE, "linkname": "../../out"}, b""),
        ("lift/out", {"type": tarfile.CHRTYPE}, b""),
        ("lift/out", {"type": tarfile.FIFOTYPE}, b""),
        ("lift/out", {"type": tarfile.GNUTYPE_SPARSE}, b""),
        ("lift\\..\\out", {}, b"x"),
        ("lift/out", {"pax_headers": {"path": "../out"}}, b"x"),
    ],
)
def test_nothing_of_an_archive_is_written_outside_of_its_folder(tmp_path: Path, entry: Any) -> None:
    work = tmp_path / "work"
    work.mkdir()
    archive = packed(tmp_path / "archive", FOLDER, ("lift/good", {}, b"good"), entry)
    with pytest.raises(ArchiveError):
        unpack(archive, "lift", work / "lift")
    assert list(work.iterdir()) == [], "nor in it"
    assert {path.name for path in tmp_path.iterdir()} == {"work", "archive"}


def test_a_folder_and_a_file_are_unpacked_as_they_are(tmp_path: Path) -> None:
    inner = ("lift/data", {"type": tarfile.DIRTYPE}, b""), ("lift/data/a", {"mode": 0o4777}, b"abc")
    unpack(packed(tmp_path / "archive", FOLDER, *inner), "lift", tmp_path / "named")
    assert (tmp_path / "named/data/a").read_bytes() == b"abc"
    assert (tmp_path / "named/data/a").stat().st_mode & 0o7111 == 0
    unpack(packed(tmp_path / "archive", ("lift.hdf5", {}, b"abc")), "lift.hdf5", tmp_path / "x.hdf5")
    assert hashlib.sha256((tmp_path / "x.hdf5").read_bytes()).hexdigest() == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(TargetError, match="exists already"):
        unpack(packed(tmp_path / "archive", FOLDER, *inner), "lift", tmp_path / "named")


@pytest.mark.parametrize("data", [b"", b"no tar", bytes(10240)])
def test_what_is_no_archive_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(ArchiveError):
        unpack(tmp_path / "archive", "lift", tmp_path / "lift")
    assert not (tmp_path / "lift").exists()


def test_an_entry_that_comes_twice_is_refused(tmp_path: Path) -> None:
    twice = ("lift/a", {}, b"1"), ("lift/a", {}, b"2")
    with pytest.raises(ArchiveError, match="twice"):
        unpack(packed(tmp_path / "archive", FOLDER, *twice), "lift", tmp_path / "lift")
    with pytest.raises(ArchiveError, match="more than"):
        unpack(packed(tmp_path / "archive", ("a", {}, b"1"), ("b", {}, b"2")), "a", tmp_path / "a")
