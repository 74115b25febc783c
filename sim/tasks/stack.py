"""Stack: put the red cube on the green one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.scene import Body
from sim.task import Expert, Values
from sim.tasks import SINGLE_ARMS
from sim.tasks.parts.exact import apart, length, nearness
from sim.tasks.parts.expert import Operator, Script
from sim.tasks.parts.placing import CUBE_HALF_EDGE_M, GREEN, cube, placed

WITHIN_M: Final = 0.02
UPON_M: Final = 0.02
LET_GO_M: Final = 0.06
STILL_M_S: Final = 0.05


class Stack:
    """Two cubes."""

    spec: Final = TaskSpec(
        name="stack",
        version=1,
        instruction="Stack the red cube on the green cube and let it go.",
        paraphrases=("Put the red block on top of the green block.", "Build a tower of two, red over green."),
        stages=("reach the red cube", "carry it over the green one", "set it down and let go"),
        max_steps=1200,
    )
    robots: Final = SINGLE_ARMS

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the cubes."""
        scale = robot.field.scale
        return placed(
            robot.field, rng, [cube("red", scale), replace(cube("green", scale, GREEN), goal=True)], 0.12 * scale
        )

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the red cube, how near that is to its place on the green one, and success."""
        hand, red, green = (values[f"{name}_pose"][:3] for name in ("ee", "red", "green"))
        near = nearness(apart(hand, red) - 0.03, 4.0)
        high = red[2] - green[2] > UPON_M
        over = nearness(apart(red[:2], green[:2]) - WITHIN_M, 6.0)
        return near, over if high else min(over, 0.9), 1.0 if self.holds(values) else 0.0

    def holds(self, values: Values) -> bool:
        """Whether the red cube rests on the green one and the hand has left it."""
        hand, red, green = (values[f"{name}_pose"][:3] for name in ("ee", "red", "green"))
        upon = apart(red[:2], green[:2]) < WITHIN_M and red[2] - green[2] > UPON_M
        rests = length(values["red_velocity"][:3]) < STILL_M_S
        return bool(upon and rests and apart(hand, red) > LET_GO_M)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def script(operator: Operator) -> Script:
    """Grasp the red cube, set it on the green one; retry if it fell."""
    hand, scale = operator.hands[0], operator.scale
    edge = 2.0 * CUBE_HALF_EDGE_M * scale

    def top() -> Vector:
        held = hand.pose[:3] - operator.at("red_pose")[:3]  # the cube, not the hand, has to be over the other
        over: Vector = operator.at("green_pose")[:3] + held * np.array((1.0, 1.0, 0.0))
        return over

    while True:
        yield from hand.grasp("red_pose")
        yield from hand.rise(0.16 * scale)
        if operator.at("red_pose")[2] > 0.08 * scale:
            yield from hand.place(top, high_m=0.16 * scale, low_m=edge + 0.002)
        else:
            yield from hand.grip(1.0)
            yield from hand.rise(0.16 * scale)
        while TASK.holds(operator.values):
            yield


TASK: Final = Stack()
