"""What a camera process that is killed (kill -9) while two cameras record loses of their films.

`lost_ms` is the time between the last picture before and the first one after, of the camera that lost more: up to the
kill, what was captured and not kept yet (`unwritten_ms`); from then on, the time without a picture (`gap_ms`). The
cameras are films in a loop, so opening a device costs nothing here; a USB camera adds what it takes to open.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from sim.catalogue import make_world
from sim.robot import RobotSpec
from teleop.cameras.film import Trouble, read_film
from teleop.cameras.spec import CameraSpec
from teleop.host.cameras.process import HostCameras
from teleop.steps import EpisodeStart
from tests.recorder.factory import fake_start

NAMES: Final = ("desk", "wrist")
WAIT_S: Final = 30.0
GROWN_BYTES: Final = 50_000
DRIVEN_S: Final = 3.0


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = [measured(Path(folder), f"round-{number}") for number in range(given.rounds)]
    found = {
        "rounds": given.rounds,
        "lost_ms": round(statistics.median(unwritten + gap for unwritten, gap in costs)),
        "lost_max_ms": round(max(unwritten + gap for unwritten, gap in costs)),
        "unwritten_ms": round(statistics.median(unwritten for unwritten, _ in costs)),
        "gap_ms": round(statistics.median(gap for _, gap in costs)),
    }
    said = json.dumps(found) if given.json else ", ".join(f"{name} {value}" for name, value in found.items())
    print(said)


def measured(folder: Path, episode: str) -> tuple[float, float]:
    """Let a robot's cameras record, kill the process that does, and record on; return what was lost, as `crashed`."""
    spec: RobotSpec = replace(make_world("panda", "lift").spec, simulated=False)
    cameras = HostCameras("http://127.0.0.1:9", spec, [CameraSpec(one, 640, 480, device=film(folder)) for one in NAMES])
    cameras.start()
    cameras.hold(True)
    try:
        until(cameras.ready, "the cameras give pictures")
        return crashed(cameras, folder, episode)
    finally:
        cameras.close()


def crashed(cameras: HostCameras, folder: Path, episode: str) -> tuple[float, float]:
    """Record, kill, go on recording; return what was lost before the kill and after it, ms."""
    start: EpisodeStart = replace(fake_start(), episode=episode, t_mono_ns=time.monotonic_ns(), cameras=cameras.heads())
    cameras.record(start, folder)
    films = [folder / f"{episode}.{name}.film" for name in NAMES]
    sizes = [grown(path, GROWN_BYTES) for path in films]
    time.sleep(DRIVEN_S)
    writer = writer_of(films[0])
    killed_ns = time.monotonic_ns()
    os.kill(writer, signal.SIGKILL)
    for path, size in zip(films, sizes, strict=True):
        grown(path, max(size, path.stat().st_size) + GROWN_BYTES)
    cameras.end(time.monotonic_ns())
    events = [event for path in films for event in read_film(path).events if event.trouble is Trouble.LOST]
    worst = max(events, key=lambda event: event.t_to_ns - event.t_from_ns)
    return (killed_ns - worst.t_from_ns) * 1e-6, (worst.t_to_ns - killed_ns) * 1e-6


def grown(path: Path, least: int) -> int:
    """Wait until a film has that many bytes; return how many it has."""
    until(lambda: path.stat().st_size >= least, f"{path.name} grows")
    return path.stat().st_size


def until(done: object, what: str) -> None:
    """Wait for it."""
    assert callable(done)
    end_s = time.monotonic() + WAIT_S
    while not done():
        if time.monotonic() > end_s:
            raise TimeoutError(f"expected within {WAIT_S:g} s that {what}")
        time.sleep(0.005)


def writer_of(path: Path) -> int:
    """Return the process, other than this one, that has a file open."""
    others = (one for one in Path("/proc").iterdir() if one.name.isdecimal() and int(one.name) != os.getpid())
    for process in others:
        if any(path.samefile(one) for one in open_files(process)):
            return int(process.name)
    raise ProcessLookupError(f"nobody writes {path.name}")


def open_files(process: Path) -> Sequence[Path]:
    """Return the files that a process has open, if that may be known."""
    try:
        return [one for one in (process / "fd").iterdir() if one.exists()]
    except OSError:
        return []


def film(folder: Path) -> str:
    """Return the path of a film of a moving pattern, made if it is not there."""
    path = folder / "camera.avi"
    if not path.exists():
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (640, 480))
        noise = np.random.default_rng(0)
        for number in range(60):
            image = cv2.resize(noise.integers(0, 255, (30, 40, 3), np.uint8), (640, 480))
            cv2.circle(image, (10 * number, 240), 40, (255, 255, 255), -1)
            writer.write(image)
        writer.release()
    return str(path)


if __name__ == "__main__":
    main()
