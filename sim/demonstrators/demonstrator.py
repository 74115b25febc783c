"""Scripted demonstrators: `demonstrator` makes one for an episode, from a skill, defects and a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from sim.demonstrators.defects import THROUGHOUT, Defect, DefectError, Diary, Event, Kind
from sim.demonstrators.mishaps import Detour, Drop, EarlyRelease, Hesitation, NearFailure, wrong_object
from sim.demonstrators.person import Leg, Mishap, Person
from sim.demonstrators.skill import Shaking, skill_of
from sim.description import RobotDescription
from sim.draws import Draws
from sim.motion.control import Twist
from sim.scene import Box
from sim.task import Task, Values
from sim.tasks.parts.expert import Operator

_TREMOR_HZ: Final = (1.5, 5.0)
_NOISE_HZ: Final = (0.8, 4.0)
_NOISE_M_S: Final = 0.09
_SLOWEST: Final = 8.0
_ABOVE: Final = 0.5
"""Up to this strength, what is let go early is at least above its place."""
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
        shaken = np.array([sum(one.at(self._steps) for one in each) for each in self._shaking if each])
        self._steps += 1
        return asked if not shaken.size else Twist(asked.twist + shaken, asked.gripper, asked.base)


def demonstrator(
    task: Task, robot: RobotDescription, *, skill: float = 1.0, defects: tuple[Defect, ...] = (), seed: int = 0
) -> Demonstrator:
    """Return a fresh demonstrator: with full skill and no defects it drives exactly as the task's expert.

    `skill` is in (0, 1]; `seed` is a non-negative integer, from which all that is random follows. Raises ValueError for
    a skill out of bounds, and DefectError for a defect that cannot be at this task.
    """
    operator, means, diary = task.expert(robot), skill_of(skill), Diary()
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
        hands[0].mishaps += _mishaps(kind, strength, streams[kind], places=_places(task, robot))
    if Kind.WRONG_OBJECT in strengths:
        height = 0.03 + 0.09 * strengths[Kind.WRONG_OBJECT]
        hands[0].before_grasp = wrong_object(hands[0], _others(task, robot), height, streams[Kind.WRONG_OBJECT])
    for hand in hands:
        hand.pace *= _SLOWEST ** -strengths.get(Kind.SLOW, 0.0)
    shakes = [(means.tremor_m_s, _TREMOR_HZ, streams["tremor"])]
    shakes.append((_NOISE_M_S * strengths.get(Kind.NOISE, 0.0), _NOISE_HZ, streams[Kind.NOISE]))
    shaking = [[Shaking(rng, rms, band) for rms, band, rng in shakes if rms > 0.0] for _ in hands]
    return Demonstrator(operator, shaking, diary)


def _stream(seed: int, number: int) -> Draws:
    return Draws(np.random.SeedSequence(seed, spawn_key=(number,)))


def _hesitation(strength: float, rng: Draws) -> Iterator[Mishap]:
    """Up to three stops: before the grasp, on the way there, and with the object."""
    stops = ((Leg.DESCEND, 0.8), (Leg.REACH, rng.uniform(0.2, 0.9)), (Leg.LIFT, rng.uniform(0.1, 0.5)))
    for leg, part in stops[: 1 + round(2.0 * strength)]:
        yield Hesitation(leg, part, strength, (0.4 + 2.6 * strength) * rng.uniform(0.75, 1.25))


def _detour(strength: float, rng: Draws) -> Iterator[Mishap]:
    yield Detour(Leg.REACH, rng.uniform(0.2, 0.5), strength, (0.05 + 0.2 * strength) * rng.uniform(0.85, 1.15))


def _drop(strength: float, rng: Draws) -> Iterator[Mishap]:
    """Low if weak, high if strong."""
    yield Drop(Leg.LIFT, 0.2 + 0.3 * strength + rng.uniform(-0.05, 0.05), strength)


def _near_failure(strength: float, rng: Draws) -> Iterator[Mishap]:
    yield NearFailure(Leg.LIFT, rng.uniform(0.2, 0.45), strength, 0.004 + 0.008 * strength)


def _early_release(strength: float, rng: Draws, *, places: bool) -> Iterator[Mishap]:
    """Over its place if weak, beside it if strong; at a task that sets nothing down, while it is lifted."""
    if places and strength <= _ABOVE:
        yield EarlyRelease(Leg.LOWER, 0.0, 0.012 + 0.12 * strength * rng.uniform(0.9, 1.1))
    elif places:
        yield EarlyRelease(Leg.CARRY, 0.0, 0.025 + 0.035 * strength * rng.uniform(0.9, 1.1))
    else:
        yield EarlyRelease(Leg.LIFT, 0.3 + 0.3 * strength * rng.uniform(0.9, 1.1), math.inf)


_MADE: Final[dict[Kind, Callable[[float, Draws], Iterator[Mishap]]]] = {
    Kind.HESITATION: _hesitation,
    Kind.DETOUR: _detour,
    Kind.DROP_AND_REGRASP: _drop,
    Kind.NEAR_FAILURE: _near_failure,
}


def _mishaps(kind: Kind, strength: float, rng: Draws, *, places: bool) -> list[Mishap]:
    if kind is Kind.EARLY_RELEASE:
        return list(_early_release(strength, rng, places=places))
    return list(_MADE[kind](strength, rng)) if kind in _MADE else []


def _places(task: Task, robot: RobotDescription) -> bool:
    """Whether the task is to bring something somewhere."""
    return any(body.goal for body in task.bodies(robot, Draws(0)))


def _others(task: Task, robot: RobotDescription) -> list[str]:
    """Return the poses of things that can be taken from above, one of which may be the wrong one; raise DefectError."""
    bodies = (body for body in task.bodies(robot, Draws(0)) if body.mass_kg > 0.0 and body.slide is None)
    names = [body.pose_from for body in bodies if len(body.parts) == 1 and isinstance(body.parts[0].shape, Box)]
    found = [name for name in names if name is not None]
    if len(found) < 2:
        raise DefectError(f"There is no second thing to take at {task.spec.name}: choose another defect, or stack.")
    return found
