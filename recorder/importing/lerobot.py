"""Reads LeRobot's data sets of versions 2.1 and 3.0: Parquet tables of frames, and a list of episodes, in a folder.

The folder may be anyone's: only its own regular files are read, under the names that the format gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recorder.file.layout import STEPS_MAX
from recorder.importing.errors import (
    BrokenEpisodeError,
    ForbiddenPartError,
    LengthsDisagreeError,
    MissingPartError,
    NotADataSetError,
    SetVersionError,
    TooMuchError,
)
from recorder.importing.folder import Folder
from recorder.importing.footage import Camera, Spool
from recorder.importing.lerobot_cameras import IMAGES, Feature, Seen, cameras
from recorder.importing.taken import (
    Action,
    Origin,
    Taken,
    Times,
    nominal,
    printable,
    rate_of,
    require_sound,
    sayings,
)
from sim.robot import Vector
from sim.words import listed

_FILE_EACH: Final = "v2.1"
"""Has a table of frames for each episode, and its lists as lines of JSON."""
VERSIONS: Final = (_FILE_EACH, "v3.0")
_DATA: Final = "data/chunk-{chunk:03d}/file-{file:03d}.parquet"
_DATA_EACH: Final = "data/chunk-{chunk:03d}/episode_{episode:06d}.parquet"
_EPISODES_MAX: Final = 1_000_000
_OBSERVATION: Final = "observation."
_NUMBERS: Final = frozenset({"float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"})
_PICTURES: Final = frozenset({"video", "image"})
_TAKEN: Final = frozenset(
    {"action", "timestamp", "frame_index", "episode_index", "index", "task_index", "next.success"}
)
_OURS: Final = frozenset({"driven", "progress", "next.reward", "t_observed_mono_ns", "t_sent_mono_ns"})
_CAPTURED: Final = "t_captured_mono_ns."
"""Before a camera's name: when its pictures were taken, in our own export."""
"""What comes back of our own export too."""


class _Feature(msgspec.Struct, frozen=True):
    dtype: str
    shape: list[int] = []
    names: Any = None
    info: Any = None

    @property
    def depth(self) -> bool:
        """Whether it is depth, by the name that each release of theirs gave that."""
        said = self.info if isinstance(self.info, dict) else {}
        return any(said.get(name) is True for name in ("is_depth_map", "video.is_depth_map"))


class _Info(msgspec.Struct, frozen=True):
    codebase_version: str
    features: dict[str, _Feature]
    fps: float = 0.0
    robot_type: str | None = None
    chunks_size: int = 1000


class _Provenance(msgspec.Struct, frozen=True):
    """What our own export adds in `meta/armshare.json`."""

    origin: Origin
    arrays: dict[str, list[str]]
    action: dict[str, Any]


_INFO: Final = msgspec.json.Decoder(_Info)
_LINES: Final = msgspec.json.Decoder(dict[str, Any])
_OWN: Final = msgspec.json.Decoder(_Provenance)


