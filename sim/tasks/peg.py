"""Peg: put the square peg into the hole of the block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from sim.description import RobotDescription
from sim.draws import Draws
from sim.robot import TaskSpec, Vector
from sim.scene import Body, Box, Part
from sim.task import Expert, Values
from sim.tasks.parts.exact import apart, nearness
from sim.tasks.parts.expert import ACROSS, Operator, Script, down, nearest, yaw
from sim.tasks.parts.placing import placed

HALF_M: Final = 0.014
LENGTH_M: Final = 0.10
CLEARANCE_M: Final = 0.0025
BLOCK_HEIGHT_M: Final = 0.05
BLOCK_HALF_M: Final = 0.045
WITHIN_M: Final = 0.006
IN_M: Final = 0.035


class Peg:
    """A square peg standing upright, and a block with a square hole two and a half millimetres wider on each side."""

    spec: Final = TaskSpec(
        name="peg",
        version=1,
        instruction="Put the square peg into the hole, down to the floor.",
        paraphrases=("Insert the peg in the block.", "Plug the yellow pin into the square hole."),
        stages=("reach the peg", "bring it over the hole", "push it in"),
        max_steps=1600,
    )
    robots: Final = ("panda", "iiwa", "xarm6")

    def bodies(self, robot: RobotDescription, rng: Draws) -> tuple[Body, ...]:
        """Place peg and block."""
        scale = robot.field.scale
        half, length = HALF_M * scale, LENGTH_M * scale
        peg = Body(
            "peg",
            (Part(Box((half, half, 0.5 * length))),),
            (0.95, 0.74, 0.20, 1.0),
            position_m=(0.0, 0.0, 0.5 * length),
            mass_kg=0.08 * scale**3,
            friction=0.8,
            pose_from="peg_pose",
        )
        block = Body("block", _block(scale), (0.42, 0.45, 0.50, 1.0), pose_from="block_pose", goal=True)
        return placed(robot.field, rng, [block, peg], 0.13 * scale)

    def stages(self, values: Values) -> Sequence[float]:
        """Return how near the hand is to the peg and the peg to the hole, and how deep it is."""
        hand, peg, block = (values[f"{name}_pose"][:3] for name in ("ee", "peg", "block"))
        near = nearness(apart(hand, peg) - 0.05, 4.0)
        aside = apart(peg[:2], block[:2])
        over = nearness(aside - WITHIN_M, 6.0)
        depth = 1.0 - (float(peg[2] - 0.5 * LENGTH_M) / BLOCK_HEIGHT_M)
        return near, over, (1.0 if self.holds(values) else min(depth, 0.95)) if aside < WITHIN_M else 0.0

    def holds(self, values: Values) -> bool:
        """Whether the peg is in the hole, down to the floor."""
        peg, block = values["peg_pose"][:3], values["block_pose"][:3]
        return apart(peg[:2], block[:2]) < WITHIN_M and bool(peg[2] < LENGTH_M - IN_M)

    def expert(self, robot: RobotDescription) -> Expert:
        """Return a fresh scripted operator."""
        return Operator(robot, script)


def script(operator: Operator) -> Script:
    """Grasp the peg near its top, turn it along the hole, lower it watching the peg, let go."""
    hand, scale = operator.hands[0], operator.scale
    grip = np.array((0.0, 0.0, 0.25 * LENGTH_M * scale))

    def over(height_m: float) -> tuple[Vector, Vector]:
        peg, block = operator.at("peg_pose"), operator.at("block_pose")
        wanted, has = yaw(block[3:], ACROSS), yaw(peg[3:], ACROSS)
        turned = yaw(hand.pose[3:], ACROSS) + nearest(wanted - has, 0.5 * np.pi)
        aside = block[:2] - peg[:2]
        return np.array((*(hand.pose[:2] + aside), height_m)), down(turned)

    def bottom_m() -> float:
        return float(operator.at("peg_pose")[2]) - 0.5 * LENGTH_M * scale

    while True:
        yield from hand.grasp("peg_pose", offset=grip)
        yield from hand.rise(0.20 * scale)
        for _ in range(6):
            if bottom_m() < 0.02 * scale:
                break  # it slipped, or it is in
            yield from hand.to(lambda: over(0.20 * scale), near_m=0.001, near_rad=0.02)
            low = float(hand.pose[2]) - bottom_m() + 0.004
            yield from hand.to(partial(over, low), near_m=0.004, near_rad=np.inf, speed_m_s=0.08, periods=120)
        yield from hand.grip(1.0)
        yield from hand.rise(0.22 * scale)
        while TASK.holds(operator.values):
            yield


def _block(scale: float) -> tuple[Part, ...]:
    """Return four walls around a square hole; the origin is on the floor, in the hole's middle."""
    hole = (HALF_M + CLEARANCE_M) * scale
    out, tall = BLOCK_HALF_M * scale, 0.5 * BLOCK_HEIGHT_M * scale
    wide, away = 0.5 * (out - hole), 0.5 * (out + hole)
    return (
        Part(Box((wide, out, tall)), (away, 0.0, tall)),
        Part(Box((wide, out, tall)), (-away, 0.0, tall)),
        Part(Box((hole, wide, tall)), (0.0, away, tall)),
        Part(Box((hole, wide, tall)), (0.0, -away, tall)),
    )


TASK: Final = Peg()
