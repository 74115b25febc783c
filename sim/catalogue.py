"""Which simulated robots and tasks there are, by name. Looking them up loads no physics; `make_world` does.

Besides the robots that come with the project there are those that `armshare robot add` has added (`sim/own.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sim import own
from sim.description import RobotDescription
from sim.robot import RobotError, RobotModel
from sim.task import Task
from sim.words import listed

if TYPE_CHECKING:
    from sim.physics.stepping import Stepping
    from sim.physics.world import World
    from sim.physics.worlds import Worlds

ROBOTS: Final = ("panda", "iiwa", "xarm6", "so101", "dual_panda", "husky")
REAL: Final = ("ur5e_gripper", "xarm6_gripper")
"""Real arms whose models are here, and that no task simulates."""
TASKS: Final = ("reach", "lift", "push", "pick_place", "stack", "sort", "drawer", "peg", "pour", "handover", "fetch")


class UnknownRobotError(RobotError):
    """No robot has that name."""


class UnknownTaskError(RobotError):
    """No task has that name, or the robot cannot do it."""


def description(robot: str) -> RobotDescription:
    """Return the data of the robot called `robot`; raise UnknownRobotError, or OwnRobotError for an unreadable one."""
    if robot not in (*ROBOTS, *REAL):
        folder = _own_folder(robot)
        return own.read(folder).description
    found: RobotDescription = import_module(f"sim.robots.{robot}").DESCRIPTION
    return found


def model(robot: str) -> RobotModel:
    """Return where the robot's URDF and meshes are; raise UnknownRobotError."""
    return description(robot).model


def task(name: str) -> Task:
    """Return the task called `name`; raise UnknownTaskError."""
    if name not in TASKS:
        raise UnknownTaskError(f"There is no task {name!r}. There are {listed(TASKS)}.")
    found: Task = import_module(f"sim.tasks.{name}").TASK
    return found


@cache
def pairs() -> tuple[tuple[str, str], ...]:
    """Return every (robot, task) that exists as a simulated world."""
    return tuple((robot, name) for name in TASKS for robot in task(name).robots if robot in ROBOTS)


def tasks_of(robot: str) -> tuple[str, ...]:
    """Return the tasks that a robot can do, in the order of TASKS; raise UnknownRobotError."""
    if robot not in ROBOTS:
        offered = own.read(_own_folder(robot)).tasks
        return tuple(name for name in TASKS if name in offered)
    return tuple(name for able, name in pairs() if able == robot)


def own_pairs() -> tuple[tuple[str, str], ...]:
    """Return every (robot, task) of the robots that were added here; one that cannot be read is left out."""
    found = []
    for name in own.names():
        with suppress(own.OwnRobotError):
            found += [(name, task) for task in tasks_of(name)]
    return tuple(found)


def require_pair(robot: str, task_name: str) -> tuple[str, str]:
    """Return the pair; raise UnknownRobotError or UnknownTaskError if there is no such world."""
    if robot not in ROBOTS:
        offered = own.read(_own_folder(robot)).tasks
        if task(task_name).spec.name not in offered:
            raise UnknownTaskError(f"{robot} is not offered for {task_name}. It is for {listed(offered)}.")
        return robot, task_name
    able = task(task_name).robots
    if robot not in able:
        raise UnknownTaskError(f"{robot} cannot do {task_name}. It can do {listed(tasks_of(robot))}.")
    return robot, task_name


def offer(said: str) -> tuple[str, tuple[str, ...]]:
    """Return a robot and the tasks that it should offer, from `panda`, which means all of them, or `panda:lift,stack`.

    Raises UnknownRobotError or UnknownTaskError.
    """
    robot, _, names = said.partition(":")
    tasks = dict.fromkeys(names.split(",")) if names else tasks_of(robot)
    try:
        return robot, tuple(require_pair(robot, name)[1] for name in tasks)
    except UnknownTaskError as error:
        raise UnknownTaskError(f"{said}: {error}") from error


def _own_folder(robot: str) -> Path:
    folder = own.find(robot)
    if folder is None:
        known = listed((*ROBOTS, *own.names()))
        raise UnknownRobotError(f"There is no robot {robot!r}. There are {known}; `armshare robot add` adds others.")
    return folder


def make_world(robot: str, task_name: str, stepping: Stepping | None = None) -> World:
    """Return the world of that robot at that task, not yet connected; raise for an unknown pair.

    `stepping` is that of the episode to replay; None means the one that new episodes are made with.
    """
    require_pair(robot, task_name)
    from sim.physics.stepping import CURRENT  # here, so that importing the catalogue loads no physics engine
    from sim.physics.world import World

    return World(description(robot), task(task_name), stepping or CURRENT)


def make_worlds(robot: str, tasks: Sequence[str], world: World | None = None) -> Worlds:
    """Return a robot that offers these tasks, one or more, not yet connected; raise for an unknown pair.

    `world` is one of that robot, at any task, to use instead of a new one.
    """
    found = [task(require_pair(robot, name)[1]) for name in tasks]
    from sim.physics.worlds import Worlds

    return Worlds(world or make_world(robot, tasks[0]), found)
