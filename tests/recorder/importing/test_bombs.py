"""A stranger's data set that is made to break its reader is a named error, and the episodes beside it come in."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorder.file.apart import reader
from recorder.file.layout import FILE_BYTES_MAX
from recorder.importing import errors
from recorder.importing.apart import Bounds, Outcome, Said, SetApart, import_set, opened
from recorder.importing.errors import BrokenEpisodeError
from recorder.importing.making import Order, make
from recorder.importing.sources import open_set
from tests.recorder.importing.filmed import SIZE, TOP, described, filmed, video
from tests.recorder.importing.foreign import ROWS, lerobot_folder, robomimic_file

LIMITS = ("RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE")
VIDEO = f"videos/{TOP}/chunk-000/file-000.mp4"


def imported(path: Path, bounds: Bounds = Bounds()) -> list[Outcome]:  # noqa: B008  frozen
    target = path.parent / "in"
    target.mkdir(exist_ok=True)
    with opened(path, bounds=bounds) as source:
        return list(import_set(source, target, Said("0" * 64, "test")))


def _box(data: bytearray, kind: bytes) -> int:
    """Return where the content of the first box of a kind begins."""
    return data.index(kind) + len(kind)


def _cut(path: Path) -> None:
    data = (path / VIDEO).read_bytes()
    (path / VIDEO).write_bytes(data[: len(data) - 400])


def _headless(path: Path) -> None:
    (path / VIDEO).write_bytes((path / VIDEO).read_bytes()[:200])


def _countless(path: Path) -> None:
    """Claim a thousand million pictures, all of one size and one duration."""
    data = bytearray((path / VIDEO).read_bytes())
    count = 10**9
    struct.pack_into(">I", data, _box(data, b"stts") + 8, count)
    struct.pack_into(">II", data, _box(data, b"stsz") + 4, 1, count)
    (path / VIDEO).write_bytes(bytes(data))


def _huge(path: Path) -> None:
    """Claim pictures of 65,520 pixels each way."""
    data = bytearray((path / VIDEO).read_bytes())
    struct.pack_into(">HH", data, _box(data, b"avc1") + 24, 65_520, 65_520)
    (path / VIDEO).write_bytes(bytes(data))


def _noise(path: Path) -> None:
    data = bytearray((path / VIDEO).read_bytes())
    at = _box(data, b"mdat")
    data[at + 200 :] = np.random.default_rng(0).bytes(len(data) - at - 200)
    (path / VIDEO).write_bytes(bytes(data))


def _list_of_files(path: Path) -> None:
    """Put a playlist in its place: a reader that finds out formats by itself would open what that names."""
    (path / VIDEO).write_text("#EXTM3U\n#EXTINF:10,\n/etc/passwd\n#EXT-X-ENDLIST\n")


def _missing(path: Path) -> None:
    (path / VIDEO).unlink()


def _linked(path: Path) -> None:
    (path / VIDEO).rename(path.parent / "elsewhere.mp4")
    (path / VIDEO).symlink_to(path.parent / "elsewhere.mp4")


def _entries(path: Path, **values: Any) -> None:
    table = path / "meta/episodes/chunk-000/file-000.parquet"
    pq.write_table(pa.Table.from_pylist([row | values for row in pq.read_table(table).to_pylist()]), table)


def _nowhere(path: Path) -> None:
    _entries(path, **{f"videos/{TOP}/from_timestamp": float("nan")})


def _far(path: Path) -> None:
    _entries(path, **{f"videos/{TOP}/from_timestamp": 90_000.0})


def _climbing(path: Path) -> None:
    """Call a camera so that its video would lie beside the set, and put one there."""
    name = "observation.images.../../../outside"
    described(path, name, {"dtype": "video", "shape": [48, 64, 3]})
    _entries(path, **{f"videos/{name}/{part}": 0 for part in ("chunk_index", "file_index", "from_timestamp")})
    video(path.parent / "outside/chunk-000/file-000.mp4", 2 * ROWS)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (_headless, errors.PicturesBrokenError),
        (_noise, errors.PicturesBrokenError),
        (_list_of_files, errors.PicturesBrokenError),
        (_missing, errors.MissingPartError),
        (_linked, errors.OutsideError),
        (_nowhere, errors.ForbiddenPartError),
        (_far, errors.PicturesBrokenError),
        (_climbing, errors.OutsideError),
    ],
)
def test_a_video_that_is_no_honest_one_breaks_its_episodes_by_name(
    tmp_path: Path, spoil: Callable[[Path], None], expected: type[Exception]
) -> None:
    filmed(tmp_path / "set")
    spoil(tmp_path / "set")
    order = Order(1, "one", str(tmp_path / "episode.h5"), "", "0" * 64, "test", "1", [])
    with pytest.raises(expected):
        make(open_set(tmp_path / "set"), order)
    assert not (tmp_path / "episode.h5").exists()


def test_a_video_that_claims_a_thousand_million_pictures_is_too_much(tmp_path: Path) -> None:
    filmed(tmp_path / "set")
    _countless(tmp_path / "set")
    found = imported(tmp_path / "set", Bounds(memory_bytes=1 << 30))
    assert [isinstance(one.error, BrokenEpisodeError) for one in found] == [True, True], [one.error for one in found]
    assert [*(tmp_path / "in").iterdir()] == []


def test_a_video_that_is_cut_off_breaks_only_the_episodes_behind_the_cut(tmp_path: Path) -> None:
    filmed(tmp_path / "set", 3)
    _cut(tmp_path / "set")
    first, _, last = imported(tmp_path / "set")
    assert first.made
    assert isinstance(last.error, errors.PicturesBrokenError)


def test_a_size_that_only_the_container_claims_is_not_believed(tmp_path: Path) -> None:
    filmed(tmp_path / "set")
    _huge(tmp_path / "set")
    found = imported(tmp_path / "set")
    assert all(one.made for one in found)
    episode = reader().read(found[0].folder / "episode.h5", imported=True)
    assert (episode.pictures["top"].width, episode.pictures["top"].height) == SIZE


@pytest.mark.parametrize("fps", [0.0, -30.0, 1e300, 1e-300, 20_000.0])
def test_an_absurd_rate_is_refused(tmp_path: Path, fps: float) -> None:
    path = lerobot_folder(tmp_path / "set")
    said = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps({**said, "fps": fps}))
    with pytest.raises(errors.NoRateError):
        open_set(path)


def test_a_rate_that_is_no_number_is_refused(tmp_path: Path) -> None:
    path = lerobot_folder(tmp_path / "set")
    info = (path / "meta/info.json").read_text()
    (path / "meta/info.json").write_text(info.replace('"fps": 30', '"fps": NaN'))
    with pytest.raises(errors.NotADataSetError):
        open_set(path)


def test_a_table_of_more_rows_than_any_set_has_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = lerobot_folder(tmp_path / "set")
    count = 50_000_000
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([7]))
    table = pa.table({"episode_index": same})
    with pq.ParquetWriter(path / "meta/episodes/chunk-000/file-000.parquet", table.schema) as writer:
        for _ in range(3):
            writer.write_table(table, row_group_size=count)
    with pytest.raises(errors.NotADataSetError, match="declares"):
        imported(path)


def test_pictures_that_unpack_without_end_are_refused_by_their_size(tmp_path: Path) -> None:
    path = robomimic_file(tmp_path / "set.hdf5")
    with h5py.File(path, "r+") as file:
        for group in ("obs", "next_obs"):
            del file[f"data/demo_1/{group}/agentview_image"]
            bomb = file["data/demo_1"].create_dataset(
                f"{group}/agentview_image", (ROWS, 60_000, 60_000, 3), np.uint8, chunks=(1, 1000, 1000, 3)
            )
            assert bomb.id.get_storage_size() == 0
    found = imported(path)
    assert [type(one.error) for one in found] == [type(None), errors.TooMuchError, type(None)]


@pytest.mark.parametrize(
    ("how", "expected"), [(signal.SIGSEGV, errors.LostError), (signal.SIGXCPU, errors.TooCostlyError)]
)
def test_a_reader_that_is_ended_in_the_middle_is_one_broken_episode(
    tmp_path: Path, how: signal.Signals, expected: type[Exception]
) -> None:
    path = robomimic_file(tmp_path / "set.hdf5")
    (tmp_path / "in").mkdir()
    with opened(path) as source:
        run = import_set(source, tmp_path / "in", Said("0" * 64, "test"))
        assert next(run).made
        process = reading(source)
        os.kill(process.pid, how)
        process.wait()
        second, third = run
    assert type(second.error) is expected
    assert third.made


def reading(source: SetApart) -> subprocess.Popen[bytes]:
    """Return the process that reads a set."""
    process = source._process
    assert process is not None
    return process


def test_the_process_that_reads_has_limits(tmp_path: Path) -> None:
    with opened(robomimic_file(tmp_path / "set.hdf5"), bounds=Bounds(memory_bytes=1 << 30)) as source:
        limits = {name: resource.prlimit(reading(source).pid, getattr(resource, name)) for name in LIMITS}
    assert limits["RLIMIT_CORE"] == (0, 0)
    assert limits["RLIMIT_CPU"][0] <= 130
    assert 1 << 30 <= limits["RLIMIT_DATA"][1] < 2 << 30
    assert limits["RLIMIT_FSIZE"][1] == FILE_BYTES_MAX


@pytest.mark.parametrize("bounds", [Bounds(memory_bytes=16 << 20), Bounds(wall_s=0.001)])
def test_a_set_that_takes_more_than_it_is_given_is_named(tmp_path: Path, bounds: Bounds) -> None:
    path = lerobot_folder(tmp_path / "set", 2)
    info = json.loads((path / "meta/info.json").read_text())
    many = {f"f{number}": {"dtype": "float32", "shape": [1]} for number in range(200_000)}
    (path / "meta/info.json").write_text(json.dumps({**info, "features": info["features"] | many}))
    with pytest.raises(errors.UnreadableSetError):
        imported(path, bounds)