class LeRobotSet:
    """One folder; `hz` is the rate to assume if the data set does not say it."""

    format: Final = "lerobot"

    def __init__(self, path: Path, hz: float | None = None) -> None:
        """Look at it; raise NotADataSetError, SetVersionError or NoRateError."""
        self.path, self._folder = path, Folder(path)
        try:
            self._info = _INFO.decode(self._folder.small("meta/info.json"))
        except (BrokenEpisodeError, ValueError, RecursionError) as error:
            raise NotADataSetError(f"{path} is no LeRobot data set: meta/info.json: {error}.") from error
        self.version = self._info.codebase_version
        if self.version not in VERSIONS:
            said = f"{path} has LeRobot's version {printable(self.version, 40)!r}, and only {listed(VERSIONS)} is read"
            raise SetVersionError(f"{said}. LeRobot's own converter brings older sets to it.")
        self._hz = rate_of(path, hz, self._info.fps)
        self._own = self._provenance()
        try:
            self._episodes = self._read_episodes()
            self._tasks = self._read_tasks()
        except BrokenEpisodeError as error:
            raise NotADataSetError(f"{path} is no LeRobot data set: {error}.") from error
        self._table: tuple[str, pa.Table] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What it calls its episodes, in their order."""
        return tuple(f"episode {one['episode_index']}" for one in self._episodes)

    def take(self, index: int, spool: Spool) -> Taken:
        """Read an episode; raise a BrokenEpisodeError."""
        row = self._episodes[index]
        name = self.names[index]
        table, first = self._frames(row, name)
        action = self._action(table)
        observations, left = self._observations(table, name)
        times = self._times(table)
        own = {one: value for one, value in row.items() if not one.startswith(("stats/", "meta/", "data/", "videos/"))}
        says = sayings(own)
        success = says.get("success")
        reached = self._optional(table, "next.success")
        if not isinstance(success, bool):
            success = bool(reached.any()) if reached is not None else None
        known, sources = self._known(table, action) if self._own else ({}, {})
        if reached is not None:
            known["success"], sources["success"] = np.append(0, reached[:, 0] != 0), "next.success"
        found = Taken(
            name=name,
            hz=self._own.origin.spec.control_hz if self._own else self._hz,
            observations=observations,
            final=False,
            action=action,
            times=times,
            instruction=printable(self._instruction(table)),
            success=success,
            known=known,
            values=sources,
            says={**({"robot_type": printable(self._info.robot_type)} if self._info.robot_type else {}), **says},
            left_out=tuple(left),
            origin=self._own.origin if self._own else None,
        )
        require_sound(found)
        cameras, unread = self._cameras(table, times, row, first, spool)
        return replace(found, cameras=cameras, left_out=(*unread, *found.left_out))

    def _cameras(
        self, table: pa.Table, times: Times, row: Mapping[str, Any], first: int, spool: Spool
    ) -> tuple[dict[str, Camera], list[str]]:
        """Return an episode's cameras, and what of them is left out."""
        stamps = self._optional(table, "timestamp")
        seconds = np.arange(table.num_rows) / self._hz if stamps is None else stamps[:, 0]
        each = self.version == _FILE_EACH
        chunk = row["episode_index"] // max(self._info.chunks_size, 1) if each else None
        seen = Seen(row, self._path(row), first, seconds, times.t_ns, self._hz, chunk)
        features = [
            Feature(key, said.dtype, said.depth, self._captured(table, key, times))
            for key, said in self._info.features.items()
            if said.dtype in _PICTURES
        ]
        return cameras(self._folder, features, seen, spool)

    def _captured(self, table: pa.Table, key: str, times: Times) -> NDArray[np.int64] | None:
        """Return when a camera's pictures were taken, by our own export's clock; None if they do not fit its frames."""
        found = self._clock(table, _CAPTURED + key.removeprefix(IMAGES)) if times.kind == "clock" else None
        if found is None or (np.diff(found) <= 0).any() or (found[1:] > times.t_ns[1:]).any():
            return None
        return found

    def _provenance(self) -> _Provenance | None:
        try:
            return _OWN.decode(self._folder.small("meta/armshare.json"))
        except (BrokenEpisodeError, ValueError, RecursionError):
            return None

    def _read_episodes(self) -> list[dict[str, Any]]:
        if self.version == _FILE_EACH:
            return self._require_entries(self._lines("meta/episodes.jsonl"), ("episode_index", "length"))
        found: list[dict[str, Any]] = []
        folder = self.path / "meta/episodes"
        for path in sorted(folder.glob("chunk-*/file-*.parquet")):
            found += self._folder.table(path.relative_to(self.path).as_posix()).to_pylist()
            if len(found) > _EPISODES_MAX:
                raise TooMuchError(f"it has more than {_EPISODES_MAX} episodes")
        return self._require_entries(found, ("episode_index", "length", "data/chunk_index", "data/file_index"))

    def _require_entries(self, found: list[dict[str, Any]], keys: Sequence[str]) -> list[dict[str, Any]]:
        """Return the entries of all episodes in their order; raise MissingPartError unless each has these numbers."""
        if not found or any(not isinstance(one.get(key), int) for one in found for key in keys):
            raise MissingPartError(f"its list of episodes does not say {listed(keys)} of each episode")
        return sorted(found, key=lambda one: int(one["episode_index"]))

    def _lines(self, name: str) -> list[dict[str, Any]]:
        """Read a file with an object of JSON on each line."""
        try:
            return _LINES.decode_lines(self._folder.small(name))
        except (ValueError, RecursionError) as error:
            raise ForbiddenPartError(f"{name} is not lines of JSON: {error}") from error

    def _path(self, row: Mapping[str, Any]) -> str:
        """Return where an episode's frames are."""
        if self.version == _FILE_EACH:
            number = row["episode_index"]
            return _DATA_EACH.format(chunk=number // max(self._info.chunks_size, 1), episode=number)
        return _DATA.format(chunk=row["data/chunk_index"], file=row["data/file_index"])

    def _read_tasks(self) -> Mapping[int, str]:
        if self.version == _FILE_EACH:
            return {one.get("task_index", -1): str(one.get("task", "")) for one in self._lines("meta/tasks.jsonl")}
        table = self._folder.table("meta/tasks.parquet").to_pydict()
        texts = table.get("task") or table.get("__index_level_0__") or []
        return dict(zip(table.get("task_index", []), (str(text) for text in texts), strict=False))

    def _frames(self, row: Mapping[str, Any], name: str) -> tuple[pa.Table, int]:
        """Return an episode's rows, and where they begin; raise unless they are as many as its entry says."""
        if not 0 <= row["length"] <= STEPS_MAX:
            raise TooMuchError(f"{name} declares {row['length']} frames, and an episode has at most {STEPS_MAX}")
        path = self._path(row)
        if self._table is None or self._table[0] != path:
            numbers = [one for one, feature in self._info.features.items() if feature.dtype in _NUMBERS]
            self._table = path, self._folder.table(path, numbers)
        table = self._table[1]
        if missing := [one for one in ("episode_index", "action") if one not in table.column_names]:
            raise MissingPartError(f"{path} has no column {listed(missing)}")
        rows = np.flatnonzero(table["episode_index"].to_numpy() == row["episode_index"])
        if len(rows) != row["length"]:
            said = f"{name} has {len(rows)} frames in {path}, and its entry says {row['length']}"
            raise LengthsDisagreeError(said)
        if len(rows) and int(rows[-1] - rows[0]) != len(rows) - 1:
            raise LengthsDisagreeError(f"{name} has frames of another episode between its own in {path}")
        first = int(rows[0]) if len(rows) else 0
        return table.slice(first, len(rows)), first

    def _column(self, table: pa.Table, name: str) -> Vector:
        """Return (N, D) float64; raise unless D is what info.json says."""
        if name not in table.column_names:
            raise MissingPartError(f"the column {name} is missing")
        size = int(np.prod(self._info.features[name].shape or [1], dtype=object))
        column = table[name].combine_chunks()
        if column.null_count:
            raise LengthsDisagreeError(f"{name} has no value in {column.null_count} frames")
        while pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
            column = column.flatten()
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        if values.dtype.kind not in "fiub":
            raise ForbiddenPartError(f"{name} holds {values.dtype}, which is no number")
        if values.size != size * table.num_rows:
            said = f"{name} has {values.size} numbers in {table.num_rows} frames, and info.json says {size} in each"
            raise LengthsDisagreeError(said)
        return values.reshape(table.num_rows, size).astype(np.float64)

    def _optional(self, table: pa.Table, name: str) -> Vector | None:
        known = name in table.column_names and name in self._info.features
        return self._column(table, name) if known else None

    def _observations(self, table: pa.Table, name: str) -> tuple[dict[str, Vector], list[str]]:
        """Return the observations by name, and what is left out."""
        found: dict[str, Vector] = {}
        left = []
        for feature, said in self._info.features.items():
            if feature.startswith(_OBSERVATION) and said.dtype in _NUMBERS:
                found |= self._split(feature, self._column(table, feature))
            elif said.dtype not in _PICTURES and not self._is_taken(feature):
                left.append(feature)
        if not found:
            raise MissingPartError(f"{name} has no observations but pictures")
        return found, left

    def _is_taken(self, feature: str) -> bool:
        ours = self._own is not None and (feature in _OURS or feature.startswith(_CAPTURED))
        return feature in _TAKEN or ours

    def _split(self, feature: str, values: Vector) -> dict[str, Vector]:
        """Return one of our own export's vectors as the arrays that it is made of; another's as it is."""
        if self._own is None or feature not in self._own.arrays:
            return {feature: values}
        shapes = dict(self._own.origin.spec.arrays)
        names = self._own.arrays[feature]
        sizes = [int(np.prod(shapes.get(one, ()), dtype=object)) for one in names]
        if sum(sizes) != values.shape[1] or any(one not in shapes for one in names):
            raise LengthsDisagreeError(f"{feature} has {values.shape[1]} numbers, and meta/armshare.json says {sizes}")
        parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        return {one: part.reshape(len(part), *shapes[one]) for one, part in zip(names, parts, strict=True)}

    def _action(self, table: pa.Table) -> Action:
        values = self._column(table, "action")
        said = self._info.features["action"].names
        names = said if isinstance(said, list) else next(iter(said.values())) if isinstance(said, dict) and said else []
        if not isinstance(names, list) or len(names) != values.shape[1]:
            names = range(values.shape[1])
        own = str(self._own.action.get("name", "")) if self._own else ""
        labels = tuple(str(one) for one in names)
        return Action(values, labels, own) if own else Action(values, labels)

    def _known(self, table: pa.Table, action: Action) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        """Return what our own export wrote in columns of its own, by our datasets, and where each was."""
        known: dict[str, NDArray[Any]] = {}
        sources: dict[str, str] = {}
        if (driven := self._optional(table, "driven")) is not None:
            known["safety"], sources["safety"] = np.where(driven[:, 0] != 0, 2, 3), "driven"
        progress, reward = self._optional(table, "progress"), self._optional(table, "next.reward")
        if progress is not None and reward is not None:
            known["progress"] = np.append(progress[:, 0], progress[-1, 0] + reward[-1, 0])
            sources["progress"] = "progress, next.reward"
        if (sent := self._clock(table, "t_sent_mono_ns")) is not None:
            known["time/t_sent_mono_ns"], sources["time/t_sent_mono_ns"] = sent, "t_sent_mono_ns"
        if self._own is not None and action.name == "joint_position":
            spec = self._own.origin.spec
            low, high = np.array(spec.joint_lower_rad), np.array(spec.joint_upper_rad)
            if action.values.shape[1] != spec.joints + len(spec.end_effectors):
                raise LengthsDisagreeError(f"action has {action.values.shape[1]} numbers, which no such robot takes")
            fractions = (action.values + 1.0) / 2.0
            known["applied/joint_position"] = low + fractions[:, : spec.joints] * (high - low)
            known["applied/gripper"] = fractions[:, spec.joints :]
            sources |= dict.fromkeys(("applied/joint_position", "applied/gripper"), "action, scaled to spec's limits")
        return known, sources

    def _clock(self, table: pa.Table, name: str) -> NDArray[np.int64] | None:
        """Return a clock's times of our own export; None if there are none, or -1, which says that nobody read it."""
        if self._own is None or name not in table.column_names:
            return None
        t_ns: NDArray[Any] = table[name].to_numpy()
        return t_ns if t_ns.dtype == np.int64 and (t_ns >= 0).all() else None

    def _times(self, table: pa.Table) -> Times:
        """Return our own export's clock; else the timestamps, or, if these are only a number over the rate, that."""
        if (clock := self._clock(table, "t_observed_mono_ns")) is not None:
            return Times("clock", clock)
        usual = nominal(table.num_rows, self._hz)
        stamps = self._optional(table, "timestamp")
        if stamps is None or not np.isfinite(stamps).all() or np.abs(stamps).max(initial=0.0) > 1e6:
            return usual
        t_ns = np.round(stamps[:, 0] * 1e9).astype(np.int64)
        near = np.abs(t_ns - usual.t_ns).max(initial=0) < 1e-4 * 1e9 + np.abs(t_ns).max(initial=0) * 1e-6
        return usual if near else Times("timestamps", t_ns)

    def _instruction(self, table: pa.Table) -> str:
        if "task_index" not in table.column_names or not table.num_rows:
            return ""
        return self._tasks.get(table["task_index"][0].as_py(), "")
