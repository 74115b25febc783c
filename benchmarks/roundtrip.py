"""The whole platform on loopback: command-to-state round trip, finish to receipt, and memory.

Hub, host, chain and this operator are four processes on one machine. Commands are sent at 30 Hz on the operator's own
clock; a round trip ends with the state that says the command was applied, so it includes the wait for the robot's next
control tick (20 Hz: 25 ms on average, 50 ms at most).

`finish_to_receipt_ms`: from asking to finish to the score, with nothing driven meanwhile; `finish_parts_ms`: what that
consists of, each after the one before. `finish_to_ready_ms`: from asking to finish to a scene that is reset and ready
to be driven, while the finished episode is sealed, verified and scored. `robot_s`: how long an episode has its robot,
from one scene that is ready to the next; `steps_s` of that is its steps at the robot's rate. What is between:
`ready_to_driving_ms` (armed, and the dead-man pressed) and `finish_to_ready_ms`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from numpy.typing import ArrayLike

from armshare.operator.drive import drive_once
from armshare.operator.handing import HandIn, contribute
from armshare.platform.processes import Child, platform
from teleop.identity import new_key
from teleop.operator.driver import Driver
from teleop.wire.driver import Driver as Said
from teleop.wire.messages import Mode

SEND_HZ = 30.0
CONTROL_HZ = 20.0
PARTS = {"manifest": "sealed and uploaded", "signature": "signed, verified and replayed", "score": "scored"}
"""The last word of a route -> what has happened once it answers."""


class TimedDriver(Driver):
    """A driver that notes when it asked to finish, and when it was ready for the next episode."""

    def __init__(self, url: str) -> None:
        super().__init__(url, new_key())
        self.asked_s = 0.0
        self.finish_to_ready_s: list[float] = []
        self.ready_s: list[float] = []
        """When each episode was ready to be driven."""
        self.pressed_s: list[float] = []
        """When the dead-man was first pressed in each."""
        self.parts_s: list[dict[str, float]] = []
        """When each finished episode had got how far."""
        self.http.event_hooks["response"].append(self._note_answer)

    async def begin(self, by: Said | None = None) -> dict[str, Any]:
        """Begin, and note how long after the last `finish` it is ready."""
        ready = await super().begin(by)
        if self.asked_s:
            self.finish_to_ready_s.append(time.perf_counter() - self.asked_s)
        self.ready_s.append(time.perf_counter())
        return ready

    async def command(
        self, mode: Mode, values: ArrayLike = (), *, dead_man: bool = False, intervention: bool = False
    ) -> int:
        """Send a command, and note when the dead-man is first pressed."""
        if dead_man and len(self.pressed_s) < len(self.ready_s):
            self.pressed_s.append(time.perf_counter())
        return await super().command(mode, values, dead_man=dead_man, intervention=intervention)

    def forget(self) -> None:
        """Forget what was noted."""
        self.asked_s = 0.0
        for noted in (self.finish_to_ready_s, self.ready_s, self.pressed_s):
            noted.clear()

    async def finish(self) -> dict[str, Any]:
        """Finish, and note when it was asked for."""
        self.asked_s = time.perf_counter()
        ended = await super().finish()
        self.parts_s.append({"finish": self.asked_s, "ended": time.perf_counter()})
        return ended

    async def _note_answer(self, answer: httpx.Response) -> None:
        """Note how far an episode has got, by what the hub answers."""
        part = PARTS.get(answer.request.url.path.rpartition("/")[2])
        if part is not None and answer.is_success and self.parts_s:
            self.parts_s[-1][part] = time.perf_counter()


async def measure(url: str, seconds: float, episodes: int, children: list[Child]) -> dict[str, Any]:
    """Return the figures."""
    async with TimedDriver(url) as driver:
        robot = next(one for one in await driver.call("GET", "/api/robots") if one["state"] == "free")["robot"]
        await driver.join(robot, "lift")
        finishes = [await _finish_to_receipt(driver, robot) for _ in range(episodes)]
        parts = [*driver.parts_s]
        driver.forget()
        steps = await _one_after_another(driver, robot, episodes + 1)
        periods_s, presses_s = np.diff(driver.ready_s), np.subtract(driver.pressed_s, driver.ready_s)
        readies_ms = [1e3 * one for one in driver.finish_to_ready_s]
        trips_ms = await _round_trips(driver, seconds)
    p50, p99 = np.percentile(trips_ms, [50, 99])
    return {
        "seconds": seconds,
        "commands": len(trips_ms),
        "rtt_p50_ms": round(float(p50), 1),
        "rtt_p99_ms": round(float(p99), 1),
        "finish_to_receipt_ms": round(statistics.median(finishes), 1),
        "finish_to_receipt_max_ms": round(max(finishes), 1),
        "finish_parts_ms": _medians_ms(parts),
        "finish_to_ready_ms": round(statistics.median(readies_ms), 1),
        "finish_to_ready_max_ms": round(max(readies_ms), 1),
        "ready_to_driving_ms": round(1e3 * float(np.median(presses_s)), 1),
        "robot_s": round(float(np.median(periods_s)), 2),
        "robot_max_s": round(float(np.max(periods_s)), 2),
        "steps_s": round(statistics.median(steps[:-1]) / CONTROL_HZ, 2),
        "hub_mib": _mib(children[0]),
        "hub_verifier_mib": _mib(children[0], "spawn_main"),
        "chain_mib": _mib(children[0], "anvil"),
        "host_mib": _host_mib(children[1]),
    }


async def _finish_to_receipt(driver: TimedDriver, robot: str) -> float:
    """Drive one lift; return ms from `finish` to score and receipt: sealed, uploaded, signed, verified, replayed."""
    await contribute(driver, await drive_once(driver, robot), robot)
    return (time.perf_counter() - driver.asked_s) * 1e3


def _medians_ms(parts: list[dict[str, float]]) -> dict[str, float]:
    """Return the median time that each part took after the one before it."""
    names = list(parts[0])
    pairs = pairwise(names)
    return {name: round(1e3 * statistics.median(one[name] - one[before] for one in parts), 1) for before, name in pairs}


async def _one_after_another(driver: TimedDriver, robot: str, episodes: int) -> list[int]:
    """Drive lifts without a pause, each sealed, uploaded, verified and scored beside the next; return their steps."""
    steps = []
    async with HandIn(driver, robot, []) as handing:
        for _ in range(episodes):
            ended = await drive_once(driver, robot)
            steps.append(int(ended["steps"]))
            handing.add(ended)
    return steps


async def _round_trips(driver: Driver, seconds: float) -> list[float]:
    await driver.begin()
    await driver.armed()
    driver.round_trips_us.clear()
    start = time.perf_counter()
    for tick in range(int(seconds * SEND_HZ)):
        await asyncio.sleep(max(0.0, start + tick / SEND_HZ - time.perf_counter()))
        speed = 0.05 * np.sin(2 * np.pi * tick / SEND_HZ / 4)
        await driver.command(Mode.EE_TWIST, [speed, 0, 0, 0, 0, 0, 1.0], dead_man=True)
    await driver.finish()
    return [trip / 1e3 for trip in driver.round_trips_us]


def _mib(child: Child, among_children: str = "") -> float:
    """Return resident memory in MiB: of the process itself, or of its children with that word in their command."""
    process = psutil.Process(child.process_id)
    if not among_children:
        return round(process.memory_info().rss / 2**20, 1)
    found = [one for one in process.children(recursive=True) if among_children in " ".join(one.cmdline())]
    return round(sum(one.memory_info().rss for one in found) / 2**20, 1)


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--episodes", type=int, default=5)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="armshare-bench-") as name:
        data = Path(name)
        with (data / "log").open("wb") as log, platform(data, 0, ["panda:lift", "panda:lift"], log) as (url, children):
            found = asyncio.run(_when_online(url, chosen, children))
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


def _host_mib(host: Child) -> float:
    """Return the memory of a host and its robots' processes, MiB; pages that several share are counted once."""
    process = psutil.Process(host.process_id)
    family = [process, *process.children(recursive=True)]
    return round(sum(one.memory_full_info().pss for one in family) / 2**20, 1)


async def _when_online(url: str, chosen: argparse.Namespace, children: list[Child]) -> dict[str, Any]:
    async with Driver(url, new_key()) as driver:
        while len([one for one in await driver.call("GET", "/api/robots") if one["state"] == "free"]) < 2:  # noqa: ASYNC110  the hub is another process
            await asyncio.sleep(0.1)
    return await measure(url, chosen.seconds, chosen.episodes, children)


if __name__ == "__main__":
    main()
