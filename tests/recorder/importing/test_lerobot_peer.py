"""A set of LeRobot's own recorder is imported, exported again, and read by LeRobot: its frames are the same.

`make lerobot` runs it, in an environment of its own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.export import lerobot
from recorder.export.demonstrations import demonstrations
from recorder.importing.apart import Said, import_set, opened
from recorder.importing.taken import digest_of
from tests.recorder.export.test_lerobot_peer import PEER, ROOT, libraries

pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(900)]

CAMERAS = ("observation.images.front", "observation.images.wrist")


def ran(*words: str, libraries: Path) -> None:
    if not PEER.exists():
        pytest.fail("LeRobot is not set up; run: tests/peers/lerobot/setup")
    command = [str(PEER), str(ROOT / "tests/peers/lerobot/frames.py"), *words]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]


def frames(root: Path, libraries: Path) -> dict[str, Any]:
    """Return what LeRobot's reader gives of a data set."""
    target = root.with_suffix(".npz")
    ran("read", str(root), str(target), libraries=libraries)
    return dict(np.load(target))


@pytest.mark.parametrize("codec", ["default", "h264"])
def test_lerobot_sees_the_same_frames_in_a_set_that_was_imported_and_exported_again(tmp_path: Path, codec: str) -> None:
    decoders = libraries(tmp_path / "libraries")
    ran("write", str(tmp_path / "source"), codec, libraries=decoders)
    source = frames(tmp_path / "source", decoders)
    (tmp_path / "in").mkdir()
    with opened(tmp_path / "source") as found:
        made = list(import_set(found, tmp_path / "in", Said(digest_of(tmp_path / "source"), "test")))
    assert [one.error for one in made] == [None] * 3
    again = demonstrations([one.folder for one in made], action="source", unverified=True)
    done = lerobot.export(again, tmp_path / "again")
    assert (done.copied, done.encoded) == (6, 0), "what came in is never encoded again"
    seen = frames(tmp_path / "again", decoders)
    for camera in CAMERAS:
        np.testing.assert_array_equal(seen[camera], source[camera])
    np.testing.assert_array_equal(seen["state"], source["state"])
    np.testing.assert_array_equal(seen["episode"], source["episode"])
    assert set(source["codec"]) == ({"av1"} if codec == "default" else {"h264"})
