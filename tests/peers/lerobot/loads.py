"""Runs under .venv-lerobot: loads a data set from the hub at HF_ENDPOINT with LeRobot itself, and prints what it saw.

loads.py NAME [REVISION]
"""

import json
import sys

import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.datasets.streaming_dataset import StreamingLeRobotDataset


def seen(item):
    """Return what a training run sees of one frame."""
    return {
        "index": int(item["index"]),
        "episode": int(item["episode_index"]),
        "action": torch.as_tensor(item["action"]).tolist(),
        "state": torch.as_tensor(item["observation.state"]).tolist(),
        "t_observed_mono_ns": int(item["t_observed_mono_ns"]),
        "picture": (255.0 * item["observation.images.front"].mean(dim=(1, 2))).tolist(),
    }


def main(name, revision=None):
    """Print the frames that each way of loading gives."""
    loaded = LeRobotDataset(name, revision=revision)
    part = LeRobotDataset(name, revision=revision, episodes=[1])
    streamed = StreamingLeRobotDataset(name, revision=revision, shuffle=False, buffer_size=1)
    found = {
        "revision": loaded.revision,
        "episodes": loaded.num_episodes,
        "frames": [seen(loaded[index]) for index in range(len(loaded))],
        "part": [seen(part[index])["episode"] for index in range(len(part))],
        "streamed": [seen(item) for item in streamed],
        "test": loaded.meta.filter_episodes(lambda episode: episode["split"] == "test"),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
