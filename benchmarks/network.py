"""What a bad network costs: scripted operators lift over the real hub and host, through a matrix of conditions.

Hub, hosts and operators are three processes on one machine. Between operators and hub is `tests/netsim.py`, a TCP
proxy that delays, jitters, loses (over TCP, a late retransmission that holds up everything behind it) and stalls, the
same in both directions. Several robots are driven at a time; jobs of all conditions are mixed, so that other load on
the machine affects all equally, and the first row (nothing done to the network) shows what the network did not cause.
The hosts' process sees every step that safety let through, so it knows how far a robot moved after it expired.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import numpy as np
import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from armshare.platform.processes import end_with_parent, hub_process, interrupt_on_signals
from sim.catalogue import make_world
from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.host.registration import registration, signed
from teleop.identity import Domain, new_key
from teleop.operator.driver import Driver, RefusedError
from teleop.operator.pilot import expert, fly
from teleop.steps import EpisodeEnd, Events, Step
from teleop.wire.messages import Safety
from tests.netsim import Network, Way, network

LIMIT_S: Final = 30.0
"""A lift that is not done by then has failed; the scripted operator takes about 3 s on an ideal network."""
BATCH: Final = 3
"""Episodes per lease."""
STILL_RAD: Final = 1e-9
RTO_S: Final = 0.2
TICK_S: Final = 0.02
STALLED_S: Final = 0.07
"""A process this late comes, with the pause between two commands, near the watchdog's 150 ms."""
AFTER_S: Final = 0.5
"""An expiry this soon after such a stall (plus the network's delay) is blamed on the machine."""
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Condition:
    """What is done to the network. Jitter is in each direction, on top of half the round trip."""

    rtt_ms: int = 0
    jitter_ms: int = 0
    loss_percent: float = 0.0
    retransmit: str = ""
    """`fast`: a later segment shows the loss, 1.25 round trips and one pause between commands; `timeout`: RTO."""
    stall: str = ""

    @property
    def way(self) -> Way:
        """Each direction."""
        rtt_s = self.rtt_ms / 1000
        return Way(
            delay_s=rtt_s / 2,
            jitter_s=self.jitter_ms / 1000,
            loss=self.loss_percent / 100,
            retransmit_s=1.25 * rtt_s + 0.033 if self.retransmit == "fast" else RTO_S + rtt_s,
            stall_every_s=10.0 if self.stall else 0.0,
            stall_s=1.0 if self.stall else 0.0,
        )


STALL: Final = "1 s in 10 s"
MATRIX: Final = (
    *(Condition(rtt) for rtt in (0, 50, 100, 200, 300, 500)),
    *(Condition(rtt, jitter) for jitter in (30, 100) for rtt in (50, 100, 200, 300)),
    *(Condition(rtt, 0, loss, "fast") for loss in (2, 5) for rtt in (50, 100, 200)),
    *(Condition(rtt, 0, 2, "timeout") for rtt in (50, 200)),
    *(Condition(rtt, 0, 0, "", STALL) for rtt in (0, 100, 300)),
    Condition(100, 30, 2, "fast", STALL),
)


@dataclass(slots=True)
class Found:
    """The results of one condition."""

    seconds: list[float] = field(default_factory=list)
    """On the robot, from the first driven step to success."""
    episodes: int = 0
    refused: int = 0
    driven_s: float = 0.0
    expiries: int = 0
    machine_expiries: int = 0
    """Those explained by a stall of this machine."""
    stop_ms: float = 0.0
    stop_mm: float = 0.0
    round_trips_ms: list[float] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def row(self, condition: Condition) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            **asdict(condition),
            "episodes": self.episodes,
            "success_rate": round(len(self.seconds) / self.episodes, 3) if self.episodes else None,
            "completion_p50_s": round(statistics.median(self.seconds), 2) if self.seconds else None,
            "command_to_state_p50_ms": round(statistics.median(self.round_trips_ms)) if self.round_trips_ms else None,
            "expiries_per_min": round(60 * self.expiries / self.driven_s, 1) if self.driven_s else None,
            "expiries": self.expiries,
            "machine_expiries": self.machine_expiries,
            "dropped": self.dropped,
            "stop_max_ms": round(self.stop_ms),
            "stop_max_mm": round(self.stop_mm, 1),
            "refused": self.refused,
        }


