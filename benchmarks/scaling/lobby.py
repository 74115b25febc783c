"""What people who are only there cost a real hub: open sockets, and the list of robots that every lobby asks for."""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from sqlalchemy import create_engine, insert
from websockets.asyncio.client import ClientConnection, connect

from armshare.platform.processes import hub_process
from benchmarks.scaling.year import address, noise
from sim.catalogue import make_world
from teleop.hub.tables import RobotRow
from teleop.wire.descriptor import describe
from teleop.wire.messages import PROTOCOL

MODELS: Final = ("panda", "so101", "iiwa")
TASK: Final = "lift"
POLL_S: Final = 2.0
"""How often the page asks for the robots while somebody looks at them."""
IDLE_S: Final = 3.0
_TOGETHER: Final = 50


def robot_rows(count: int) -> list[dict[str, Any]]:
    """Return registered robots, each as its host described it."""
    described = {model: describe(model, make_world(model, TASK).spec) for model in MODELS}
    return [
        {
            "address": address("robot", at),
            "owner": address("owner", at // 3),
            "name": f"{MODELS[at % len(MODELS)]}-{at}",
            "model": MODELS[at % len(MODELS)],
            "simulated": True,
            "signature": "0x" + noise("owner's", at, 64) + "1b",
            "descriptor": {**described[MODELS[at % len(MODELS)]], "name": f"{MODELS[at % len(MODELS)]}-{at}"},
            "epoch": 0,
            "created_ms": 1,
        }
        for at in range(count)
    ]


def measured(robots: int, steps: Sequence[int], lists: int) -> dict[str, Any]:
    """Start a hub with so many robots; open sockets step by step; ask for the list so often at each step."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else soft, hard))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder)
        log = stack.enter_context((data / "log").open("wb"))
        begun = time.perf_counter()
        url, hub = stack.enter_context(hub_process(data, 0, log))
        started_s = time.perf_counter() - begun
        engine = create_engine(f"sqlite:///{data / 'armshare.sqlite'}")
        with engine.begin() as connection:
            connection.execute(insert(RobotRow), robot_rows(robots))
        engine.dispose()
        found = asyncio.run(_stepped(url, psutil.Process(hub.process_id), steps, lists))
    list_ms = statistics.median(one["list_core_ms"] for one in found)
    return {
        "robots": robots,
        "started_s": round(started_s, 2),
        "steps": found,
        "kib_per_socket": _slope(found),
        "lobby_share_of_core": round(list_ms / 1e3 / POLL_S, 4),
        "lobbies_per_core": round(POLL_S / (list_ms / 1e3)) if list_ms else None,
    }


async def _stepped(url: str, hub: psutil.Process, steps: Sequence[int], lists: int) -> list[dict[str, Any]]:
    sockets: list[ClientConnection] = []
    found = []
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60.0) as http:
            await _listed(http, hub, 2)  # loads what the first answer needs
            for count in (0, *steps):
                begun = time.perf_counter()
                before_s = _worked_s(hub)
                while len(sockets) < count:
                    some = range(min(_TOGETHER, count - len(sockets)))
                    sockets += await asyncio.gather(*(_seat(url) for _ in some))
                opened_ms = 1e3 * (_worked_s(hub) - before_s)
                opening_s = time.perf_counter() - begun
                before_s = _worked_s(hub)
                await asyncio.sleep(IDLE_S)
                idle = (_worked_s(hub) - before_s) / IDLE_S
                clock_ms, core_ms, size = await _listed(http, hub, lists)
                found.append(
                    {
                        "sockets": len(sockets),
                        "memory_mib": round(hub.memory_info().rss / 2**20, 1),
                        "idle_share_of_core": round(idle, 4),
                        "opening_s": round(opening_s, 2),
                        "opened_core_ms": round(opened_ms, 1),
                        "list_ms": round(clock_ms, 1),
                        "list_core_ms": round(core_ms, 2),
                        "list_kb": round(size / 1e3, 1),
                    }
                )
    finally:
        await asyncio.gather(*(one.close() for one in sockets))
    return found


async def _seat(url: str) -> ClientConnection:
    """Open a page: connect, say hello, and wait for the answer."""
    socket = await connect(url.replace("http", "ws", 1) + "/ws/drive", proxy=None, compression=None, ping_interval=None)
    await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": ""}))
    await socket.recv()
    return socket


async def _listed(http: httpx.AsyncClient, hub: psutil.Process, count: int) -> tuple[float, float, int]:
    """Ask for the robots so often; return what one took by the clock and of the hub's core, ms, and its bytes."""
    begun, before_s, size = time.perf_counter(), _worked_s(hub), 0
    for _ in range(count):
        answer = await http.get("/api/robots")
        size = len(answer.raise_for_status().content)
    return 1e3 * (time.perf_counter() - begun) / count, 1e3 * (_worked_s(hub) - before_s) / count, size


def _worked_s(hub: psutil.Process) -> float:
    taken = hub.cpu_times()
    return float(taken.user + taken.system)


def _slope(found: Sequence[dict[str, Any]]) -> float | None:
    """Return how much memory each further socket takes, KiB, from the first step to the last."""
    first, last = found[0], found[-1]
    more = last["sockets"] - first["sockets"]
    return round(1024 * (last["memory_mib"] - first["memory_mib"]) / more, 1) if more else None
