"""Pour: tip a cup of little balls into a bowl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.rotation import conjugate, from_rotvec, multiply, rotate
from sim.scene import Body, Box, Part, Rgba, Sphere, Triple
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, length, nearness
from sim.tasks.parts.expert import Operator, Script, down
from sim.tasks.parts.placing import BLUE, at, ring, spot

BALLS: Final = 12
BALL_RADIUS_M: Final = 0.008
BALL_MASS_KG: Final = 0.003
POURED_PART: Final = 0.8
"""The fraction of the balls that has to be in the bowl."""
CUP_INSIDE_M: Final = 0.030
CUP_HEIGHT_M: Final = 0.080
CUP_MASS_KG: Final = 0.12
BOWL_INSIDE_M: Final = 0.070
BOWL_HEIGHT_M: Final = 0.050
THICK_M: Final = 0.004
OVER_M: Final = 0.05
AMBER: Final[Rgba] = (0.97, 0.66, 0.16, 1.0)
CHINA: Final[Rgba] = (0.88, 0.90, 0.93, 1.0)
FIN_M: Final = (CUP_INSIDE_M + 0.018, 0.0, 0.055)
"""The middle of the cup's handle, a fin to one side, in the cup's frame."""
_TURN_RAD: Final = 0.4
_LAYER: Final = 6
"""Balls in one layer: one in the middle, the others around it."""
_LAYER_RADIUS_M: Final = 0.0175
_LAYER_M: Final = 0.017
_TILT_RAD: Final = 2.0
_TILT_RAD_S: Final = 0.7
_STEP_S: Final = 0.05
_TAKEN_M: Final = (FIN_M[0] + 0.004, 0.0, FIN_M[2] - 0.010)
"""Where a hand grips the fin, in the cup's frame: far enough out that the fingers stay clear of the rim."""
_HOVER_M: Final = 0.12
_RAISED_M: Final = 0.22
_SHAKE_RAD: Final = 0.15
_SHAKE_PERIODS: Final = 100
_LIP_M: Final = 0.125
"""How high the lip's middle is above the floor when the cup is tipped."""
_ASIDE_M: Final = 0.02
"""How far it is from the bowl's middle, on the cup's side, as the balls keep flying forward."""
_CLEAR_M: Final = 0.05
"""How much higher it is while the cup is upright, so that its bottom passes over the rim."""


class Pour:
    """A cup with balls on one side, its fin outward, and a bowl on the other; which side is which is random."""

    spec: Final = TaskSpec(
        name="pour",
        version=1,
        instruction="Pour the balls from the cup into the bowl.",
        paraphrases=("Take the cup by its fin and empty it into the bowl.", "Tip the little balls over into the dish."),
        stages=("reach the fin of the cup", "bring the cup over the bowl", "pour"),
        max_steps=1200,
    )
    robots: Final = ("panda", "iiwa", "xarm6")

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place cup, bowl and balls."""
        (x, y), (along, across) = robot.field.center_m, robot.field.half_extents_m
        side = 1.0 if rng.random() < 0.5 else -1.0
        half = (0.6 * along, 0.2 * across)
        here = spot(replace(robot.field, center_m=(x, y - 0.6 * side * across), half_extents_m=half), rng, (), 0.0)
        there = spot(replace(robot.field, center_m=(x, y + 0.6 * side * across), half_extents_m=half), rng, (), 0.0)
        outward = -0.5 * math.pi * side + _TURN_RAD * rng.uniform(-1.0, 1.0)
        bowl = Body(
            "bowl", ring(BOWL_INSIDE_M, BOWL_HEIGHT_M, THICK_M, sides=12), BLUE, pose_from="bowl_pose", goal=True
        )
        cup = Body("cup", _cup(), CHINA, mass_kg=CUP_MASS_KG, friction=1.0, pose_from="cup_pose")
        return at(bowl, *there), at(cup, *here, outward), *_balls(*here)

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the fin and the lip to the bowl, and the fraction of the balls inside."""
        reach = apart(values["ee_pose"][:3], fin_m(values))
        away = lip_m(values) - values["bowl_pose"][:3]
        over = nearness(length(away[:2]) - OVER_M, 6.0)
        high = away[2] > CUP_HEIGHT_M + 0.02
        near = nearness(reach - 0.02, 4.0)
        return near, over if high else min(over, 0.9), poured(values) / POURED_PART

    def holds(self, values: Values) -> bool:
        """Whether four out of five balls are in the bowl."""
        return poured(values) >= POURED_PART

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def poured(values: Values) -> float:
    """Return the fraction of the balls that is in the bowl, below its rim, and no longer in the cup."""
    bowl, cup, places = values["bowl_pose"], values["cup_pose"], values["balls_pose"][:, :3]
    inside = [
        place
        for place in places
        if _within(bowl, place, BOWL_INSIDE_M, BOWL_HEIGHT_M) and not _within(cup, place, CUP_INSIDE_M, CUP_HEIGHT_M)
    ]
    return len(inside) / len(places)


