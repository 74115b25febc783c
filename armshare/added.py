"""`armshare robot`: a published robot becomes one that can be driven here, drawn and checked before it is."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2

from armshare.failures import PlatformError
from sim import own
from sim.bring.add import Wishes, bring, name_of
from sim.bring.portrait import portrait
from sim.bring.promises import broken
from sim.check import attempts
from sim.own import OwnRobot
from sim.processes import end_with_parent
from sim.robot import RobotError
from sim.words import listed

_SEEDS: Final = range(3)
_ENOUGH: Final = 2
"""How many of these scripted drives have to succeed before a task is offered."""
REFUSED: Final = ".refused"
"""The ending of the folder that holds a robot which does not keep the contract."""


class UnseenRobotError(RobotError):
    """The picture of a robot does not show it."""


@dataclass(frozen=True, slots=True)
class Added:
    """A robot that was added, or refused."""

    name: str
    folder: Path
    picture: Path
    robot: OwnRobot
    drawn: tuple[str, ...]
    """The links that can be seen in the picture."""
    broken: Mapping[str, str]
    """The promises of the contract that it breaks, and how."""
    kept: bool


def add(path: Path, wishes: Wishes, *, replace: bool, anyway: bool, tell: Callable[[str], None]) -> Added:
    """Add the robot at `path`; `tell` hears each stage. Raises a RobotError or PlatformError, and then nothing is kept.

    A robot that breaks a promise of the contract is kept only with `anyway`; `replace` allows one of the same name to
    be replaced.
    """
    tell(f"reading {path}")
    name, robots = name_of(path, wishes), own.own_robots()
    if (robots / name).exists() and not replace:
        raise PlatformError(
            f"{name} is there already, in {robots / name}. Replace it with --replace, or give a --name."
        )
    robots.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".adding-", dir=robots))
    try:
        folder = making / name
        folder.mkdir()
        bring(path, folder, wishes)
        tell("drawing it")
        drawn = _draw(folder)
        tell("running the contract")
        promises = broken(folder)
        kept = anyway or not promises
        place = robots / (name if kept else name + REFUSED)
        shutil.rmtree(place, ignore_errors=True)
        folder.replace(place)
        robot = own.read(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    if not promises:
        tell(f"letting a scripted operator try {len(robot.tasks)} tasks")
        robot = _tried(name, robot)
        own.write(robot, place)
    return Added(name, place, place / f"{name}.png", robot, drawn, promises, kept)


def _tried(name: str, robot: OwnRobot) -> OwnRobot:
    """Return the robot with the tasks that a scripted operator can do with it; the first one stays in any case."""
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"), end_with_parent) as workers:
        counts = dict(zip(robot.tasks, workers.map(_successes, [name] * len(robot.tasks), robot.tasks), strict=True))
    able = tuple(task for task, count in counts.items() if count >= _ENOUGH) or robot.tasks[:1]
    unable = ", ".join(f"{task} ({counts[task]} of {len(_SEEDS)})" for task in robot.tasks if task not in able)
    said = (f"not offered, as a scripted operator did not do them often enough: {unable}",) if unable else ()
    return dataclasses.replace(robot, tasks=able, assumed=(*robot.assumed, *said))


def _successes(name: str, task: str) -> int:
    """Return how many scripted drives succeed; runs in a worker process."""
    try:
        return sum(one.success for one in attempts(name, task, _SEEDS))
    except RobotError:  # the task's things do not fit into its field
        return 0


def check(name: str) -> Added:
    """Draw an added robot again and run the contract for it; raise a RobotError or PlatformError."""
    folder = own.find(name)
    if folder is None:
        known = f"There are {listed(own.names())}." if own.names() else "There are none yet: armshare robot add PATH."
        raise PlatformError(f"No robot called {name!r} was added to {own.own_robots()}. {known}")
    return Added(name, folder, folder / f"{name}.png", own.read(folder), _draw(folder), broken(folder), True)


def _draw(folder: Path) -> tuple[str, ...]:
    picture, drawn = portrait(folder)
    if not drawn:
        raise UnseenRobotError(f"{folder.name} cannot be seen in its picture: no link of it has a <visual> to draw.")
    pixels: Any = picture.rgb[:, :, ::-1]
    if not cv2.imwrite(str(folder / f"{folder.name}.png"), pixels):
        raise PlatformError(f"The picture could not be written into {folder}. Is the disk full?")
    return drawn
