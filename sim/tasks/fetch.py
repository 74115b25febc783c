"""Fetch: drive to a cube somewhere in the room, and bring it back to a mark near the start."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.scene import Body
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, length, nearness
from sim.tasks.parts.expert import Operator, Script, Wheels
from sim.tasks.parts.placing import GREEN, at, cube, mark, placed

NEAREST_M: Final = 1.6
FARTHEST_M: Final = 2.6
"""How far the cube is from where the robot starts."""
ASIDE_RAD: Final = 2.4
"""How far to either side of the robot's first heading; the area behind it stays empty."""
MARK_M: Final = 0.12
WITHIN_M: Final = 0.08
LIFTED_M: Final = 0.10
LOW_M: Final = 0.04
LET_GO_M: Final = 0.06
_CARRY_M: Final = 0.25


class Fetch:
    """A cube some metres away, in any direction except behind the robot, and a mark within reach of its start."""

    spec: Final = TaskSpec(
        name="fetch",
        version=1,
        instruction="Drive to the red cube, bring it back and put it down on the green mark.",
        paraphrases=("Fetch the red block and leave it on the green circle.", "Go and get the cube for the mark."),
        stages=("drive to the cube", "pick it up", "bring it over the mark", "put it down and let go"),
        max_steps=2400,
    )
    robots: Final = ("husky",)

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the mark and the cube."""
        away, aside = rng.uniform(NEAREST_M, FARTHEST_M), rng.uniform(-ASIDE_RAD, ASIDE_RAD)
        place = away * math.cos(aside), away * math.sin(aside)
        marked = placed(robot.field, rng, [mark("goal", MARK_M, GREEN)])
        return *marked, at(cube("cube", robot.field.scale), *place, rng.uniform(-math.pi, math.pi))

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the cube, the cube's height, how near it is to the mark, and success."""
        hand, height = length(_hand_to_cube(values)), float(values["cube_pose"][2])
        near = nearness(hand - LET_GO_M, 1.5)
        over = nearness(away_m(values) - WITHIN_M, 1.5)
        return near, height / LIFTED_M, over, 1.0 if self.holds(values) else 0.0

    def holds(self, values: Values) -> bool:
        """Whether the cube is on the mark and the hand has left it."""
        left = length(_hand_to_cube(values)) > LET_GO_M
        return bool(away_m(values) < WITHIN_M and values["cube_pose"][2] < LOW_M and left)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def away_m(values: Values) -> float:
    """Return how far the cube is from the mark's middle, along the floor."""
    return apart(values["cube_pose"][:2], values["goal_pose"][:2])


def _hand_to_cube(values: Values) -> Vector:
    return values["cube_pose"][:3] - values["ee_pose"][:3]


def script(operator: Operator) -> Script:
    """Stop where the cube is within reach, take it, drive home, turn to the mark, put it down; retry if it fell."""
    hand, wheels = operator.hands[0], operator.base
    if wheels is None:
        return
    start = wheels.place[:2].copy()
    reach_m = length(operator.robot.field.center_m)
    while True:
        yield from wheels.to(partial(_before, operator, wheels, reach_m))
        yield from _face(operator, wheels, "cube_pose")
        yield from hand.grasp("cube_pose")
        yield from hand.rise(_CARRY_M)
        if operator.at("cube_pose")[2] > 0.5 * _CARRY_M:
            yield from wheels.to(start.copy)
            yield from _face(operator, wheels, "goal_pose")
            yield from hand.place(lambda: operator.at("goal_pose")[:3], high_m=0.16, low_m=0.03)
        else:
            yield from hand.grip(1.0)
            yield from hand.rise(_CARRY_M)
        while TASK.holds(operator.values):
            yield


def _before(operator: Operator, wheels: Wheels, reach_m: float) -> Vector:
    """Return the place (2,) for the base on the straight line to the cube, from which the hand reaches it."""
    way = operator.at("cube_pose")[:2] - wheels.place[:2]
    near: Vector = operator.at("cube_pose")[:2] - reach_m * way / max(length(way), 1e-6)
    return near


def _face(operator: Operator, wheels: Wheels, name: str) -> Script:
    """Turn on the spot towards a thing."""

    def heading() -> float:
        way = operator.at(name)[:2] - wheels.place[:2]
        return float(np.arctan2(way[1], way[0]))

    yield from wheels.face(heading)


TASK: Final = Fetch()
