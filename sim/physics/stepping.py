"""How finely the physics divide a control period, with the gains that give the same motion at that step.

A motor, a gear and a contact each remove a fraction of their error in each physics step. Two steps that each leave
(1 - g) of it leave (1 - g)^2, so at half the rate a gain g becomes 1 - (1 - g)^2: an arm responds and a grasp holds the
same, however finely time is divided. The solver gets the same number of iterations per second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

CONTROL_HZ: Final = 20


@dataclass(frozen=True, slots=True)
class Stepping:
    """One published way to step. Episodes that name it replay with it, so none is ever changed or removed."""

    physics_hz: int
    settle_steps: int
    """Physics steps before an episode begins, so that the things have come to rest."""
    position_gain: float
    """The fraction of a joint's error that its motor removes in one physics step."""
    gear_gain: float
    """The fraction of two fingers' difference that one physics step removes."""
    contact_gain: float | None
    """The fraction of two things' overlap that one physics step removes; None: the engine's default, 0.2."""
    solver_iterations: int
    all_pairs: bool
    """Whether possible contacts are found by trying all pairs instead of by a tree: a tree's shape and pending upkeep
    depend on everything that moved before and affect the last bits, so it cannot be rewound."""

    @property
    def substeps(self) -> int:
        """Physics steps in a control period."""
        return self.physics_hz // CONTROL_HZ


CURRENT: Final = Stepping(
    physics_hz=120,
    settle_steps=30,
    position_gain=0.36,
    gear_gain=0.19,
    contact_gain=0.36,
    solver_iterations=100,
    all_pairs=True,
)
"""What new episodes are made with."""
FIRST: Final = Stepping(
    physics_hz=240,
    settle_steps=60,
    position_gain=0.2,
    gear_gain=0.1,
    contact_gain=None,
    solver_iterations=50,
    all_pairs=False,
)
"""What the first episodes were made with."""
PUBLISHED: Final[Mapping[str, Stepping]] = MappingProxyType({str(one.physics_hz): one for one in (FIRST, CURRENT)})
"""Every way to step that an episode may name, by its `physics_hz` as the episode's record spells it."""
