"""Connections that come and go, and what a hub keeps of them: no memory, no seat and no lease. Run by `make soak`.

One hub and one simulated robot, as processes. Of five connections, one only opens, one says hello, one watches, and two
take the robot; half of them leave without a word. `memory_before_mib` is after a first tenth, when everything has been
loaded once; `operators`, `holding`, `queued` and `watching` are what the hub counts at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
from websockets.asyncio.client import connect

from armshare.platform.processes import Child, platform
from teleop.identity import SESSION_GRANT, new_key
from teleop.operator.driver import Driver
from teleop.wire.messages import PROTOCOL

SETTLE_S = 60.0


async def visit(driver: Driver, number: int, robot: str, token: str) -> None:
    """Connect once, do something, and leave."""
    url = str(driver.http.base_url).rstrip("/").replace("http", "ws", 1) + "/ws/drive"
    socket = await connect(url, proxy=None, compression=None)
    kind = number % 5
    if kind:
        await socket.send(json.dumps({"type": "hello", "protocol": PROTOCOL, "token": token}))
        nonce = json.loads(await socket.recv())["nonce"]
    if kind == 2:
        await socket.send(json.dumps({"type": "watch", "robot": robot}))
    if kind > 2:
        grant = {
            "operator": driver.wallet.address,
            "sessionKey": driver.session_key.address,
            "robot": robot,
            "task": "lift",
            "nonce": nonce,
            "notAfterMs": int(time.time() * 1000) + 60_000,
        }
        signature = SESSION_GRANT.sign(driver.wallet, driver.domain, grant)
        await socket.send(json.dumps({"type": "join", "grant": grant, "signature": signature}))
        while kind == 4:
            frame = await socket.recv()
            if isinstance(frame, str) and json.loads(frame)["type"] == "granted":
                break
    if number % 2:
        socket.transport.abort()
    else:
        await socket.close()


async def settled(http: httpx.AsyncClient) -> dict[str, Any]:
    """Return the hub's census once nobody but the caller is there, or after a while."""
    end = time.monotonic() + SETTLE_S
    while True:
        found: dict[str, Any] = (await http.get("/api/counts")).json()
        if (found["operators"], found["holding"], found["queued"]) == (1, 0, 0) or time.monotonic() > end:
            return found
        await asyncio.sleep(0.1)


async def soak(url: str, hub: Child, count: int) -> dict[str, Any]:
    """Come and go `count` times."""
    process = psutil.Process(hub.process_id)
    async with Driver(url, new_key()) as driver:
        robot = ""
        while not robot:
            robots = await driver.call("GET", "/api/robots")
            robot = next((one["robot"] for one in robots if one["state"] == "free"), "")
        token = driver.http.headers["Authorization"].removeprefix("Bearer ")
        begun, before = time.perf_counter(), 0
        for number in range(count):
            await visit(driver, number, robot, token)
            if number == count // 10:
                await settled(driver.http)
                before = process.memory_info().rss
        census = await settled(driver.http)
        mib = 2.0**20
        return {
            "connections": count,
            "seconds": round(time.perf_counter() - begun, 1),
            "memory_before_mib": round(before / mib, 1),
            "memory_after_mib": round(process.memory_info().rss / mib, 1),
            "open_files": process.num_fds(),
            "leases": census["counts"].get("leases", 0),
            **{name: census[name] for name in ("operators", "holding", "queued", "watching")},
        }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder)
        log = stack.enter_context((data / "log").open("wb"))
        url, (hub, _host) = stack.enter_context(platform(data, 0, ["panda"], log))
        found = asyncio.run(soak(url, hub, options.count))
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value}" for name, value in found.items()))  # noqa: T201  a program
    clean = (found["operators"], found["holding"], found["queued"], found["watching"]) == (1, 0, 0, 0)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
