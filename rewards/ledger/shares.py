"""How an accepted episode's pay is divided: exact, in wei, and fixed when the episode begins.

The price of a task is its operator's: what is shown is what they get for a score of 1. The robot's owner and the
reviewers are paid beside that, from the same pool, each a published share (docs/decisions/0063).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

ONE_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Shares:
    """What is paid beside the operator's pay, in parts per million."""

    owner_ppm: int = 0
    """Of the operator's pay, for each accepted episode that somebody else drove on the owner's robot."""
    reviewer_ppm: int = 0
    """Of the price, for each review that agrees with what was found."""

    @classmethod
    def of(cls, said: Mapping[str, Any] | None) -> Self:
        """Return the shares that a ticket has; none if an earlier release issued it."""
        return cls() if said is None else cls(said["owner_ppm"], said["reviewer_ppm"])

    def owner_wei(self, pay_wei: int) -> int:
        """Return floor(owner's share of what the operator is paid)."""
        return pay_wei * self.owner_ppm // ONE_PPM

    def reviewer_wei(self, price_wei: int) -> int:
        """Return floor(one review's share of the price): a failed episode is as much work as one that passes."""
        return price_wei * self.reviewer_ppm // ONE_PPM
