"""Verification's replay gate for simulated episodes: simulate again, and compare every bit.

The physics engine is loaded by the first call, in the worker process that makes it, and never by the import.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from recorder.description import hash_description
from recorder.episode import Episode
from sim.catalogue import description as describe
from sim.catalogue import make_world
from sim.replay import replay

if TYPE_CHECKING:
    from sim.world import World


class EngineMismatchError(Exception):
    """The episode was made with another engine than the one here, so a replay would prove nothing."""


class DescriptionMismatchError(Exception):
    """The episode was made with other files of the robot's description than the ones here."""


def replayed(episode: Episode) -> None:
    """Raise an error that says where re-simulation differs; a worker process keeps its worlds."""
    from sim.world import engine

    meta, here = episode.meta, engine()
    if meta.engine != here:
        differs = {name: (meta.engine.get(name), here.get(name)) for name in {*meta.engine, *here}}
        said = ", ".join(f"{name} {was} (here {now})" for name, (was, now) in sorted(differs.items()) if was != now)
        raise EngineMismatchError(f"expected the engine that made the episode: {said}")
    _require_description(meta.robot.model, meta.robot.urdf_sha256)
    recorded = {
        **episode.observations,
        "progress": np.asarray(episode.arrays["progress"], np.float64),
        "success": np.asarray(episode.arrays["success"], np.float64),
    }
    world = _world(meta.robot.model, meta.task.name)
    replay(world, meta.seed, episode.applied_joint_position, episode.applied_gripper, recorded)


def _require_description(model: str, recorded: dict[str, str]) -> None:
    here = _description(model)
    if recorded != here:
        differs = ", ".join(sorted(name for name in {*recorded, *here} if recorded.get(name) != here.get(name)))
        raise DescriptionMismatchError(f"expected the files that made the episode; these differ: {differs}")


@lru_cache(maxsize=16)
def _description(model: str) -> dict[str, str]:
    return hash_description(describe(model).model)


@lru_cache(maxsize=4)
def _world(model: str, task: str) -> World:
    world = make_world(model, task)
    world.connect()
    return world


def warm() -> None:
    """Load the engine and the most usual world ahead of the first episode, in a worker process."""
    _description("panda")
    _world("panda", "lift")
