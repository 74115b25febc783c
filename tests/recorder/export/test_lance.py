"""The Lance export beside the LeRobot data set of the same episodes; `make lerobot` reads it with its own reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pyarrow.parquet as pq
import pytest

from recorder.export import lerobot
from recorder.export.lance import export
from tests.recorder.export import made


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return made.bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="module")
def folders(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same episodes in Lance, and as the LeRobot data set."""
    work = tmp_path_factory.mktemp("lance")
    done = export(made.found(bundles), work / "lance")
    assert (done.episodes, done.frames) == (len(made.STEPS), sum(made.STEPS))
    lerobot.export(made.found(bundles), work / "lerobot")
    return work / "lance", work / "lerobot"


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    import lance

    found: list[dict[str, Any]] = lance.dataset(folder / f"{table}.lance").to_table().to_pylist()
    return found


def test_it_is_three_tables_beside_the_same_documents(folders: tuple[Path, Path]) -> None:
    made_, source = folders
    assert {path.name for path in made_.iterdir()} == {"meta", "frames.lance", "videos.lance", "meta.lance"}
    documents = [path.relative_to(source) for path in (source / "meta").rglob("*") if path.is_file()]
    assert [path.relative_to(made_) for path in (made_ / "meta").rglob("*") if path.is_file()] == documents
    for path in documents:
        if path.name != "info.json":
            assert (made_ / path).read_bytes() == (source / path).read_bytes()
    said = json.loads((source / "meta/info.json").read_bytes())
    assert json.loads((made_ / "meta/info.json").read_bytes()) == said | {"storage_format": "lance"}
    assert {row["path"]: row["data"] for row in rows(made_, "meta")} == {
        str(path.relative_to("meta")): (made_ / path).read_bytes() for path in documents
    }


def test_its_frames_are_lerobots_rows_in_their_order(folders: tuple[Path, Path]) -> None:
    expected = pq.read_table(folders[1] / "data/chunk-000/file-000.parquet").to_pylist()
    found = rows(folders[0], "frames")
    assert [row["index"] for row in found] == list(range(sum(made.STEPS)))
    assert found == [{name.replace(".", "_"): value for name, value in row.items()} for row in expected]


def test_its_videos_are_whole_files_with_where_to_begin_in_them(folders: tuple[Path, Path]) -> None:
    (path,) = (folders[1] / "videos").rglob("*.mp4")
    import lance

    (row,) = lance.dataset(folders[0] / "videos.lance").to_table(columns=VIDEO_COLUMNS).to_pylist()
    (blob,) = lance.dataset(folders[0] / "videos.lance").take_blobs("video_bytes", indices=[0])
    data = path.read_bytes()

    assert blob.readall() == data
    assert (row["video_key"], row["chunk_index"], row["file_index"]) == ("observation.images.front", 0, 0)
    assert row["file_size"] == len(data)
    index = data[row["moov_offset"] : row["moov_offset"] + row["moov_size"]]
    assert index[4:8] == b"moov"
    assert int.from_bytes(index[:4], "big") == len(index)
    with av.open(str(path)) as container:
        keys = [packet for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
        rate = container.streams.video[0].average_rate
        assert row["kf_positions"] == [packet.pos for packet in keys]
        assert row["kf_indices"] == [int(packet.pts * packet.time_base * rate) for packet in keys]
    assert row["kf_indices"][0] == 0
    assert len(row["kf_indices"]) > 3


VIDEO_COLUMNS = [
    "video_key",
    "chunk_index",
    "file_index",
    "file_size",
    "moov_offset",
    "moov_size",
    "kf_indices",
    "kf_positions",
]


def test_without_cameras_there_are_no_videos(bundles: list[Path], tmp_path: Path) -> None:
    export(made.found(bundles[:1], cameras=[]), tmp_path / "out", language=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"meta", "frames.lance", "meta.lance"}
    assert not {"language_persistent", "language_events"} & set(rows(tmp_path / "out", "frames")[0])
