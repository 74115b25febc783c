"""Data sets as other programs write them, small, for tests of imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HZ = 20.0
ROWS = 6


def robomimic_file(path: Path, demos: int = 3, *, hz: float | None = HZ) -> Path:
    """Write a file as robosuite's collection does: no clock, no names, a picture, states."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        kwargs: dict[str, Any] = {} if hz is None else {"control_freq": hz}
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": kwargs})
        for number in range(demos):
            demo = data.create_group(f"demo_{number}")
            demo["actions"] = rng.normal(size=(ROWS, 7)) * 3.0
            demo["states"] = rng.normal(size=(ROWS, 32))
            demo["rewards"] = np.zeros(ROWS)
            for group in ("obs", "next_obs"):
                demo[f"{group}/robot0_eef_pos"] = rng.normal(size=(ROWS, 3))
                demo[f"{group}/object"] = rng.normal(size=(ROWS, 10))
                demo[f"{group}/agentview_image"] = np.zeros((ROWS, 4, 4, 3), np.uint8)
            demo.attrs["num_samples"] = ROWS
    return path


def lerobot_folder(path: Path, episodes: int = 3, *, version: str = "v3.0", rows: int = ROWS) -> Path:
    """Write a folder as LeRobot's recorder does: `timestamp` is a frame's number over the rate."""
    (path / "meta/episodes/chunk-000").mkdir(parents=True)
    (path / "data/chunk-000").mkdir(parents=True)
    features = {
        "observation.state": {"dtype": "float32", "shape": [6], "names": [f"j{n}.pos" for n in range(6)]},
        "action": {"dtype": "float32", "shape": [6], "names": [f"j{n}.pos" for n in range(6)]},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        "episode_index": {"dtype": "int64", "shape": [1], "names": None},
        "task_index": {"dtype": "int64", "shape": [1], "names": None},
    }
    info = {"codebase_version": version, "robot_type": "so101_follower", "fps": 30, "features": features}
    (path / "meta/info.json").write_text(json.dumps(info))
    pq.write_table(pa.table({"task_index": [0], "task": ["Put it in the bin."]}), path / "meta/tasks.parquet")
    entries = [
        {"episode_index": n, "length": rows, "tasks": ["x"], "data/chunk_index": 0, "data/file_index": 0}
        for n in range(episodes)
    ]
    pq.write_table(pa.Table.from_pylist(entries), path / "meta/episodes/chunk-000/file-000.parquet")
    write_frames(path, state(episodes, rows), rows)
    return path


def state(episodes: int, rows: int = ROWS) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return what the arm did, degrees as that robot has them."""
    return (np.arange(episodes * rows * 6, dtype=np.float32).reshape(-1, 6)) % 90


def write_frames(path: Path, values: np.ndarray[Any, np.dtype[np.float32]], rows: int = ROWS) -> None:
    """Write the table of frames."""
    count = len(values)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    numbers = np.arange(count)
    frames = {
        "observation.state": vectors,
        "action": vectors,
        "timestamp": ((numbers % rows) / 30).astype(np.float32),
        "episode_index": numbers // rows,
        "task_index": np.zeros(count, np.int64),
    }
    pq.write_table(pa.table(frames), path / "data/chunk-000/file-000.parquet")


def older(path: Path) -> Path:
    """Lay a folder out as version 2.1 did: a table for each episode, and lists as lines of JSON."""
    frames = pq.read_table(path / "data/chunk-000/file-000.parquet")
    for number in range(frames.num_rows // ROWS):
        rows = frames.slice(number * ROWS, ROWS)
        pq.write_table(rows, path / f"data/chunk-000/episode_{number:06d}.parquet")
    (path / "data/chunk-000/file-000.parquet").unlink()
    for name, table in (("episodes", "episodes/chunk-000/file-000"), ("tasks", "tasks")):
        file = path / f"meta/{table}.parquet"
        (path / f"meta/{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in pq.read_table(file).to_pylist())
        )
        file.unlink()
    return path
