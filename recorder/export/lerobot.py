"""Export to LeRobot's data set v3.0 (github.com/huggingface/lerobot): a folder of Parquet tables and MP4 videos.

It is written without LeRobot, and read by `LeRobotDataset(name, root=folder)`. Their `timestamp` is a frame's number
divided by the rate, as their reader requires; the true clocks are in columns of their own, in nanoseconds. What LeRobot
has no place for (the environment that the actions fit, who vouches for the episodes) is in `meta/armshare.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recorder.export import lerobot_rows as rows
from recorder.export import statistics
from recorder.export.demonstrations import Demonstration, Demonstrations, Splits, origin_of, ranges
from recorder.export.errors import CameraError
from recorder.export.lerobot_rows import IMAGES, LANGUAGE, Column, sources
from recorder.export.statistics import Statistics
from recorder.export.target import whole_folder
from recorder.pictures import depth
from recorder.pictures.channel import PictureCodec
from recorder.pictures.errors import PictureError
from recorder.pictures.mp4 import ENCODER, KEY_EVERY, Mp4Files, Placed
from sim.words import listed

VERSION: Final = "v3.0"
CHUNK_FILES: Final = 1000
DATA_FILE_MB: Final = 100
VIDEO_FILE_MB: Final = 200
_DATA: Final = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_VIDEO: Final = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_EPISODES: Final = "meta/episodes/chunk-000/file-000.parquet"
_COMPRESSION: Final = "snappy"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written."""

    path: Path
    episodes: int
    frames: int
    copied: int
    """How many videos of an episode were copied as they were stored."""
    encoded: int
    """How many had to be encoded."""


@dataclass(slots=True)
class _Video:
    """The videos of one camera so far."""

    files: Mp4Files
    placed: list[Placed] = field(default_factory=list)
    keys_apart: set[int] = field(default_factory=set)
    """How many pictures from one key to the next, of those that were copied."""


def export(found: Demonstrations, target: Path, *, language: bool = True, splits: Splits = ()) -> Written:
    """Write demonstrations as a data set in the new folder `target`, whole or not at all; raise an ExportError.

    Without `language`, the two columns that LeRobot has had since 0.6 are left out, so that older versions read it.
    Without `splits`, everything is `train`.
    """
    with whole_folder(target) as folder:
        done = write(found, folder, language=language, splits=splits)
    return replace(done, path=target)


def write(found: Demonstrations, folder: Path, *, language: bool, splits: Splits = ()) -> Written:
    """Write the data set into a folder that exists; raise an ExportError, and leave what was written by then."""
    writer = _Writer(folder, found, language=language, splits=splits)
    for demonstration in found:
        try:
            writer.add(demonstration)
        except PictureError as error:
            raise CameraError(f"{demonstration.bundle}: {error}") from error
    writer.finish()
    placed = [one for video in writer.videos.values() for one in video.placed]
    copied = sum(one.copied for one in placed)
    return Written(folder, len(found), writer.frames, copied, len(placed) - copied)


