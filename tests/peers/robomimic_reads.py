"""Runs under .venv-peers: opens an export with robomimic's own SequenceDataset, prints what it saw as JSON."""

import json
import sys

import robomimic.utils.obs_utils as obs_utils
from robomimic.utils.dataset import SequenceDataset


def read(path, mask, obs_keys):
    """Return what a training run would see through one mask."""
    dataset = SequenceDataset(
        hdf5_path=path,
        obs_keys=obs_keys,
        dataset_keys=("actions", "rewards", "dones", "states"),
        seq_length=10,
        pad_seq_length=True,
        hdf5_cache_mode=None,
        load_next_obs=True,
        filter_by_attribute=mask,
    )
    first, last = dataset[0], dataset[len(dataset) - 1]
    return {
        "samples": len(dataset),
        "demos": list(dataset.demos),
        "shapes": {name: list(first["obs"][name].shape) for name in obs_keys},
        "next_shapes": {name: list(first["next_obs"][name].shape) for name in obs_keys},
        "actions_shape": list(first["actions"].shape),
        "first_action": first["actions"][0].tolist(),
        "first_obs": {name: first["obs"][name][0].tolist() for name in obs_keys},
        "first_next_obs": {name: first["next_obs"][name][0].tolist() for name in obs_keys},
        "action_range": [
            min(float(dataset[i]["actions"].min()) for i in range(len(dataset))),
            max(float(dataset[i]["actions"].max()) for i in range(len(dataset))),
        ],
        "last_done": float(last["dones"][0]),
        "last_reward": float(last["rewards"][0]),
    }


def main():
    """Print one JSON object: mask -> what was seen."""
    path, obs_keys = sys.argv[1], sys.argv[2].split(",")
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": obs_keys}})
    json.dump({mask: read(path, mask, obs_keys) for mask in ("train", "valid")}, sys.stdout)


if __name__ == "__main__":
    main()
