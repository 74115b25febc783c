"""What learns from demonstrations: behaviour cloning on where things are, eight actions at once, in NumPy alone.

The network of docs/lift_bc.py, for any task of one hand: it sees every thing from the hand. It is trained on the mean
absolute error, as ACT is (T. Zhao et al., arXiv 2304.13705): with the squared error, which scikit-learn's networks are
bound to, 20 lifts taught 0 to 3 scenes of 20, and with this one 13 to 17. The step is AdamW's (I. Loshchilov and F.
Hutter, arXiv 1711.05101), along half a cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

AHEAD: Final = 8
"""How many actions it gives at once."""
GRIPPER: Final = 6
"""Which number of an action is the gripper: -1 closed, 1 open."""
HAND: Final = "ee_pose"
_BATCH: Final = 256
_RATE, _DECAY, _FIRST, _SECOND, _TINY = 1e-3, 1e-2, 0.9, 0.999, 1e-8


def features(seen: Mapping[str, Any]) -> Array:
    """Return what the network sees of observations (..., n): the hand, and every thing from it, by name."""
    hand = np.asarray(seen[HAND])
    x, y, z, w = np.moveaxis(hand[..., 3:], -1, 0)
    parts = [hand[..., 2:3], np.stack([2.0 * (x * z + y * w), 2.0 * (y * z - x * w)], -1), seen["gripper_position"]]
    for name in sorted(name for name in seen if name.endswith("_pose") and name != HAND):
        thing = np.asarray(seen[name])
        turn = 4.0 * (_yaw(thing[..., 3:]) - _yaw(hand[..., 3:]))  # a cube looks the same after a quarter turn
        parts += [thing[..., :3] - hand[..., :3], thing[..., 2:3], np.stack([np.cos(turn), np.sin(turn)], -1)]
    return np.concatenate(parts, -1)


def followed(actions: Floats) -> Floats:
    """Return the actions (N, AHEAD * A) that followed each step of one episode; the last is repeated."""
    rows = np.minimum(np.arange(len(actions))[:, None] + np.arange(AHEAD), len(actions) - 1)
    found: Floats = actions[rows].reshape(len(actions), -1)
    return found


def fit(seen: Floats, then: Floats, *, hidden: int, updates: int, seed: int) -> dict[str, NDArray[Any]]:
    """Return the weights of a network that gives `then` (N, AHEAD * A) for `seen` (N, F)."""
    rng = np.random.default_rng(seed)
    mean, deviation = seen.mean(0), seen.std(0) + np.float32(1e-3)
    inputs = (seen - mean) / deviation
    weights = _begun(rng, (inputs.shape[1], hidden, hidden, then.shape[1]))
    first, second = [np.zeros_like(one) for one in weights], [np.zeros_like(one) for one in weights]
    for update in range(updates):
        rows = rng.integers(len(inputs), size=_BATCH)
        rate = np.float32(0.5 * _RATE * (1.0 + np.cos(np.pi * update / updates)))
        one, two = np.float32(1.0 - _FIRST ** (update + 1)), np.float32(1.0 - _SECOND ** (update + 1))
        for weight, slope, m, v in zip(weights, slopes(weights, inputs[rows], then[rows]), first, second, strict=True):
            m += np.float32(1.0 - _FIRST) * (slope - m)
            v += np.float32(1.0 - _SECOND) * (slope * slope - v)
            weight *= np.float32(1.0) - rate * np.float32(_DECAY)
            weight -= rate * (m / one) / (np.sqrt(v / two) + np.float32(_TINY))
    return {"mean": mean, "deviation": deviation} | {str(number): one for number, one in enumerate(weights)}


def slopes(weights: Sequence[Floats], inputs: Floats, wanted: Floats) -> list[Floats]:
    """Return the gradient of the mean absolute error in each array of weights."""
    layers = [inputs]
    for number in (0, 2):
        layers.append(np.maximum(layers[-1] @ weights[number] + weights[number + 1], np.float32(0.0)))
    given = layers[-1] @ weights[4] + weights[5]
    back = np.sign(given - wanted) / np.float32(given.size)
    found: list[Floats] = []
    for number in (4, 2, 0):
        layer = layers[number // 2]
        found = [layer.T @ back, back.sum(0), *found]
        back = (back @ weights[number].T) * (layer > 0.0)
    return found


class Policy:
    """What was learnt, as `sim.evaluate` calls it.

    Its file is read when an episode begins, so that one world judges one policy after another.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.reset()

    def reset(self) -> None:
        """Begin an episode with what is in the file now."""
        with np.load(self._file) as weights:
            self._mean, self._deviation = weights["mean"], weights["deviation"]
            self._weights = [weights[str(number)] for number in range(6)]
        self._planned: list[NDArray[Any]] = []

    def __call__(self, seen: Mapping[str, Any]) -> NDArray[Any]:
        """Return the next action (7,), for the environment's `ee_twist`."""
        if not self._planned:
            self._planned = [*self._plan(features(seen))]
        return self._planned.pop(0)

    def _plan(self, found: Array) -> NDArray[Any]:
        layer, one = (found - self._mean) / self._deviation, self._weights
        for number in (0, 2):
            layer = np.maximum(layer @ one[number] + one[number + 1], 0.0)
        actions = (layer @ one[4] + one[5]).reshape(AHEAD, -1)
        actions[:, GRIPPER] = np.sign(actions[:, GRIPPER])
        given: NDArray[Any] = np.clip(actions, -1.0, 1.0)
        return given


def load(path: str) -> Policy:
    """Return the policy whose weights are in a file: the entry that `sim.evaluate` finds by name."""
    return Policy(Path(path))


def _yaw(quaternion: Array) -> Array:
    x, y, z, w = np.moveaxis(quaternion, -1, 0)
    found: Array = np.arctan2(1.0 - 2.0 * (x * x + z * z), 2.0 * (x * y - z * w))
    return found


def _begun(rng: np.random.Generator, sizes: Sequence[int]) -> list[Floats]:
    """Return the weights and offsets of each layer, as PyTorch begins them: uniform, within 1 / sqrt(inputs)."""
    found: list[Floats] = []
    for inputs, outputs in pairwise(sizes):
        most = 1.0 / np.sqrt(inputs)
        found.append(rng.uniform(-most, most, (inputs, outputs)).astype(np.float32))
        found.append(rng.uniform(-most, most, outputs).astype(np.float32))
    return found