class _Writer:
    """One data set while it is being written."""

    def __init__(self, folder: Path, found: Demonstrations, *, language: bool, splits: Splits) -> None:
        self._folder, self._found, self._language = folder, found, language
        self._splits = splits or (("train", len(found)),)
        self.fps = max(round(found.meta.spec.control_hz), 1)
        self.frames = 0
        self._columns = rows.columns(found.meta, found.space, found.cameras)
        self._schema = _schema(self._columns, language=language)
        self._data = _DataFiles(folder, self._schema)
        self.videos = {
            camera: _Video(Mp4Files(self._video_path(camera), self.fps, bytes_max=VIDEO_FILE_MB << 20))
            for camera in found.cameras
        }
        self._episodes: list[dict[str, Any]] = []
        self._facts: list[Mapping[str, Any]] = []
        self._statistics: list[dict[str, Statistics]] = []
        self._progress: list[pa.Table] = []
        self._shapes: dict[str, tuple[int, int, int]] = {}

    def _video_path(self, camera: str) -> Callable[[int], Path]:
        def path(number: int) -> Path:
            chunk, file = divmod(number, CHUNK_FILES)
            return self._folder / _VIDEO.format(video_key=IMAGES + camera, chunk_index=chunk, file_index=file)

        return path

    def add(self, demonstration: Demonstration) -> None:
        """Append an episode."""
        found = rows.values(demonstration, self.frames, self.fps)
        length = len(demonstration.steps)
        chunk, file = self._data.add(self._table(demonstration, found))
        measured = {column.name: statistics.of_values(found[column.name]) for column in self._columns}
        row = {
            "episode_index": demonstration.number,
            "tasks": [_task(demonstration)],
            "length": length,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + length,
        }
        for camera in self.videos:
            row |= self._add_video(demonstration, camera)
            pictures = demonstration.pictures[camera]
            measured[IMAGES + camera] = statistics.of_pictures(pictures, rows.shown(demonstration, camera))
        self._episodes.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
        self._facts.append(demonstration.facts)
        self._statistics.append(measured)
        self._progress.append(_progress_table(demonstration, found))
        self.frames += length

    def _table(self, demonstration: Demonstration, found: Mapping[str, NDArray[Any]]) -> pa.Table:
        made = {column.name: _array(column, found[column.name]) for column in self._columns}
        if self._language:
            persistent, events = rows.language(demonstration, self.fps)
            for name, said in zip(LANGUAGE, ([persistent] * len(events), events), strict=True):
                made[name] = _said_array(said, self._schema.field(name).type)
        return pa.table(made, schema=self._schema)

    def _add_video(self, demonstration: Demonstration, camera: str) -> dict[str, Any]:
        pictures, video, key = demonstration.pictures[camera], self.videos[camera], f"videos/{IMAGES}{camera}"
        channels = 1 if pictures.codec is PictureCodec.DEPTH16 else 3
        self._shapes[camera] = pictures.height, pictures.width, channels
        shown = rows.shown(demonstration, camera)
        placed = video.files.add(pictures, shown)
        video.placed.append(placed)
        if placed.copied:
            keys = np.flatnonzero(pictures.key[pictures.key_before(int(shown[0])) : shown[-1] + 1])
            video.keys_apart |= set(np.diff(keys).tolist())
        chunk, file = divmod(placed.file, CHUNK_FILES)
        return {
            f"{key}/chunk_index": chunk,
            f"{key}/file_index": file,
            f"{key}/from_timestamp": placed.start / self.fps,
            f"{key}/to_timestamp": (placed.start + placed.count) / self.fps,
        }

    def finish(self) -> None:
        """Write what is known only at the end."""
        self._data.close()
        for video in self.videos.values():
            video.files.close()
        self._write_episodes()
        _write_tasks(self._folder / "meta/tasks.parquet", [_task_of(self._found)])
        together = {name: statistics.together([one[name] for one in self._statistics]) for name in self._statistics[0]}
        _write_json(self._folder / "meta/stats.json", {name: _plain(found) for name, found in together.items()})
        _write_json(self._folder / "meta/info.json", self._info())
        _write_json(self._folder / "meta/armshare.json", self._provenance())
        if known := [table for table in self._progress if table.num_rows]:
            pq.write_table(pa.concat_tables(known), self._folder / "sarm_progress.parquet", compression=_COMPRESSION)
        (self._folder / "README.md").write_text(_card(self._found))

    def _write_episodes(self) -> None:
        made: dict[str, Any] = {name: [row[name] for row in self._episodes] for name in self._episodes[0]}
        made |= {name: values for name, values in rows.facts_table(self._facts).items() if name not in made}
        for feature, parts in self._statistics[0].items():
            for name in parts:
                made[f"stats/{feature}/{name}"] = [one[feature][name].tolist() for one in self._statistics]
        path = self._folder / _EPISODES
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(made), path, compression=_COMPRESSION)

    def _info(self) -> dict[str, Any]:
        features: dict[str, Any] = {column.name: column.feature for column in self._columns}
        for camera, video in self.videos.items():
            features[IMAGES + camera] = self._video_feature(camera, video)
        if self._language:
            features |= {name: {"dtype": "language", "shape": [1], "names": None} for name in LANGUAGE}
        return {
            "codebase_version": VERSION,
            "robot_type": self._found.meta.robot.model,
            "total_episodes": len(self._episodes),
            "total_frames": self.frames,
            "total_tasks": 1,
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": self.fps,
            "splits": ranges(self._splits),
            "data_path": _DATA,
            "video_path": _VIDEO if self.videos else None,
            "features": features,
        }

    def _video_feature(self, camera: str, video: _Video) -> dict[str, Any]:
        height, width, channels = self._shapes[camera]
        codec, pixels = _video_format(self._video_path(camera)(0))
        said: dict[str, Any] = {
            "video.height": height,
            "video.width": width,
            "video.codec": codec,
            "video.pix_fmt": pixels,
            "video.fps": self.fps,
            "video.channels": channels,
            "has_audio": False,
            "is_depth_map": channels == 1,
            **(_DEPTH_SETTINGS if channels == 1 else _settings(video)),
            "video.fast_decode": 0,
            "video.video_backend": "pyav",
        }
        shape = {"shape": [height, width, channels], "names": ["height", "width", "channels"]}
        return {"dtype": "video", **shape, "info": said}

    def _provenance(self) -> dict[str, Any]:
        meta, space = self._found.meta, self._found.space
        return {
            "action": {"name": space.name, "names": list(space.names)} | (_BOUNDS if space.bounded else {}),
            "origin": origin_of(meta),
            "env_args": {"id": space.env.id, "kwargs": dict(space.env.kwargs), "call": space.env.call},
            "task": {"name": meta.task.name, "version": meta.task.version, "instruction": meta.task.instruction},
            "robot": {"model": meta.robot.model, "simulated": meta.robot.simulated},
            "control_hz": meta.spec.control_hz,
            "arrays": sources(meta),
            "receipts_signed_by": sorted(self._found.hubs),
            "videos": {
                camera: ["copied" if one.copied else "encoded" for one in video.placed]
                for camera, video in self.videos.items()
            },
        }


