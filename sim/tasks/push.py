"""Push: slide a puck along the floor onto a mark, without lifting it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.scene import Body, Cylinder, Part
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, length, nearness
from sim.tasks.parts.expert import Operator, Script, down
from sim.tasks.parts.placing import GREEN, RED, mark, placed

RADIUS_M: Final = 0.032
HEIGHT_M: Final = 0.03
NEAR_M: Final = 0.025
APART_M: Final = 0.12
_SPEED_M_S: Final = 0.12


class Push:
    """A puck and a mark, at least twelve centimetres apart."""

    spec: Final = TaskSpec(
        name="push",
        version=1,
        instruction="Push the puck onto the green mark without lifting it.",
        paraphrases=("Slide the red disc to the green circle.", "Shove the puck over the floor to its goal."),
        stages=("reach the puck", "push it onto the mark"),
        max_steps=1200,
    )
    robots: Final = ("panda", "iiwa", "xarm6")

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the puck and the mark."""
        scale = robot.field.scale
        inner = replace(
            robot.field, half_extents_m=(robot.field.half_extents_m[0] * 0.8, robot.field.half_extents_m[1])
        )
        puck = Body(
            "puck",
            (Part(Cylinder(RADIUS_M * scale, HEIGHT_M * scale)),),
            RED,
            position_m=(0.0, 0.0, 0.5 * HEIGHT_M * scale),
            mass_kg=0.12 * scale**3,
            friction=0.3,
            pose_from="puck_pose",
        )
        return placed(inner, rng, [puck, mark("goal", RADIUS_M * 1.2 * scale, GREEN)], APART_M * scale)

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the puck, and the puck to the mark."""
        hand = apart(values["ee_pose"][:3], values["puck_pose"][:3])
        near = nearness(hand - 0.06, 4.0)
        return near, nearness(away_m(values) - NEAR_M, 6.0)

    def holds(self, values: Values) -> bool:
        """Whether the puck is on the floor, within two and a half centimetres of the mark's middle."""
        return away_m(values) < NEAR_M and values["puck_pose"][2] < HEIGHT_M

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def away_m(values: Values) -> float:
    """Return how far the puck is from the mark."""
    return apart(values["goal_pose"][:2], values["puck_pose"][:2])


def script(operator: Operator) -> Script:
    """Come down behind the puck with the fingers half open, so that it cannot slip off the two, and follow it."""
    hand, scale = operator.hands[0], operator.scale
    hand.opening = 0.5
    back = (RADIUS_M + 0.03) * scale
    low = 0.02 * scale

    def behind(height_m: float) -> tuple[Vector, Vector]:
        puck, ahead = operator.at("puck_pose"), _ahead(operator)
        place = puck[:3] - back * ahead
        place[2] = height_m
        return place, down(float(np.arctan2(ahead[0], -ahead[1])))

    while True:
        yield from hand.to(lambda: behind(0.12 * scale), near_m=0.012)
        yield from hand.to(lambda: behind(low), near_m=0.008, periods=60)
        for _ in range(200):
            puck, ahead = operator.at("puck_pose"), _ahead(operator)
            left = away_m(operator.values)
            offset = puck[:3] - hand.pose[:3]
            aside = offset - ahead * float(offset @ ahead)
            if left < 0.006 or length(aside[:2]) > RADIUS_M * scale or float(offset @ ahead) < 0.0:
                break
            hand.head(hand.pose[:3], down(float(np.arctan2(ahead[0], -ahead[1]))))
            linear = ahead * min(_SPEED_M_S, 2.5 * left + 0.01) + 3.0 * aside
            hand.twist[:3] = (linear[0], linear[1], 4.0 * (low - hand.pose[2]))
            yield
        if left < 0.015:
            while away_m(operator.values) < NEAR_M:
                yield
        yield from hand.rise(0.12 * scale)


def _ahead(operator: Operator) -> Vector:
    """Return the direction (3,) from the puck to the mark, along the floor."""
    way = operator.at("goal_pose")[:3] - operator.at("puck_pose")[:3]
    way[2] = 0.0
    return way / max(length(way), 1e-6)


TASK: Final = Push()
