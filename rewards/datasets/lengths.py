"""How long the episodes of a version are: counted finely as they come, and told in about twenty bins. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_FINE_MS: Final = 100
_COARSE_MS: Final = 10_000
"""From ten minutes on, so that there are never more than about 15,000 counts."""
_FINE_UNTIL_MS: Final = 600_000
_MOST_MS: Final = 86_400_000
BINS_MAX: Final = 20
_STEPS_MS: Final = (
    100,
    200,
    500,
    1000,
    2000,
    5000,
    10_000,
    20_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    1_800_000,
)
_LONGEST_STEP_MS: Final = 7_200_000


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the episodes are."""

    from_s: list[float]
    """Where each bin begins; the last has no end."""
    counts: list[int]
    min_s: float
    max_s: float


class LengthTally:
    """Counts lengths."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._ends_s: tuple[float, float] | None = None

    def add(self, duration_s: float) -> None:
        """Count an episode's length."""
        ms = min(round(1000 * duration_s), _MOST_MS)
        width_ms = _FINE_MS if ms < _FINE_UNTIL_MS else _COARSE_MS
        self._counts[ms // width_ms * width_ms] += 1
        least, most = self._ends_s or (duration_s, duration_s)
        self._ends_s = min(least, duration_s), max(most, duration_s)

    def lengths(self, from_s: Sequence[float] | None = None) -> Lengths:
        """Return what was counted, in about twenty bins, or in the bins of another card, to be compared with it."""
        edges_ms = self._edges_ms() if from_s is None else [round(1000 * edge) for edge in from_s]
        counts = [0] * len(edges_ms)
        for ms, many in self._counts.items():
            if edges_ms:
                counts[max(0, bisect_right(edges_ms, ms) - 1)] += many
        return Lengths([edge / 1000 for edge in edges_ms], counts, *(self._ends_s or (0.0, 0.0)))

    def _edges_ms(self) -> list[int]:
        """Return where bins begin that are easily read; the last begins after all that was counted."""
        if not self._counts:
            return []
        least, most = min(self._counts), max(self._counts)
        finest_ms = _FINE_MS if most < _FINE_UNTIL_MS else _COARSE_MS
        step_ms = next(
            (one for one in _STEPS_MS if one >= finest_ms and most // one - least // one < BINS_MAX), _LONGEST_STEP_MS
        )
        return [step_ms * at for at in range(least // step_ms, most // step_ms + 2)]
