"""Handover: one hand takes a bar on its own side and passes it to the other, which lays it on the mark on its side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from sim.description import Field, RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.rotation import conjugate, rotate
from sim.scene import Body, Box, Part
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, length, nearness
from sim.tasks.parts.expert import ACROSS, ALONG, Operator, Puppet, Script, both, down, nearest, yaw
from sim.tasks.parts.placing import GREEN, RED, at, mark, spot

HALF_LENGTH_M: Final = 0.12
HALF_EDGE_M: Final = 0.012
BAR_MASS_KG: Final = 0.10
MARK_M: Final = 0.06
OUT_M: Final = 0.29
"""How far bar and mark are from the middle, each on its own side, where only one arm can reach."""
VARY_M: Final = 0.05
"""How much that varies."""
TURN_RAD: Final = 0.5
"""How much the bar may be turned away from lying across the room."""
WITHIN_M: Final = 0.04
LIFTED_M: Final = 0.12
LOW_M: Final = 0.03
LET_GO_M: Final = 0.06
HELD_M: Final = 0.025
_GRIP_M: Final = 0.085
"""How far from its middle a hand grips the bar, so that there is room for the other."""
_HIGH_M: Final = 0.25


class Handover:
    """A bar on one side and a mark on the other; which side is which is random."""

    spec: Final = TaskSpec(
        name="handover",
        version=1,
        instruction="Take the bar, pass it to the other hand, and lay it on the green mark.",
        paraphrases=(
            "Hand the red bar over in the air and put it down on the green circle.",
            "Pick the stick up with the hand beside it, give it to the other one, and place it on the mark.",
        ),
        stages=("take the bar", "lift it", "hold it with both hands", "bring it over the mark", "lay it down"),
        max_steps=1600,
    )
    robots: Final = ("dual_panda",)

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the bar and the mark."""
        side = 1.0 if rng.random() < 0.5 else -1.0
        here, there = spot(_beside(robot.field, side), rng, (), 0.0), spot(_beside(robot.field, -side), rng, (), 0.0)
        bar = Body(
            "bar",
            (Part(Box((HALF_LENGTH_M, HALF_EDGE_M, HALF_EDGE_M))),),
            RED,
            position_m=(0.0, 0.0, HALF_EDGE_M),
            mass_kg=BAR_MASS_KG,
            friction=1.0,
            pose_from="bar_pose",
        )
        turn = 0.5 * math.pi + TURN_RAD * rng.uniform(-1.0, 1.0)
        return at(mark("goal", MARK_M, GREEN), *there), at(bar, *here, turn)

    def stages(self, values: Values) -> Sequence[float]:
        """Return how far the bar is taken, lifted and held by both, how near it is to the mark, and success."""
        giver, taker = (from_bar_m(values, name) for name in _hands(values))
        high = float(values["bar_pose"][2]) / LIFTED_M
        shared = nearness(taker - HELD_M, 4.0)
        over = nearness(away_m(values) - WITHIN_M, 4.0)
        return (
            nearness(giver - HELD_M, 4.0),
            high,
            shared if high >= 1.0 else min(shared, 0.9),
            over,
            1.0 if self.holds(values) else 0.0,
        )

    def holds(self, values: Values) -> bool:
        """Whether the bar is on the mark and neither hand is near it."""
        free = min(from_bar_m(values, name) for name in _hands(values)) > LET_GO_M
        return bool(away_m(values) < WITHIN_M and values["bar_pose"][2] < LOW_M and free)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def away_m(values: Values) -> float:
    """Return how far the bar's middle is from the mark's, along the floor."""
    return apart(values["bar_pose"][:2], values["goal_pose"][:2])


def from_bar_m(values: Values, hand: str) -> float:
    """Return how far a hand's fingertips are from the bar's axis."""
    pose = values["bar_pose"]
    place = rotate(conjugate(pose[3:]), values[f"{hand}_ee_pose"][:3] - pose[:3])
    place[0] -= min(max(float(place[0]), -HALF_LENGTH_M), HALF_LENGTH_M)
    return length(place)


def _hands(values: Values) -> tuple[str, str]:
    """Return the hand that gives, opposite the mark, and the one that takes."""
    return ("right", "left") if values["goal_pose"][1] > 0.0 else ("left", "right")


def _beside(field: Field, side: float) -> Field:
    x, y = field.center_m
    return replace(field, center_m=(x, y + side * OUT_M), half_extents_m=(field.half_extents_m[0], VARY_M))


def script(operator: Operator) -> Script:
    """Take the outer end, meet in the middle, take over at the inner end, lay it down; alone, if it fell nearer."""
    left, right = operator.hands
    side = -float(np.sign(operator.at("goal_pose")[1]))
    giver, taker = (left, right) if side > 0.0 else (right, left)
    while True:
        if operator.at("bar_pose")[1] * side > 0.1:
            yield from _pass(operator, giver, taker, side)
        else:
            yield from taker.grasp("bar_pose", period_rad=np.pi)
        yield from taker.rise(_HIGH_M + 0.03)
        if operator.at("bar_pose")[2] > LIFTED_M:
            yield from both(_lay(operator, taker), _retreat(giver, side))
        while TASK.holds(operator.values):
            yield


def _pass(operator: Operator, giver: Puppet, taker: Puppet, side: float) -> Script:
    """Let `giver` bring the bar to the middle, and `taker` take it there by its other end."""
    end = side * float(np.sign(rotate(operator.at("bar_pose")[3:], ALONG)[1])) * _GRIP_M * ALONG
    ready = np.array((operator.robot.field.center_m[0], -0.30 * side, _HIGH_M + 0.10)), _aside(taker)
    yield from both(giver.grasp("bar_pose", offset=end, period_rad=np.pi), taker.to(lambda: ready))
    yield from giver.rise(_HIGH_M)
    middle = np.array((operator.robot.field.center_m[0], side * _GRIP_M, _HIGH_M)), _aside(giver)
    yield from giver.to(lambda: middle)
    yield from taker.grasp("bar_pose", offset=-end, period_rad=np.pi)
    yield from giver.grip(1.0)
    yield from giver.rise(_HIGH_M + 0.10)


def _retreat(hand: Puppet, side: float) -> Script:
    away = np.array((hand.pose[0], 0.35 * side, _HIGH_M + 0.10)), hand.pose[3:].copy()
    yield from hand.to(lambda: away)


def _lay(operator: Operator, hand: Puppet) -> Script:
    """Carry the bar over the mark, watching its middle, and lay it down."""
    turned = hand.pose[3:].copy()

    def over(height_m: float) -> tuple[Vector, Vector]:
        aside = operator.at("goal_pose")[:2] - operator.at("bar_pose")[:2]
        return np.array((*(hand.pose[:2] + aside), height_m)), turned

    yield from hand.to(partial(over, _HIGH_M))
    yield from hand.to(partial(over, HALF_EDGE_M + 0.004), near_m=0.006, speed_m_s=0.12)
    yield from hand.grip(1.0)
    yield from hand.rise(_HIGH_M)


def _aside(hand: Puppet) -> Vector:
    """Return the nearest orientation straight down whose fingers close along the room's x axis."""
    here = yaw(hand.pose[3:], ACROSS)
    return down(here + nearest(-here, np.pi))


TASK: Final = Handover()
