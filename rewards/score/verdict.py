"""What a version of the rules says of an episode: a score with its parts, what cost how much, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

ONE_PPM: Final = 1_000_000


class SegmentKind(StrEnum):
    """What a stretch of an episode was."""

    IDLE = "idle"
    """Nothing moved, after the first motion and before the task was done."""
    TAIL = "tail"
    """The task was done, and the operator had not finished yet."""
    SLOW = "slow"
    """A stage took far longer than it takes others."""
    MISTAKE = "mistake"
    """What led to a drop, or to work that had to be undone."""
    RECOVERY = "recovery"
    """From a mistake to where the task stood before it: worth more than ordinary driving, and never a cost."""
    LIMITED = "limited"
    """A safety limit cut what the operator asked for, or the arm could not follow."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of an episode; seconds from its first observation, on the clock that its motion is measured on."""

    kind: SegmentKind
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one part of the score cost, and the stretch that cost most of it."""

    part: str
    ppm: int
    """Of the price of a perfect drive."""
    sentence: str
    """What happened and how to do better, for the operator."""
    from_s: float | None = None
    until_s: float | None = None
    """None if it was no moment, but the whole drive."""


@dataclass(frozen=True, slots=True)
class Score:
    """The verdict on one episode."""

    version: str
    score_ppm: int
    accepted: bool
    vector: Mapping[str, float]
    """The parts that are paid by, each in [0, 1], 1 best; which ones there are depends on the version."""
    reasons: tuple[str, ...]
    """First why it was not accepted, then what would raise the score. Never empty for a rejected episode."""
    costs: tuple[Cost, ...] = ()
    """The largest first. Versions 1 and 2 have no moments."""
    shown: Mapping[str, float] = field(default_factory=dict)
    """What helps an operator and is not paid by, in its own units."""
    segments: tuple[Segment, ...] = ()
    """In order of time."""
    refused: tuple[str, ...] = ()
    """The gates that refused it, in the order of their sentences in `reasons`; versions 1 and 2 name no gates."""
