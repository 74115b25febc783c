"""Episodes of scripted demonstrators, whose skill and mistakes are known, made as all others are.

Part of recorder; exports `Demonstration`, `Demonstrated`, `job_of` and `demonstrated`. What a demonstrator did wrong is
not in its episode, which is what any other drive would have left: it is in what is returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder.collect.crew import Job, crewed, maker_of
from recorder.collect.folder import Folder, Made
from recorder.collect.making import After, Attempt
from recorder.collect.piloted import piloted
from sim.catalogue import description, require_pair, task
from sim.demonstrators.defects import Defect, Event
from sim.demonstrators.demonstrator import Demonstrator, demonstrator
from sim.processes import WORKERS
from teleop.operator.pilot import ExpertPilot
from teleop.operator.program import script


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One episode that is wanted."""

    episode: str
    """Its id, unique in the folder."""
    seed: int
    """Of the scene."""
    skill: float = 1.0
    defects: tuple[Defect, ...] = ()
    driver_seed: int | None = None
    """Of what is random in the driving; None: the scene's."""


@dataclass(frozen=True, slots=True)
class Demonstrated:
    """What became of it."""

    wanted: Demonstration
    attempt: Attempt
    events: tuple[Event, ...]
    """What really happened; step n is row n of the episode."""


def job_of(robot: str, task_name: str, folder: Path, *, replay: bool = True, after: After | None = None) -> Job:
    """Return what every worker does; raise UnknownRobotError or UnknownTaskError."""
    require_pair(robot, task_name)
    return Job(Made(robot, task_name, script(Demonstrator)), folder.resolve(), "", None, replay, after)


def demonstrated(job: Job, wanted: Iterable[Demonstration], workers: int = WORKERS) -> Iterator[Demonstrated]:
    """Make each, and yield what became of it as it is done; one that is in the folder is not made again.

    Holds the folder. Raises CollectError, and DefectError or ValueError for a demonstration that cannot be.
    """
    folder = Folder(job.folder)
    with folder.held(job.made):
        yield from crewed(demonstrate, job, (one for one in wanted if not folder.has(one.episode)), workers)


def demonstrate(job: Job, wanted: Demonstration) -> Demonstrated:
    """Make one episode, in a worker process."""
    maker, _ = maker_of(job)
    seed = wanted.seed if wanted.driver_seed is None else wanted.driver_seed
    driver = demonstrator(
        task(job.made.task), description(job.made.robot), skill=wanted.skill, defects=wanted.defects, seed=seed
    )
    drive = maker.begin(wanted.episode, wanted.seed)
    try:
        piloted(drive, ExpertPilot(driver))
        return Demonstrated(wanted, maker.keep(drive), driver.events)
    finally:
        drive.abandon()
