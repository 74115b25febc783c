"""What many viewers of one camera cost the hub: one encoding, and real websocket readers that answer like the page.

A host plays a film of 640x480 at 30 frames/s as its camera; hub, host, camera process and readers share the machine,
over loopback. `hub_cores` is the hub process's CPU time over wall time, minus what it uses with nobody watching;
`frames_per_s` is what each reader got on average, `age_p95_ms` from the camera to the reader (both read the same
machine's monotonic clock), `frame_kib` the mean size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from armshare.platform.processes import Child, hub_process
from sim.catalogue import make_world
from sim.robot import Action, Observation, RobotSpec
from teleop.cameras.spec import CameraSpec
from teleop.clock import now_ms
from teleop.host.link import Host
from teleop.host.registration import registration, signed
from teleop.identity import new_key
from teleop.operator.driver import Driver
from teleop.operator.viewer import Looking
from teleop.steps import Events

WIDTH, HEIGHT, FPS = 640, 480, 30.0
SETTLE_S = 3.0


class Still:
    """As much of a real robot as its cameras need."""

    def __init__(self, spec: RobotSpec) -> None:
        self.spec = spec

    def connect(self) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Do nothing."""

    def reset(self, seed: int) -> Observation:
        """Stay at rest."""
        return self.observe()

    def observe(self) -> Observation:
        """Return zeros."""
        zeros = {array.name: np.zeros(array.shape) for array in self.spec.observation}
        return Observation(zeros)

    def send_action(self, action: Action) -> Action:
        """Stay at rest."""
        return action


def film(path: Path) -> str:
    """Write two seconds of a busy scene: about 25 KiB a picture as JPEG."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    rough = np.random.default_rng(1).integers(0, 255, (HEIGHT // 30, WIDTH // 30 + 64, 3), np.uint8)
    for number in range(int(2 * FPS)):
        window = rough[:, number % 64 : number % 64 + WIDTH // 30]
        writer.write(cv2.resize(window, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC))
    writer.release()
    return str(path)


async def look(url: str, token: str, robot: str, ages_ms: list[float], sizes: list[int]) -> None:
    """Read frames, and answer them as the page does."""
    async with Looking(url, token, robot, "desk") as looking:
        while True:
            frame = await looking.read()
            ages_ms.append(time.monotonic_ns() / 1e6 - frame.t_host_us / 1e3)
            sizes.append(len(frame.payload))


async def measure(url: str, hub: Child, folder: Path, spectators: int, seconds: float) -> dict[str, Any]:
    """Return the figures."""
    spec = replace(make_world("panda", "lift").spec, simulated=False)
    key, owner = new_key(), new_key()
    events = Events()
    camera = CameraSpec("desk", WIDTH, HEIGHT, FPS, device=film(folder / "film.avi"))
    async with Driver(url, new_key()) as driver:
        asked = await driver.call("POST", "/api/robots/challenge", {"robot": key.address})
        values = registration(key, owner.address, "watched", Still(spec), asked["nonce"], now_ms())
        await driver.call("POST", "/api/robots", signed(values, owner, key, driver.domain))
        host = Host(url, key, "watched", Still(spec), events, [camera])
        serving = asyncio.create_task(host.serve())
        await host.online.wait()
        token = driver.http.headers["Authorization"].removeprefix("Bearer ")
        process = psutil.Process(hub.process_id)
        idle = await _cores(process, SETTLE_S)
        ages_ms: list[float] = []
        sizes: list[int] = []
        readers = [asyncio.create_task(look(url, token, key.address, ages_ms, sizes)) for _ in range(spectators)]
        await asyncio.sleep(SETTLE_S)
        ages_ms.clear()
        cores = await _cores(process, seconds)
        seen = len(ages_ms)
        for task in [*readers, serving]:
            task.cancel()
        await asyncio.gather(*readers, serving, return_exceptions=True)
    return {
        "spectators": spectators,
        "seconds": seconds,
        "frames_per_s": round(seen / seconds / spectators, 1),
        "frame_kib": round(float(np.mean(sizes)) / 1024, 1),
        "age_p50_ms": round(float(np.percentile(ages_ms, 50)), 1),
        "age_p95_ms": round(float(np.percentile(ages_ms, 95)), 1),
        "hub_cores": round(cores - idle, 3),
        "hub_cores_idle": round(idle, 3),
    }


async def _cores(process: psutil.Process, seconds: float) -> float:
    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before, began = used(), time.perf_counter()
    await asyncio.sleep(seconds)
    return (used() - before) / (time.perf_counter() - began)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--spectators", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("wb") as log,
        hub_process(Path(folder), 0, log) as (url, hub),
    ):
        figures = asyncio.run(measure(url, hub, Path(folder), options.spectators, options.seconds))
    json.dump(figures, sys.stdout)
    print()


if __name__ == "__main__":
    main()
