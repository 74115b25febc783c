"""Runs under .venv-lerobot: has LeRobot's own recorder write a data set, or saves the frames that its reader gives.

frames.py write ROOT CODEC
frames.py read ROOT FRAMES.npz
"""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset

CAMERAS = ("observation.images.front", "observation.images.wrist")
EPISODES, STEPS, FPS = 3, 20, 10


def pictures():
    """Return what the cameras see, one picture after the other."""
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    return [np.roll(base, (number, 3 * number), axis=(0, 1)) for number in range(EPISODES * STEPS)]


def write(root, codec):
    """Write a data set; with the codec `default`, as LeRobot does if nobody says how."""
    shape = {"dtype": "video", "shape": (48, 64, 3), "names": ["height", "width", "channels"]}
    features = {camera: dict(shape) for camera in CAMERAS}
    features["observation.state"] = {"dtype": "float32", "shape": (4,), "names": ["a", "b", "c", "d"]}
    features["action"] = {"dtype": "float32", "shape": (2,), "names": ["x", "y"]}
    how = {} if codec == "default" else {"rgb_encoder": RGBEncoderConfig(vcodec=codec, pix_fmt="yuv420p")}
    made = LeRobotDataset.create("local/set", fps=FPS, features=features, root=root, **how)
    for number, picture in enumerate(pictures()):
        seen = {CAMERAS[0]: picture, CAMERAS[1]: picture[::-1].copy()}
        row = np.arange(4, dtype=np.float32) + number
        made.add_frame({**seen, "observation.state": row, "action": row[:2], "task": "Lift the cube."})
        if (number + 1) % STEPS == 0:
            made.save_episode()
    made.finalize()


def read(root, target):
    """Save every frame of every camera, and the times and states beside them."""
    data = LeRobotDataset(f"local/{root.name}", root=root)
    items = [data[index] for index in range(len(data))]
    found = {key: np.stack([item[key].numpy() for item in items]) for key in data.meta.camera_keys}
    found["state"] = np.stack([item["observation.state"].numpy() for item in items])
    found["episode"] = np.array([int(item["episode_index"]) for item in items])
    found["codec"] = np.array([data.meta.features[key]["info"]["video.codec"] for key in data.meta.camera_keys])
    np.savez(target, **found)


if __name__ == "__main__":
    what, where, argument = sys.argv[1:]
    write(Path(where), argument) if what == "write" else read(Path(where), Path(argument))
