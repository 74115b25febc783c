"""Scripted demonstrators: `demonstrator` makes one for an episode, from a skill, defects and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from sim.demonstrators.defects import THROUGHOUT, Defect, DefectError, Diary, Event, Kind
from sim.demonstrators.person import Person, capped
from sim.demonstrators.plan import plan
from sim.demonstrators.skill import Shaking, skill_of
from sim.description import RobotDescription
from sim.draws import Draws
from sim.motion.control import Twist
from sim.motion.limits import EE_ROTATION_MAX_RAD_S, EE_SPEED_MAX_M_S
from sim.robot import Vector
from sim.task import Task, Values
from sim.tasks.parts.expert import Operator

_TREMOR_HZ: Final = (1.5, 5.0)
_NOISE_HZ: Final = (0.8, 4.0)
_NOISE_M_S: Final = 0.07
_SLOWEST: Final = 8.0
_STREAMS: Final = ("skill", "tremor", *Kind)
"""What has random numbers of its own, so that one defect does not change how another happens."""


class Demonstrator:
    """Drives one episode as a person of a given skill does, with given defects. It sees observation values only."""

    def __init__(self, operator: Operator, shaking: Sequence[Sequence[Shaking]], diary: Diary) -> None:
        """`operator` runs the task's script; `shaking` is added to each of its hands."""
        self._operator, self._shaking, self._diary = operator, shaking, diary
        self._steps = 0

    @property
    def events(self) -> tuple[Event, ...]:
        """What really happened until now, in steps: the first call of `act` is step 0."""
        return self._diary.events(self._steps)

    def act(self, values: Values) -> Twist:
        """Return what to ask for next."""
        self._diary.now = self._steps
        asked = self._operator.act(values)
        moved = [self._shaken(twist, hand) for twist, hand in zip(asked.twist, self._shaking, strict=True)]
        self._steps += 1
        return Twist(np.array(moved), asked.gripper, asked.base)

    def _shaken(self, twist: Vector, hand: Sequence[Shaking]) -> Vector:
        """Return a hand's twist with its shaking, no faster than a hand may be asked to move."""
        if not hand:
            return twist
        for one in hand:
            twist = twist + one.at(self._steps)
        return np.concatenate([capped(twist[:3], EE_SPEED_MAX_M_S), capped(twist[3:], EE_ROTATION_MAX_RAD_S)])


def demonstrator(
    task: Task, robot: RobotDescription, *, skill: float = 1.0, defects: tuple[Defect, ...] = (), seed: int = 0
) -> Demonstrator:
    """Return a fresh demonstrator: with full skill and no defects it drives exactly as the task's expert.

    `skill` is in (0, 1]; `seed` is a non-negative integer, from which all that is random follows. Raises ValueError for
    a skill out of bounds, and DefectError for a defect that cannot be at this task.
    """
    operator, means, diary = task.expert(robot), skill_of(skill), Diary()
    bodies = task.bodies(robot, Draws(0))
    if not isinstance(operator, Operator):
        raise DefectError(f"The expert of {task.spec.name} is no scripted operator that a person could stand in for.")
    streams = {name: _stream(seed, number) for number, name in enumerate(_STREAMS)}
    strengths = {defect.kind: defect.strength for defect in defects}
    if len(strengths) < len(defects):
        raise DefectError("Each kind of defect may be given once.")
    hands = [Person(operator, index, means, streams["skill"], diary) for index in range(len(robot.hands))]
    operator.hands = [*hands]
    for kind, strength in strengths.items():
        if kind in THROUGHOUT:
            diary.begin(kind).happened = True
        plan(hands[0], task.spec.name, bodies, kind, strength, streams[kind])
    for hand in hands:
        hand.pace *= _SLOWEST ** -strengths.get(Kind.SLOW, 0.0)
    shakes = [(means.tremor_m_s, _TREMOR_HZ, streams["tremor"])]
    shakes.append((_NOISE_M_S * strengths.get(Kind.NOISE, 0.0), _NOISE_HZ, streams[Kind.NOISE]))
    shaking = [[Shaking(rng, rms, band) for rms, band, rng in shakes if rms > 0.0] for _ in hands]
    return Demonstrator(operator, shaking, diary)


def _stream(seed: int, number: int) -> Draws:
    return Draws(np.random.SeedSequence(seed, spawn_key=(number,)))
