"""Record the golden corpus: one episode of each task, driven by its scripted expert with the task's first robot.

    .venv/bin/python -m tests.sim.make_corpus [TASK ...]

Run it after a change that is meant to change what the physics or a task does. Unchanged code writes the same bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim.catalogue import TASKS, description, make_world, task
from sim.check import drive
from sim.physics.engine import record, require_same, stepping_of
from sim.physics.replay import compared, replay
from sim.physics.stepping import CURRENT
from sim.robot import Vector

CORPUS = Path(__file__).parent / "corpus"
CURRENT_HZ = str(CURRENT.physics_hz)
"""The folder of the episodes that are recorded anew; those of other rates stay as they were recorded."""


@dataclass(frozen=True)
class Golden:
    """One recorded episode of N steps."""

    robot: str
    task: str
    version: int
    seed: int
    engine: Mapping[str, str]
    joint_position: Vector
    """(N, J) float64, rad: applied."""
    gripper: Vector
    """(N, K) float64: applied."""
    recorded: Mapping[str, Vector]
    """(N + 1, ...) float64: what `sim.physics.replay.replay` compares."""


def load(name: str, physics_hz: str = CURRENT_HZ) -> Golden:
    """Read the corpus's episode of a task, stepped at that rate."""
    with np.load(CORPUS / physics_hz / f"{name}.npz", allow_pickle=False) as file:
        arrays = dict(file)
    said = json.loads(str(arrays.pop("said")))
    return Golden(
        **said, joint_position=arrays.pop("applied_joint"), gripper=arrays.pop("applied_hand"), recorded=arrays
    )


def check(golden: Golden) -> None:
    """Replay an episode; raise EngineMismatchError, or ReplayMismatchError that names the step and the value."""
    stepping = stepping_of(golden.engine)
    here = record(description(golden.robot), task(golden.task), stepping)
    require_same(golden.engine, here, driven=False)
    world = make_world(golden.robot, golden.task, stepping)
    world.connect()
    try:
        replay(world, golden.seed, golden.joint_position, golden.gripper, golden.recorded)
    finally:
        world.disconnect()


def make(name: str) -> Path:
    """Record a task's first successful seed and return the file."""
    robot = task(name).robots[0]
    world = make_world(robot, name)
    world.connect()
    for seed in range(1, 100):
        steps = list(drive(world, seed))
        if steps[-1][1].success:
            break
    else:
        raise SystemExit(f"{name}: expected the expert to succeed from one of 99 seeds with {robot}; it did not")
    seen = [world.reset(seed), *(after for _, after in steps)]
    world.disconnect()
    said = {"robot": robot, "task": name, "version": task(name).spec.version, "seed": seed}
    said["engine"] = record(description(robot), task(name))
    path = CORPUS / CURRENT_HZ / f"{name}.npz"
    np.savez_compressed(
        path,
        said=np.array(json.dumps(said, sort_keys=True)),
        applied_joint=np.array([action.joint_position for action, _ in steps]),
        applied_hand=np.array([action.gripper for action, _ in steps]),
        **compared(seen),
    )
    return path


def main(names: list[str]) -> None:
    """Record what is named, or all, and remove what is of no task any more."""
    folder = CORPUS / CURRENT_HZ
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.npz"):
        if path.stem not in TASKS:
            path.unlink()
    for name in names or TASKS:
        path = make(name)
        golden = load(name)
        check(golden)
        sys.stdout.write(f"{path.name}: {len(golden.gripper)} steps, seed {golden.seed}, {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main(sys.argv[1:])
