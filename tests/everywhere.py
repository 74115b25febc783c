"""Replay the golden corpus and score it with this Python, and print what came of it as JSON.

    make corpus-pythons

compares what several Pythons print (`tests/pythons`). It needs only NumPy, msgspec, platformdirs, PyBullet and Ruckig.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from dataclasses import replace
from itertools import islice

import numpy as np

from rewards.score.facts import EpisodeFacts
from rewards.score.metrics import measure
from rewards.score.teaching.rules import teaching_score
from sim.catalogue import ROBOTS, TASKS, description, make_world
from sim.catalogue import task as make_task
from sim.check import drive
from sim.physics.engine import EngineMismatchError
from sim.physics.reference import control
from sim.physics.replay import ReplayMismatchError
from sim.physics.stepping import CONTROL_HZ, PUBLISHED
from sim.task import progress
from tests.sim.make_corpus import Golden, check, load

_DRIVEN_STEPS = 60


def main() -> None:
    """Print one JSON object; exit with 1 if an episode does not replay."""
    episodes = {f"{rate}/{name}": load(name, rate) for rate in PUBLISHED for name in TASKS}
    differs = {name: said for name, golden in episodes.items() if (said := _replayed(golden))}
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "replayed": len(episodes) - len(differs),
        "differs": differs,
        "measured": digest(repr([measure(_facts(name, golden)) for name, golden in episodes.items()]).encode()),
        "taught": digest(repr([teaching_score(_taught(*each)) for each in episodes.items()]).encode()),
        "driven": _driven(),
        "controlled": [control(description(robot)) for robot in ROBOTS],
    }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.exit(1 if differs else 0)


def _replayed(golden: Golden) -> str:
    try:
        check(golden)
    except (EngineMismatchError, ReplayMismatchError) as error:
        return str(error)
    return ""


def _facts(name: str, golden: Golden) -> EpisodeFacts:
    seen, steps = golden.recorded, len(golden.gripper)
    hands = [array[:, :3] for name, array in sorted(seen.items()) if name.endswith("ee_pose")]
    return EpisodeFacts(
        episode=name,
        task=golden.task,
        success=True,
        valid=True,
        end_reason="finished",
        control_hz=float(CONTROL_HZ),
        t_s=np.arange(steps + 1, dtype=np.float64) / 19.7,
        ee_position_m=np.hstack(hands),
        joint_rad=seen["joint_position"],
        gripper=seen["gripper_position"],
        applied_rad=golden.joint_position,
        applied_gripper=golden.gripper,
        limited=np.zeros(steps, dtype=np.bool_),
    )


def _taught(name: str, golden: Golden) -> EpisodeFacts:
    """Return the same for version 3, which looks at things and stages as well."""
    seen, task = golden.recorded, make_task(golden.task)
    poses = {array: rows for array, rows in seen.items() if array.endswith("_pose") and rows.shape[1:] == (7,)}
    steps = range(len(golden.gripper) + 1)
    got = [progress(task.stages({array: rows[step] for array, rows in seen.items()})) for step in steps]
    return replace(
        _facts(name, golden),
        version="3",
        poses=poses,
        hands=tuple(array for array in sorted(poses) if array.endswith("ee_pose")),
        movable=frozenset(array for array in poses if f"{array.removesuffix('_pose')}_velocity" in seen),
        progress=np.array(got),
        stages=task.spec.stages,
        task_version=task.spec.version,
    )


def _driven() -> str:
    """Return a digest of where kinematics and control send the arm, from what a scripted operator asks."""
    world = make_world("panda", "lift")
    world.connect()
    try:
        sent = [action.joint_position for action, _ in islice(drive(world, 1), _DRIVEN_STEPS)]
    finally:
        world.disconnect()
    return digest(np.array(sent).tobytes())


def digest(data: bytes) -> str:
    """Return 16 hex digits."""
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    main()
