"""Records steps for ever in real time, saying which one was appended, until it is killed (test_recovery.py)."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from recorder.file.writer import EpisodeWriter
from tests.recorder.factory import fake_episode


def main(journal: Path) -> None:
    """Append steps at 200 Hz of real time; the spec says 20 Hz, so ten steps are half a second of steps."""
    start, steps, _ = fake_episode(5000, joints=7)
    writer = EpisodeWriter.start(journal, start, {})
    pace = threading.Event()
    for step in steps:
        writer.append(step)
        sys.stdout.write(f"{step.index}\n")
        sys.stdout.flush()
        pace.wait(0.002)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
