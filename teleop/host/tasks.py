"""A robot that offers one task, or what a stranger's `Robot` does: the `Tasks` of everything that cannot change.

Part of teleop; exports `tasks_of`, which takes either, so that a real arm needs no more than a `Robot`.
"""

from __future__ import annotations

from sim.robot import Robot, RobotSpec, Tasks


class OneTask:
    """A robot whose task never changes."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    @property
    def specs(self) -> tuple[RobotSpec, ...]:
        """The robot's only spec."""
        return (self.robot.spec,)

    def change(self, _task: str) -> Robot:
        """Return the robot as it is."""
        return self.robot


def tasks_of(robot: Robot | Tasks) -> Tasks:
    """Return what offers the robot's tasks."""
    return robot if isinstance(robot, Tasks) else OneTask(robot)
