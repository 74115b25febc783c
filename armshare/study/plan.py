"""What a study makes: which drives, of which quality, from which seeds, and how much policies learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from armshare.failures import DoorError
from sim.catalogue import description, task
from sim.demonstrators.defects import Defect, DefectError, Kind
from sim.demonstrators.demonstrator import demonstrator

ROBOT: Final = "panda"
SUBTLE: Final = (Kind.NOISE, Kind.HESITATION, Kind.DETOUR)
WRONG: Final = (Kind.EARLY_RELEASE, Kind.WRONG_OBJECT, Kind.DROP_AND_REGRASP, Kind.NEAR_FAILURE)
STRENGTHS: Final = (0.4, 0.7, 1.0)
PRACTISED: Final = 0.9
"""The skill of whoever drives, unless skill is what is graded: a person's, who corrects. The exact path of an expert
shows no correction, and 60 such stacks taught 12 scenes of 20, where 60 of this skill taught all 20."""
SKILLS: Final = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
PACES: Final = (0.15, 0.3, 0.45, 0.6)
"""Strengths of slowness with which an otherwise clean drive lasts as long as a defective one."""
DEFECTIVE: Final = 0.4
"""The part of a mix that is defective."""
_FIRST: Final = 1_000_000
"""Rules are fitted on seeds below 1000; a study judges them on others."""
_CELL, _GROUP = 100_000, 10_000


class Group(StrEnum):
    """What a drive is made for."""

    CLEAN = "clean"
    SPARE = "spare"
    """Clean too, for who learns from clean drives alone."""
    SUBTLE = "subtle"
    WRONG = "wrong"
    PACED = "paced"
    """Clean and slower: as long as defective ones."""
    GRADED = "graded"
    SLOW = "slow"
    RECOVERING = "recovering"


CLEAN_GROUPS: Final = (Group.CLEAN, Group.SPARE)
MIXES: Final = (Group.SUBTLE, Group.WRONG)


class PlanError(DoorError):
    """A study cannot be made as it was asked for; the message says why."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of everything. A cell is one task from one of the study's seeds: nothing in it is in another."""

    tasks: tuple[str, ...] = ("lift", "stack")
    cells: int = 5
    """How many of the study's seeds."""
    counts: dict[Group, int] = msgspec.field(
        default_factory=lambda: {
            Group.CLEAN: 24,
            Group.SPARE: 18,
            Group.SUBTLE: 15,
            Group.WRONG: 16,
            Group.PACED: 16,
            Group.GRADED: 21,
            Group.SLOW: 12,
            Group.RECOVERING: 12,
        }
    )
    """Drives of each group in each cell."""
    mixed: dict[str, int] = msgspec.field(default_factory=lambda: {"lift": 20, "stack": 40})
    """Drives in a mix: so many that half of them teach a task neither wholly nor not at all."""
    taught: dict[str, int] = msgspec.field(default_factory=lambda: {"lift": 700, "stack": 3000})
    """Steps that a policy learns from one kind of drive alone; fewer, if a kind has fewer."""
    updates: dict[str, int] = msgspec.field(default_factory=lambda: {"lift": 2000, "stack": 3000})
    """How often a policy's weights are changed."""
    longest: dict[str, int] = msgspec.field(default_factory=lambda: {"lift": 400, "stack": 600})
    """Steps after which a policy has failed."""
    hidden: int = 128
    policies: int = 3
    """How many learn from each choice: from other first weights, and where chance chooses, from other drives."""
    judged: dict[str, int] = msgspec.field(default_factory=lambda: {"lift": 25, "stack": 15})
    """In how many scenes each policy is judged: the same ones for the first policy of each arm of a cell, and so on.

    Fewer at stack, whose scenes take three times as long to judge: what policies differ in is what they learnt, and
    intervals at 15 scenes are as wide as at 25."""


SMALL: Final = Plan(
    tasks=("lift",),
    cells=1,
    counts=dict.fromkeys(Group, 2) | {Group.CLEAN: 3},
    mixed={"lift": 5},
    taught={"lift": 100},
    updates={"lift": 40},
    longest={"lift": 40},
    hidden=16,
    policies=1,
    judged={"lift": 1},
)
"""Shows that it works from one end to the other, and nothing else."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One drive: who is to drive it, how, and from which seed."""

    task: str
    cell: int
    group: Group
    seed: int
    kind: Kind | None = None
    strength: float = 0.0
    skill: float = PRACTISED

    @property
    def name(self) -> str:
        """The episode's id."""
        return f"{self.task}-{self.seed}"

    @property
    def defects(self) -> tuple[Defect, ...]:
        """What is to go wrong."""
        return () if self.kind is None else (Defect(self.kind, self.strength),)


def wanted(plan: Plan) -> Iterator[Wanted]:
    """Yield every drive of a study, a task after the other."""
    for name in plan.tasks:
        kinds = {group: kinds_of(name, group) for group in MIXES}
        for cell in range(plan.cells):
            for number, group in enumerate(Group):
                first = _FIRST + cell * _CELL + number * _GROUP
                for index in range(plan.counts[group]):
                    yield Wanted(name, cell, group, first + index, *_quality(group, index, kinds.get(group, ())))


def kinds_of(task_name: str, mix: Group) -> tuple[Kind, ...]:
    """Return the defects of a mix that can be at a task."""
    return tuple(kind for kind in (SUBTLE if mix is Group.SUBTLE else WRONG) if possible(task_name, kind))


def possible(task_name: str, kind: Kind) -> bool:
    """Whether a defect can be at a task: no wrong object can be taken if there is only one."""
    try:
        demonstrator(task(task_name), description(ROBOT), defects=(Defect(kind),))
    except DefectError:
        return False
    return True


def _quality(group: Group, index: int, kinds: tuple[Kind, ...]) -> tuple[Kind | None, float, float]:
    """Return the defect, its strength and the skill of one drive of a group."""
    if kinds:
        return kinds[index % len(kinds)], STRENGTHS[index // len(kinds) % len(STRENGTHS)], PRACTISED
    match group:
        case Group.GRADED:
            return None, 0.0, SKILLS[index % len(SKILLS)]
        case Group.PACED:
            return Kind.SLOW, PACES[index % len(PACES)], PRACTISED
        case Group.SLOW:
            return Kind.SLOW, STRENGTHS[index % len(STRENGTHS)], PRACTISED
        case Group.RECOVERING:
            return Kind.DROP_AND_REGRASP, STRENGTHS[index % len(STRENGTHS)], PRACTISED
        case _:
            return None, 0.0, PRACTISED
