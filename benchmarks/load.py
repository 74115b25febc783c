"""How many operators can drive at once: real websocket clients, each with its own simulated lift robot, all recorded.

Hub, host (one process per robot), and the clients (this process) share the machine. Like people, clients start at
different times, within the first `--episode` seconds, which are not counted. Each sends its scripted operator's command
at 20 Hz, on its own clock: it lifts the cube, holds it until `--episode` seconds are over (a person needs 10 to 20 for
a lift, the script 3), finishes, and begins the next.

`rtt_p50_ms`, `rtt_p99_ms`: from sending a command to the state that says it was applied, which includes the wait for
the robot's next tick (25 ms on average, 50 ms at most). `late_fraction`: the fraction of recorded control steps that
began more than one period (50 ms) after they were due, one period after the step before. `lost_steps`: steps that the
robots reported and that are not in the recorded files. `cpu_cores`: of all processes together, and of each part.
`host_ms_per_driven_s`: processor time of the host and its robots' processes, per driven second.
`world_ms_per_driven_s`: that of a process beside them, in the same seconds, which drives one such world at 20 Hz and
does nothing else: kinematics, limits, physics and observation. `host_over_world` is their ratio.
`mib_per_robot`: memory of the host and its robots' processes, per robot. With `--curve`, 1, 2, 4, ...
clients up to `--clients`, one JSON object per line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from armshare.platform.processes import Child, platform
from recorder.file.episode import read_episode
from recorder.proof.manifest import EPISODE_FILE
from sim.catalogue import description, make_world
from sim.catalogue import task as task_named
from sim.motion.control import Controller, Twist
from sim.physics.world import World
from teleop.identity import new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.wire.messages import Safety
from teleop.wire.setpoints import values_of

ROBOT, TASK = "panda", "lift"
PERIOD_NS = 50_000_000
TOGETHER_S = 3.0


async def drive(
    driver: Driver, robot: str, start: asyncio.Event, end: list[float], episode_s: float, steps: dict[str, int]
) -> None:
    """Drive lifts until time is up; note how many steps the robot reports for each episode."""
    await driver.join(robot, TASK)
    await start.wait()
    await asyncio.sleep(random.uniform(0.0, episode_s))
    while time.perf_counter() < end[0]:
        await driver.begin()
        expert = task_named(TASK).expert(description(driver.model))
        state = await driver.armed()
        due = time.perf_counter() + random.uniform(0.0, PERIOD_NS / 1e9)  # the robot has its own clock
        await asyncio.sleep(due - time.perf_counter())
        over = min(due + episode_s, end[0])
        while due < over:
            if state.safety is Safety.EXPIRED:
                state = await driver.armed()
            await driver.command(*values_of(expert.act(driver.values(state))), dead_man=True)
            due = max(due + PERIOD_NS / 1e9, time.perf_counter() - PERIOD_NS / 1e9)
            await asyncio.sleep(due - time.perf_counter())
            state = driver.state or state
        ended = await driver.finish()
        if ended["episode"]:
            steps[ended["episode"]] = ended["steps"]


def drive_alone(told: Connection) -> None:
    """Drive one world at 20 Hz, as its script would, between two messages; send the CPU time per driven second, ms."""
    world = make_world(ROBOT, TASK)
    world.connect()
    controller = Controller(world.spec)
    asked = _rehearsed(world, controller)
    told.send(None)  # ready
    told.recv()
    began_s, steps, due = time.process_time(), 0, time.perf_counter()
    while not told.poll():
        at = steps % len(asked)
        seen = world.reset(0) if at == 0 else world.observe()
        if at == 0:
            controller.start(seen)
        world.send_action(controller.step(asked[at], seen).action)
        steps, due = steps + 1, due + PERIOD_NS / 1e9
        time.sleep(max(0.0, due - time.perf_counter()))
    told.send(1e3 * (time.process_time() - began_s) / (steps * PERIOD_NS / 1e9))


def _rehearsed(world: World, controller: Controller) -> list[Twist]:
    """Return what the script asks for in ten seconds, so that its own time is not counted with the world's."""
    expert, seen, asked = world.task.expert(world.description), world.reset(0), []
    controller.start(seen)
    for _ in range(int(10e9 / PERIOD_NS)):
        asked.append(expert.act(seen.values))
        world.send_action(controller.step(asked[-1], seen).action)
        seen = world.observe()
    return asked


