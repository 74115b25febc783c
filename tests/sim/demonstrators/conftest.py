"""Worlds that are connected once, and a whole drive of a demonstrator in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from sim.catalogue import make_world
from sim.demonstrators.defects import Defect, Event, Kind
from sim.demonstrators.demonstrator import demonstrator
from sim.motion.control import Controller, Twist
from sim.physics.world import World
from sim.robot import Vector
from sim.task import Expert


@dataclass(frozen=True, slots=True)
class Driven:
    """One episode. Row n is what was seen when step n was decided on; there is one more row than steps."""

    values: Mapping[str, Vector]
    twists: Vector
    """(N, 6)."""
    openings: Vector
    """(N,)."""
    success: bool
    events: tuple[Event, ...]

    @property
    def steps(self) -> int:
        """How many there were."""
        return len(self.twists)

    def path_m(self, start: int = 0, stop: int | None = None) -> float:
        """How far the hand went from a step to another."""
        hand = self.values["ee_pose"][start : None if stop is None else stop + 1, :3]
        return float(np.linalg.norm(np.diff(hand, axis=0), axis=1).sum())

    def only(self, kind: Kind) -> Event:
        """Return the first event, which must be of this kind, as must be all others."""
        assert self.events, f"no {kind} happened"
        assert {event.kind for event in self.events} == {kind}
        return self.events[0]


Drive = Callable[..., Driven]


def driven(world: World, expert: Expert, seed: int, most: int | None = None) -> Driven:
    """Let an expert drive from a seed until success, or for `most` steps."""
    controller, seen = Controller(world.spec), world.reset(seed)
    controller.start(seen)
    rows, asked = [seen.values], list[Twist]()
    for _ in range(most or world.task.spec.max_steps):
        asked.append(expert.act(seen.values))
        world.send_action(controller.step(asked[-1], seen).action)
        seen = world.observe()
        rows.append(seen.values)
        if seen.success:
            break
    values = {name: np.array([row[name] for row in rows]) for name in seen.values}
    twists, openings = np.array([one.twist[0] for one in asked]), np.array([one.gripper[0] for one in asked])
    return Driven(values, twists, openings, bool(seen.success), getattr(expert, "events", ()))


@pytest.fixture(scope="session")
def worlds() -> Iterator[Mapping[str, World]]:
    """Return a connected Panda at each of the two tasks that the study uses."""
    made = {name: make_world("panda", name) for name in ("lift", "stack")}
    for world in made.values():
        world.connect()
    yield made
    for world in made.values():
        world.disconnect()


@pytest.fixture(scope="session")
def drive(worlds: Mapping[str, World]) -> Drive:
    """Return what drives one episode by a demonstrator."""

    @cache
    def one(task: str, kind: Kind | None = None, strength: float = 1.0, *, skill: float = 0.9, seed: int = 3) -> Driven:
        world = worlds[task]
        defects = () if kind is None else (Defect(kind, strength),)
        return driven(world, demonstrator(world.task, world.description, skill=skill, defects=defects, seed=seed), seed)

    return one
