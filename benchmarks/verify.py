"""How fast episodes are verified: those of one task, driven by the scripted operator at 20 Hz, through every gate.

`episodes_per_s_N` and `mb_per_s_N`: in N worker processes (1, 2 and 4, or `--workers`), by the clock. `speedup_N`: the
rate with N over the rate with the first number of workers. `processor_ms_N`: what one episode takes of a core in all
processes together, the one that reads its file included, which other load on the machine changes little; with
`--no-replay` as for a real robot, whose episode is not simulated again. `cores`: how many this machine has; more
workers than that gain nothing. `per_day_N`: how many a hub verifies in a day at that rate. `episode_mb`: the size of
the file, whose drive takes `steps` / 20 s.

    .venv/bin/python benchmarks/verify.py --json
    .venv/bin/python benchmarks/verify.py --json --task stack --steps 400
    .venv/bin/python benchmarks/verify.py --beside TREE      TREE: a checkout of another commit

With `--beside`, this tree and the other one verify a bundle in turns, each one that it has recorded itself, as formats
change. It prints the medians of both and the ratio of each figure, this over other for rates, other over this for
times: above 1, this one is better.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil

SEED: Final = 5
TASK: Final = "lift"
STEPS: Final = 1200
COMMANDS_EACH_STEP: Final = 3
HERE: Final = Path(__file__).resolve()
WORKERS: Final = (1, 2, 4)
LOWER_IS_BETTER: Final = "processor_ms"


def record(folder: Path, steps: int, task: str = TASK) -> Path:
    """Return a new bundle below `folder`: driven by commands, sealed, and signed with the keys of the tests."""
    from recorder.file.journal import finish
    from recorder.file.writer import EpisodeWriter
    from recorder.proof.bundle import SIGNATURES_FILE, SIGNATURES_JSON
    from recorder.proof.contribute import Driven, countersign
    from recorder.proof.description import hash_description
    from recorder.proof.manifest import NO_PREVIOUS
    from recorder.proof.seal import seal
    from tests.recorder.factory import DOMAIN, ROBOT, SESSION, WALLET

    start, made, end = drive(steps, task)
    name = start.episode
    journal = folder / f"{name}.journal"
    writer = EpisodeWriter.start(journal, start, hash_description(start.spec.model))
    for step in made:
        writer.append(step)
    writer.end(end)
    finish(journal, folder / f"{name}.h5")
    bundle = folder / name
    seal(folder / f"{name}.h5", bundle, key=ROBOT, domain=DOMAIN, previous=NO_PREVIOUS)
    driven = Driven(name, WALLET.address, ROBOT.address, task)
    signature = countersign((bundle / "manifest.json").read_bytes(), driven, SESSION, DOMAIN)
    signatures = SIGNATURES_JSON.decode((bundle / SIGNATURES_FILE).read_bytes())
    text = signatures.encode().replace(b'"operator":null', f'"operator":"{signature}"'.encode())
    (bundle / SIGNATURES_FILE).write_bytes(text)
    return bundle


def drive(steps: int, task: str) -> Any:
    """Let the scripted operator drive a real session at 60 commands a second, and stand with the dead-man held."""
    from teleop.wire.setpoints import values_of
    from tests.teleop.simulated import Simulated

    floor = Simulated("panda", task)
    floor.ready(task, SEED)
    asks, period_ns = floor.expert(), round(1e9 * floor.spec.period_s)
    for _ in range(steps):
        began_ns, asked = floor.now_ns, values_of(asks(floor.seen))
        for part in range(COMMANDS_EACH_STEP):
            floor.now_ns = began_ns + part * period_ns // COMMANDS_EACH_STEP
            floor.ask(*asked)
        floor.now_ns = began_ns
        floor.tick()
    floor.finish()
    floor.close()
    return floor.episodes[0]


def prepare(*, replay: bool) -> None:
    """Load in a worker what its first episode needs."""
    if replay:
        from recorder.proof.replayed import warm

        warm()


def verify(folder: str, *, replay: bool) -> None:
    """Verify a bundle under the domain that it claims."""
    from recorder.proof.bundle import read_bundle
    from recorder.proof.case import Trust
    from recorder.proof.replayed import replayed
    from recorder.proof.verify import claimed_domain, verify_bundle

    bundle = Path(folder)
    trust = Trust(claimed_domain(read_bundle(bundle)), replay=replayed if replay else None)
    report = verify_bundle(bundle, trust)
    if ("replay" in report.passed) is not replay:
        raise SystemExit(f"expected replay {replay}, got {report}")


class Bench:
    """Worker processes of this tree, for one bundle."""

    def __init__(self, bundle: str, workers: int, count: int, *, replay: bool) -> None:
        self._bundle, self._count, self._replay = bundle, count, replay
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, initializer=partial(prepare, replay=replay))
        self.once()  # each worker's first episode loads the rest

    def once(self) -> dict[str, float]:
        """Verify the bundle so often; return how many each second, and what one took of a core."""
        before, start = processor_s(), time.perf_counter()
        work = [self._pool.submit(verify, self._bundle, replay=self._replay) for _ in range(self._count)]
        for one in work:
            one.result()
        lasted_s = time.perf_counter() - start
        each_ms = 1e3 * (processor_s() - before) / self._count
        return {"episodes_per_s": self._count / lasted_s, "processor_ms": each_ms}

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown()


def processor_s() -> float:
    """Return what this process, those below it and those that they have waited for have taken of a core."""
    here = psutil.Process()
    return sum(sum(one.cpu_times()[:4]) for one in [here, *here.children(recursive=True)])


def serve(options: argparse.Namespace) -> None:
    """Measure once for each line of input: the number of workers."""
    benches: dict[int, Bench] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        workers = int(line)
        if workers not in benches:
            benches[workers] = Bench(options.bundle, workers, options.episodes, replay=options.replay)
        print(json.dumps(benches[workers].once()), flush=True)
    for bench in benches.values():
        bench.close()


class Turn:
    """A process of one tree, which measures when told to."""

    def __init__(self, options: argparse.Namespace, tree: Path, bundle: Path) -> None:
        command = [sys.executable, str(HERE), "--serve", str(bundle), "--episodes", str(options.episodes)]
        if not options.replay:
            command.append("--no-replay")
        environment = os.environ | {"PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            command, cwd=tree, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._line()

    def ask(self, workers: int) -> dict[str, float]:
        """Measure once with so many workers."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{workers}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._line())
        return found

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"expected a figure, and the process ended with {self._process.wait()}: see above")
        return line


