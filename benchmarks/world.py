"""How fast one lift world goes, as a multiple of real time: driven with everything on, and replayed. And its memory.

`realtime_factor`: inverse kinematics, limits and smoothing at 20 Hz, physics at 240 Hz, observation and progress, from
the first step to the last; the scripted operator's own thinking is left out. `replay_realtime_factor`: simulated from
the seed and compared bit for bit. `reset_ms`: to build a scene from its seed, once for each episode, in both.
`mib_per_world`: how much one more connected world adds to the resident memory of a process. One core throughout.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import psutil

from sim.catalogue import make_world
from sim.motion.control import Controller, Twist
from sim.physics.replay import compared, replay
from sim.physics.world import CONTROL_HZ, World
from sim.robot import Action, Observation

SEED = 1


def rehearse(world: World, steps: int) -> list[Twist]:
    """Return what the scripted operator asks for."""
    controller, expert = Controller(world.spec), world.task.expert(world.description)
    seen, asked = world.reset(SEED), []
    controller.start(seen)
    for _ in range(steps):
        asked.append(expert.act(seen.values))
        world.send_action(controller.step(asked[-1], seen).action)
        seen = world.observe()
    return asked


def drive(world: World, controller: Controller, asked: list[Twist]) -> tuple[float, list[Action], list[Observation]]:
    """Drive through what was asked; return how long the steps took, s, the applied actions and what was seen."""
    seen, applied = [world.reset(SEED)], []
    controller.start(seen[0])
    start = time.perf_counter()
    for twist in asked:
        applied.append(world.send_action(controller.step(twist, seen[-1]).action))
        seen.append(world.observe())
    return time.perf_counter() - start, applied, seen


def elapsed_s(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def mib_per_world(count: int) -> float:
    """Return what each of `count` further worlds adds to this process."""
    process, worlds = psutil.Process(), [make_world("panda", "lift") for _ in range(count)]
    before = process.memory_info().rss
    for world in worlds:
        world.connect()
    added = process.memory_info().rss - before
    for world in worlds:
        world.disconnect()
    return added / count / 2**20


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--worlds", type=int, default=8)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    world = make_world("panda", "lift")
    world.connect()
    asked, controller = rehearse(world, chosen.steps), Controller(world.spec)
    _, applied, seen = drive(world, controller, asked)
    episode = np.array([a.joint_position for a in applied]), np.array([a.gripper for a in applied]), compared(seen)
    runs = range(chosen.runs)
    driven_s = statistics.median(drive(world, controller, asked)[0] for _ in runs)
    replayed_s = statistics.median(elapsed_s(lambda: replay(world, SEED, *episode)) for _ in runs)
    lasts_s = chosen.steps / CONTROL_HZ
    found = {
        "steps": chosen.steps,
        "runs": chosen.runs,
        "realtime_factor": round(lasts_s / driven_s, 1),
        "replay_realtime_factor": round(lasts_s / replayed_s, 1),
        "reset_ms": round(1e3 * statistics.median(elapsed_s(lambda: world.reset(SEED)) for _ in runs), 1),
        "mib_per_world": round(mib_per_world(chosen.worlds), 1),
    }
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
