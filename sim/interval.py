"""How sure a success rate is: the interval of rates that so many successes in so many attempts agree with."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

LEVEL: Final = 0.95
_Z: Final = 1.959963984540054
"""The quantile of the standard normal distribution at (1 + LEVEL) / 2."""


class Interval(NamedTuple):
    """Rates in [0, 1]."""

    low: float
    high: float


def wilson(successes: int, attempts: int) -> Interval:
    """Return the score interval at `LEVEL`; of no attempts, all of [0, 1]. Raises ValueError for impossible counts.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22(158), 1927. Unlike the
    textbook's p +- z sqrt(p (1 - p) / n), it is right for twenty attempts, and for none or all of them.
    """
    if not 0 <= successes <= attempts:
        raise ValueError(f"expected successes between 0 and {attempts} attempts, got {successes}")
    if attempts == 0:
        return Interval(0.0, 1.0)
    rate, square = successes / attempts, _Z * _Z / attempts
    middle = (rate + 0.5 * square) / (1.0 + square)
    half = _Z * math.sqrt(rate * (1.0 - rate) / attempts + 0.25 * square / attempts) / (1.0 + square)
    # Exactly 0 or 1 at the ends, where rounding would leave a little.
    return Interval(0.0 if successes == 0 else middle - half, 1.0 if successes == attempts else middle + half)
