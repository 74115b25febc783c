"""Runs beside robomimic: opens an export with its own SequenceDataset, prints what it saw as JSON.

python robomimic_reads.py FILE MASKS LOW_DIM_KEYS [RGB_KEYS [DEPTH_KEYS]]
"""

import inspect
import json
import sys

import robomimic
import robomimic.utils.obs_utils as obs_utils
from robomimic.utils.dataset import SequenceDataset

NEWEST = "action_keys" in inspect.signature(SequenceDataset).parameters
"""Whether it is a version after 0.3."""


def read(path, mask, obs_keys):
    """Return what a training run would see through one mask."""
    newer = {"action_keys": ["actions"], "action_config": {"actions": {"normalization": None}}} if NEWEST else {}
    dataset = SequenceDataset(
        hdf5_path=path,
        obs_keys=obs_keys,
        dataset_keys=("actions", "rewards", "dones", "states"),
        seq_length=10,
        pad_seq_length=True,
        hdf5_cache_mode=None,
        load_next_obs=True,
        filter_by_attribute=mask,
        **newer,
    )
    first, last = dataset[0], dataset[len(dataset) - 1]
    return {
        "samples": len(dataset),
        "demos": list(dataset.demos),
        "shapes": {name: list(first["obs"][name].shape) for name in obs_keys},
        "next_shapes": {name: list(first["next_obs"][name].shape) for name in obs_keys},
        "dtypes": {name: str(first["obs"][name].dtype) for name in obs_keys},
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
    """Print one JSON object: mask -> what was seen, after robomimic's version."""
    path, masks, low_dim, rgb, depth = (*sys.argv[1:], "", "")[:5]
    keys = {name: said.split(",") for name, said in (("low_dim", low_dim), ("rgb", rgb), ("depth", depth)) if said}
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": keys})
    every = [key for one in keys.values() for key in one]
    seen = {mask: read(path, mask, every) for mask in masks.split(",")}
    json.dump({"version": robomimic.__version__, "masks": seen}, sys.stdout)


if __name__ == "__main__":
    main()
