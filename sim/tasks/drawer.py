"""Drawer: pull the drawer open by its handle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.rotation import conjugate, rotate
from sim.scene import Body, Box, Part, Rgba, Slide
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, nearness
from sim.tasks.parts.expert import ACROSS, ALONG, Operator, Script, down, nearest, yaw
from sim.tasks.parts.placing import at, spot

OPEN_M: Final = 0.07
TRAVEL_M: Final = 0.11
WOOD: Final[Rgba] = (0.72, 0.55, 0.38, 1.0)
PALE: Final[Rgba] = (0.86, 0.74, 0.58, 1.0)
_HANDLE_M: Final = (-0.105, 0.0, 0.055)
"""The middle of the handle, a fin that sticks out of the drawer's front, in the drawer's frame."""
_TAKEN_M: Final = (-0.01, 0.0, 0.01)
"""Where a hand grips it, from its middle: far enough out and up that the palm stays clear of the cabinet."""
_TURN_RAD: Final = 0.35


class Drawer:
    """A cabinet with one drawer that opens towards the robot."""

    spec: Final = TaskSpec(
        name="drawer",
        version=1,
        instruction="Pull the drawer open by its handle.",
        paraphrases=("Open the drawer of the little cabinet.", "Grip the fin and slide the drawer out."),
        stages=("reach the handle", "pull the drawer open"),
        max_steps=1200,
    )
    robots: Final = ("panda", "iiwa", "xarm6")

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the cabinet at the far end of the field."""
        along, across = robot.field.half_extents_m
        x, y = robot.field.center_m
        far = replace(robot.field, center_m=(x + 0.9 * along, y), half_extents_m=(0.2 * along, 0.5 * across))
        place = spot(far, rng, (), 0.0)
        cabinet = at(
            Body("cabinet", _cabinet(), WOOD, pose_from="cabinet_pose"), *place, rng.uniform(-1.0, 1.0) * _TURN_RAD
        )
        slide = Slide("cabinet", (-1.0, 0.0, 0.0), 0.0, TRAVEL_M, friction_n=2.0)
        return cabinet, Body("drawer", _drawer(), PALE, mass_kg=0.4, slide=slide, pose_from="drawer_pose")

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the handle, and how far the drawer is open."""
        away = apart(values["ee_pose"][:3], handle_m(values))
        return nearness(away - 0.025, 4.0), opened_m(values) / OPEN_M

    def holds(self, values: Values) -> bool:
        """Whether the drawer is more than seven centimetres open."""
        return opened_m(values) > OPEN_M

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def opened_m(values: Values) -> float:
    """Return how far the drawer is out of its cabinet."""
    out = values["drawer_pose"][:3] - values["cabinet_pose"][:3]
    return -float(rotate(conjugate(values["cabinet_pose"][3:]), out)[0])


def handle_m(values: Values) -> Vector:
    """Return where the handle is, (3,)."""
    return values["drawer_pose"][:3] + rotate(values["drawer_pose"][3:], np.array(_HANDLE_M))


def script(operator: Operator) -> Script:
    """Grip the fin from above, and pull it back along the cabinet."""
    hand = operator.hands[0]

    def over(height_m: float) -> tuple[Vector, Vector]:
        wanted, here = yaw(operator.at("cabinet_pose")[3:], ACROSS), yaw(hand.pose[3:], ACROSS)
        taken = handle_m(operator.values) + rotate(operator.at("drawer_pose")[3:], np.array(_TAKEN_M))
        return taken + np.array((0.0, 0.0, height_m)), down(here + nearest(wanted - here, np.pi))

    while True:
        hand.opening = 1.0
        yield from hand.to(lambda: over(0.10))
        yield from hand.to(lambda: over(0.0), near_m=0.005, periods=60)
        yield from hand.grip(0.0)
        back = (TRAVEL_M - 0.005 - opened_m(operator.values)) * rotate(operator.at("cabinet_pose")[3:], -ALONG)
        place, turned = hand.pose[:3] + back, hand.pose[3:].copy()
        yield from hand.to(partial(_same, place, turned), speed_m_s=0.12, near_rad=np.inf)
        while TASK.holds(operator.values):
            yield
        yield from hand.grip(1.0)
        yield from hand.rise(0.2)


def _same(place: Vector, turned: Vector) -> tuple[Vector, Vector]:
    return place, turned


def _cabinet() -> tuple[Part, ...]:
    """Return five panels around a drawer, open towards -x; the origin is on the floor, in the middle."""
    return (
        Part(Box((0.08, 0.088, 0.004)), (0.0, 0.0, 0.004)),
        Part(Box((0.08, 0.088, 0.004)), (0.0, 0.0, 0.106)),
        Part(Box((0.08, 0.004, 0.047)), (0.0, 0.084, 0.055)),
        Part(Box((0.08, 0.004, 0.047)), (0.0, -0.084, 0.055)),
        Part(Box((0.004, 0.08, 0.047)), (0.076, 0.0, 0.055)),
    )


def _drawer() -> tuple[Part, ...]:
    """Return a box with a front and a fin to grip; when closed, its origin is the cabinet's."""
    return (
        Part(Box((0.07, 0.076, 0.003)), (-0.006, 0.0, 0.014)),
        Part(Box((0.07, 0.003, 0.03)), (-0.006, 0.073, 0.045)),
        Part(Box((0.07, 0.003, 0.03)), (-0.006, -0.073, 0.045)),
        Part(Box((0.003, 0.076, 0.03)), (0.061, 0.0, 0.045)),
        Part(Box((0.004, 0.086, 0.05)), (-0.085, 0.0, 0.055)),
        Part(Box((0.020, 0.008, 0.018)), _HANDLE_M, rgba=(0.25, 0.27, 0.30, 1.0)),
    )


TASK: Final = Drawer()
