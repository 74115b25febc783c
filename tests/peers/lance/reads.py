"""Runs under .venv-lance: compares the frames of a Lance export with those of the LeRobot data set, prints JSON.

python reads.py LANCE LEROBOT
"""

import json
import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot_lancedb.reader import LanceDBDataset, is_lance_dataset


def apart(one, other):
    """Return how far two values of an item are apart; 0 if they are equal, infinity if they cannot be compared."""
    if not hasattr(one, "numpy"):
        return 0.0 if one == other else float("inf")
    here, there = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return float(np.abs(here - there).max()) if here.shape == there.shape else float("inf")


def main():
    """Print one JSON object."""
    windows = {"action": [-0.1, 0.0, 0.1], "observation.images.front": [-0.05, 0.0]}
    made = LanceDBDataset(repo_id="local/lance", root=sys.argv[1], delta_timestamps=windows)
    source = LeRobotDataset("local/lerobot", root=sys.argv[2], delta_timestamps=windows)
    ends = [(row["dataset_from_index"], row["dataset_to_index"] - 1) for row in source.meta.episodes]
    looked = [index for pair in ends for index in pair]
    items = [(made[index], source[index]) for index in looked]
    distances = {name: max(apart(one[name], other[name]) for one, other in items) for name in items[0][1]}
    said = {
        "is_lance": is_lance_dataset(root=sys.argv[1]),
        "frames": [len(made), len(source)],
        "keys": [sorted(items[0][0]), sorted(items[0][1])],
        "looked_at": looked,
        "apart": distances,
        "shapes": {name: list(value.shape) for name, value in items[0][0].items() if hasattr(value, "shape")},
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