def figures(runs: list[dict[str, float]], workers: int, size_mb: float) -> dict[str, float]:
    """Return the medians of one tree with so many workers."""
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {
        f"episodes_per_s_{workers}": round(middle["episodes_per_s"], 2),
        f"mb_per_s_{workers}": round(middle["episodes_per_s"] * size_mb, 2),
        f"processor_ms_{workers}": round(middle["processor_ms"], 1),
    }


def recorded(tree: Path, folder: Path, steps: int, task: str) -> Path:
    """Return a new bundle below `folder`, as a tree records it."""
    said = "" if task == TASK else f", {task!r}"  # an older tree knows one task
    program = f"import verify; from pathlib import Path; print(verify.record(Path({str(folder)!r}), {steps}{said}))"
    environment = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'benchmarks'}"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tree, env=environment, text=True, check=True, stdout=subprocess.PIPE)
    return Path(done.stdout.splitlines()[-1])


def measured(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure this tree, and the other one if there is one, in turns."""
    trees = {"this": HERE.parents[1]} | ({"other": options.beside.resolve()} if options.beside else {})
    bundles = {}
    for name, tree in trees.items():
        (folder / name).mkdir()
        bundles[name] = recorded(tree, folder / name, options.steps, options.task)
    turns = {name: Turn(options, tree, bundles[name]) for name, tree in trees.items()}
    sizes_mb = {name: (bundle / "episode.h5").stat().st_size / 1e6 for name, bundle in bundles.items()}
    found: dict[str, dict[str, float]] = {name: {} for name in turns}
    for workers in options.workers:
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in turns}
        for _ in range(options.runs):
            for name, turn in turns.items():
                runs[name].append(turn.ask(workers))
        for name in turns:
            found[name] |= figures(runs[name], workers, sizes_mb[name])
    for turn in turns.values():
        turn.close()
    for each in found.values():
        each |= derived(each, options.workers)
    said = {"episode_mb": round(sizes_mb["this"], 2), "cores": os.cpu_count()}
    return {**said, **(found["this"] if len(found) == 1 else beside(found))}


def derived(found: Mapping[str, float], workers: Sequence[int]) -> dict[str, float]:
    """Return what follows from one tree's rates."""
    first = found[f"episodes_per_s_{workers[0]}"]
    faster = {f"speedup_{one}": round(found[f"episodes_per_s_{one}"] / first, 2) for one in workers}
    return faster | {f"per_day_{one}": round(found[f"episodes_per_s_{one}"] * 86_400) for one in workers}


def beside(found: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    """Return both trees' figures and their ratios."""
    this, other = found["this"], found["other"]
    ratio = {
        name: round(other[name] / this[name] if name.startswith(LOWER_IS_BETTER) else this[name] / other[name], 2)
        for name in this
    }
    return {**found, "ratio": ratio}


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=STEPS)
    options.add_argument("--episodes", type=int, default=8, help="how many are verified in each run")
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--task", default=TASK, help="what is driven")
    options.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="how many worker processes, in turn")
    options.add_argument("--replay", action=argparse.BooleanOptionalAction, default=True, help="simulate it again")
    options.add_argument("--beside", type=Path, metavar="TREE", help="a checkout of another commit to measure too")
    options.add_argument("--serve", dest="bundle", help=argparse.SUPPRESS)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    if chosen.bundle:
        serve(chosen)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measured(chosen, Path(folder))
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(
        json.dumps({"task": chosen.task, "steps": chosen.steps, "runs": chosen.runs, "replay": chosen.replay, **found})
    )


if __name__ == "__main__":
    main()
