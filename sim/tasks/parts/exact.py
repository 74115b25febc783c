"""Mathematics whose last bit does not depend on the processor: placing and judging a scene uses nothing else.

NumPy's `sin`, `tanh` or `norm` may differ in a last bit between AVX-512 and AVX2. Sums, products and roots of Python's
floats are IEEE 754's; `sin`, `cos` and `tanh` are the C library's, as PyBullet's own are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def length(vector: Iterable[float]) -> float:
    """Return the Euclidean length."""
    return math.sqrt(sum(float(part) * float(part) for part in vector))


def apart(one: Iterable[float], other: Iterable[float]) -> float:
    """Return the distance between two places."""
    return length(float(a) - float(b) for a, b in zip(one, other, strict=True))


def nearness(away_m: float, rate_1_m: float) -> float:
    """Return 1 at no distance, falling towards 0 at the rate `rate_1_m`."""
    return 1.0 - math.tanh(rate_1_m * max(float(away_m), 0.0))
