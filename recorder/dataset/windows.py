"""Which frames a window holds: `delta_timestamps`, as LeRobot has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from recorder.dataset.errors import DeltaTimestampsError, UnknownKeyError
from sim.words import listed

PAD: str = "_is_pad"
"""Behind a key: (n,) bool, which of its n frames would be outside the episode. In their place is the nearest inside."""


def offsets(
    delta_timestamps: Mapping[str, Sequence[float]], keys: Iterable[str], control_hz: float, tolerance_s: float
) -> dict[str, NDArray[np.int64]]:
    """Return key -> (n,) frames from the one that is asked for.

    A time is a multiple of the control period, up to `tolerance_s`. Raises UnknownKeyError or DeltaTimestampsError.
    """
    known = list(keys)
    found = {}
    for key, times in delta_timestamps.items():
        if key not in known:
            raise UnknownKeyError(f"delta_timestamps names {key!r}, and an item holds {listed(known)}.")
        wanted = np.asarray(times, np.float64)
        if wanted.ndim != 1 or not wanted.size or not np.isfinite(wanted).all():
            raise DeltaTimestampsError(
                f"delta_timestamps of {key} is a list of seconds, such as [-0.1, 0.0], got {times}."
            )
        frames = np.round(wanted * control_hz)
        off_s = np.abs(frames / control_hz - wanted)
        if (off_s > tolerance_s).any():
            raise DeltaTimestampsError(
                f"delta_timestamps of {key} has {wanted[int(off_s.argmax())]} s, which is not a multiple of the "
                f"control period, 1/{control_hz:g} s. Take multiples, or a larger tolerance_s."
            )
        found[key] = frames.astype(np.int64)
    return found


def rows(frame: int, steps: int, around: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (n,) the rows of a window in an episode of so many steps, and which of them are padding."""
    wanted = frame + around
    return np.clip(wanted, 0, steps - 1), (wanted < 0) | (wanted >= steps)
