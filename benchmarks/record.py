"""What recording costs a robot's computer: processor time beside the control loop, and the time to the seal.

A robot is driven at 20 Hz, in real time, by its session, without hub or network; the recorder runs beside it as in a
host, from the queue of steps to the sealed bundle.

First without cameras. All processor time of the process outside the driving thread counts as the recorder's.
`writing_ms_per_driven_s`: while driving. `ended_ms`: from the end of the episode to its sealed bundle, once per
episode. `recorder_ms_per_driven_s`: both, over an episode of `--seconds`. `late_ms_max`: how late the latest tick of
the drives began, while the previous episode was being sealed beside it.

Then one episode of `--film-seconds` with two cameras of 640x480 at the rate of the steps. They are films, played by the
camera process as if they were devices. `cpu_ms_per_step`: the processor time of the recorder and of the whole camera
process (reading, encoding, writing) for each step. `reading_ms_per_step`: the part of it that goes while the cameras
are only open. `picture_kb`: the size of a recorded picture. `seal_ms`: by the clock, from the end to the sealed bundle,
with the wait for the last picture; `seal_cpu_ms`: the processor time in it.
`ratio_vs_lerobot`: what LeRobot's streaming writer takes for the same pictures (H.264, added from memory), in units of
`cpu_ms_per_step`; null if it is not installed in `--lerobot`, and `lerobot` then says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import structlog

from recorder.file.writer import commit_steps
from recorder.host.recording import Recorder
from sim.catalogue import make_world
from teleop.cameras.spec import CameraSpec
from teleop.clock import now_ms
from teleop.host.cameras.process import HostCameras
from teleop.host.session import Session
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import FIRST, Command, Mode, Safety, State, digest_of
from teleop.wire.reasons import EndReason

DOMAIN = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
EPOCH = 1
WIDTH, HEIGHT, PICTURES = 640, 480, 80
LEROBOT = """
import json, os, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"
import logging; logging.disable(logging.WARNING)
import numpy as np
from lerobot.configs.video import RGBEncoderConfig
from lerobot.datasets.lerobot_dataset import LeRobotDataset
pictures, root, steps, fps = np.load(sys.argv[1], mmap_mode="r"), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
named = {"names": ["height", "width", "channels"], "dtype": "video", "shape": pictures.shape[2:]}
values = {"dtype": "float32", "shape": (8,), "names": None}
features = {"observation.images.desk": named, "observation.images.wrist": named}
features |= {"observation.state": values, "action": values}
made = LeRobotDataset.create("local/bench", fps, features, root=root, rgb_encoder=RGBEncoderConfig(vcodec="h264"),
                             streaming_encoding=True)
pictures, zeros = np.array(pictures), np.zeros(8, np.float32)
before = time.process_time()
for step in range(steps):
    desk, wrist = pictures[0, step % len(pictures[0])], pictures[1, step % len(pictures[1])]
    made.add_frame({"observation.images.desk": desk, "observation.images.wrist": wrist, "observation.state": zeros,
                    "action": zeros, "task": "bench"})
    time.sleep(max(0.0, 1 / fps / 4))