async def watch_machine(tell: Callable[[Span], None]) -> None:
    """Report each time that this process went without the processor for long, which the network did not cause."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(TICK_S)
        if time.monotonic() - before > TICK_S + STALLED_S:
            tell((before, time.monotonic()))


# --- the hosts' process


def watch_steps(host: Host, events: Events) -> None:
    """Print, for each episode, what safety let through after it expired."""
    steps: list[Step] = []
    for event in iter(events.get, None):
        if isinstance(event, Step):
            steps.append(event)
        elif isinstance(event, EpisodeEnd):
            said: dict[str, Any] = {"robot": host.key.address, "episode": event.episode, "success": event.success}
            said |= {**stops(steps), "dropped": host.loop.dropped}
            _say(said)
            steps = []


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def stops(steps: list[Step]) -> dict[str, Any]:
    """Return when the robot expired, and the most it moved after that: periods of motion, m of the hand."""
    expired_s: list[float] = []
    longest, farthest, moved, first = 0, 0.0, 0, 0
    start = np.zeros(3)
    for before, step in pairwise(steps):
        if step.safety is not Safety.EXPIRED:
            continue
        if before.safety is not Safety.EXPIRED:
            expired_s.append(step.t_sent_ns / 1e9)
            moved, start, first = 0, before.applied_ee_pose[0, :3], step.index
        if np.abs(step.applied.joint_position - before.applied.joint_position).max() > STILL_RAD:
            moved = step.index - first + 1
        longest = max(longest, moved)
        farthest = max(farthest, float(np.linalg.norm(step.applied_ee_pose[0, :3] - start)))
    return {"steps": len(steps), "expired_s": expired_s, "stop_periods": longest, "stop_m": farthest}


async def serve_hosts(hub: str, count: int) -> None:
    """Bring simulated arms online, until this process's standard input ends."""
    async with httpx.AsyncClient(base_url=hub, trust_env=False) as http, asyncio.TaskGroup() as group:
        config = (await http.get("/api/config")).raise_for_status().json()
        domain = Domain(config["chain_id"], config["vault"])
        for number in range(count):
            key, owner, robot = new_key(), new_key(), make_world("panda", "lift")
            events = Events()
            host = Host(hub, key, f"panda-{number + 1}", robot, events, owner=owner.address)
            asked = (await http.post("/api/robots/challenge", json={"robot": key.address})).raise_for_status().json()
            values = registration(key, owner.address, host.name, robot, asked["nonce"], now_ms())
            body = signed(values, owner, key, domain)
            (await http.post("/api/robots", json=body)).raise_for_status()
            threading.Thread(target=watch_steps, args=(host, events), daemon=True).start()
            group.create_task(host.serve())
        group.create_task(watch_machine(lambda span: _say({"stall": span})))


# --- the operators' process


@dataclass(slots=True)
class Bench:
    """Jobs and their results."""

    networks: dict[Condition, Network]
    jobs: list[tuple[Condition, int]]
    found: dict[Condition, Found]
    episodes: dict[str, Condition] = field(default_factory=dict)
    stalls: list[Span] = field(default_factory=list)

    async def work(self, robot: str) -> None:
        """Drive one robot through jobs until none is left."""
        while self.jobs:
            condition, count = self.jobs.pop()
            try:
                await self._lease(robot, condition, count)
            except (RefusedError, httpx.HTTPError) as error:
                self.found[condition].refused += 1
                print(f"{condition}: {error}", file=sys.stderr)
            print(f"{len(self.jobs)} jobs left", file=sys.stderr)

    async def _lease(self, robot: str, condition: Condition, count: int) -> None:
        found = self.found[condition]
        async with Driver(f"http://127.0.0.1:{self.networks[condition].port}", new_key()) as driver:
            await driver.join(robot, "lift", queued=lambda *_: None)
            for _ in range(count):
                ended = await _fly(driver)
                found.episodes += 1
                if ended["episode"]:
                    self.episodes[ended["episode"]] = condition
            found.round_trips_ms += [trip / 1e3 for trip in driver.round_trips_us]
            await driver.leave()

    def _was_machine(self, at_s: float, condition: Condition) -> bool:
        """Whether a process had stalled when a robot expired; all processes share one monotonic clock."""
        way_s = condition.way.delay_s + condition.way.jitter_s
        return any(start <= at_s <= end + way_s + AFTER_S for start, end in self.stalls)

    def take(self, said: dict[str, Any]) -> None:
        """Record what the hosts saw of one episode."""
        condition = self.episodes.get(said["episode"])
        if condition is None:
            return
        found = self.found[condition]
        found.driven_s += said["steps"] / 20.0
        if said["success"]:
            found.seconds.append(said["steps"] / 20.0)
        machine = sum(self._was_machine(at_s, condition) for at_s in said["expired_s"])
        found.expiries += len(said["expired_s"]) - machine
        found.machine_expiries += machine
        found.stop_ms = max(found.stop_ms, said["stop_periods"] * 50.0)
        found.stop_mm = max(found.stop_mm, said["stop_m"] * 1e3)


