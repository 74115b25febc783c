"""The replay gate for simulated episodes: drive and simulate again, and compare every bit.

An episode is driven again by its commands, each at the step that took it, if safety let it drive then. One of version 1
did not keep them: it is simulated from the actions that it says were applied.

The physics engine is loaded by the first call, in the worker process that makes it, never by the import.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from recorder.file.episode import Episode
from recorder.file.meta import Meta, spec_meta, task_meta
from recorder.proof.case import SpecDiffersError
from recorder.proof.checks.driven import direction
from recorder.proof.description import hash_description
from recorder.proof.unable import UnableError, unable
from sim.catalogue import description as describe
from sim.catalogue import make_world, make_worlds, require_pair, tasks_of
from sim.catalogue import task as find_task
from sim.description import RobotDescription
from sim.physics.replay import Acted, replay, replay_driven
from sim.robot import RobotError, RobotSpec
from sim.task import Task
from teleop.wire.descriptor import at_task

if TYPE_CHECKING:
    from sim.physics.stepping import Stepping
    from sim.physics.worlds import Worlds

_FROM_ACTIONS: Final = 1
"""The version that is replayed from what was applied."""


class DescriptionMismatchError(RobotError):
    """The episode was made with robot description files that differ from the ones here."""


class TaskMismatchError(RobotError):
    """The episode was made with another version of its task than the one here."""


class NotSimulatedError(RobotError):
    """The episode is of a real robot, which cannot be simulated again."""


def kept_from(described: Mapping[str, Any]) -> dict[str, UnableError]:
    """Return what would keep episodes of a simulated robot from being replayed here, by task.

    `described` is its descriptor. It does not have all that a replay must match: the files of the robot are not in it.
    """
    found: dict[str, UnableError] = {}
    for task in described["tasks"]:
        name, engine = str(task["name"]), at_task(described, str(task["name"]))["engine"]
        try:
            _require_playable(described["model"], name, task["version"], engine)
        except RobotError as error:
            found[name] = unable(error)
    return found


def _require_playable(model: str, name: str, version: int, engine: Mapping[str, str]) -> None:
    from sim.physics.engine import record, require_same, stepping_of

    robot, task = _pair(model, name, version)
    require_same(engine, record(robot, task, stepping_of(engine)))


def _pair(model: str, name: str, version: int) -> tuple[RobotDescription, Task]:
    """Return a robot and its task; raise UnknownRobotError, UnknownTaskError or TaskMismatchError."""
    require_pair(model, name)
    robot, task = describe(model), find_task(name)
    if version != task.spec.version:
        raise TaskMismatchError(
            f"it was driven at version {version} of {task.spec.name}, and {task.spec.version} is here; "
            "replay it with the version of armshare that recorded it"
        )
    return robot, task


def replayed(episode: Episode) -> None:
    """Raise a RobotError that says where re-simulation differs, or why it cannot run here."""
    from sim.physics.engine import record, require_same, stepping_of

    meta = episode.meta
    if not meta.robot.simulated:
        raise NotSimulatedError(f"{meta.robot.name} is a real robot, and only a simulation can be replayed")
    robot, task = _pair(meta.robot.model, meta.task.name, meta.task.version)
    stepping, driven = stepping_of(meta.engine), meta.version > _FROM_ACTIONS
    _require_description(meta.robot.model, meta.robot.urdf_sha256)
    require_same(meta.engine, record(robot, task, stepping), driven=driven)
    world = _worlds(meta.robot.model, stepping).change(meta.task.name)
    _require_spec(meta, world.spec)
    recorded = {
        **episode.observations,
        "progress": np.asarray(episode.arrays["progress"], np.float64),
        "success": np.asarray(episode.arrays["success"], np.float64),
    }
    if not driven:
        replay(world, meta.seed, episode.applied_joint_position, episode.applied_gripper, recorded)
        return
    acted = Acted(
        episode.applied_joint_position, episode.applied_gripper, episode.applied_ee_pose, episode.arrays["limits"]
    )
    replay_driven(world, meta.seed, direction(episode, world.spec), acted, recorded)


def _require_spec(meta: Meta, here: RobotSpec) -> None:
    """The robot's limits, hands and arrays, and what was asked, are the simulation's, and no host's to choose."""
    said = msgspec.structs.asdict(meta.spec) | {"joint_resolution_rad": meta.spec.resolution_rad}
    known = msgspec.structs.asdict(spec_meta(here))
    task, asked = msgspec.structs.asdict(meta.task), msgspec.structs.asdict(task_meta(here.task, meta.task.name))
    for what, found, expected in (("spec", said, known), ("task", task, asked)):
        for name, value in expected.items():
            if found[name] != value:
                raise SpecDiffersError(f"{what}.{name}: the simulation has {value!r}, the episode says {found[name]!r}")


def _require_description(model: str, recorded: dict[str, str]) -> None:
    here = _description(model)
    if recorded != here:
        differs = ", ".join(sorted(name for name in {*recorded, *here} if recorded.get(name) != here.get(name)))
        raise DescriptionMismatchError(f"the robot's files are not those that made the episode: {differs} differ")


@lru_cache(maxsize=16)
def _description(model: str) -> dict[str, str]:
    return hash_description(describe(model).model)


@lru_cache(maxsize=4)
def _worlds(model: str, stepping: Stepping) -> Worlds:
    """Return a robot's worlds at all of its tasks, which share one engine: a hub hears of every task in turn."""
    tasks = tasks_of(model)
    world = make_world(model, tasks[0], stepping)
    world.connect()
    return make_worlds(model, tasks, world)


def warm() -> None:
    """Load the engine and the most common robot before the first episode, in a worker process."""
    from sim.physics.stepping import CURRENT

    _description("panda")
    _worlds("panda", CURRENT)
