"""Which simulated robots and tasks there are, by name. Looking loads no physics; `make_world` does."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from sim.description import ArmDescription
from sim.robot import RobotError, RobotModel
from sim.task import Task

if TYPE_CHECKING:
    from sim.world import World

ROBOTS: Final = ("panda", "so101")
TASKS: Final = ("lift",)
WORLDS: Final = (("panda", "lift"),)
"""The pairs that exist as simulated worlds."""


class UnknownRobotError(RobotError):
    """No robot has that name."""


class UnknownTaskError(RobotError):
    """No task has that name, or not for that robot."""


def description(robot: str) -> ArmDescription:
    """Return the data of the robot called `robot`; raise UnknownRobotError."""
    if robot not in ROBOTS:
        raise UnknownRobotError(f"expected one of {', '.join(ROBOTS)}, got {robot!r}")
    found: ArmDescription = import_module(f"sim.robots.{robot}").DESCRIPTION
    return found


def model(robot: str) -> RobotModel:
    """Return where the robot's URDF and meshes lie; raise UnknownRobotError."""
    return description(robot).model


def task(name: str) -> Task:
    """Return the task called `name`; raise UnknownTaskError."""
    if name not in TASKS:
        raise UnknownTaskError(f"expected one of {', '.join(TASKS)}, got {name!r}")
    found: Task = import_module(f"sim.tasks.{name}").TASK
    return found


def make_world(robot: str, task_name: str) -> World:
    """Return the world of that robot at that task, not yet connected; raise for an unknown pair."""
    arm, goal = description(robot), task(task_name)
    if (robot, task_name) not in WORLDS:
        known = ", ".join(f"{one} at {other}" for one, other in WORLDS)
        raise UnknownTaskError(f"expected one of {known}, got {robot} at {task_name}")
    from sim.world import World  # here, so that a catalogue alone starts no physics engine

    return World(arm, goal)