@contextmanager
def world_alone() -> Iterator[Connection]:
    """Yield the pipe to a process in `drive_alone` that is ready; end it afterwards."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=drive_alone, args=(theirs,))
    process.start()
    try:
        ours.recv()
        yield ours
    finally:
        process.terminate()
        process.join()


async def measure(
    url: str, clients: int, seconds: float, episode_s: float, children: list[Child], alone: Connection
) -> tuple[dict[str, Any], dict[str, int]]:
    """Let all of them drive for that long; return what was measured, and the steps of each episode."""
    drivers = [Driver(url, new_key()) for _ in range(clients)]
    steps: dict[str, int] = {}
    start, end = asyncio.Event(), [0.0]
    try:
        for driver in drivers:
            await driver.__aenter__()
        robots = await _online(drivers[0], clients, children)
        driving = [
            asyncio.create_task(drive(driver, robot, start, end, episode_s, steps))
            for driver, robot in zip(drivers, robots, strict=True)
        ]
        await asyncio.sleep(TOGETHER_S)
        end[0] = time.perf_counter() + episode_s + seconds
        start.set()
        await asyncio.sleep(episode_s)
        for driver in drivers:
            driver.round_trips_us.clear()
        before, began = _cpu_s(children), time.perf_counter()
        alone.send(None)
        outcomes = await asyncio.gather(*driving, return_exceptions=True)
        for child in children:
            child.require_alive()
        wall, after = time.perf_counter() - began, _cpu_s(children)
        alone.send(None)
        world_ms = await asyncio.to_thread(alone.recv)
        cores = {part: (after[part] - before[part]) / wall for part in after}
        hosts_mib = _memory_mib(children[1])
    finally:
        for driver in drivers:
            await driver.__aexit__(None, None, None)
    trips_ms = np.concatenate([np.array(driver.round_trips_us) for driver in drivers]) / 1e3
    p50, p99 = np.percentile(trips_ms, [50, 99]) if len(trips_ms) else (float("nan"), float("nan"))
    broken = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    for one in broken:
        if not isinstance(one, (RefusedError, TimeoutError)):
            raise one
        print("a client was lost:", repr(one), file=sys.stderr)
    driven_s = len(trips_ms) * PERIOD_NS / 1e9
    host_ms = 1e3 * (after["hosts"] - before["hosts"]) / driven_s if driven_s else float("nan")
    return {
        "clients": clients,
        "seconds": seconds,
        "host_ms_per_driven_s": round(host_ms, 1),
        "world_ms_per_driven_s": round(world_ms, 1),
        "host_over_world": round(host_ms / world_ms, 2),
        "rtt_p50_ms": round(float(p50), 1),
        "rtt_p99_ms": round(float(p99), 1),
        "commands": len(trips_ms),
        "clients_lost": len(broken),
        "cpu_cores": round(sum(cores.values()), 2),
        "cpu_cores_of": {part: round(used, 2) for part, used in cores.items()},
        "mib_per_robot": round(hosts_mib / clients, 1),
    }, steps


async def _online(driver: Driver, count: int, children: list[Child]) -> list[str]:
    while True:
        for child in children:
            child.require_alive()
        free = [one["robot"] for one in await driver.call("GET", "/api/robots") if one["state"] == "free"]
        if len(free) >= count:
            return free[:count]
        await asyncio.sleep(0.1)


def _cpu_s(children: list[Child]) -> dict[str, float]:
    """Return the CPU time of each part of the platform: the hub's children are verification and the chain."""
    hub, *hosts = (psutil.Process(child.process_id) for child in children)
    parts = {
        "clients": [psutil.Process()],
        "hub": [hub],
        "verification": hub.children(recursive=True),
        "hosts": [one for host in hosts for one in [host, *host.children(recursive=True)]],
    }
    return {part: sum(sum(one.cpu_times()[:2]) for one in processes) for part, processes in parts.items()}


def _memory_mib(host: Child) -> float:
    """Return the memory of a host and its robots, MiB; pages that processes share are counted once."""
    process = psutil.Process(host.process_id)
    return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)]) / 2**20


def recorded(data: Path, steps: dict[str, int]) -> dict[str, Any]:
    """Compare the files with what the robots reported; return lost steps and the fraction of late ones."""
    files = {path.parent.name: path for path in data.glob(f"host/**/{EPISODE_FILE}")}
    lost, late, count = 0, 0, 0
    for episode, expected in steps.items():
        path = files.get(episode)
        found = read_episode(path) if path is not None else None
        lost += expected - (found.steps if found is not None else 0)
        if found is not None:
            waits = np.diff(found.arrays["time/t_sent_mono_ns"])
            late, count = late + int((waits > 2 * PERIOD_NS).sum()), count + len(waits)
    return {
        "late_fraction": round(late / max(count, 1), 5),
        "lost_steps": lost,
        "recorded_steps": count + len(steps),
        "episodes": len(steps),
    }


def run(clients: int, seconds: float, episode_s: float) -> dict[str, Any]:
    """Measure with that many clients."""
    with tempfile.TemporaryDirectory(prefix="armshare-load-") as name:
        data = Path(name)
        robots = [f"{ROBOT}:{TASK}"] * clients
        with world_alone() as alone, (data / "log").open("wb") as log, platform(data, 0, robots, log) as started:
            url, children = started
            found, steps = asyncio.run(measure(url, clients, seconds, episode_s, children, alone))
        kept = recorded(data, steps)
        if kept["lost_steps"]:
            left = sorted(str(path.relative_to(data)) for path in data.glob("host/*/recording/*"))
            print((data / "log").read_text()[-4000:], "left in recording:", *left, sep="\n", file=sys.stderr)
        return {**found, **kept}


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clients", type=int, default=16)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--episode", type=float, default=15.0, help="length of each episode, s")
    options.add_argument("--curve", action="store_true", help="1, 2, 4, ... up to --clients, one line each")
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    counts = [2**power for power in range(12) if 2**power < chosen.clients] if chosen.curve else []
    for clients in (*counts, chosen.clients):
        print(json.dumps(run(clients, chosen.seconds, chosen.episode)), flush=True)


if __name__ == "__main__":
    main()