_BOUNDS: Final = {"lower": -1.0, "upper": 1.0}
_DEPTH_SETTINGS: Final[Mapping[str, Any]] = {
    "video.g": KEY_EVERY,
    "video.crf": None,
    "video.preset": None,
    "video.extra_options": {"x265-params": "lossless=1"},
    "video.depth_min": depth.NEAREST_M,
    "video.depth_max": depth.FARTHEST_M,
    "video.shift": depth.SHIFT_M,
    "video.use_log": True,
}


def _settings(video: _Video) -> dict[str, Any]:
    """Return how the pictures were encoded; None for what is not known of a camera's own encoder."""
    known: dict[str, Any] = {"video.g": None, "video.crf": None, "video.preset": None, "video.extra_options": {}}
    if not any(one.copied for one in video.placed):
        known |= {"video.g": KEY_EVERY, "video.crf": int(ENCODER["crf"]), "video.preset": ENCODER["preset"]}
    elif all(one.copied for one in video.placed) and len(video.keys_apart) == 1:
        known["video.g"] = min(video.keys_apart)
    return known


class _DataFiles:
    """The frames of all episodes: one row group for each, in files of bounded size."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._number, self._bytes = -1, DATA_FILE_MB << 20
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> tuple[int, int]:
        """Append an episode; return the numbers of its chunk and file."""
        if self._writer is None or self._bytes + table.nbytes > DATA_FILE_MB << 20:
            self._begin()
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._bytes += table.nbytes
        return divmod(self._number, CHUNK_FILES)

    def close(self) -> None:
        """Finish the last file. Idempotent."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _begin(self) -> None:
        self.close()
        self._number += 1
        chunk, file = divmod(self._number, CHUNK_FILES)
        path = self._folder / _DATA.format(chunk_index=chunk, file_index=file)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer, self._bytes = pq.ParquetWriter(path, self._schema, compression=_COMPRESSION), 0


def _schema(columns: tuple[Column, ...], *, language: bool) -> pa.Schema:
    fields = [pa.field(column.name, _type(column)) for column in columns]
    if language:
        fields += [
            pa.field(LANGUAGE[0], pa.list_(_said_type(timed=True))),
            pa.field(LANGUAGE[1], pa.list_(_said_type(timed=False))),
        ]
    return pa.schema(fields)


def _said_type(*, timed: bool) -> pa.DataType:
    parts = [pa.field("role", pa.string(), nullable=False), ("content", pa.string()), ("style", pa.string())]
    if timed:
        parts.append(pa.field("timestamp", pa.float32(), nullable=False))
    return pa.struct([*parts, ("camera", pa.string()), ("tool_calls", pa.list_(pa.json_()))])


