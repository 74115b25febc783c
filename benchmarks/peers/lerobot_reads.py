"""Runs under a peer's interpreter, with nothing of ours: writes pictures with LeRobot, and reads them as it is asked.

lerobot_reads.py write RAW TARGET CODEC      LeRobot's own writer, with its own settings
lerobot_reads.py lance SOURCE TARGET         lerobot-lancedb's converter
lerobot_reads.py read lerobot|lance FOLDER   answers lines such as {"what": "frames", "indices": [3, 9]} with seconds
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CAMERAS = ("front", "wrist")
WINDOW = 10


def write(raw: Path, target: Path, codec: str) -> None:
    """Write every episode of `raw` (one .npz each)."""
    from lerobot.configs.video import RGBEncoderConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    files = sorted(raw.glob("*.npz"))
    first = np.load(files[0])
    height, width = first[CAMERAS[0]].shape[1:3]
    features: dict[str, Any] = {
        name: {"dtype": "float32", "shape": first[name].shape[1:], "names": None}
        for name in ("action", "observation.state")
    }
    for camera in CAMERAS:
        shape = {"shape": (height, width, 3), "names": ["height", "width", "channels"]}
        features[f"observation.images.{camera}"] = {"dtype": "video", **shape}
    made = LeRobotDataset.create(
        "bench/read", int(first["fps"]), features, root=target, rgb_encoder=RGBEncoderConfig(vcodec=codec)
    )
    for file in files:
        held = np.load(file)
        episode = {name: held[name] for name in (*CAMERAS, "action", "observation.state")}
        for step in range(len(episode["action"])):
            frame = {f"observation.images.{camera}": episode[camera][step] for camera in CAMERAS}
            rows = {name: episode[name][step] for name in ("action", "observation.state")}
            made.add_frame({**frame, **rows, "task": "lift"})
        made.save_episode()
    made.finalize()


def opened(kind: str, folder: str, fps: int, **how: Any) -> Any:
    """Return the data set, for frames or for windows."""
    if kind == "lance":
        from lerobot_lancedb.reader import LanceDBDataset

        return LanceDBDataset(root=folder, repo_id="bench/read", **how)
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset("bench/read", root=folder, **how)


def around(fps: int) -> dict[str, list[float]]:
    """Return the times of a window."""
    times = [step / fps for step in range(WINDOW)]
    return {**{f"observation.images.{camera}": times for camera in CAMERAS}, "action": times}


def read(kind: str, folder: str) -> None:
    """Answer orders until there are no more."""
    fps = int(json.loads((Path(folder) / "meta" / "info.json").read_bytes())["fps"])
    sets = {
        "frames": opened(kind, folder, fps, return_uint8=True),
        "frames_float32": opened(kind, folder, fps),
        "windows": opened(kind, folder, fps, delta_timestamps=around(fps), return_uint8=True),
    }
    one = sets["frames"]
    backend = getattr(one, "_video_backend", None) or getattr(one, "video_backend", None) or "its own"
    say({"frames": len(one), "backend": backend})
    for line in sys.stdin:
        order = json.loads(line)
        data, seconds, cpu_s = sets[order["what"]], time.perf_counter(), time.process_time()
        for index in order["indices"]:
            item = data[index]
        seconds, cpu_s = time.perf_counter() - seconds, time.process_time() - cpu_s
        say({"seconds": seconds, "cpu_s": cpu_s, "shape": list(item["observation.images.front"].shape)})


def say(what: dict[str, Any]) -> None:
    """Answer."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(what: str, *said: str) -> None:
    """Do one of the three."""
    if what == "write":
        write(Path(said[0]), Path(said[1]), said[2])
    elif what == "lance":
        converter = Path(sys.executable).with_name("lerobot-lance-convert")
        subprocess.run([str(converter), "--root", said[0], "--out", said[1]], check=True)
    else:
        read(*said)


if __name__ == "__main__":
    main(*sys.argv[1:])
