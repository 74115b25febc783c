"""How long somebody will wait for a robot: an estimate from how long its last operators held it. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

REMEMBERED: Final = 20
"""How many of a robot's last leases the estimate is made from."""


def wait_s(held_s: float | None, ahead: int, past_s: Sequence[float], lease_s: float) -> float:
    """Return how long somebody with `ahead` others before them in the queue will probably wait, s.

    held_s is how long its holder has had the robot, None if nobody has it. The holder is expected to take the median of
    those past leases that were longer than that; each of the others, the median of all. Nobody keeps a robot longer
    than lease_s while others wait, and if nothing is known of the past, everyone is expected to take that long.
    """
    past = [min(one, lease_s) for one in past_s] or [lease_s]
    if held_s is None:
        return ahead * median(past)
    whole_s = median([one for one in past if one > held_s] or [lease_s])
    return max(0.0, whole_s - held_s) + ahead * median(past)
