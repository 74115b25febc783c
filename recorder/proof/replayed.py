"""The replay gate for simulated episodes: drive and simulate again, and compare every bit.

An episode is driven again by its commands, each at the step that took it, if safety let it drive then. One of version 1
did not keep them: it is simulated from the actions that it says were applied.

The physics engine is loaded by the first call, in the worker process that makes it, never by the import.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from recorder.file.episode import Episode
from recorder.file.meta import Meta, spec_meta, task_meta
from recorder.proof.case import SpecDiffersError
from recorder.proof.description import hash_description
from recorder.proof.driven import direction
from sim.catalogue import description as describe
from sim.catalogue import make_world, make_worlds, require_pair, tasks_of
from sim.catalogue import task as find_task
from sim.physics.replay import Acted, replay, replay_driven
from sim.robot import RobotError, RobotSpec

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


def replayed(episode: Episode) -> None:
    """Raise a RobotError that says where re-simulation differs, or why it cannot run here."""
    from sim.physics.engine import record, require_same, stepping_of

    meta = episode.meta
    if not meta.robot.simulated:
        raise NotSimulatedError(f"{meta.robot.name} is a real robot, and only a simulation can be replayed")
    require_pair(meta.robot.model, meta.task.name)
    robot, task = describe(meta.robot.model), find_task(meta.task.name)
    if meta.task.version != task.spec.version:
        raise TaskMismatchError(
            f"it was driven at version {meta.task.version} of {task.spec.name}, and {task.spec.version} is here; "
            "replay it with the version of armshare that recorded it"
        )
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
