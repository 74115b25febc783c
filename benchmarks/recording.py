"""What recording costs a robot's process: its processor time per driven second, beside a control loop.

One simulated lift world is driven at 20 Hz, in real time, by its session, without hub or network; the recorder runs
beside it as in a host, from the queue of steps to the sealed bundle. All processor time of the process outside the
driving thread counts as the recorder's.

`writing_ms_per_driven_s`: while driving. `ended_ms`: from the end of the episode to its sealed bundle, once per
episode. `recorder_ms_per_driven_s`: both, over an episode of `--seconds`. `late_ms_max`: how late the latest tick of
the drives began, while the previous episode was being sealed beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import structlog

from recorder.file.writer import commit_steps
from recorder.host.recording import Recorder
from sim.catalogue import make_world
from teleop.clock import now_ms
from teleop.host.session import Session
from teleop.identity import SESSION_GRANT, Domain, new_key
from teleop.steps import Events
from teleop.wire import signalling
from teleop.wire.driver import PERSON
from teleop.wire.messages import FIRST, Command, Mode, Safety, State, digest_of
from teleop.wire.reasons import EndReason

DOMAIN = Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
EPOCH = 1


class Drive:
    """A robot driven in the calling thread, and recorded beside it."""

    def __init__(self, folder: Path) -> None:
        self.world = make_world("panda", "lift")
        self.world.connect()
        wallet, robot = new_key(), new_key()
        self.events = Events(commit_steps(self.world.spec.control_hz))
        self.session = Session(self.world, robot.address, "bench", self.events, self._heard, lambda _: None)
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
        recorder = Recorder(folder, robot, DOMAIN, lambda _: self.sealed.release())
        self.recording = threading.Thread(target=recorder.run, args=(self.events,), name="recorder")
        self.recording.start()
        self.seq, self.before = 0, FIRST

    def _heard(self, state: bytes) -> None:
        self.state = State.decode(state)

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
        self.world.disconnect()


def recorder_ms() -> float:
    """Return the processor time of every other thread of this process."""
    return (time.process_time() - time.thread_time()) * 1e3


def measure(folder: Path, episodes: int, seconds: float) -> dict[str, float]:
    """Return the figures, medians over the episodes."""
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


def main() -> None:
    """Print one JSON object on the last line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--episodes", type=int, default=3)
    options.add_argument("--seconds", type=float, default=15.0)
    options.add_argument("--json", action="store_true", help="only the JSON object")
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory(prefix="armshare-bench-") as folder:
        found = measure(Path(folder), chosen.episodes, chosen.seconds)
    if not chosen.json:
        print("command:", " ".join(sys.argv))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
