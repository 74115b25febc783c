"""Random frames and windows of ten steps, two cameras at 640x480: `recorder.dataset` beside LeRobotDataset and Lance.

The same scripted lifts everywhere: LeRobot's own writer, with its own settings (`--codec`: `h264`, which it reads
faster, or `libsvtav1`, which it writes by default), has the lossless pictures; lerobot-lancedb converts what LeRobot
wrote. Readers take turns with the same indices, round after round, each in one process, with every episode open; ratios
are medians of the rounds. `ratio_...` are of processor time, which is what counts with as many workers as processors,
and which other load changes less; `..._wall_ratio_...` are by the clock, with the threads that each reader has.
Pictures come as uint8 everywhere; LeRobot gives float32 by default (`ratio_vs_lerobot_float32`). A peer that is missing
is null, with the reason.

`bytes_ratio`: all of the files that are read, ours (drawn pictures, and the episodes) over LeRobot's. `psnr_db` is of
both against the lossless pictures.

    .venv/bin/python benchmarks/read.py --json
    --lerobot .venv-lerobot/bin/python    an interpreter with LeRobot   (sh tests/peers/lerobot/setup)
    --lance PYTHON                        one with LeRobot and lerobot-lancedb
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recorder.dataset import EpisodeDataset, PictureCache, PictureCodec, View
from recorder.dataset.shelf import read

ROOT = Path(__file__).parents[1]
PEER = ROOT / "benchmarks" / "peers" / "lerobot_reads.py"
CAMERAS = ("front", "wrist")
_PYAV = "lib/python3*/site-packages/av.libs/*.so*"
WINDOW, ROUNDS, FRAMES, WINDOWS = 10, 7, 60, 12
Read = Callable[[str, list[int]], tuple[float, float]]
"""Reads `frames`, `frames_float32` or `windows` at some indices; wall and processor seconds."""


class PeerMissingError(Exception):
    """A peer is not there, or does not work here."""


@dataclass(frozen=True)
class Ours:
    """Our data sets of the same episodes."""

    frames: EpisodeDataset
    windows: EpisodeDataset

    def __call__(self, what: str, indices: list[int]) -> tuple[float, float]:
        """Read as a peer does."""
        data = self.windows if what == "windows" else self.frames
        wall, cpu = time.perf_counter(), time.process_time()
        for index in indices:
            data[index]
        return time.perf_counter() - wall, time.process_time() - cpu


def recorded(folder: Path, episodes: int) -> list[Path]:
    """Record scripted lifts."""
    command = [sys.executable, "-m", "armshare", "record", "--task", "lift", "--expert", "--no-replay", "--json"]
    wanted = ["--episodes", str(episodes), "--to", str(folder)]
    done = subprocess.run([*command, *wanted], cwd=ROOT, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return sorted(path.parent for path in folder.glob("*/manifest.json"))


def environment() -> dict[str, str]:
    """Return the environment of a process that uses our code from here."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def ours(bundles: list[Path], kept: PictureCache) -> Ours:
    """Open them, with their pictures drawn."""
    how: dict[str, Any] = {"cameras": CAMERAS, "kept": kept}
    frames = EpisodeDataset(bundles, **how)
    times = [step / frames.meta.spec.control_hz for step in range(WINDOW)]
    around = {**{f"observation.images.{camera}": times for camera in CAMERAS}, "action": times}
    frames.draw()
    return Ours(frames, EpisodeDataset(bundles, delta_timestamps=around, **how))


def write_raw(bundles: list[Path], raw: Path, lossless: PictureCache) -> None:
    """Write the lossless pictures and the rows of each episode, for a peer's writer."""
    views = {camera: View(camera, codec=PictureCodec.PNG) for camera in CAMERAS}
    for number, bundle in enumerate(bundles):
        whole = EpisodeDataset([bundle], cameras=views, kept=lossless).episode(0, pictures=True)
        np.savez(
            raw / f"{number:03d}.npz",
            **{camera: whole[f"observation.images.{camera}"] for camera in CAMERAS},
            **{"action": whole["action"], "observation.state": whole["observation.joint_position"]},
            fps=read(bundle).meta.spec.control_hz,
        )


def call(python: str, work: Path, *said: str) -> None:
    """Have a peer do something; raise PeerMissingError with its last words."""
    require(python)
    done = subprocess.run([python, str(PEER), *said], env=with_ffmpeg(work), capture_output=True, text=True)
    if done.returncode:
        raise PeerMissingError((done.stderr.strip().splitlines() or ["it said nothing"])[-1])


def link_ffmpeg(work: Path, pythons: list[str]) -> None:
    """Give torchcodec, with which peers read fastest, an FFmpeg under the names that it looks for: PyAV's own."""
    folder = work / "ffmpeg"
    folder.mkdir()
    for file in (one for python in pythons for one in Path(python).parents[1].glob(_PYAV)):
        found = re.match(r"(.+)-[0-9a-f]{6,}(\.so(\.\d+)?)", file.name)
        for name in {file.name, found[1] + found[2] if found else file.name}:
            if not (folder / name).exists():
                (folder / name).symlink_to(file)


def with_ffmpeg(work: Path) -> dict[str, str]:
    """Return the environment of a peer."""
    return os.environ | {"LD_LIBRARY_PATH": str(work / "ffmpeg"), "HF_HUB_OFFLINE": "1"}


def require(python: str) -> None:
    """Raise PeerMissingError unless there is such an interpreter."""
    if not python or not Path(python).exists():
        raise PeerMissingError(f"no interpreter at {python}" if python else "no interpreter was named")


