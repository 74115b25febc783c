"""Promises of a released folder: what is in it, who signed it, and that the public tool sees every change."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
import yaml

from rewards.datasets.exporting import MembersError
from rewards.datasets.release import INDEX, read_index
from rewards.datasets.signing import release_key, sign
from teleop.identity import KeyContentError
from tests.recorder.export import made
from tests.rewards.datasets.sets import released, version

TOOL = Path(sys.executable).with_name("model_signing")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three verified episodes."""
    return made.bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def folder(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released version, beside its public key."""
    work = tmp_path_factory.mktemp("released")
    (work / "release.pub").write_text(release_key(work / "release.key"))
    one = version(bundles)
    released(work, one, bundles, work / "release.key", url="https://hub.example")
    return work / one.digest


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """What somebody downloaded."""
    return Path(shutil.copytree(folder / "files", tmp_path / "lift"))


def verified(copy: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """Return what the public command says of a folder."""
    words = ["verify", "key", str(copy), "--signature", str(copy / "model.sig"), "--public_key", str(key)]
    return subprocess.run([str(TOOL), *words], capture_output=True, text=True, timeout=60)


def test_the_public_tool_verifies_a_released_folder(folder: Path, copy: Path) -> None:
    done = verified(copy, folder.parent / "release.pub")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Verification succeeded" in done.stdout


def test_what_the_client_keeps_beside_its_downloads_does_not_matter(folder: Path, copy: Path) -> None:
    (copy / ".cache/huggingface/download").mkdir(parents=True)
    (copy / ".cache/huggingface/download/README.md.metadata").write_text("x")
    assert verified(copy, folder.parent / "release.pub").returncode == 0


@pytest.mark.parametrize("change", ["byte", "added", "removed", "card"])
def test_the_public_tool_names_what_was_changed(folder: Path, copy: Path, change: str) -> None:
    parquet = next(copy.glob("data/*/*.parquet"))
    if change == "byte":
        data = bytearray(parquet.read_bytes())
        data[len(data) // 2] ^= 1
        parquet.write_bytes(data)
    elif change == "added":
        (copy / "data/chunk-000/file-001.parquet").write_bytes(parquet.read_bytes())
    elif change == "removed":
        parquet.unlink()
    else:
        (copy / "README.md").write_text("Licence: whatever you like\n")
    done = verified(copy, folder.parent / "release.pub")
    assert done.returncode == 1
    names = {"added": "file-001.parquet", "card": "README.md"}
    assert names.get(change, parquet.name) in done.stdout + done.stderr


def test_another_hubs_key_does_not_verify_it(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_text(release_key(tmp_path / "other.key"))
    assert verified(copy, tmp_path / "other.pub").returncode == 1


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    key = tmp_path / "keys" / "release.key"
    assert release_key(key) == release_key(key)
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_text("nonsense\n")
    with pytest.raises(KeyContentError, match="holds no P-256 key"):
        release_key(key)
    with pytest.raises(KeyContentError):
        sign(tmp_path, key)


def test_the_index_has_every_file_as_it_is(folder: Path) -> None:
    index = read_index(folder)
    assert index is not None
    files = folder / "files"
    assert [one.path for one in index.files] == sorted(
        path.relative_to(files).as_posix() for path in files.rglob("*") if path.is_file()
    )
    for one in index.files:
        data = (files / one.path).read_bytes()
        assert (one.size, one.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert one.git == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    assert {"model.sig", "README.md", "meta/version.json", "meta/info.json"} <= {one.path for one in index.files}


def test_the_version_is_in_the_folder_and_gives_its_digest(folder: Path) -> None:
    assert hashlib.sha256((folder / "files/meta/version.json").read_bytes()).hexdigest() == folder.name


def test_the_split_of_each_episode_is_a_column_to_choose_by(folder: Path) -> None:
    table = pq.read_table(folder / "files/meta/episodes/chunk-000/file-000.parquet")
    assert table["split"].to_pylist() == ["train", "train", "test"]


def test_the_card_is_what_hugging_face_reads(folder: Path, bundles: list[Path]) -> None:
    _, front, text = (folder / "files/README.md").read_text().split("---\n", 2)
    said = yaml.safe_load(front)
    assert said["license"] == "cc-by-4.0"
    assert {"LeRobot", "armshare"} <= set(said["tags"])
    assert said["configs"] == [{"config_name": "default", "data_files": "data/*/*.parquet"}]
    assert (said["size_categories"], said["task_categories"]) == (["n<1K"], ["robotics"])
    assert 'LeRobotDataset("lab/lift", revision="version-1")' in text
    assert 'os.environ["HF_ENDPOINT"] = "https://hub.example"' in text
    assert "3 (2 train and 1 test)" in text


def test_nothing_that_is_typed_escapes_its_place_in_the_card(bundles: list[Path], tmp_path: Path) -> None:
    typed = 'A: "b"\n---\nlicense: mit\n# <script>alert(1)</script>'
    one = msgspec.structs.replace(version(bundles), title=typed, description=typed)
    release_key(tmp_path / "release.key")
    released(tmp_path / "released", one, bundles, tmp_path / "release.key")
    _, front, text = (tmp_path / "released" / one.digest / "files/README.md").read_text().split("---\n", 2)
    assert (yaml.safe_load(front)["pretty_name"], yaml.safe_load(front)["license"]) == (typed, "cc-by-4.0")
    assert "<script>" not in text
    assert "\n---" not in text.replace("| --- |", "")


def test_an_episode_that_the_version_does_not_name_is_refused_and_nothing_is_left(
    bundles: list[Path], tmp_path: Path
) -> None:
    one = version(bundles)
    release_key(tmp_path / "release.key")
    with pytest.raises(MembersError, match="a file in its store was replaced"):
        released(tmp_path / "released", one, [bundles[1], bundles[0], bundles[2]], tmp_path / "release.key")
    assert list((tmp_path / "released").iterdir()) == []


def test_a_folder_without_a_whole_index_is_not_released(folder: Path, tmp_path: Path) -> None:
    assert read_index(tmp_path) is None
    assert read_index(tmp_path / "nowhere") is None
    half = (folder / INDEX).read_bytes()[:-20]
    (tmp_path / INDEX).write_bytes(half)
    assert read_index(tmp_path) is None
    (tmp_path / INDEX).write_text(json.dumps({"name": "x"}))
    assert read_index(tmp_path) is None