made.save_episode()
spent = time.process_time() - before
made.finalize()
print(json.dumps({"ms_per_step": 1e3 * spent / steps}))
"""


class Real:
    """A robot that says that it is a real one: only those record pictures."""

    def __init__(self, world: Any) -> None:
        self._world, self.spec = world, dataclasses.replace(world.spec, simulated=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


class Drive:
    """A robot driven in the calling thread, and recorded beside it."""

    def __init__(self, folder: Path, cameras: Sequence[CameraSpec] = ()) -> None:
        world = make_world("panda", "lift")
        self.world = Real(world) if cameras else world
        self.world.connect()
        folder.mkdir(exist_ok=True)
        self.cameras = HostCameras("http://127.0.0.1:9", self.world.spec, cameras)
        wallet, robot = new_key(), new_key()
        self.events = Events(commit_steps(self.world.spec.control_hz))
        self.session = Session(
            self.world, robot.address, "bench", self.events, self._heard, lambda _: None, cameras=self.cameras
        )
        grant = signalling.Grant(
            operator=wallet.address,
            session_key=new_key().address,
            robot=robot.address,
            task="lift",
            nonce="0x" + bytes(32).hex(),
            not_after_ms=now_ms() + 3_600_000,
        )
        signature = SESSION_GRANT.sign(wallet, DOMAIN, grant.values)
        self.session.obey(signalling.LeaseOrder("bench", EPOCH, wallet.address, grant, signature, "lift"))
        self.session.tick()
        self.sealed = threading.Semaphore(0)
        self.folder: Path | None = None
        recorder = Recorder(folder, robot, DOMAIN, self._sealed, films=self.cameras)
        self.recording = threading.Thread(target=recorder.run, args=(self.events,), name="recorder", daemon=True)
        self.recording.start()
        self.seq, self.before = 0, FIRST

    def _heard(self, state: bytes) -> None:
        self.state = State.decode(state)
        self.cameras.show(state)

    def _sealed(self, sealed: Any) -> None:
        self.folder = sealed.folder
        self.sealed.release()

    def begin(self, number: int) -> None:
        """Begin an episode, and arm once the arm has come to rest."""
        self.session.obey(signalling.BeginOrder(f"bench-{number}", number, "0x" + bytes(32).hex(), PERSON))
        self.tick(dead_man=False)
        while not (self.session.at_rest and self.state.safety in (Safety.ARMED, Safety.HOLDING)):
            time.sleep(self.world.spec.period_s)
            self.tick(dead_man=False)

    def drive(self, steps: int) -> float:
        """Drive that many steps in real time; return how late the latest began, s."""
        due, late_s = time.monotonic(), 0.0
        for _ in range(steps):
            due += self.world.spec.period_s
            time.sleep(max(0.0, due - time.monotonic()))
            late_s = max(late_s, time.monotonic() - due)
            self.tick(dead_man=True)
        return late_s

    def tick(self, *, dead_man: bool) -> None:
        """Offer a command, and let one period pass."""
        self.seq += 1
        speed = 0.05 * np.sin(self.seq / 12)
        values = np.array([speed, 0, 0, 0, 0, 0, 1.0], np.float32)
        mode = Mode.EE_TWIST if dead_man else Mode.NEUTRAL
        now_us, seen = time.monotonic_ns() // 1000, self.state.seq
        data = Command(mode, dead_man, EPOCH, self.seq, seen, now_us, values, self.before).encode()
        self.before = digest_of(data)
        self.session.offer(data)
        self.session.tick()

    def close(self) -> None:
        """Stop the recorder, which seals what is left."""
        self.events.put(None)
        self.recording.join()
        self.cameras.close()
        self.world.disconnect()


def recorder_ms() -> float:
    """Return the processor time of every other thread of this process."""
    return (time.process_time() - time.thread_time()) * 1e3


def measure(folder: Path, episodes: int, seconds: float) -> dict[str, float]:
    """Return the figures without cameras, medians over the episodes."""
    drive = Drive(folder)
    writing, ended, late_s = [], [], []
    for number in range(episodes):
        before = recorder_ms()
        drive.begin(number)
        late_s.append(drive.drive(round(seconds * drive.world.spec.control_hz)))
        driven = recorder_ms()
        drive.session.obey(signalling.FinishOrder(EndReason.FINISHED))
        drive.sealed.acquire()
        writing.append(driven - before)
        ended.append(recorder_ms() - driven)
    late_s.append(sealed_beside(drive, episodes))
    drive.close()
    return {
        "episodes": episodes,
        "seconds": seconds,
        "writing_ms_per_driven_s": round(statistics.median(writing) / seconds, 2),
        "ended_ms": round(statistics.median(ended), 1),
        "recorder_ms_per_driven_s": round((statistics.median(writing) + statistics.median(ended)) / seconds, 2),
        "late_ms_max": round(1e3 * max(late_s), 1),
    }


def sealed_beside(drive: Drive, number: int) -> float:
    """Drive episodes of a second each without a pause; return how late the latest step began, s."""
    late_s = []
    for each in range(number, number + 5):
        drive.begin(each)
        late_s.append(drive.drive(20))
        drive.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    return max(late_s)


def scene(number: int, seed: int) -> np.ndarray:
    """Return a picture (H, W, 3): things that stand, something that moves, and a sensor's noise."""
    random = np.random.default_rng(seed)
    picture = cv2.resize(
        random.integers(30, 220, (12, 16, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(12):
        x, y = (int(value) for value in random.integers(0, 400, 2))
        cv2.rectangle(picture, (x, y), (x + 90, y + 60), random.integers(0, 255, 3).tolist(), -1)
    angle = 2 * np.pi * number / PICTURES
    hand = round(WIDTH * (0.5 + 0.3 * np.sin(angle))), round(HEIGHT * (0.5 + 0.2 * np.cos(2 * angle)))
    cv2.line(picture, (WIDTH // 2, 0), hand, (40, 40, 200), 24)
    cv2.circle(picture, hand, 30, (220, 220, 240), -1)
    noise = np.random.default_rng([seed, number]).normal(0.0, 1.5, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def films(folder: Path) -> tuple[list[CameraSpec], np.ndarray]:
    """Return two cameras, and their pictures, (2, n, H, W, 3)."""
    pictures = np.array([[scene(number, seed) for number in range(PICTURES)] for seed in range(2)])
    specs = []
    for name, shown in zip(("desk", "wrist"), pictures, strict=True):
        path = str(folder / f"{name}.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"I420"), 20, (WIDTH, HEIGHT))
        for picture in shown:
            writer.write(picture)
        writer.release()
        specs.append(CameraSpec(name, WIDTH, HEIGHT, 20.0, path))
    return specs, pictures


def camera_ms(drive: Drive) -> float:
    """Return the processor time of the camera process so far."""
    used = psutil.Process(drive.cameras._child.process.pid).cpu_times()
    return 1e3 * (used.user + used.system)


def filmed(folder: Path, seconds: float, lerobot: Path) -> dict[str, Any]:
    """Return the figures of one episode with two cameras."""
    specs, pictures = films(folder)
    drive = Drive(folder / "host", specs)
    drive.cameras.start()
    drive.cameras.hold(True)
    while len(drive.cameras._timed) < 2:
        time.sleep(0.1)
    hz, open_ms, at = drive.world.spec.control_hz, camera_ms(drive), time.monotonic()
    time.sleep(min(seconds, 10.0))
    reading_ms = (camera_ms(drive) - open_ms) / (time.monotonic() - at) / hz
    steps, before = round(seconds * hz), recorder_ms()
    drive.begin(0)
    camera_before = camera_ms(drive)
    drive.drive(steps)
    cpu_ms = (recorder_ms() - before + camera_ms(drive) - camera_before) / steps
    ended, sealing = time.monotonic(), recorder_ms()
    drive.session.obey(signalling.FinishOrder(EndReason.FINISHED))
    drive.sealed.acquire()
    seal_ms, seal_cpu_ms = 1e3 * (time.monotonic() - ended), recorder_ms() - sealing
    size = sum(path.stat().st_size for path in drive.folder.iterdir())
    size += sum(path.stat().st_size for path in (folder / "host" / "recording").iterdir())
    drive.close()
    theirs, why = beside_lerobot(folder, pictures, steps, int(hz), lerobot)
    return {
        "film_seconds": seconds,
        "cpu_ms_per_step": round(cpu_ms, 2),
        "reading_ms_per_step": round(reading_ms, 2),
        "picture_kb": round(size / (2 * steps) / 1e3, 1),
        "seal_ms": round(seal_ms, 1),
        "seal_cpu_ms": round(seal_cpu_ms, 1),
        "lerobot": why,
        "lerobot_ms_per_step": None if theirs is None else round(theirs, 2),
        "ratio_vs_lerobot": None if theirs is None else round(theirs / cpu_ms, 2),
    }


def beside_lerobot(folder: Path, pictures: np.ndarray, steps: int, fps: int, python: Path) -> tuple[float | None, str]:
    """Return the processor time of LeRobot's streaming writer for each step, ms, and what was run."""
    if not python.exists():
        return None, f"not installed: there is no {python} (make lerobot)"
    np.save(folder / "pictures.npy", pictures[:, :, :, :, ::-1])
    arguments = [str(folder / "pictures.npy"), str(folder / "lerobot"), str(min(steps, 400)), str(fps)]
    ran = subprocess.run([str(python), "-c", LEROBOT, *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        return None, f"it failed: {ran.stderr.strip().splitlines()[-1:]}"
    return float(json.loads(ran.stdout.splitlines()[-1])["ms_per_step"]), "streaming, h264"


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--episodes", type=int, default=3)
    options.add_argument("--seconds", type=float, default=15.0)
    options.add_argument("--film-seconds", type=float, default=60.0)
    options.add_argument("--lerobot", type=Path, default=Path(".venv-lerobot/bin/python"))
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="armshare-bench-") as folder:
        if chosen.episodes:
            found |= measure(Path(folder) / "without", chosen.episodes, chosen.seconds)
        if chosen.film_seconds:
            found |= filmed(Path(folder), chosen.film_seconds, chosen.lerobot)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
