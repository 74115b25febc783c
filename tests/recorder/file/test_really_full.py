"""A disk that takes no more while an episode's file is made: HDF5 itself would crash, and take the host along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SEALS = """
import resource, sys
from pathlib import Path
from recorder.file.journal import finish
from recorder.file.writer import EpisodeWriter
from tests.recorder.factory import fake_episode
folder = Path(sys.argv[1])
start, steps, end = fake_episode(400)
writer = EpisodeWriter.start(folder / "e.journal", start, {})
for step in steps:
    writer.append(step)
writer.end(end)
size = (folder / "e.journal").stat().st_size
for most in (100, size // 3, size // 2):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        finish(folder / "e.journal", folder / "e.h5")
    except OSError as error:
        print(error.strerror)
    print(sorted(path.name for path in folder.iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(finish(folder / "e.journal", folder / "e.h5"))
"""


def test_a_disk_that_is_really_full_ends_no_process_and_the_episode_is_made_once_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEALS, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["File too large", "['e.journal']"] * 3 + ["True"]
    assert [path.name for path in tmp_path.iterdir()] == ["e.h5"]
