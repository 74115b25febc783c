"""Runs under .venv-lerobot: opens data sets with LeRobot itself, edits them with its tools, prints what it saw as JSON.

    reads.py FIRST SECOND DEEP WORK

reads FIRST, merges it with SECOND, and deletes an episode of the result, both into folders in WORK. DEEP has depth.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets
from lerobot.datasets.lerobot_dataset import LeRobotDataset

DELTAS = (-0.1, -0.05, 0.0, 0.05)


def opened(root, **kwargs):
    """Return the data set in a folder, without asking anybody else."""
    return LeRobotDataset(f"local/{Path(root).name}", root=str(root), **kwargs)


def blocks(picture):
    """Return the means of 6 x 8 blocks of a picture (3, H, W), as (6, 8, 3), in [0, 255]."""
    channels, height, width = picture.shape
    parts = picture.reshape(channels, 6, height // 6, 8, width // 8).mean(dim=(2, 4))
    return (255.0 * parts).permute(1, 2, 0).tolist()


def frame(dataset, index):
    """Return what a training run sees of one frame."""
    item = dataset[index]
    return {
        "pictures": {key: blocks(item[key]) for key in dataset.meta.camera_keys},
        "action": item["action"].tolist(),
        "timestamp": item["timestamp"].item(),
        "t_observed_mono_ns": item["t_observed_mono_ns"].item(),
        "step": item["step"].item(),
        "next.success": item["next.success"].item(),
        "task": item["task"],
        "language_persistent": item.get("language_persistent"),
        "language_events": item.get("language_events"),
    }


def read(root):
    """Return the first and the last frame of every episode, and what is said of each."""
    dataset = opened(root)
    ends = []
    for episode in dataset.meta.episodes:
        first, last = episode["dataset_from_index"], episode["dataset_to_index"] - 1
        ends.append([frame(dataset, first), frame(dataset, last)])
    return {
        "episodes": dataset.num_episodes,
        "frames": len(dataset),
        "ends": ends,
        "columns": sorted(dataset.meta.episodes.column_names),
        "good": dataset.meta.filter_episodes(lambda episode: episode.get("score", 0.0) > 0.55),
        "statistics": sorted(dataset.meta.stats),
    }


def windows(root):
    """Return windows at the beginning, in the middle and at the end of the data set."""
    keys = ("observation.images.front", "action")
    dataset = opened(root, delta_timestamps={key: list(DELTAS) for key in keys})
    return [
        {
            "pictures": [blocks(picture) for picture in dataset[index][keys[0]]],
            "actions": dataset[index]["action"].tolist(),
            "padded": dataset[index]["action_is_pad"].tolist(),
        }
        for index in (0, len(dataset) // 2, len(dataset) - 1)
    ]


def distances(root):
    """Return what each frame of the first episode says of depth, in millimetres, and which cameras have it."""
    dataset = opened(root)
    (key,) = dataset.meta.depth_keys
    return {"camera": key, "millimetres": [dataset[index][key].squeeze().tolist() for index in (0, 5, 11)]}


def main():
    """Print one JSON object."""
    first, second, deep, work = map(Path, sys.argv[1:])
    merge_datasets([opened(first), opened(second)], "local/merged", output_dir=work / "merged")
    delete_episodes(opened(work / "merged"), [1], output_dir=work / "deleted", repo_id="local/deleted")
    found = {"read": read(first), "second": read(second), "windows": windows(first), "deep": distances(deep)}
    found |= {name: read(work / name) for name in ("merged", "deleted")}
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
