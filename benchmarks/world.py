"""How fast one lift world runs, as a multiple of real time, driven with everything on, and replayed; and its memory.

`realtime_factor`: inverse kinematics, limits and smoothing at 20 Hz, physics, observation and progress, from the first
step to the last; the scripted operator's own time is left out. `replay_realtime_factor`: simulated from the seed
and compared bit for bit. `reset_ms`: to build a scene from its seed, once per episode, in both. `mib_per_world`: how
much one more connected world adds to the resident memory of a process. One core throughout, and processor time, so
that other load on the machine matters little.

    .venv/bin/python benchmarks/world.py --json
    .venv/bin/python benchmarks/world.py --beside TREE      TREE: a checkout of another commit

With `--beside`, this tree and the other one each have a process and take turns. It prints the medians of both and the
ratio of each figure, other over this for times, this over other for factors: above 1, this one is better.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import psutil

SEED = 1
CONTROL_HZ = 20
HERE: Final = Path(__file__).resolve()
LOWER_IS_BETTER: Final = ("reset_ms", "mib_per_world")


def module(name: str, formerly: str) -> ModuleType:
    """Return the module of the imported tree: older commits have it in another place."""
    tree = Path(import_module("sim").__path__[0]).parent
    there = tree.joinpath(*name.split(".")).with_suffix(".py").is_file()
    return import_module(name if there else formerly)


class Bench:
    """One lift world, a controller, and what a scripted operator asked for once."""

    def __init__(self, steps: int) -> None:
        self._controller = module("sim.motion.control", "sim.control").Controller
        self._replays = module("sim.physics.replay", "sim.replay")
        self.make: Callable[[], Any] = lambda: import_module("sim.catalogue").make_world("panda", "lift")
        self.world = self.make()
        self.world.connect()
        self.asked = self._rehearse(steps)
        applied, seen = self._drive()[1:]
        joints, grippers = [one.joint_position for one in applied], [one.gripper for one in applied]
        self._episode = np.array(joints), np.array(grippers), self._replays.compared(seen)

    def once(self) -> dict[str, float]:
        """Drive, replay and reset once each; return what each took, s of one core."""
        return {
            "driven_s": self._drive()[0],
            "replayed_s": elapsed_s(lambda: self._replays.replay(self.world, SEED, *self._episode)),
            "reset_s": elapsed_s(lambda: self.world.reset(SEED)),
        }

    def mib_per_world(self, count: int) -> float:
        """Return what each of `count` more worlds adds to this process."""
        process, worlds = psutil.Process(), [self.make() for _ in range(count)]
        before = process.memory_info().rss
        for world in worlds:
            world.connect()
        added = process.memory_info().rss - before
        for world in worlds:
            world.disconnect()
        return float(added) / count / 2**20

    def _rehearse(self, steps: int) -> list[Any]:
        """Return what the scripted operator asks for."""
        world = self.world
        controller, expert = self._controller(world.spec), world.task.expert(world.description)
        seen, asked = world.reset(SEED), []
        controller.start(seen)
        for _ in range(steps):
            asked.append(expert.act(seen.values))
            world.send_action(controller.step(asked[-1], seen).action)
            seen = world.observe()
        return asked

    def _drive(self) -> tuple[float, list[Any], list[Any]]:
        """Drive what was asked; return how long the steps took, s, the applied actions and the observations."""
        world, controller = self.world, self._controller(self.world.spec)
        seen, applied = [world.reset(SEED)], []
        controller.start(seen[0])
        start = time.process_time()
        for twist in self.asked:
            applied.append(world.send_action(controller.step(twist, seen[-1]).action))
            seen.append(world.observe())
        return time.process_time() - start, applied, seen


def elapsed_s(work: Callable[[], object]) -> float:
    """Return how long one call takes, s of one core."""
    start = time.process_time()
    work()
    return time.process_time() - start


def found(options: argparse.Namespace, runs: list[dict[str, float]], mib: float) -> dict[str, float]:
    """Return the figures of one tree."""
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    lasts_s = options.steps / CONTROL_HZ
    return {
        "realtime_factor": round(lasts_s / middle["driven_s"], 1),
        "replay_realtime_factor": round(lasts_s / middle["replayed_s"], 1),
        "reset_ms": round(1e3 * middle["reset_s"], 1),
        "mib_per_world": round(mib, 1),
    }


def serve(options: argparse.Namespace) -> None:
    """Run as one of two that take turns: answer each line with one round, and an empty line with the memory."""
    bench = Bench(options.steps)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(bench.once() if line.strip() else bench.mib_per_world(options.worlds)), flush=True)


class Turn:
    """A process of one tree, which runs when told to."""

    def __init__(self, options: argparse.Namespace, tree: Path) -> None:
        command = [sys.executable, str(HERE), "--serve", "--steps", str(options.steps), "--worlds", str(options.worlds)]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            command, cwd=tree, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._line()

    def ask(self, line: str) -> Any:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"expected a figure, and the process ended with {self._process.wait()}: see above")
        return line


def beside(options: argparse.Namespace) -> dict[str, Mapping[str, float]]:
    """Measure this tree and another, taking turns."""
    turns = {"this": Turn(options, HERE.parents[1]), "other": Turn(options, options.beside.resolve())}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in turns}
    for _ in range(options.runs):
        for name, turn in turns.items():
            runs[name].append(turn.ask("once"))
    both = {name: found(options, runs[name], turn.ask("")) for name, turn in turns.items()}
    for turn in turns.values():
        turn.close()
    this, other = both["this"], both["other"]
    ratios = {
        name: round(other[name] / this[name] if name in LOWER_IS_BETTER else this[name] / other[name], 2)
        for name in this
    }
    return {**both, "ratio": ratios}


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--runs", type=int, default=9)
    options.add_argument("--worlds", type=int, default=8)
    options.add_argument("--beside", type=Path, metavar="TREE", help="a checkout of another commit to measure too")
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if chosen.serve:
        serve(chosen)
        return
    figures: Mapping[str, object]
    if chosen.beside:
        figures = beside(chosen)
    else:
        bench = Bench(chosen.steps)
        runs = [bench.once() for _ in range(chosen.runs)]
        figures = found(chosen, runs, bench.mib_per_world(chosen.worlds))
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps({"steps": chosen.steps, "runs": chosen.runs, **figures}))


if __name__ == "__main__":
    main()
