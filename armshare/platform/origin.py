"""The process that a host's robots are forked from: what it has loaded, they share.

It connects one world of each kind that the host simulates, so that models and the physics engine's buffers are in
memory once, however many robots there are. A robot's process uses its copy; the one here is never driven.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from sim.catalogue import make_world
from sim.physics.world import World
from sim.robot import RobotError

_KINDS: Final = "ARMSHARE_ORIGIN_WORLDS"
_worlds: Final[dict[tuple[str, str], World]] = {}


def ask_for(kinds: Iterable[tuple[str, str]]) -> None:
    """Say, before the process starts, which worlds it should load: robots and tasks, by name."""
    os.environ[_KINDS] = " ".join(sorted({f"{robot}:{task}" for robot, task in kinds}))


def world_of(robot: str, task: str) -> World:
    """Return a world to drive: this process's copy of the one that was connected, or a new one."""
    return _worlds.pop((robot, task), None) or make_world(robot, task)


def _load() -> None:
    for kind in os.environ.pop(_KINDS, "").split():
        robot, _, task = kind.partition(":")
        with suppress(RobotError):  # the robot's own process will meet the error and report it
            world = make_world(robot, task)
            world.connect()
            _worlds[robot, task] = world
    if _worlds:
        _give_back()
        gc.collect()
        gc.freeze()  # a collection in a robot's process would write to every page that it shares


def _give_back() -> None:
    """Return memory that reading the models no longer needs to the system: every robot would keep it for ever."""
    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


_load()
