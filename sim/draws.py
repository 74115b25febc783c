"""Random numbers from a seed that are the same with every version of NumPy, from which scenes are placed.

NumPy promises that a bit generator's stream of integers stays as it is, and does not promise what `Generator` makes of
it. So what is made of it is written here, and gives what `Generator` gave when the first episodes were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

_T = TypeVar("_T")
_STEP: Final = 1.0 / 9007199254740992.0
"""2^-53."""
_MOST: Final = 0xFFFFFFFF


class Draws:
    """One stream of random numbers."""

    def __init__(self, source: int | np.random.SeedSequence) -> None:
        """`source` is a seed (a non-negative integer), or a sequence spawned from one."""
        self._raw = np.random.PCG64(source).random_raw
        self._half: int | None = None
        """The upper half of a 64-bit number whose lower half has been used."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return (int(self._raw()) >> 11) * _STEP

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * self.random()

    def choice(self, options: Sequence[_T]) -> _T:
        """Return one of the options, each as likely."""
        return options[self._below(len(options))]

    def permutation(self, count: int) -> list[int]:
        """Return 0 to count - 1 in a random order (Fisher and Yates)."""
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self._at_most(last)
            order[last], order[other] = order[other], order[last]
        return order

    def _below(self, bound: int) -> int:
        """Return an integer in [0, bound): D. Lemire, "Fast random integer generation in an interval", 2019."""
        if bound == 1:
            return 0
        product = self._uint32() * bound
        while product & _MOST < (_MOST + 1) % bound:
            product = self._uint32() * bound
        return product >> 32

    def _at_most(self, most: int) -> int:
        """Return an integer in [0, most], by trying as many bits as it has."""
        mask = (1 << most.bit_length()) - 1
        while (found := self._uint32() & mask) > most:
            pass
        return found

    def _uint32(self) -> int:
        half, self._half = self._half, None
        if half is not None:
            return half
        whole = int(self._raw())
        self._half = whole >> 32
        return whole & _MOST
