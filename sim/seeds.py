"""Which seeds scenes of data are made from, and which are kept to judge policies by, so that the two never meet.

A policy that is judged on scenes it was trained on is judged by its memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain
from typing import Final

from sim.robot import RobotError

SEED_MAX: Final = 2**48
"""Seeds are below this."""
JUDGING: Final = range(1_000, 1_000_000)
"""Scenes that policies are judged on; no data are made from them."""
DATA: Final = (range(JUDGING.start), range(JUDGING.stop, SEED_MAX))
"""Scenes that data are made from, in this order: small seeds first, then those above the ones that judge."""


class SeedError(RobotError):
    """A seed is not one that data may be made from."""


def require_data(seed: int) -> int:
    """Return a seed that data may be made from; raise SeedError."""
    if any(seed in one for one in DATA):
        return seed
    if seed in JUDGING:
        kept = f"Seeds {JUDGING.start} to {JUDGING.stop - 1} are kept to judge policies by, and {seed} is one of them."
        raise SeedError(f"{kept} Choose one below {JUDGING.start}, or from {JUDGING.stop} on.")
    raise SeedError(f"A seed is a whole number from 0 to {SEED_MAX - 1}, and {seed} is not.")


def data_seeds(first: int = 0) -> Iterator[int]:
    """Yield the seeds of data from `first` on, in order; raise SeedError if it is not one of them."""
    require_data(first)
    return chain.from_iterable(range(max(one.start, first), one.stop) for one in DATA)


def random_data_seed() -> int:
    """Return a seed of data that nobody can foresee."""
    while (seed := secrets.randbelow(SEED_MAX)) in JUDGING:
        pass
    return seed
