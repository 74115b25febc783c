"""Checks that every task can be done the way people do it: scripted operators drive worlds through a controller."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from sim.catalogue import make_world
from sim.motion.control import Controller
from sim.robot import Action, Observation, UnstableWorldError

if TYPE_CHECKING:
    from sim.physics.world import World

_BATCH = 5
"""How many seeds one worker drives at a time."""


@dataclass(frozen=True, slots=True)
class Drive:
    """One episode of a scripted operator."""

    seed: int
    success: bool
    seconds: float
    """Simulated time."""
    progress: float


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a task's expert succeeds with a robot, and how long it takes when it does."""

    seeds: int
    success_rate: float
    median_seconds: float | None
    """Simulated time, over those that succeeded."""
    failed_seeds: tuple[int, ...]


def drive(world: World, seed: int) -> Iterator[tuple[Action, Observation]]:
    """Reset `world` (connected) and let its task's expert drive until success or the step limit; yield each step."""
    controller, expert = Controller(world.spec), world.task.expert(world.description)
    seen = world.reset(seed)
    controller.start(seen)
    for _ in range(world.task.spec.max_steps):
        action = world.send_action(controller.step(expert.act(seen.values), seen).action)
        seen = world.observe()
        yield action, seen
        if seen.success:
            return


def attempts(robot: str, task: str, seeds: Sequence[int]) -> list[Drive]:
    """Return how the expert does from each seed; runs in a worker process."""
    world = make_world(robot, task)
    world.connect()
    try:
        return [_attempt(world, seed) for seed in seeds]
    finally:
        world.disconnect()


def check(
    pairs: Sequence[tuple[str, str]], seeds: int, executor: Executor
) -> Iterator[tuple[tuple[str, str], list[Drive]]]:
    """Drive every (robot, task) from seeds 0 to `seeds` - 1; yield batches of drives as they are done."""
    batches = [range(first, min(first + _BATCH, seeds)) for first in range(0, seeds, _BATCH)]
    jobs = {executor.submit(attempts, *pair, batch): pair for pair in pairs for batch in batches}
    for job in as_completed(jobs):
        yield jobs[job], job.result()


def rate(drives: Sequence[Drive]) -> Rate:
    """Return the success rate over the drives of one pair."""
    done = [drive.seconds for drive in drives if drive.success]
    failed = tuple(sorted(drive.seed for drive in drives if not drive.success))
    return Rate(len(drives), len(done) / len(drives), median(done) if done else None, failed)


def _attempt(world: World, seed: int) -> Drive:
    steps, last = 0, world.observe()
    try:
        for _, seen in drive(world, seed):
            steps, last = steps + 1, seen
    except UnstableWorldError:
        return Drive(seed, False, steps * world.spec.period_s, 0.0)
    return Drive(seed, bool(last.success), steps * world.spec.period_s, last.progress or 0.0)
