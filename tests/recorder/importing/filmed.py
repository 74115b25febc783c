"""Data sets with pictures, as other programs write them, small, for tests of imports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.recorder.importing.foreign import ROWS, lerobot_folder

SIZE: Final = 64, 48
HZ: Final = 30
TOP: Final = "observation.images.top"
COPIED: Final[Mapping[str, str]] = {"bf": "0", "g": "4"}
"""Options of x264 whose packets an episode may have."""


def pixels(count: int) -> NDArray[np.uint8]:
    """Return (count, H, W, 3): each picture differs from the others."""
    base = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8), SIZE)
    return np.stack([np.roll(base, 5 * number, axis=1) for number in range(count)])


def video(path: Path, count: int, codec: str = "libx264", options: Mapping[str, str] = COPIED) -> list[Any]:
    """Write a video, and return what a decoder makes of it, picture by picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as file:
        stream = file.add_stream(codec, rate=HZ)
        stream.width, stream.height = SIZE
        stream.pix_fmt, stream.options = "yuv420p", dict(options)
        for picture in pixels(count):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def filmed(path: Path, episodes: int = 2, codec: str = "libx264", options: Mapping[str, str] = COPIED) -> list[Any]:
    """Write a LeRobot folder whose episodes share one video; return its pictures."""
    lerobot_folder(path, episodes)
    described(path, TOP, {"dtype": "video", "shape": [SIZE[1], SIZE[0], 3], "names": None})
    entries = path / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(entries).to_pylist()
    for number, row in enumerate(rows):
        row |= {
            f"videos/{TOP}/chunk_index": 0,
            f"videos/{TOP}/file_index": 0,
            f"videos/{TOP}/from_timestamp": number * ROWS / HZ,
            f"videos/{TOP}/to_timestamp": (number + 1) * ROWS / HZ,
        }
    pq.write_table(pa.Table.from_pylist(rows), entries)
    return video(path / f"videos/{TOP}/chunk-000/file-000.mp4", episodes * ROWS, codec, options)


def described(path: Path, name: str, feature: Mapping[str, Any], **info: Any) -> None:
    """Add a feature to info.json, or change what it says."""
    said = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps({**said, **info, "features": said["features"] | {name: feature}}))


def with_images(path: Path, pictures: list[bytes]) -> None:
    """Give a LeRobot folder a camera whose pictures are in its table, as files."""
    described(path, TOP, {"dtype": "image", "shape": [SIZE[1], SIZE[0], 3], "names": None})
    table = pq.read_table(path / "data/chunk-000/file-000.parquet")
    column = pa.array([{"bytes": one, "path": f"{number}.png"} for number, one in enumerate(pictures)])
    pq.write_table(table.append_column(TOP, column), path / "data/chunk-000/file-000.parquet", row_group_size=ROWS)
