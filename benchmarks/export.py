"""How fast an episode with two cameras becomes a LeRobot data set: H.264 copied, beside LeRobot's own fastest encoder.

Both write the same pictures (640x480, a moving scene with a camera's noise) of one episode with all that their formats
have: tables, statistics, video. Ours are stored as a camera's own encoder made them, and are copied; LeRobot encodes
them while it records. Frames are those of both cameras. Medians of runs in turn; `ratio_vs_lerobot` is of processor
time, which other load on the machine changes less, `ratio_by_clock` of time. `encoded` is ours if the pictures cannot
be copied.

    .venv/bin/python benchmarks/export.py --json

LeRobot is in an environment of its own, which `tests/peers/lerobot/setup` makes; without it, the ratios are null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from recorder.export.demonstrations import demonstrations
from recorder.export.lerobot import export
from recorder.file.episode import Episode
from recorder.pictures.channel import PictureCodec, Pictures
from teleop.cameras.encoders import H264Encoder
from tests.recorder.bundles import good_bundle
from tests.recorder.pictures.encoded import pictures_of, scene

WIDTH, HEIGHT, FPS = 640, 480, 20
CAMERAS: Final = ("front", "side")
KEY_EVERY: Final = 10
DIFFERENT: Final = 200
"""How many different pictures there are; then they come again."""
ROOT: Final = Path(__file__).parents[1]
PEER: Final = ROOT / ".venv-lerobot" / "bin" / "python"

Took = tuple[float, float]
"""Seconds by the clock, and of the processor."""


def seen() -> NDArray[np.uint8]:
    """Return (F, H, W, 3): a scene in which something moves, with a camera's noise."""
    random = np.random.default_rng(5)
    noise = random.normal(0.0, 2.0, (8, HEIGHT, WIDTH, 3))
    made = [scene(index, WIDTH, HEIGHT) + noise[index % 8] for index in range(DIFFERENT)]
    return np.clip(np.stack(made), 0, 255).astype(np.uint8)


def stored(pictures: NDArray[np.uint8], count: int) -> list[tuple[bytes, bool]]:
    """Return `count` pictures as a camera's own encoder makes them."""
    encoder = H264Encoder(WIDTH, HEIGHT)
    return [
        encoder.encode(pictures[index % len(pictures)], 50_000 * index, key=index % KEY_EVERY == 0)
        for index in range(count)
    ]


def ours(bundle: Path, drawn: Callable[[Episode, str, int, int], Pictures], target: Path) -> Took:
    """Export one episode."""
    found = demonstrations([bundle], action="joint_position", cameras=CAMERAS, size=(WIDTH, HEIGHT), draw=drawn)
    began, worked = time.perf_counter(), time.process_time()
    export(found, target)
    return time.perf_counter() - began, time.process_time() - worked


def theirs(raw: Path, steps: int, work: Path) -> dict[str, Any]:
    """Have LeRobot record the same."""
    arguments = [str(raw), str(WIDTH), str(HEIGHT), str(steps), str(FPS), str(work)]
    command = [str(PEER), str(ROOT / "tests/peers/lerobot/writes.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(steps: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Return all figures."""
    pictures = seen()
    (folder / "raw").write_bytes(pictures.tobytes())
    units = stored(pictures, steps + 1)
    bundle = good_bundle(folder, steps=steps)

    def copied(episode: Episode, camera: str, width: int, height: int) -> Pictures:
        told = {"name": camera, "width": width, "height": height, "t_captured_ns": episode.t_observed_ns.copy()}
        return pictures_of(units, PictureCodec.H264, **told)

    def apart(episode: Episode, camera: str, width: int, height: int) -> Pictures:
        late = copied(episode, camera, width, height)
        t_ns = late.t_captured_ns + np.where(np.arange(steps + 1) % 50 == 49, 60_000_000, 0)  # one comes a step late
        return pictures_of(units, PictureCodec.H264, name=camera, width=width, height=height, t_captured_ns=t_ns)

    took: dict[str, list[Took]] = {"copied": [], "encoded": [], "lerobot": []}
    said: dict[str, Any] = {"video_bytes": None, "preset": None}
    for turn in range(rounds):
        took["copied"].append(ours(bundle, copied, folder / f"copied-{turn}"))
        if turn == 0:
            took["encoded"].append(ours(bundle, apart, folder / "encoded"))
        if PEER.exists():
            (folder / f"theirs-{turn}").mkdir()
            said = theirs(folder / "raw", steps, folder / f"theirs-{turn}")
            took["lerobot"].append((said["s"], said["processor_s"]))
    own = sum(one.stat().st_size for one in (folder / "copied-0").rglob("*.mp4"))
    return figures(took, len(CAMERAS) * steps) | {
        "steps": steps,
        "cameras": len(CAMERAS),
        "rounds": rounds,
        "video_bytes": own,
        "lerobot_video_bytes": said["video_bytes"],
        "lerobot_preset": said["preset"],
    }


def figures(took: dict[str, list[Took]], frames: int) -> dict[str, Any]:
    """Return rates and ratios."""
    found: dict[str, Any] = {}
    for name, runs in took.items():
        by_clock, worked = (statistics.median(one) for one in zip(*runs, strict=True)) if runs else (None, None)
        found[f"{name}_frames_per_s"] = round(frames / by_clock) if by_clock else None
        found[f"{name}_processor_ms_per_frame"] = round(1000 * worked / frames, 4) if worked else None
    ratios = {"ratio_vs_lerobot": 1, "ratio_by_clock": 0}
    for name, which in ratios.items():
        ours_s, theirs_s = (
            statistics.median(one[which] for one in took[of]) if took[of] else None for of in ("copied", "lerobot")
        )
        found[name] = round(theirs_s / ours_s, 1) if ours_s and theirs_s else None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.steps, given.rounds, Path(folder))
    print(json.dumps(found) if given.json else "\n".join(f"{name}: {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
