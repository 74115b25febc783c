"""A year of a hub: who drove what, when, on which robot, how it ended and what it scored. The same for every database.

Operators have a long tail, robots and tasks are unevenly popular, the days get busier over the year, a lease holds
a few episodes. What is drawn for each episode is a column of NumPy; the rest follows from its number, by a hash.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, Final

import numpy as np
from eth_utils.address import to_checksum_address

BEGAN_MS: Final = 1_764_547_200_000
DAY_MS: Final = 24 * 3_600_000
DAYS: Final = 365
TASKS: Final = ("lift", "push", "pick_place", "reach", "stack", "drawer", "peg", "pour", "handover", "fetch", "sort")
MODELS: Final = ("panda", "so101", "iiwa")
STATES: Final = {"verified": 0.86, "rejected": 0.06, "discarded": 0.04, "invalid": 0.03, "uploaded": 0.01}
DRIVERS: Final = {"person": 0.85, "script": 0.1, "policy": 0.05}
PRICE_WEI: Final = 10**18
LEASE_EPISODES: Final = 4
OPERATORS: Final = 10_000
ROBOTS: Final = 500


class Year:
    """So many episodes; `operators` and `robots` are fewer if there are few episodes."""

    def __init__(self, count: int, operators: int = OPERATORS, robots: int = ROBOTS, seed: int = 1) -> None:
        random = self._random = np.random.default_rng(seed)
        self.count = count
        self.operators = [address("operator", at) for at in range(min(operators, max(20, count // 10)))]
        self.robots = [address("robot", at) for at in range(min(robots, max(5, count // 200)))]
        at = np.sort(random.random(count) ** 0.7)  # busier towards the end
        self.created_ms = (BEGAN_MS + at * DAYS * DAY_MS).astype(np.int64)
        leases = count // LEASE_EPISODES + 1
        self.lease = np.minimum(np.arange(count) // LEASE_EPISODES, leases - 1)
        self._robot_of = self._uneven(len(self.robots), 0.8, leases)
        self._operator_of = self._uneven(len(self.operators), 0.9, leases)
        self.robot, self.operator = self._robot_of[self.lease], self._operator_of[self.lease]
        self.task = self._uneven(len(TASKS), 1.2, leases)[self.lease]
        self.model = self.robot % len(MODELS)
        self.simulated = self.robot % 8 != 1
        self.state = random.choice(len(STATES), count, p=list(STATES.values()))
        self.verified = self.state == 0
        self.driver = random.choice(len(DRIVERS), count, p=list(DRIVERS.values()))
        self.success = random.random(count) < 0.78
        self.score_ppm = np.round(1e6 * random.beta(5, 2, count) * np.where(self.success, 1.0, 0.4)).astype(int)
        self.part = random.beta(6, 2, (count, 5)).astype(np.float32)
        self.duration_ms = np.round(1000 * random.lognormal(2.7, 0.5, count)).astype(int)
        first = np.zeros(count, bool)
        first[np.unique(self.operator, return_index=True)[1]] = True  # what an operator drives first is practice
        self.practice = (first | (random.random(count) < 0.02)) & self.verified
        self.older = at < 0.3
        """Scored by version 2 of the rules, as version 3 was not there yet."""
        self.log_index = np.cumsum(self.verified) - 1
        self.withdrawn = self.verified & (random.random(count) < 0.002)

    def _uneven(self, values: int, power: float, count: int) -> Any:
        weights = 1.0 / (np.arange(values) + 5.0) ** power
        return self._random.choice(values, count, p=weights / weights.sum())

    @property
    def leases(self) -> int:
        """How many leases there were."""
        return int(self.lease[-1]) + 1

    def first_of(self, lease: int) -> int:
        """The first episode of a lease."""
        return lease * LEASE_EPISODES

    def day(self, at: int) -> int:
        """On which day of the year an episode was driven."""
        return int(self.created_ms[at] - BEGAN_MS) // DAY_MS

    def pays(self, at: int) -> bool:
        """Whether an episode is paid: accepted, simulated, and no practice."""
        return bool(self.verified[at] and self.success[at] and self.simulated[at] and not self.practice[at])

    def pay_wei(self, at: int) -> int:
        """What it is paid."""
        return int(self.score_ppm[at]) * (PRICE_WEI // 1_000_000) if self.pays(at) else 0

    @property
    def middle(self) -> str:
        """A verified episode in the middle."""
        return episode(next(at for at in range(self.count // 2, self.count) if self.verified[at]))


def noise(kind: str, at: int, size: int = 32) -> str:
    """Return hexadecimal digits that nothing can compress, the same for the same number."""
    return hashlib.blake2b(f"{kind} {at}".encode(), digest_size=size).hexdigest()


def episode(at: int) -> str:
    """Return an episode's id; they say nothing of their order, as a hub's own."""
    return noise("episode", at, 16)


@cache
def address(kind: str, at: int) -> str:
    """Return a checksummed address."""
    return str(to_checksum_address("0x" + noise(kind, at, 20)))
