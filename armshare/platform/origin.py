"""The process that a host's robots are forked from: what it has loaded, they share.

It connects one world of each kind of robot that the host simulates, so that models and the physics engine's buffers are
in memory once, however many robots there are. A robot's process uses its copy, at whatever task; the one here is never
driven.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from sim.catalogue import make_world, make_worlds, tasks_of
from sim.physics.world import World
from sim.physics.worlds import Worlds
from sim.robot import RobotError

_KINDS: Final = "ARMSHARE_ORIGIN_WORLDS"
_worlds: Final[dict[str, World]] = {}


def ask_for(kinds: Iterable[str]) -> None:
    """Say, before the process starts, which robots it should load, by name."""
    os.environ[_KINDS] = " ".join(sorted(set(kinds)))


def worlds_of(robot: str, tasks: Sequence[str]) -> Worlds:
    """Return a robot to drive: in this process's copy of the world that was connected, or in a new one."""
    return make_worlds(robot, tasks, _worlds.pop(robot, None))


def _load() -> None:
    for robot in os.environ.pop(_KINDS, "").split():
        with suppress(RobotError):  # the robot's own process will meet the error and report it
            world = make_world(robot, tasks_of(robot)[0])
            world.connect()
            _worlds[robot] = world
    if _worlds:
        _give_back()
        gc.collect()
        gc.freeze()  # a collection in a robot's process would write to every page that it shares


def _give_back() -> None:
    """Return memory that reading the models no longer needs to the system: every robot would keep it for ever."""
    with suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


_load()
