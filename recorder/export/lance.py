"""Export to Lance (lance.org), as LeRobot reads it since its pull request 4363: `"storage_format": "lance"`.

It is the LeRobot data set of `lerobot.py` with its tables and videos in three Lance tables beside `meta/`:

    frames.lance   a row for each frame, its columns named as in LeRobot, but with _ for .
    videos.lance   a row for each MP4 file, whole, with where its index and its key frames lie
    meta.lance     a row for each file of `meta/`, for readers that have no file system

Lance is loaded only by what needs it: it starts threads, and a process that has them should not fork.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Final

import av
import pyarrow as pa
import pyarrow.parquet as pq

from recorder.export import lerobot
from recorder.export.demonstrations import Demonstrations, Splits
from recorder.export.target import whole_folder

_STORAGE: Final = "2.2"
"""Lance's version of files: the first with columns of large objects that are read in ranges."""
_META: Final = pa.schema([("path", pa.string()), ("data", pa.large_binary())])
_VIDEO_BYTES: Final = "video_bytes"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    episodes: int
    frames: int


def export(demonstrations: Demonstrations, target: Path, *, language: bool = True, splits: Splits = ()) -> Exported:
    """Write the new folder `target`, whole or not at all; raise an ExportError."""
    with whole_folder(target) as folder:
        source = folder / "lerobot"
        source.mkdir()
        done = lerobot.write(demonstrations, source, language=language, splits=splits)
        (source / "meta").rename(folder / "meta")
        _say_format(folder / "meta" / "info.json")
        _write_tables(source, folder)
        shutil.rmtree(source)
    return Exported(target, done.episodes, done.frames)


def _say_format(info: Path) -> None:
    said = json.loads(info.read_bytes())
    info.write_text(json.dumps(said | {"storage_format": "lance"}, indent=4), "utf-8")


def _write_tables(source: Path, folder: Path) -> None:
    documents = sorted(path for path in (folder / "meta").rglob("*") if path.is_file())
    rows = [{"path": str(path.relative_to(folder / "meta")), "data": path.read_bytes()} for path in documents]
    _write(folder / "meta.lance", _META, iter([pa.RecordBatch.from_pylist(rows, schema=_META)]))
    tables = sorted((source / "data").rglob("*.parquet"))
    schema = pa.schema([_flat(field) for field in pq.read_schema(tables[0])])
    _write(folder / "frames.lance", schema, _frames(tables, schema))
    videos = sorted((source / "videos").rglob("*.mp4"))
    if videos:
        _write(folder / "videos.lance", _videos(), map(_video, videos))


def _write(to: Path, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    import lance

    lance.write_dataset(pa.RecordBatchReader.from_batches(schema, batches), to, data_storage_version=_STORAGE)


def _flat(field: pa.Field) -> pa.Field:
    return pa.field(field.name.replace(".", "_"), _stored(field.type))


def _stored(kind: pa.DataType) -> pa.DataType:
    """Return a type without Arrow's extensions (JSON text), which Lance does not know."""
    if isinstance(kind, pa.BaseExtensionType):
        return _stored(kind.storage_type)
    if pa.types.is_list(kind):
        return pa.list_(_stored(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_stored(field.type)) for field in kind])
    return kind


def _frames(tables: list[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for table in tables:
        for batch in pq.ParquetFile(table).iter_batches():
            columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _video(path: Path) -> pa.RecordBatch:
    """Return the row of `<key>/chunk-<n>/file-<n>.mp4`."""
    data = path.read_bytes()
    offset, size = _index_box(data)
    numbers, positions = zip(*_keys(path), strict=True)
    row: dict[str, Any] = {
        "video_key": path.parts[-3],
        "chunk_index": int(path.parent.name.partition("-")[2]),
        "file_index": int(path.stem.partition("-")[2]),
        "file_size": len(data),
        "moov_offset": offset,
        "moov_size": size,
        "kf_indices": numbers,
        "kf_positions": positions,
    }
    import lance

    columns = [pa.array([row[field.name]], field.type) for field in _videos() if field.name in row]
    return pa.RecordBatch.from_arrays([*columns, lance.blob_array([data])], schema=_videos())


@cache
def _videos() -> pa.Schema:
    """Return the columns of `videos.lance`."""
    import lance

    return pa.schema(
        [
            ("video_key", pa.string()),
            ("chunk_index", pa.int64()),
            ("file_index", pa.int64()),
            ("file_size", pa.int64()),
            ("moov_offset", pa.int64()),
            ("moov_size", pa.int64()),
            ("kf_indices", pa.list_(pa.int64())),
            ("kf_positions", pa.list_(pa.int64())),
            lance.blob_field(_VIDEO_BYTES),
        ]
    )


def _keys(path: Path) -> list[tuple[int, int]]:
    """Return which frame each key frame is, by its time, and where it lies in the file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(0)  # of a whole video, there is one
        return sorted(
            (round(packet.pts * packet.time_base * rate), packet.pos)
            for packet in container.demux(stream)
            if packet.is_keyframe and packet.pts is not None and packet.pos is not None
        )


def _index_box(data: bytes) -> tuple[int, int]:
    """Return where an MP4's `moov` box begins, and its size."""
    at = 0
    while at + 16 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if kind == b"moov":
            return at, size
        at += size or len(data)
    raise ValueError(f"expected an MP4 with an index, got {len(data)} bytes without one")
