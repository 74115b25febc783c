"""What a task is: bodies placed from a seed, staged progress, a success predicate, and an expert that can do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sim.control import Twist
from sim.robot import ArraySpec, SceneBody, TaskSpec, Vector

if TYPE_CHECKING:
    from sim.bullet import BulletClient

Values = Mapping[str, Vector]


class Expert(Protocol):
    """A scripted operator. It sees observation values only, and keeps its own memory of one episode."""

    def act(self, values: Values) -> Twist:
        """Return what to ask for next."""


class Bodies(Protocol):
    """The task's things, loaded into one client."""

    def observe(self) -> dict[str, Vector]:
        """Return the arrays of `Task.arrays`."""


class Task(Protocol):
    """A task, stateless: one object serves any number of worlds."""

    @property
    def spec(self) -> TaskSpec:
        """Name, instruction and limits."""

    @property
    def arrays(self) -> tuple[ArraySpec, ...]:
        """What its bodies add to an observation."""

    @property
    def scene(self) -> tuple[SceneBody, ...]:
        """What to draw."""

    def build(self, client: BulletClient, rng: np.random.Generator) -> Bodies:
        """Load the bodies, placed by `rng`."""

    def progress(self, values: Values) -> float:
        """Return how far the task is, in [0, 1]."""

    def holds(self, values: Values) -> bool:
        """Whether the success predicate is true at this step."""

    def expert(self) -> Expert:
        """Return a fresh scripted operator."""
