"""Runs under .venv-lerobot: writes pictures as LeRobot's own recorder does, and prints how long that took as JSON.

    writes.py PICTURES WIDTH HEIGHT STEPS FPS WORK

PICTURES are raw (F, HEIGHT, WIDTH, 3) uint8, which two cameras see in turn for STEPS steps. H.264, encoded while frames
are added, is the fastest that it has; the fastest preset of two counts.
"""

import json
import os
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset

CAMERAS = ("front", "side")
PRESETS = ("ultrafast", "veryfast")


def write(pictures, steps, fps, preset, root):
    """Write one episode; return the seconds by the clock and of the processor."""
    height, width = pictures.shape[1:3]
    shape = {"dtype": "video", "shape": (height, width, 3), "names": ["height", "width", "channels"]}
    features = {f"observation.images.{camera}": dict(shape) for camera in CAMERAS}
    features["observation.state"] = {"dtype": "float32", "shape": (14,), "names": None}
    features["action"] = {"dtype": "float32", "shape": (7,), "names": None}
    encoder = RGBEncoderConfig(vcodec="h264", pix_fmt="yuv420p", preset=preset)
    # A queue that holds everything: a full one would drop frames.
    how = {"streaming_encoding": True, "encoder_queue_maxsize": steps, "rgb_encoder": encoder}
    state, action = np.zeros(14, np.float32), np.zeros(7, np.float32)
    began, worked = time.perf_counter(), time.process_time()
    dataset = LeRobotDataset.create(f"local/{root.name}", fps=fps, features=features, root=root, **how)
    for step in range(steps):
        seen = {
            f"observation.images.{camera}": pictures[(step + 7 * at) % len(pictures)]
            for at, camera in enumerate(CAMERAS)
        }
        dataset.add_frame({**seen, "observation.state": state, "action": action, "task": "Lift the cube."})
    dataset.save_episode()
    dataset.finalize()
    return time.perf_counter() - began, time.process_time() - worked


def main():
    """Print the fastest."""
    path, width, height, steps, fps, work = sys.argv[1:]
    pictures = np.memmap(path, np.uint8, "r").reshape(-1, int(height), int(width), 3)
    found = {preset: write(pictures, int(steps), int(fps), preset, Path(work) / preset) for preset in PRESETS}
    best = min(found, key=lambda preset: found[preset][1])
    size = sum(one.stat().st_size for one in (Path(work) / best).rglob("*.mp4"))
    seconds, processor_s = found[best]
    sys.stdout.write("\n" + json.dumps({"preset": best, "s": seconds, "processor_s": processor_s, "video_bytes": size}))


if __name__ == "__main__":
    main()
