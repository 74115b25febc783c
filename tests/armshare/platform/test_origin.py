"""Robots that are forked from one process share what it loaded, and drive as if each had loaded it for itself."""

from __future__ import annotations

import hashlib
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest

from armshare.platform import origin
from sim.catalogue import UnknownRobotError, make_world
from sim.physics.world import World
from sim.robot import Action

PROGRAM = """
import hashlib, os, sys
from armshare.platform import origin
from tests.armshare.platform.test_origin import driven
ready = sorted(origin._worlds)
found = []
for seed in (3, 3, 4):
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.write(theirs, driven(origin.worlds_of("panda", ["lift", "push"]).robot, seed).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        found.append(pipe.read())
print(ready, *found, sep="\\n")
"""


def driven(world: World, seed: int) -> str:
    """Drive a world a little; return a hash of all that was seen."""
    world.connect()
    seen = world.reset(seed)
    told = hashlib.sha256()
    for step in range(12):
        world.send_action(Action(seen.values["joint_position"] + 0.01, np.full(1, float(step % 2))))
        seen = world.observe()
        told.update(b"".join(value.tobytes() for value in seen.values.values()))
    world.disconnect()
    return told.hexdigest()


def test_a_robot_forked_from_a_connected_world_sees_the_same_bits_as_one_of_its_own(monkeypatch):
    monkeypatch.setenv("ARMSHARE_ORIGIN_WORLDS", "panda nonsense")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120)
    ready, *found = done.stdout.splitlines()[-4:]
    assert ready == "['panda']", "a world that cannot be made is left to the robot that asks for it"
    assert found == [driven(make_world("panda", "lift"), seed) for seed in (3, 3, 4)]


def test_a_world_that_was_not_loaded_is_made():
    assert driven(origin.worlds_of("panda", ["lift"]).robot, 3) == driven(make_world("panda", "lift"), 3)
    with pytest.raises(UnknownRobotError):
        origin.worlds_of("nobody", ["lift"])


def test_what_is_asked_for_is_loaded_by_the_process_that_robots_are_forked_from(monkeypatch):
    monkeypatch.setenv("ARMSHARE_ORIGIN_WORLDS", "")
    origin.ask_for(["panda", "panda"])
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert pool.apply(_worlds_here) == ["panda"]


def _worlds_here() -> list[str]:
    return sorted(origin._worlds)
