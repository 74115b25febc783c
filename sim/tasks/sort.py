"""Sort: put each of three cubes onto the plate of its own colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec
from sim.scene import Body, Box, Part, Rgba
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, nearness
from sim.tasks.parts.expert import Operator, Script
from sim.tasks.parts.placing import BLUE, GREEN, RED, at, cube, placed

COLOURS: Final[dict[str, Rgba]] = {"red": RED, "green": GREEN, "blue": BLUE}
PLATE_M: Final = 0.045
APART_M: Final = 0.13
WITHIN_M: Final = 0.045
LET_GO_M: Final = 0.06
LOW_M: Final = 0.04


class Sort:
    """Three plates in a row, in any order, and three cubes in front of them."""

    spec: Final = TaskSpec(
        name="sort",
        version=1,
        instruction="Put each cube onto the plate of its own colour.",
        paraphrases=("Sort the three blocks by colour.", "Match every cube with the square of the same colour."),
        stages=("sort the first cube", "sort the second", "sort the third"),
        max_steps=2400,
    )
    robots: Final = ("panda", "iiwa", "xarm6")

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place the plates far away, in a random order, and the cubes near."""
        scale, (x, y), (along, across) = robot.field.scale, robot.field.center_m, robot.field.half_extents_m
        far = x + 0.6 * along
        order = rng.permutation(len(COLOURS))
        plates = [
            at(plate(f"{name}_plate", scale, rgba), far, y + APART_M * scale * (float(order[index]) - 1.0))
            for index, (name, rgba) in enumerate(COLOURS.items())
        ]
        near = replace(robot.field, center_m=(x - 0.6 * along, y), half_extents_m=(0.4 * along, 0.9 * across))
        cubes = [cube(name, scale, rgba) for name, rgba in COLOURS.items()]
        return (*plates, *placed(near, rng, cubes, 0.105 * scale))

    def stages(self, values: Values) -> Sequence[float]:
        """Return how far each cube is sorted, the best first."""
        near = (nearness(away_m(values, name) - WITHIN_M, 6.0) for name in COLOURS)
        done = (sorted_(values, name) for name in COLOURS)
        return sorted((1.0 if there else min(part, 0.95) for part, there in zip(near, done, strict=True)), reverse=True)

    def holds(self, values: Values) -> bool:
        """Whether every cube is on its plate and the hand has left it."""
        return all(sorted_(values, name) for name in COLOURS)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def plate(name: str, scale: float, rgba: Rgba) -> Body:
    """Return a thin square of a colour, to be placed."""
    half = PLATE_M * scale
    pale: Rgba = (0.4 + 0.6 * rgba[0], 0.4 + 0.6 * rgba[1], 0.4 + 0.6 * rgba[2], 1.0)
    part = Part(Box((half, half, 0.001)), (0.0, 0.0, 0.001), solid=False)
    return Body(name, (part,), pale, pose_from=f"{name}_pose", goal=True)


def away_m(values: Values, name: str) -> float:
    """Return how far a cube is from the middle of its plate, along the floor."""
    return apart(values[f"{name}_pose"][:2], values[f"{name}_plate_pose"][:2])


def sorted_(values: Values, name: str) -> bool:
    """Whether a cube is on its plate and the hand has left it."""
    cube_pose = values[f"{name}_pose"][:3]
    left = apart(values["ee_pose"][:3], cube_pose) > LET_GO_M
    return away_m(values, name) < WITHIN_M and bool(cube_pose[2] < LOW_M) and left


def script(operator: Operator) -> Script:
    """Take any cube that is not sorted, as long as there is one."""
    hand, scale = operator.hands[0], operator.scale
    while True:
        lost = [name for name in COLOURS if not sorted_(operator.values, name)]
        if not lost:
            yield
            continue
        name = lost[0]
        yield from hand.grasp(f"{name}_pose")
        yield from hand.rise(0.12 * scale)
        if operator.at(f"{name}_pose")[2] > 0.06 * scale:
            goal = operator.at(f"{name}_plate_pose")[:3].copy
            yield from hand.place(goal, high_m=0.12 * scale, low_m=0.026 * scale)
        else:
            yield from hand.grip(1.0)
            yield from hand.rise(0.12 * scale)


TASK: Final = Sort()
