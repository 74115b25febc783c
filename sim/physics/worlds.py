"""A simulated robot that offers several tasks: one world at a time, all in one engine, so that none costs memory."""

from __future__ import annotations

from collections.abc import Sequence

from sim.physics.world import World
from sim.robot import Robot, RobotError, RobotSpec
from sim.task import Task
from sim.words import listed


class TaskNotOfferedError(RobotError):
    """The robot could do the task, or not, but does not offer it."""


class Worlds:
    """The `Tasks` of a simulated robot."""

    def __init__(self, world: World, tasks: Sequence[Task]) -> None:
        """`world` is at any task, connected or not, and belongs to this object from now on; `tasks` are one or more."""
        self._tasks = {task.spec.name: task for task in tasks}
        self._world = _at(world, tasks[0])
        self._specs: tuple[RobotSpec, ...] | None = None

    @property
    def specs(self) -> tuple[RobotSpec, ...]:
        """The robot's spec at each task."""
        if self._specs is None:
            world = self._world
            self._specs = tuple(World(world.description, task, world.stepping).spec for task in self._tasks.values())
        return self._specs

    @property
    def robot(self) -> Robot:
        """The world at the present task."""
        return self._world

    def change(self, task: str) -> Robot:
        """Go to another task; raise TaskNotOfferedError, or what a reset raises."""
        if task not in self._tasks:
            raise TaskNotOfferedError(f"there is no task {task!r} here; there are {listed(self._tasks)}")
        try:
            self._world = _at(self._world, self._tasks[task])
        except RobotError:
            self._world.connect()
            raise
        return self._world


def _at(world: World, task: Task) -> World:
    return world if world.task is task else world.at(task)
