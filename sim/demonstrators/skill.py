"""How well a scripted person drives: one number, from which all that people differ in follows, each in one direction.

People reach a thing in a first fast motion and a few corrections, each with an error in proportion to its length
(D. Meyer et al., "Optimality in human motor performance", Psychological Review 95, 1988); a hand shakes within a band
of frequencies; who is unsure waits before closing the fingers, and grips beside the middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sim.draws import Draws
from sim.robot import Vector

PERIOD_S: Final = 0.05
"""A control period, as the scripts count them."""
_WAVES: Final = 8


@dataclass(frozen=True, slots=True)
class Skill:
    """What follows from a skill in (0, 1]; at 1 each is what the task's expert does."""

    pace: float
    """How fast, as a part of the expert's speed."""
    tremor_m_s: float
    """How much the hand shakes, root mean square."""
    miss: float
    """By how much a motion goes past its goal, as a part of its length."""
    corrections: int
    """How many motions may miss before one arrives."""
    aim_m: float
    """How far from the middle a thing is gripped, at most."""
    wait_s: float
    """How long the hand waits before the fingers close, on average."""


def skill_of(level: float) -> Skill:
    """Return what a skill of `level` in (0, 1] means; raise ValueError if it is not in that."""
    if not 0.0 < level <= 1.0:
        raise ValueError(f"A skill is above 0 and at most 1, and {level} is not.")
    lack = 1.0 - level
    return Skill(
        pace=1.0 / (1.0 + 1.5 * lack),
        tremor_m_s=0.05 * lack,
        miss=0.25 * lack,
        corrections=math.ceil(3.0 * lack),
        aim_m=0.008 * lack,
        wait_s=1.2 * lack,
    )


class Shaking:
    """Band-limited shaking of one hand: a few sines for each axis, of random frequency and phase."""

    def __init__(self, rng: Draws, rms_m_s: float, band_hz: tuple[float, float], turning_rad_m: float = 3.0) -> None:
        """`turning_rad_m` is how much it turns for each metre that it moves."""
        self._rates = np.array([[_drawn(rng, *band_hz) for _ in range(_WAVES)] for _ in range(6)]) * 2.0 * np.pi
        self._phases = np.array([[_drawn(rng, 0.0, 2.0 * np.pi) for _ in range(_WAVES)] for _ in range(6)])
        self._size = rms_m_s * math.sqrt(2.0 / _WAVES) * np.array((1.0, 1.0, 1.0, *(turning_rad_m,) * 3))

    def at(self, step: int) -> Vector:
        """Return the twist (6,) that it adds in a step, m/s and rad/s."""
        waves = np.sin(self._rates * (step * PERIOD_S) + self._phases)
        shaken: Vector = self._size * waves.sum(axis=1)
        return shaken


def _drawn(rng: Draws, low: float, high: float) -> float:
    return rng.uniform(low, high)
