"""Lift: take the cube off the floor and hold it above ten centimetres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec
from sim.scene import Body
from sim.task import Expert, Values
from sim.tasks import SINGLE_ARMS
from sim.tasks.parts.exact import apart, nearness
from sim.tasks.parts.expert import Operator, Script
from sim.tasks.parts.placing import cube, placed

SUCCESS_HEIGHT_M: Final = 0.10
NEAR_M: Final = 0.03


class Lift:
    """One cube, placed anywhere in the field, turned any way."""

    spec: Final = TaskSpec(
        name="lift",
        version=1,
        instruction="Lift the cube at least 10 cm above the floor and hold it there.",
        paraphrases=("Pick the cube up and hold it in the air.", "Raise the red block ten centimetres."),
        stages=("reach the cube", "raise it"),
        max_steps=1200,
    )
    robots: Final = (*SINGLE_ARMS, "husky")

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the cube."""
        return placed(robot.field, rng, [cube("cube", robot.field.scale)])

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the cube, and the cube's height."""
        distance = apart(values["ee_pose"][:3], values["cube_pose"][:3])
        return nearness(distance - NEAR_M, 4.0), float(values["cube_pose"][2]) / SUCCESS_HEIGHT_M

    def holds(self, values: Values) -> bool:
        """Whether the cube's centre is above ten centimetres."""
        return bool(values["cube_pose"][2] > SUCCESS_HEIGHT_M)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def script(operator: Operator) -> Script:
    """Grasp from above and rise; retry if it slipped."""
    hand = operator.hands[0]
    while True:
        yield from hand.grasp("cube_pose")
        yield from hand.rise(0.16)
        while operator.values["cube_pose"][2] > SUCCESS_HEIGHT_M:
            yield


TASK: Final = Lift()
