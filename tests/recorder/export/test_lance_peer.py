"""The Lance export, read by LeRobot's own reader of Lance; `make lerobot` runs it, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from recorder.export import lance, lerobot
from tests.recorder.export import made
from tests.recorder.export.test_lerobot_peer import libraries

pytestmark = [pytest.mark.lerobot, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
PEER = ROOT / ".venv-lance" / "bin" / "python"


def test_lerobot_reads_the_same_frames_from_lance_as_from_its_own_format(tmp_path: Path) -> None:
    if not PEER.exists():
        pytest.fail("LeRobot's reader of Lance is not set up; run: make lerobot")
    folders = made.bundles(tmp_path / "bundles")
    lance.export(made.found(folders), tmp_path / "lance")
    lerobot.export(made.found(folders), tmp_path / "lerobot")
    environment = dict(os.environ) | {"HF_HUB_OFFLINE": "1", "LD_LIBRARY_PATH": str(libraries(tmp_path / "libraries"))}
    command = [str(PEER), str(ROOT / "tests/peers/lance/reads.py"), str(tmp_path / "lance"), str(tmp_path / "lerobot")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])

    assert said["is_lance"]
    assert said["frames"] == [sum(made.STEPS)] * 2
    assert said["looked_at"] == [0, 11, 12, 36, 37, 54]
    assert said["keys"][0] == said["keys"][1]
    pictures = said["apart"].pop("observation.images.front")
    assert pictures < 0.05
    assert set(said["apart"].values()) == {0.0}
    assert said["shapes"]["observation.images.front"] == [2, 3, 48, 64]
    assert said["shapes"]["action"] == [3, 4]
