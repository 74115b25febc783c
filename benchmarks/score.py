"""How fast version 3 of the rules scores: an episode of 60 s without pictures, on one core.

`episodes_per_s`: from arrays in memory, by the processor's time; `from_file_ms`: with reading the file as well.
`ratio_vs_score_lerobot`: how many times as fast as the seven scores of motion of the public score_lerobot_episodes are
for the same episode, whose pictures are left out too: above 1, ours is faster. Ours looks at other things, so this says
only what a score costs. Theirs is not part of this project; it is read from a checkout:

    git clone https://github.com/RoboticsData/score_lerobot_episodes.git ELSEWHERE
    .venv/bin/python benchmarks/score.py --json --score-lerobot ELSEWHERE

Without it the ratio is null, with the reason. Both are run in turns, and each time is the median of `--rounds`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

STEPS: Final = 1200
SEED: Final = 5
ROBOT: Final = "panda"
TASK: Final = "stack"
MOTION: Final = (
    *("score_smoothness", "score_path_efficiency", "score_idle_velocity", "score_collision"),
    *("score_joint_stability", "score_gripper_consistency", "score_actuator_saturation"),
)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--score-lerobot", type=Path, metavar="CHECKOUT", help="of score_lerobot_episodes")
    asked = parser.parse_args()
    found = measured(asked.rounds, asked.score_lerobot)
    if asked.json:
        print(json.dumps(found))
    else:
        print(*(f"{name}: {value}" for name, value in found.items()), sep="\n")


def measured(rounds: int, checkout: Path | None) -> dict[str, Any]:
    """Return every figure."""
    from rewards.score.score import recompute, score

    facts = episode()
    scored = score(facts)
    theirs, why = peer(checkout, facts)
    with tempfile.TemporaryDirectory() as folder:
        file = recorded(Path(folder))
        runs: dict[str, Callable[[], object]] = {"ours": lambda: score(facts), "file": lambda: recompute(file, "3")}
        runs |= {} if theirs is None else {"theirs": theirs}
        times_ms = in_turns(runs, rounds)
    ours_ms = times_ms["ours"]
    return {
        "episodes_per_s": round(1000.0 / ours_ms, 1),
        "score_ms": round(ours_ms, 2),
        "from_file_ms": round(times_ms["file"], 2),
        "ratio_vs_score_lerobot": round(times_ms["theirs"] / ours_ms, 3) if theirs else None,
        "score_lerobot_ms": round(times_ms["theirs"], 2) if theirs else None,
        "score_lerobot_why_not": why,
        "steps": facts.steps,
        "accepted": scored.accepted,
        "score": scored.score_ppm / 1e6,
    }


def in_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median processor time of each, ms, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            began = time.process_time_ns()
            run()
            times[name] += [] if number == 0 else [(time.process_time_ns() - began) / 1e6]
    return {name: statistics.median(taken) for name, taken in times.items()}


def episode() -> Any:
    """Return a drive of 60 s as facts: the scripted operator's, slowed down until it is so long."""
    from rewards.score.references.driving import Manner, Mannered, driven
    from sim.catalogue import make_world

    world = make_world(ROBOT, TASK)
    world.connect()
    try:
        slow = Mannered(world.task.expert(world.description), Manner("slow", speed=0.25))
        facts = driven(world, slow, SEED, after=STEPS)
    finally:
        world.disconnect()
    return first(facts, STEPS)


def first(facts: Any, steps: int) -> Any:
    """Return the first steps of a drive."""
    rows = ("t_s", "ee_position_m", "joint_rad", "gripper", "progress")
    cut = {name: getattr(facts, name)[: steps + 1] for name in rows}
    cut |= {name: getattr(facts, name)[:steps] for name in ("applied_rad", "applied_gripper", "limited")}
    return replace(facts, poses={name: pose[: steps + 1] for name, pose in facts.poses.items()}, **cut)


def recorded(folder: Path) -> Path:
    """Return the file of an episode of as many steps, recorded as a host does."""
    from benchmarks.verify import record
    from recorder.proof.manifest import EPISODE_FILE

    return record(folder, STEPS) / EPISODE_FILE


def peer(checkout: Path | None, facts: Any) -> tuple[Callable[[], object] | None, str | None]:
    """Return what runs score_lerobot_episodes' scores of motion on the same episode, or why it cannot be run."""
    if checkout is None:
        return None, "no checkout of score_lerobot_episodes was given (--score-lerobot)"
    path = checkout / "src" / "score_lerobot_episodes" / "scores" / "path.py"
    if not path.is_file():
        return None, f"{path.name} is not in that checkout"
    for name, holds in (("score_lerobot_episodes", {}), ("score_lerobot_episodes.util", {"VideoSegment": object})):
        sys.modules[name] = module = types.ModuleType(name)  # only the name of a type is taken from there
        vars(module).update(holds)
    spec = importlib.util.spec_from_file_location("score_lerobot_path", path)
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    q = np.hstack([facts.joint_rad, facts.gripper])[:-1]
    states = [{"q": row, "t": t, "grip": row[-1]} for row, t in zip(q, facts.t_s[:-1].tolist(), strict=True)]
    actions = list(np.hstack([facts.applied_rad, facts.applied_gripper]))
    scores = [getattr(theirs, name) for name in MOTION]
    return lambda: [one(None, states, actions, None, TASK, None) for one in scores], None


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