async def _fly(driver: Driver) -> dict[str, Any]:
    try:
        async with asyncio.timeout(LIMIT_S):
            return dict((await fly(driver, expert)).ended)
    except TimeoutError:
        return await driver.finish()


async def measure(hub_port: int, robots: int, episodes: int, seed: int) -> Bench:
    """Drive the whole matrix."""
    url = f"http://127.0.0.1:{hub_port}"
    jobs = [(condition, BATCH) for condition in MATRIX for _ in range(episodes // BATCH)]
    random.Random(seed).shuffle(jobs)
    async with AsyncExitStack() as stack:
        networks = {
            one: await stack.enter_async_context(network(hub_port, one.way, seed=seed + number))
            for number, one in enumerate(MATRIX)
        }
        bench = Bench(networks, jobs, {one: Found() for one in MATRIX})
        free = await _free_robots(url, robots)
        watching = asyncio.create_task(watch_machine(bench.stalls.append))
        await asyncio.gather(*(bench.work(robot) for robot in free))
        watching.cancel()
    return bench


def _book(bench: Bench, said_all: list[dict[str, Any]]) -> None:
    """Record the hosts' reports; drops are counted per lease, and start again from zero with the next."""
    bench.stalls += [tuple(said["stall"]) for said in said_all if "stall" in said]
    last: dict[str, tuple[Condition, dict[str, int]]] = {}
    for said in (one for one in said_all if "episode" in one):
        bench.take(said)
        condition, dropped = bench.episodes.get(said["episode"]), said["dropped"]
        if condition is None:
            continue
        known = last.get(said["robot"])
        before = known[1] if known and known[0] == condition else {}
        totals = bench.found[condition].dropped
        for reason, count in dropped.items():
            new = count - before.get(reason, 0)
            totals[reason] = totals.get(reason, 0) + (new if new >= 0 else count)
        last[said["robot"]] = condition, dropped


async def _free_robots(url: str, count: int) -> list[str]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        while True:
            cards = (await http.get("/api/robots")).raise_for_status().json()
            free = [one["robot"] for one in cards if one["state"] == "free"]
            if len(free) == count:
                return free
            await asyncio.sleep(0.1)  # the hub is another process


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of docs/driving.md."""
    head = ("RTT", "jitter", "loss", "stall", "done", "median", "command to state", "expiries/min", "stale", "stop")
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for one in rows:
        loss = f"{one['loss_percent']:g} %, {one['retransmit']}" if one["loss_percent"] else "0"
        stale = str(one["dropped"].get("stale", 0))
        done = f"{one['success_rate']:.0%} of {one['episodes']}"
        median = "" if one["completion_p50_s"] is None else f"{one['completion_p50_s']:.1f} s"
        stopped = one["expiries"] + one["machine_expiries"]
        stop = f"{one['stop_max_ms']} ms, {one['stop_max_mm']:.0f} mm" if stopped else ""
        trip, expiries = f"{one['command_to_state_p50_ms']} ms", f"{one['expiries_per_min']:g}"
        cells = (one["rtt_ms"], one["jitter_ms"], loss, one["stall"], done, median, trip, expiries, stale, stop)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--robots", type=int, default=6, help="robots driven at a time")
    options.add_argument("--episodes", type=int, default=12, help=f"episodes of each condition, a multiple of {BATCH}")
    options.add_argument("--seed", type=int, default=4)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    options.add_argument("--hosts", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.hosts:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        interrupt_on_signals()
        end_with_parent()
        asyncio.run(serve_hosts(chosen.hosts, chosen.robots))
        return
    start = time.monotonic()
    bench = _run(chosen)
    rows = [found.row(condition) for condition, found in bench.found.items()]
    if not chosen.json:
        print("command:", " ".join(sys.argv))
        print(table(rows))
    seconds = round(time.monotonic() - start)
    said = {"robots": chosen.robots, "seconds": seconds, "machine_stalls": len(bench.stalls), "conditions": rows}
    print(json.dumps(said))


def _run(chosen: argparse.Namespace) -> Bench:
    with tempfile.TemporaryDirectory(prefix="armshare-network-") as name:
        data = Path(name)
        with (
            (data / "log").open("wb") as log,
            (data / "said").open("wb") as said,
            hub_process(data, 0, log) as (url, _hub),
        ):
            arguments = [sys.executable, __file__, "--hosts", url, "--robots", str(chosen.robots)]
            hosts = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=said, stderr=log)
            try:
                bench = asyncio.run(measure(urlsplit(url).port or 0, chosen.robots, chosen.episodes, chosen.seed))
            finally:
                hosts.communicate(timeout=30)  # ends its standard input, which ends it
        _book(bench, [json.loads(line) for line in (data / "said").read_text().splitlines()])
        return bench


if __name__ == "__main__":
    main()
