"""How fast `armshare record` makes episodes that count: driven, sealed, signed twice, checked, scored, replayed, kept.

`times_real_time`: seconds of driving made in a second, with all processes from a cold start, replay included;
`warm_times_real_time`: the same without their start. `processor_times_real_time`: seconds of driving for a second of
the processors that it uses, which other load changes less, with the start. Beside it, in the same run
and as many processes, the same drives by the same scripted operator in the bare simulation, with nothing recorded or
checked: `bare_times_real_time`, warm. `parts_ms_per_step`: of a processor, by the parts of one episode, in one process.

    .venv/bin/python benchmarks/collect.py --json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from recorder.collect.crew import Job, collect
from recorder.collect.folder import Folder, Made
from recorder.collect.making import Attempt, Maker
from recorder.collect.parties import parties
from recorder.collect.piloted import piloted
from recorder.proof.replayed import warm
from rewards.score.kept import keep_score
from sim.catalogue import make_world
from sim.check import attempts
from sim.processes import end_with_parent
from teleop.operator.pilot import expert, expert_said

PARTS = 20


def recorded(job: Job, episodes: int, workers: int) -> dict[str, Any]:
    """Return how fast episodes were made by so many processes."""
    begun, made, first_s = time.perf_counter(), list[Attempt](), 0.0
    cpu_s = -_cpu_s()
    with Folder(job.folder).held(job.made):
        for one in collect(job, range(episodes), workers):
            made.append(one)
            first_s = first_s or time.perf_counter() - begun
    seconds = time.perf_counter() - begun
    cpu_s += _cpu_s()
    simulated_s, steps = sum(one.seconds for one in made), sum(one.steps for one in made)
    warm_s = sum(one.seconds for one in made[workers:])
    return {
        "succeeded": sum(one.success for one in made),
        "steps": steps,
        "times_real_time": round(simulated_s / seconds, 1),
        "warm_times_real_time": round(warm_s / (seconds - first_s), 1),
        "start_s": round(first_s, 2),
        "processor_times_real_time": round(workers * simulated_s / cpu_s, 1),
    }


def bare(made: Made, episodes: int, workers: int) -> float:
    """Return how many seconds a second the same drives take in the simulation alone."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, fresh, end_with_parent) as pool:
        list(pool.map(attempts, *zip(*[(made.robot, made.task, [0])] * workers, strict=True)))
        begun = time.perf_counter()
        shares = [range(first, episodes, workers) for first in range(workers)]
        jobs = [pool.submit(attempts, made.robot, made.task, share) for share in shares]
        simulated_s = sum(one.seconds for job in jobs for one in job.result())
    return round(simulated_s / (time.perf_counter() - begun), 1)


def parts(made: Made, folder: Folder) -> dict[str, float]:
    """Return what an episode costs in one process, ms of a processor for each step, by its parts."""
    world = make_world(made.robot, made.task)
    world.connect()
    warm()
    who = parties(folder.keys, made.task)
    with folder.held(made):
        plain, checked = (Maker(world, who, folder, made, replay=replay) for replay in (False, True))
        driven, kept, replayed = [], [], []
        for seed in range(PARTS):
            for maker, spent in ((plain, kept), (checked, replayed)):
                at = time.process_time()
                drive = maker.begin(folder.free_name(made, seed), seed)
                piloted(drive, expert(drive.robot, made.task))
                done = time.process_time()
                steps = maker.keep(drive).steps
                driven.append(1e3 * (done - at) / steps)
                spent.append(1e3 * (time.process_time() - done) / steps)
    world.disconnect()
    sealed = statistics.median(kept)
    return {
        "driven_and_recorded": round(statistics.median(driven), 3),
        "sealed_signed_and_checked": round(sealed, 3),
        "replayed": round(statistics.median(replayed) - sealed, 3),
    }


def _cpu_s() -> float:
    """Return what this process and those that it started and that have ended took of processors, s."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--robot", default="panda")
    options.add_argument("--task", default="lift")
    options.add_argument("--episodes", type=int, default=200)
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    made = Made(chosen.robot, chosen.task, expert_said({"model": chosen.robot}, chosen.task))
    with tempfile.TemporaryDirectory(prefix="armshare-bench-") as name:
        job = Job(made, Path(name) / "many", "", None, replay=True, after=keep_score)
        found = recorded(job, chosen.episodes, chosen.workers)
        found["bare_times_real_time"] = bare(made, chosen.episodes, chosen.workers)
        found["ratio_to_bare"] = round(found["warm_times_real_time"] / found["bare_times_real_time"], 2)
        found["parts_ms_per_step"] = parts(made, Folder(Path(name) / "parts"))
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps({"episodes": chosen.episodes, "workers": chosen.workers} | found))


if __name__ == "__main__":
    main()
