"""How fast a recorded lift is re-simulated and compared bit for bit, as a multiple of real time; one process."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

import numpy as np

from sim.catalogue import make_world
from sim.control import Controller
from sim.kinematics import Kinematics
from sim.replay import replay
from sim.robot import Observation
from sim.world import CONTROL_HZ, World


def recorded(world: World, seed: int, steps: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return the applied actions and the observations of an expert's drive."""
    controller, expert = Controller(world.spec, Kinematics.of(world.spec)), world.task.expert()
    seen = world.reset(seed)
    controller.start(seen)
    rows, joints, openings = [_row(seen)], [], []
    for _ in range(steps):
        applied = world.send_action(controller.step(expert.act(seen.values), seen).action)
        seen = world.observe()
        rows.append(_row(seen))
        joints.append(applied.joint_position)
        openings.append(applied.gripper)
    return np.array(joints), np.array(openings), {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _row(seen: Observation) -> dict[str, np.ndarray]:
    return {**seen.values, "progress": np.float64(seen.progress), "success": np.float64(seen.success)}


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=400)
    options.add_argument("--runs", type=int, default=7)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    world = make_world("panda", "lift")
    world.connect()
    episode = recorded(world, 1, chosen.steps)
    seconds = []
    for _ in range(chosen.runs):
        start = time.perf_counter()
        replay(world, 1, *episode)
        seconds.append(time.perf_counter() - start)
    factor = chosen.steps / CONTROL_HZ / statistics.median(seconds)
    found = {"steps": chosen.steps, "runs": chosen.runs, "replay_realtime_factor": round(factor, 1)}
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