def _said_array(said: Sequence[Sequence[Mapping[str, Any]]], kind: pa.ListType) -> pa.ListArray:
    """Return what is said at each frame; part by part, as Arrow builds no JSON inside of a structure."""
    flat, fields = [one for frame in said for one in frame], list(kind.value_type)
    parts = [
        pa.nulls(len(flat), part.type) if part.name == "tool_calls" else pa.array([one[part.name] for one in flat])
        for part in fields
    ]
    parts = [made if made.type == part.type else made.cast(part.type) for made, part in zip(parts, fields, strict=True)]
    ends = np.cumsum([0, *(len(frame) for frame in said)]).astype(np.int32)
    return pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(parts, fields=fields), type=kind)


def _type(column: Column) -> pa.DataType:
    one = pa.bool_() if column.dtype == "bool" else pa.from_numpy_dtype(np.dtype(column.dtype))
    return pa.list_(one, len(column.names)) if len(column.names) > 1 else one


def _array(column: Column, values: NDArray[Any]) -> pa.Array:
    flat = pa.array(np.ascontiguousarray(values, np.dtype(column.dtype)).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, len(column.names)) if len(column.names) > 1 else flat


def _progress_table(demonstration: Demonstration, found: Mapping[str, NDArray[Any]]) -> pa.Table:
    """Return what LeRobot's visualizer draws; no rows if the robot cannot know its progress."""
    made = rows.progress(demonstration)
    known = {name: found[name] for name in ("index", "episode_index", "frame_index")} | made
    return pa.table(known) if np.isfinite(made["progress_dense"]).all() else pa.table(known).slice(0, 0)


def _task(demonstration: Demonstration) -> str:
    return demonstration.episode.meta.task.instruction or demonstration.episode.meta.task.name


def _task_of(found: Demonstrations) -> str:
    return found.meta.task.instruction or found.meta.task.name


def _write_tasks(path: Path, tasks: list[str]) -> None:
    """Write the table whose pandas index is the task's text."""
    index = {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {
        "name": "task_index",
        "field_name": "task_index",
        "pandas_type": "int64",
        "numpy_type": "int64",
        "metadata": None,
    }
    said = {"index_columns": ["task"], "column_indexes": [], "columns": [number, index], "pandas_version": "2.2.0"}
    table = pa.table({"task_index": np.arange(len(tasks), dtype=np.int64), "task": tasks})
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(said)}), path, compression=_COMPRESSION)


def _plain(found: Statistics) -> dict[str, Any]:
    return {name: value.tolist() for name, value in found.items()}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False, allow_nan=False) + "\n")


def _video_format(path: Path) -> tuple[str, str]:
    """Return a video's codec, and the format of its pixels."""
    import av

    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return stream.codec_context.codec.canonical_name, str(stream.pix_fmt)


def _card(found: Demonstrations) -> str:
    return "\n".join(_card_lines(found)) + "\n"


def _card_lines(found: Demonstrations) -> Iterator[str]:
    meta, env = found.meta, found.space.env
    yield from ("---", "tags: [LeRobot, armshare]", "task_categories: [robotics]", "configs:")
    yield from ("- config_name: default", "  data_files: data/*/*.parquet", "---", "")
    yield f"# {_task_of(found)}"
    yield ""
    yield f"{len(found)} demonstrations with a {meta.robot.model}, {found.steps} frames, in LeRobot's format {VERSION}."
    within = " in [-1, 1]" if found.space.bounded else ", as the set has them that they were imported from"
    yield f"Actions are `{found.space.name}`{within}: {listed(found.space.names)}."
    if found.imported:
        yield f"{found.imported} of them were imported and are unsigned: `imported_from` in `meta/episodes` says which."
    if env.call:
        yield f"They fit the environment `{env.call}` (`pip install 'armshare[sim]'`)."
    yield ""
    yield "The columns of `meta/episodes` say who drove each episode, how it scored, and what was signed."
    yield 'Select episodes by them: `LeRobotDatasetMetadata(...).filter_episodes(lambda episode: episode["success"])`.'
    yield "`timestamp` is the nominal time; `t_observed_mono_ns` and the other `t_` columns are what the clocks showed."
