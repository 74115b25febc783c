"""Mathematics whose last bit depends neither on the processor nor on Python's version: all that judges a scene.

NumPy's `sin`, `tanh` or `norm` may differ in a last bit between AVX-512 and AVX2, and the built-in `sum` has given
other last bits since Python 3.12, which compensates. Products, roots and sums of two Python floats are IEEE 754's;
`sin`, `cos` and `tanh` are the C library's, as PyBullet's own are. `tests/test_same_everywhere.py` says what else is
avoided, and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


def length(vector: Iterable[float]) -> float:
    """Return the Euclidean length."""
    squares = 0.0
    for part in vector:
        squares += float(part) * float(part)
    return math.sqrt(squares)


def apart(one: Iterable[float], other: Iterable[float]) -> float:
    """Return the distance between two places."""
    return length(float(a) - float(b) for a, b in zip(one, other, strict=True))


def nearness(away_m: float, rate_1_m: float) -> float:
    """Return 1 at no distance, falling towards 0 at the rate `rate_1_m`."""
    return 1.0 - math.tanh(rate_1_m * max(float(away_m), 0.0))
