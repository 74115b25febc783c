"""What a task is: things placed from a seed, stages in order, a success predicate, and an expert that can do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from sim.description import RobotDescription
from sim.draws import Draws
from sim.motion.control import Twist
from sim.robot import TaskSpec, Vector
from sim.scene import Body

Values = Mapping[str, Vector]


class Expert(Protocol):
    """A scripted operator. It sees observation values only, and keeps its own memory of one episode."""

    def act(self, values: Values) -> Twist:
        """Return what to ask for next."""


class Task(Protocol):
    """A task, stateless: one object serves any number of worlds."""

    @property
    def spec(self) -> TaskSpec:
        """Name, instruction, stages and limits."""

    @property
    def robots(self) -> tuple[str, ...]:
        """The robots that can do it; the one it was made for comes first."""

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Return the things, placed by `rng` within bounds; which things and what shapes never depends on it."""

    def stages(self, values: Values) -> Sequence[float]:
        """Return how far each stage of `spec.stages` has got, in [0, 1]; 1 is done."""

    def holds(self, values: Values) -> bool:
        """Whether the success predicate is true at this step."""

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""


def progress(stages: Sequence[float]) -> float:
    """Return how far the task has got, in [0, 1]: stages done (a later one implies those before) and part of the next.

    Each stage is an equal part, so that an operator's display can tell the stage from progress alone.
    """
    done = max((index + 1 for index, part in enumerate(stages) if part >= 1.0), default=0)
    part = min(max(float(stages[done]), 0.0), 1.0) if done < len(stages) else 0.0
    return (done + part) / len(stages)
