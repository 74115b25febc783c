"""Which split an episode is in: by a hash of how it began, so that it stays there in every data set and version.

Episodes that began alike (a simulation of the same task from the same seed) or moved alike are a group, and a group is
never in two splits: whoever tests on one of them must not have trained on another. An episode goes, in this order,

1. to the split in which the data set has, or had, one of its group;
2. if it comes from another data set by a merge, to its split there;
3. to the split that the hash of `start` gives.

For the third, the first 8 bytes of SHA-256 of `armshare/split/1`, a newline and `start` are a number N; N * 10^6 /
2^64, rounded down, is `test` if it is below the share of test in millionths, `validation` if it is below that of both,
and `train` otherwise. No fraction is rounded, and neither the name, the order nor the rest of a data set counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from rewards.datasets.version import PPM, Shares, Split

_SALT: Final = b"armshare/split/1\n"


class SharesError(ValueError):
    """Shares do not add up to one."""


@dataclass(frozen=True, slots=True)
class Joining:
    """An episode that is to be in a data set."""

    episode: str
    start: str
    motion: str | None
    wanted: Split | None = None
    """The split that it has in the data set from which it comes."""


@dataclass(slots=True)
class Assigned:
    """Which split each got, and which cannot have one: their groups are in different splits."""

    splits: dict[str, Split] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)


def start_key(task: str, seed: int | None, digest: str) -> str:
    """Return what is hashed: of a simulation its task and seed, of anything else (`seed` None) the episode's digest."""
    return hashlib.sha256(
        f"digest\n{digest}".encode() if seed is None else f"seed\n{task}\n{seed}".encode()
    ).hexdigest()


def split_of(start: str, shares: Shares) -> Split:
    """Return the split that the hash gives."""
    number = int.from_bytes(hashlib.sha256(_SALT + start.encode()).digest()[:8]) * PPM >> 64
    if number < shares.test:
        return Split.TEST
    return Split.VALIDATION if number < shares.test + shares.validation else Split.TRAIN


def shares_of(train: float, validation: float, test: float) -> Shares:
    """Return shares given as parts of one; raise SharesError if they do not add up to it."""
    parts = [round(part * PPM) for part in (train, validation, test)]
    if min(parts) < 0 or sum(parts) != PPM:
        raise SharesError(
            f"expected shares of train, validation and test that add up to 1, got {train:g}, {validation:g} and "
            f"{test:g}: write for example 0.8, 0.1 and 0.1"
        )
    return Shares(*parts)


def assign(shares: Shares, known: Mapping[str, Split], joining: Iterable[Joining]) -> Assigned:
    """Give each a split. `known`: the groups (by `start` or `motion`) that the data set has, or had."""
    groups, found = dict(known), Assigned()
    for one in joining:
        keys = [key for key in (one.start, one.motion) if key is not None]
        there = {groups[key] for key in keys if key in groups}
        split = one.wanted or split_of(one.start, shares) if not there else next(iter(there))
        if len(there) > 1 or (one.wanted is not None and one.wanted is not split):
            found.torn.append(one.episode)
            continue
        found.splits[one.episode] = split
        groups.update(dict.fromkeys(keys, split))
    return found