@contextmanager
def reading(python: str, kind: str, folder: Path, frames: int, backends: dict[str, str]) -> Iterator[Read]:
    """Start a peer's reader; note what it decodes with."""
    require(python)
    process = subprocess.Popen(
        [python, str(PEER), "read", kind, str(folder)],
        env=with_ffmpeg(folder.parent),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    orders, answers, errors = process.stdin, process.stdout, process.stderr

    def ask(what: str, indices: list[int]) -> tuple[float, float]:
        orders.write(json.dumps({"what": what, "indices": indices}) + "\n")
        orders.flush()
        line = answers.readline()
        if not line:
            raise PeerMissingError((errors.read().strip().splitlines() or ["it said nothing"])[-1])
        told = json.loads(line)
        return told["seconds"], told["cpu_s"]

    try:
        first = answers.readline()
        if not first:
            raise PeerMissingError((errors.read().strip().splitlines() or ["it said nothing"])[-1])
        said = json.loads(first)
        assert said["frames"] == frames, "the same frames"
        backends[kind] = said["backend"]
        for what in ("frames", "frames_float32", "windows"):
            ask(what, [0])
        yield ask
    finally:
        orders.close()
        process.wait()


def rounds(readers: dict[str, Read], what: str, count: int, frames: int) -> dict[str, list[tuple[float, float]]]:
    """Return each reader's wall and processor seconds, for each round but the first, which warms them."""
    random, found = np.random.default_rng(1), {name: [] for name in readers}
    for turn in range(ROUNDS + 1):
        indices = random.integers(0, frames - WINDOW, count).tolist()
        for name, ask in readers.items():
            peers = "frames" if what == "frames_float32" and name == "ours" else what
            took = ask(peers, indices)
            if turn:
                found[name].append(took)
    return found


def summed(found: dict[str, list[tuple[float, float]]], count: int, name: str) -> dict[str, Any]:
    """Return items a second, and how many times as fast as each peer ours is: by the clock, and by the processor."""
    made: dict[str, Any] = {
        f"{name}_per_s": {
            who: round(count / statistics.median(wall for wall, _ in took), 1) for who, took in found.items()
        }
    }
    for who in found:
        if who != "ours":
            pairs = list(zip(found[who], found["ours"], strict=True))
            made[f"{name}_wall_ratio_{who}"] = round(statistics.median(their[0] / our[0] for their, our in pairs), 2)
            made[f"{name}_cpu_ratio_{who}"] = round(statistics.median(their[1] / our[1] for their, our in pairs), 2)
    return made


def size(*folders: Path) -> int:
    """Return the bytes of all files below."""
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def psnr(data: EpisodeDataset, raw: Path) -> float:
    """Return the quality of our pictures, dB."""
    wrong = []
    for number, file in enumerate(sorted(raw.glob("*.npz"))):
        seen, exact = data.episode(number, pictures=True), np.load(file)
        for camera in CAMERAS:
            pairs = zip(seen[f"observation.images.{camera}"], exact[camera], strict=True)
            wrong += [((one.astype(np.float64) - other) ** 2).mean() for one, other in pairs]
    return round(10.0 * float(np.log10(255.0**2 / np.mean(wrong))), 1)


def measure(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Return everything."""
    kept, raw = PictureCache(work / "kept", 10**12), work / "raw"
    raw.mkdir()
    link_ffmpeg(work, [one for one in (args.lerobot, args.lance) if Path(one).exists()])
    bundles = recorded(work / "episodes", args.episodes)
    mine = ours(bundles, kept)
    write_raw(bundles, raw, PictureCache(work / "lossless", 10**12))
    frames = len(mine.frames)
    steps = {"episodes": len(bundles), "frames": frames, "codec": args.codec, "decoders": {}}
    bytes_ours = size(kept.folder) + sum((bundle / "episode.h5").stat().st_size for bundle in bundles)
    made: dict[str, Any] = {
        **steps,
        "bytes_per_frame": {"ours": round(bytes_ours / frames)},
        "psnr_db": psnr(mine.frames, raw),
    }
    readers: dict[str, Read] = {"ours": mine}
    why: dict[str, str] = {}
    with ExitStack() as stack:
        for name, make in (
            ("lerobot", lambda: call(args.lerobot, work, "write", str(raw), str(work / "lerobot"), args.codec)),
            ("lance", lambda: call(args.lance, work, "lance", str(work / "lerobot"), str(work / "lance"))),
        ):
            try:
                make()
                python = args.lerobot if name == "lerobot" else args.lance
                readers[name] = stack.enter_context(reading(python, name, work / name, frames, made["decoders"]))
                made["bytes_per_frame"][name] = round(size(work / name) / frames)
            except PeerMissingError as error:
                why[name] = str(error)
        for what, count in (("frames", FRAMES), ("frames_float32", FRAMES), ("windows", WINDOWS)):
            made |= summed(rounds(readers, what, count, frames), count, what)
    theirs = made["bytes_per_frame"].get("lerobot")
    return {
        "ratio_vs_lerobot": made.get("frames_cpu_ratio_lerobot"),
        "ratio_windows_vs_lerobot": made.get("windows_cpu_ratio_lerobot"),
        "ratio_vs_lance": made.get("frames_cpu_ratio_lance"),
        "ratio_windows_vs_lance": made.get("windows_cpu_ratio_lance"),
        "ratio_vs_lerobot_float32": made.get("frames_float32_cpu_ratio_lerobot"),
        "bytes_ratio": None if theirs is None else round(bytes_ours / frames / theirs, 2),
        "missing": why,
        **made,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lerobot", default=str(ROOT / ".venv-lerobot" / "bin" / "python"))
    parser.add_argument("--lance", default=str(ROOT / ".venv-lance" / "bin" / "python"))
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--episodes", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="armshare-read-") as folder:
        made = measure(args, Path(folder))
    print(json.dumps(made, indent=None if args.json else 1))


if __name__ == "__main__":
    main()
