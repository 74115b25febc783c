"""Statistics that training code normalizes by: of an episode's numbers, of a camera's pictures, and of many episodes.

Their names and shapes are LeRobot's: min, max, mean, std, count, and five quantiles; pictures have one number a colour,
in [0, 1], as (3, 1, 1), and depth one number in millimetres, as (1, 1, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from sim.robot import Vector

Statistics = dict[str, NDArray[Any]]

QUANTILES: Final = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
PICTURES_MAX: Final = 100
"""How many of an episode's pictures are looked at, evenly spread over it."""
_WIDE: Final = 150
"""About how many pixels of a row are looked at."""


def of_values(values: NDArray[Any]) -> Statistics:
    """Return the statistics of (N, D) or (N,) numbers, each (D,) or (1,)."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found: Statistics = {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([len(rows)]),
    }
    quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return found | dict(zip(QUANTILES, quantiles, strict=True))


def of_pictures(pictures: Pictures, indices: NDArray[np.int64]) -> Statistics:
    """Return the statistics of some of the pictures numbered `indices`, of keys if there are any: they decode alone."""
    wanted = np.unique(indices)
    keys = wanted[pictures.key[wanted]]
    some = keys if len(keys) else wanted[:1]
    some = some[np.unique(np.linspace(0, len(some) - 1, min(PICTURES_MAX, len(some))).round().astype(np.int64))]
    decoder, stride = Decoder(pictures), max(pictures.width // _WIDE, 1)
    deep = pictures.codec is PictureCodec.DEPTH16
    unit = 1000.0 * pictures.depth_unit_m if deep else 1.0 / 255.0
    values: Vector = np.arange(1 << 16 if deep else 256, dtype=np.float64) * unit
    seen = np.zeros((1 if deep else 3, len(values)), np.int64)
    for index in some.tolist():
        pixels = decoder.frame(index)[::stride, ::stride].reshape(-1, len(seen))
        for colour in range(len(seen)):
            seen[colour] += np.bincount(pixels[:, colour], minlength=len(values))
    return _of_counts(seen, values) | {"count": np.array([len(some)])}


def together(parts: Sequence[Statistics]) -> Statistics:
    """Return the statistics of all from those of each; quantiles are weighted means, as LeRobot's own."""
    counts = np.array([part["count"][0] for part in parts], np.float64)
    weights = (counts / counts.sum()).reshape(-1, *([1] * parts[0]["mean"].ndim))
    stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0] if name != "count"}
    mean = (stacked["mean"] * weights).sum(axis=0)
    variance = ((stacked["std"] ** 2 + (stacked["mean"] - mean) ** 2) * weights).sum(axis=0)
    return {
        "min": stacked["min"].min(axis=0),
        "max": stacked["max"].max(axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([int(counts.sum())]),
        **{name: (stacked[name] * weights).sum(axis=0) for name in QUANTILES},
    }


def _of_counts(seen: NDArray[np.int64], values: Vector) -> Statistics:
    """Return statistics (C, 1, 1) from how often each of the values (V,) occurred in each of C colours, (C, V)."""
    totals = seen.sum(axis=1)
    mean = (seen * values).sum(axis=1) / totals
    square = (seen * values**2).sum(axis=1) / totals
    below = np.cumsum(seen, axis=1)
    found: Statistics = {
        "min": values[(seen > 0).argmax(axis=1)],
        "max": values[len(values) - 1 - (seen[:, ::-1] > 0).argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(square - mean**2, 0.0)),
    }
    for name, part in QUANTILES.items():
        found[name] = values[(below >= part * totals[:, None]).argmax(axis=1)]
    return {name: value.reshape(-1, 1, 1) for name, value in found.items()}