def _within(vessel: Vector, place: Vector, radius_m: float, height_m: float) -> bool:
    """Whether a place (3,) is inside a round vessel with that pose (7,)."""
    x, y, z = rotate(conjugate(vessel[3:]), place - vessel[:3]).tolist()
    return bool(x * x + y * y < radius_m * radius_m and 0.0 < z < height_m)


def fin_m(values: Values) -> Vector:
    """Return where the cup's fin is, (3,)."""
    return values["cup_pose"][:3] + rotate(values["cup_pose"][3:], np.array(FIN_M))


def lip_m(values: Values) -> Vector:
    """Return the middle of the cup's opening, (3,)."""
    return values["cup_pose"][:3] + rotate(values["cup_pose"][3:], np.array((0.0, 0.0, CUP_HEIGHT_M)))


def script(operator: Operator) -> Script:
    """Grip the fin from above, carry the cup beside the bowl, tip it sideways about its lip, and shake."""
    hand = operator.hands[0]
    while True:
        side = float(np.sign(operator.at("bowl_pose")[1] - operator.at("cup_pose")[1]))
        sideways = down(0.0 if side > 0.0 else np.pi)
        yield from hand.to(partial(_over_fin, operator, sideways))
        yield from hand.grasp("cup_pose", offset=np.array(_TAKEN_M), period_rad=np.pi)
        yield from hand.rise(_RAISED_M)
        if operator.at("cup_pose")[2] > 0.5 * _RAISED_M - CUP_HEIGHT_M:
            yield from _tip(operator, side, sideways)
        while TASK.holds(operator.values):
            yield


def _over_fin(operator: Operator, turned: Vector) -> tuple[Vector, Vector]:
    return fin_m(operator.values) + np.array((0.0, 0.0, _HOVER_M)), turned


def _tip(operator: Operator, side: float, sideways: Vector) -> Script:
    hand = operator.hands[0]
    lip = rotate(conjugate(hand.pose[3:]), lip_m(operator.values) - hand.pose[:3])

    def tilted(tilt_rad: float) -> tuple[Vector, Vector]:
        turned = multiply(from_rotvec(np.array((-side * tilt_rad, 0.0, 0.0))), sideways)
        high = _LIP_M + _CLEAR_M * (1.0 - min(tilt_rad / _TILT_RAD, 1.0))
        goal = operator.at("bowl_pose")[:3] + np.array((0.0, -_ASIDE_M * side, high))
        return goal - rotate(turned, lip), turned

    yield from hand.to(lambda: tilted(0.0))
    for tilt_rad in np.arange(0.0, _TILT_RAD, _TILT_RAD_S * _STEP_S):
        hand.head(*tilted(float(tilt_rad)))
        yield
    for period in range(_SHAKE_PERIODS):
        hand.head(*tilted(_TILT_RAD + _SHAKE_RAD * np.sin(period)))
        yield


def _cup() -> tuple[Part, ...]:
    """Return a round cup with a fin towards its x axis; its origin is the middle of its underside."""
    fin = Part(Box((0.014, 0.006, 0.022)), FIN_M, rgba=(0.25, 0.27, 0.30, 1.0))
    return (*ring(CUP_INSIDE_M, CUP_HEIGHT_M, THICK_M), fin)


def _balls(x: float, y: float) -> list[Body]:
    """Return the balls, in two layers inside a cup at that place."""
    return [
        Body(
            f"ball_{row}",
            (Part(Sphere(BALL_RADIUS_M)),),
            AMBER,
            position_m=(x + aside[0], y + aside[1], aside[2]),
            mass_kg=BALL_MASS_KG,
            friction=0.3,
            rolling_friction=0.001,
            pose_from="balls_pose",
            row=row,
        )
        for row, aside in enumerate(map(_in_cup, range(BALLS)))
    ]


def _in_cup(row: int) -> Triple:
    """Return where a ball starts in its cup."""
    layer, place = divmod(row, _LAYER)
    height = THICK_M + BALL_RADIUS_M + 0.001 + layer * _LAYER_M
    if place == 0:
        return 0.0, 0.0, height
    angle = 2.0 * math.pi * (place + 0.5 * layer) / (_LAYER - 1)
    return _LAYER_RADIUS_M * math.cos(angle), _LAYER_RADIUS_M * math.sin(angle), height


TASK: Final = Pour()
