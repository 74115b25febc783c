"""Behaviour cloning, for docs/tutorials/train.md: `python docs/lift_bc.py lift.hdf5 --to lift.npz`, which needs torch.

The network sees where the cube is from the hand and gives the next eight actions at once, as ACT does (T. Zhao et al.,
arXiv 2304.13705): in between it is not asked again, so that it does not hesitate where people close the gripper. Its
weights are kept as NumPy arrays: the policy that `armshare evaluate` loads, `docs.lift_bc:load`, needs no torch.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AHEAD = 8
"""How many actions it gives at once."""
GRIPPER = 6
"""Which number of an action is the gripper: -1 closed, 1 open."""


def features(seen: Mapping[str, Array]) -> Array:
    """Return what the network sees of observations (..., n), as (..., 10)."""
    hand, cube = seen["ee_pose"], seen["cube_pose"]
    x, y, z, w = np.moveaxis(hand[..., 3:], -1, 0)
    tilt = np.stack([2.0 * (x * z + y * w), 2.0 * (y * z - x * w)], -1)
    turn = 4.0 * (yaw(cube[..., 3:]) - yaw(hand[..., 3:]))  # a cube looks the same after a quarter turn
    parts = cube[..., :3] - hand[..., :3], hand[..., 2:3], cube[..., 2:3], tilt, seen["gripper_position"]
    return np.concatenate([*parts, np.stack([np.cos(turn), np.sin(turn)], -1)], -1)


def yaw(quaternion: Array) -> Array:
    """Return which way things face (...), rad, seen from above."""
    x, y, z, w = np.moveaxis(quaternion, -1, 0)
    return np.arctan2(1.0 - 2.0 * (x * x + z * z), 2.0 * (x * y - z * w))


class Policy:
    """What was learnt, as `armshare evaluate` calls it."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = weights
        self.reset()

    def reset(self) -> None:
        """Begin an episode."""
        self._planned: list[Array] = []

    def __call__(self, seen: Mapping[str, Array]) -> Array:
        """Return the next action (7,), for the environment's `ee_twist`."""
        if not self._planned:
            self._planned = list(self._plan(features(seen)))
        return self._planned.pop(0)

    def _plan(self, found: Array) -> Array:
        one = self._weights
        layer = (found - one["mean"]) / one["deviation"]
        for number in ("0", "2"):
            layer = np.maximum(one[f"{number}.weight"] @ layer + one[f"{number}.bias"], 0.0)
        actions = (one["4.weight"] @ layer + one["4.bias"]).reshape(AHEAD, -1)
        actions[:, GRIPPER] = np.sign(actions[:, GRIPPER])
        return np.clip(actions, -1.0, 1.0)


def load(path: str) -> Policy:
    """Return the policy in a file that `train` wrote."""
    with np.load(path) as file:
        return Policy(dict(file))


def read(path: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return features (N, 10) and the actions that followed (N, AHEAD * 7), of every demonstration of an export."""
    import h5py

    seen, then = [], []
    with h5py.File(path) as file:
        for demo in file["data"].values():
            actions = demo["actions"][:]
            seen.append(features({name: array[:] for name, array in demo["obs"].items()}))
            rows = np.minimum(np.arange(len(actions))[:, None] + np.arange(AHEAD), len(actions) - 1)
            then.append(actions[rows].reshape(len(actions), -1))
    return np.concatenate(seen).astype(np.float32), np.concatenate(then).astype(np.float32)


def train(path: str, target: str, steps: int) -> None:
    """Learn from an export, and write the weights to `target`."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a network is not faster with more
    seen, then = read(path)
    mean, deviation = seen.mean(0), seen.std(0) + 1e-3
    inputs, outputs = torch.from_numpy((seen - mean) / deviation), torch.from_numpy(then)
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], 256),
        torch.nn.ReLU(),
        torch.nn.Linear(256, 256),
        torch.nn.ReLU(),
        torch.nn.Linear(256, outputs.shape[1]),
    )
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        rows = torch.randint(len(inputs), (256,))
        loss = (network(inputs[rows]) - outputs[rows]).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.4f}")
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    np.savez(target, mean=mean, deviation=deviation, **weights)
    print(f"{len(seen)} samples, in {target}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", help="what `armshare export --format robomimic` wrote")
    parser.add_argument("--to", required=True, help="the file to write, .npz")
    parser.add_argument("--steps", type=int, default=2500)
    asked = parser.parse_args()
    train(asked.export, asked.to, asked.steps)
