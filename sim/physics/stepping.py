"""How finely the physics cut a control period, with the gains that give the same motion at that step.

A motor, a gear and a contact each take away a part of their error in each physics step. Two steps that each leave
(1 - g) of it leave (1 - g)^2, so at half the rate a gain g becomes 1 - (1 - g)^2: an arm answers alike in time, and a
grasp holds alike, however finely the time is cut. The solver gets as many iterations in a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

CONTROL_HZ: Final = 20


@dataclass(frozen=True, slots=True)
class Stepping:
    """One published way to step. Episodes that name it replay with it, so none is ever changed or taken away."""

    physics_hz: int
    settle_steps: int
    """Physics steps before an episode begins, so that what was placed has come to rest."""
    position_gain: float
    """The part of a joint's error that its motor takes away in one physics step."""
    gear_gain: float
    """The part of two fingers' difference that one physics step takes away."""
    contact_gain: float | None
    """The part of two things' overlap that one physics step takes away; None: as the engine has it, 0.2."""
    solver_iterations: int
    all_pairs: bool
    """Whether what may touch is found by trying all pairs, and not by a tree: a tree's shape and what it has yet to
    tidy up come from everything that moved before, and end in last bits, so that it cannot be rewound."""

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
