"""The one clock that an episode is shown on: seconds from its first observation, as its motion is scored."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recorder.file.episode import Inspected

_SEEN_NS: Final = "time/t_observed_mono_ns"


def seconds(found: Inspected) -> NDArray[np.float64]:
    """Return when each observation was, (N+1,): of a simulated robot in its simulation's time, else by its host."""
    if found.meta.robot.simulated:
        counted: NDArray[np.float64] = np.arange(found.end.steps + 1) / found.meta.spec.control_hz
        return counted
    seen_ns = found.datasets[_SEEN_NS][:]
    measured: NDArray[np.float64] = (seen_ns - seen_ns[0]) / 1e9
    return measured


class Clock:
    """From the host's monotonic nanoseconds to the seconds that an episode is shown on."""

    def __init__(self, found: Inspected) -> None:
        self.seconds = seconds(found)
        self._seen_ns: NDArray[np.int64] = found.datasets[_SEEN_NS][:]

    @property
    def length_s(self) -> float:
        """When the last observation was."""
        return float(self.seconds[-1])

    def at(self, t_ns: ArrayLike) -> NDArray[np.float64]:
        """Return the moments of these times, never outside the episode."""
        first = int(self._seen_ns[0])
        since = np.asarray(t_ns, np.int64) - first  # small numbers: a float has no room for nanoseconds since a boot
        return np.interp(since.astype(np.float64), (self._seen_ns - first).astype(np.float64), self.seconds)

    def exactly(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the moments of these times by the host's clock, before the first observation too."""
        return (t_ns - int(self._seen_ns[0])) / 1e9
