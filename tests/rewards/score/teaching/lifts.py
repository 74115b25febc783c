"""Lifts as plain arrays, without physics: a hand that goes to a cube, takes it and raises it, well or badly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rewards.score.facts import EpisodeFacts
from rewards.score.fixed import Array
from sim.task import progress
from sim.tasks.lift import TASK
from tests.rewards.drives import HZ, smooth_step

CUBE_M = np.array((0.5, 0.1, 0.022))
START_M = np.array((0.42, 0.0, 0.35))
HIGH_M = np.array((0.5, 0.1, 0.18))
FALL_M_S2 = 9.81
DOWN = (1.0, 0.0, 0.0, 0.0)
"""A hand that points straight down."""
UPRIGHT = (0.0, 0.0, 0.0, 1.0)


@dataclass
class Lift:
    """A drive that is being written, one leg after the other."""

    hand: list[Array] = field(default_factory=lambda: [START_M])
    opening: list[float] = field(default_factory=lambda: [1.0])
    cube: list[Array] = field(default_factory=lambda: [CUBE_M])
    sent: list[float] = field(default_factory=lambda: [1.0])
    closed: bool = False
    holds: bool = False

    def to(self, goal: Sequence[float], seconds: float, opening: float | None = None) -> Lift:
        """Go to a place in a minimum-jerk motion."""
        start, from_ = self.hand[-1], self.opening[-1]
        for part in smooth_step(seconds)[1:]:
            here = start + part * (np.asarray(goal) - start)
            self._add(here, from_ if opening is None else from_ + part * (opening - from_))
        return self

    def rest(self, seconds: float) -> Lift:
        """Do nothing."""
        for _ in range(round(seconds * HZ)):
            self._add(self.hand[-1], self.opening[-1])
        return self

    def grasp(self) -> Lift:
        """Close, and hold the cube from then on."""
        self.closed = True
        self.to(self.hand[-1], 0.5, opening=0.3)
        self.holds = True
        return self

    def drop(self) -> Lift:
        """Open, and see the cube fall."""
        self.holds = self.closed = False
        return self.to(self.hand[-1], 0.5, opening=1.0).rest(0.3)

    def take(self) -> Lift:
        """Go to the cube from above, and grasp it."""
        cube = self.cube[-1]
        return self.to(cube + np.array((0.0, 0.0, 0.1)), 1.5).to(cube, 0.7).grasp()

    def _add(self, hand: Array, opening: float) -> None:
        cube = self.cube[-1].copy()
        if self.holds:
            cube = cube + hand - self.hand[-1]
        elif cube[2] > CUBE_M[2]:
            fallen_s = 1.0 / HZ + np.sqrt(max(2.0 * (max(c[2] for c in self.cube) - cube[2]) / FALL_M_S2, 0.0))
            cube[2] = max(max(c[2] for c in self.cube) - 0.5 * FALL_M_S2 * fallen_s**2, CUBE_M[2])
        self.hand.append(np.asarray(hand, dtype=float))
        self.opening.append(opening)
        self.cube.append(cube)
        self.sent.append(0.0 if self.closed else 1.0)

    def facts(self, **changes: Any) -> EpisodeFacts:
        """Return the drive as facts for version 3."""
        count = len(self.hand)
        hand = np.hstack([np.array(self.hand), np.tile(DOWN, (count, 1))])
        cube = np.hstack([np.array(self.cube), np.tile(UPRIGHT, (count, 1))])
        gripper = np.array(self.opening)[:, np.newaxis]
        joint_rad = 2.0 * hand[:, :3]
        got, done_s = how_far(hand, cube)
        facts = EpisodeFacts(
            episode="e1",
            task="lift",
            success=done_s is not None,
            valid=True,
            end_reason="finished",
            control_hz=HZ,
            t_s=np.arange(count) / HZ,
            ee_position_m=hand[:, :3],
            joint_rad=joint_rad,
            gripper=gripper,
            applied_rad=joint_rad[1:],
            applied_gripper=np.array(self.sent)[1:, np.newaxis],
            limited=np.zeros(count - 1, dtype=bool),
            done_s=done_s,
            version="3",
            poses={"ee_pose": hand, "cube_pose": cube},
            hands=("ee_pose",),
            movable=frozenset({"cube_pose"}),
            progress=got,
            stages=TASK.spec.stages,
            task_version=TASK.spec.version,
        )
        return replace(facts, **changes)


def how_far(hand: Array, cube: Array) -> tuple[Array, float | None]:
    """Return the progress of each sample, and from when on the task was done, as the simulation says them."""
    held, done, got = 0, None, []
    for at, (one, other) in enumerate(zip(hand, cube, strict=True)):
        values = {"ee_pose": one, "cube_pose": other}
        held = held + 1 if TASK.holds(values) else 0
        if done is None and held >= TASK.spec.success_hold_steps:
            done = at
        got.append(1.0 if done is not None else progress(TASK.stages(values)))
    return np.array(got), None if done is None else done / HZ


def good_lift() -> Lift:
    """Return a lift without a fault."""
    return Lift().take().to(HIGH_M, 0.9).rest(0.6)


def paused_lift(seconds: float) -> Lift:
    """Return one that stops on its way to the cube."""
    above = CUBE_M + np.array((0.0, 0.0, 0.1))
    middle = 0.5 * (START_M + above)
    begun = Lift().to(middle, 0.8).rest(seconds).to(above, 0.8).to(CUBE_M, 0.7).grasp()
    return begun.to(HIGH_M, 0.9).rest(0.6)


def dropped_lift(mending_s: float = 0.0) -> Lift:
    """Return one that drops the cube half way up and takes it again, after so long."""
    begun = Lift().take().to(CUBE_M + np.array((0.0, 0.0, 0.07)), 0.6).drop()
    return begun.rest(mending_s).to(CUBE_M, 0.7).grasp().to(HIGH_M, 0.9).rest(0.6)


def slipped_lift(slip_m: float, *, loosened: bool) -> Lift:
    """Return one in which the cube slips on its way up: in fingers that opened and closed again, or in tight ones."""
    lift = Lift().take().to(CUBE_M + np.array((0.0, 0.0, 0.07)), 0.6)
    lift.closed = not loosened
    for _ in range(2):
        lift._add(lift.hand[-1], lift.opening[-1])
        lift.cube[-1] = lift.cube[-1] - np.array((0.0, 0.0, 0.5 * slip_m))
    lift.closed = True
    return lift.to(HIGH_M, 0.9).rest(0.6)


def detoured_lift(aside_m: float) -> Lift:
    """Return one that goes round by somewhere else."""
    begun = Lift().to(START_M + np.array((-0.5, 1.0, 0.2)) * aside_m, 1.0)
    return begun.take().to(HIGH_M, 0.9).rest(0.6)


def shaken(facts: EpisodeFacts, size_m: float, hz: float = 2.0) -> EpisodeFacts:
    """Return the drive with a hand that shakes."""
    at = np.arange(facts.steps + 1) / HZ
    hand = facts.poses["ee_pose"].copy()
    for axis, phase in enumerate((0.0, 1.0, 2.0)):
        hand[:, axis] += size_m * np.sin(2.0 * np.pi * (hz + 0.3 * axis) * at + phase)
    return replace(facts, poses={**facts.poses, "ee_pose": hand}, ee_position_m=hand[:, :3])


def slowed(facts: EpisodeFacts, times: int) -> EpisodeFacts:
    """Return the drive, so many times slower."""
    count = facts.steps * times + 1
    at, known = np.arange(count) / times, np.arange(facts.steps + 1.0)

    def slow(values: Array) -> Array:
        return np.stack([np.interp(at, known, column) for column in values.T], axis=1)

    done_s = None if facts.done_s is None else facts.done_s * times
    joint_rad = slow(facts.joint_rad)
    return replace(
        facts,
        t_s=np.arange(count) / HZ,
        ee_position_m=slow(facts.ee_position_m),
        joint_rad=joint_rad,
        gripper=slow(facts.gripper),
        applied_rad=joint_rad[1:],
        applied_gripper=np.repeat(facts.applied_gripper, times, axis=0),
        limited=np.zeros(count - 1, dtype=bool),
        poses={name: slow(pose) for name, pose in facts.poses.items()},
        progress=None if facts.progress is None else slow(facts.progress[:, np.newaxis])[:, 0],
        done_s=done_s,
    )


Change = Callable[[EpisodeFacts], EpisodeFacts]
