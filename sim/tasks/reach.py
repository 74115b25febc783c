"""Reach: bring the fingertips to a ball in the air."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec
from sim.scene import Body, Part, Sphere
from sim.task import Expert, Values
from sim.tasks import SINGLE_ARMS
from sim.tasks.parts.exact import apart, nearness
from sim.tasks.parts.expert import Operator, Script
from sim.tasks.parts.placing import spot

NEAR_M: Final = 0.02
LOW_M: Final = 0.08
HIGH_M: Final = 0.28


class Reach:
    """One ball that is only seen and touches nothing, over the field, on either side of where the hand starts."""

    spec: Final = TaskSpec(
        name="reach",
        version=1,
        instruction="Bring the fingertips to the ball and hold them there.",
        paraphrases=("Touch the floating ball with the gripper.", "Move the hand to the yellow ball and stay."),
        stages=("reach the ball",),
        max_steps=600,
    )
    robots: Final = SINGLE_ARMS

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the ball."""
        side, (x, y), (along, across) = rng.choice((-1.0, 1.0)), robot.field.center_m, robot.field.half_extents_m
        beside = replace(robot.field, center_m=(x, y + 0.65 * side * across), half_extents_m=(along, 0.35 * across))
        x, y = spot(beside, rng, (), 0.0)
        height = rng.uniform(LOW_M, HIGH_M) * robot.field.scale
        ball = Body(
            "target", (Part(Sphere(0.018), solid=False),), (0.98, 0.80, 0.20, 1.0), pose_from="target_pose", goal=True
        )
        return (replace(ball, position_m=(x, y, height)),)

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the ball."""
        return (nearness(away_m(values) - NEAR_M, 4.0),)

    def holds(self, values: Values) -> bool:
        """Whether the fingertips are within two centimetres of the ball's middle."""
        return away_m(values) < NEAR_M

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def away_m(values: Values) -> float:
    """Return how far the fingertips are from the ball's middle."""
    return apart(values["ee_pose"][:3], values["target_pose"][:3])


def script(operator: Operator) -> Script:
    """Go there without turning, and stay."""
    hand = operator.hands[0]
    while True:
        yield from hand.to(lambda: (operator.at("target_pose")[:3], hand.pose[3:]), near_m=0.004)
        yield


TASK: Final = Reach()
