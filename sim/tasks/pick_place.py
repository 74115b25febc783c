"""Pick and place: put the cube into the bin."""

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
from sim.tasks.parts.placing import cube, placed, tray

INSIDE_M: Final = 0.05
WALL_M: Final = 0.045
WITHIN_M: Final = 0.04
LOW_M: Final = 0.04
LET_GO_M: Final = 0.06


class PickPlace:
    """A cube, and a fixed bin."""

    spec: Final = TaskSpec(
        name="pick_place",
        version=1,
        instruction="Put the cube into the bin and let it go.",
        paraphrases=("Pick the red cube up and drop it in the box.", "Place the block inside the blue bin."),
        stages=("reach the cube", "carry it over the bin", "put it in and let go"),
        max_steps=1200,
    )
    robots: Final = SINGLE_ARMS

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place cube and bin."""
        scale = robot.field.scale
        bin_ = tray("bin", INSIDE_M * scale, WALL_M * scale, (0.26, 0.36, 0.55, 1.0))
        return placed(robot.field, rng, [bin_, cube("cube", scale)], 0.14 * scale)

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the cube and the cube to the bin, and whether it lies inside, let go."""
        hand, cube_, bin_ = (values[f"{name}_pose"][:3] for name in ("ee", "cube", "bin"))
        near = nearness(apart(hand, cube_) - 0.03, 4.0)
        over = nearness(apart(cube_[:2], bin_[:2]) - WITHIN_M, 6.0)
        return near, over, 1.0 if self.holds(values) else 0.0

    def holds(self, values: Values) -> bool:
        """Whether the cube is in the bin and the hand has left it."""
        hand, cube_, bin_ = (values[f"{name}_pose"][:3] for name in ("ee", "cube", "bin"))
        inside = apart(cube_[:2], bin_[:2]) < WITHIN_M and cube_[2] < LOW_M
        return bool(inside and apart(hand, cube_) > LET_GO_M)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def script(operator: Operator) -> Script:
    """Grasp, carry over the rim, let go; retry if it slipped."""
    hand, scale = operator.hands[0], operator.scale
    while True:
        yield from hand.grasp("cube_pose")
        yield from hand.rise(0.14 * scale)
        if operator.at("cube_pose")[2] > 0.06 * scale:
            yield from hand.place(lambda: operator.at("bin_pose")[:3], high_m=0.14 * scale, low_m=0.06 * scale)
        else:
            yield from hand.grip(1.0)
            yield from hand.rise(0.14 * scale)
        while TASK.holds(operator.values):
            yield


TASK: Final = PickPlace()
