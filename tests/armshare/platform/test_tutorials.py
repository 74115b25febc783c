"""The tutorial for researchers, typed as it is written: episodes are driven, fetched, checked, drawn, and loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import House
from tests.docs import ROOT, shell_lines

PAGE = "docs/tutorials/data.md"
DEFAULT_HUB = "http://127.0.0.1:8000"


def typed(line: str, house: House, here: Path) -> str:
    """Run a line as a person would in that folder, with the environment turned on; return what it printed."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ARMSHARE_HUB": house.url,
        "XDG_DATA_HOME": str(here / "own"),
    }
    done = subprocess.run(
        ["bash", "-euc", line.replace(DEFAULT_HUB, house.url)],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_a_researcher_gets_data_by_the_tutorials_own_commands(house: House, tmp_path: Path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    said = {}
    for line in shell_lines(PAGE):
        if line != ". .venv/bin/activate":
            fetched = sorted((tmp_path / "episodes").glob("*"))
            said[line] = typed(line.replace("EPISODE", fetched[0].name if fetched else ""), house, tmp_path)
    fetched = list((tmp_path / "episodes").glob("*"))
    assert len(fetched) >= 3
    assert all((one / "score.json").is_file() for one in fetched), "the hub gives out what each scores"
    assert "accepted" in said["armshare drive --expert --task lift --episodes 3"]
    verified = next(text for line, text in said.items() if line.startswith("armshare verify"))
    assert verified.count("verified") >= 3
    assert verified.count("replay") >= 3
    assert verified.count("inclusion") >= 3
    assert verified.count("score.json says the same") >= 3
    assert any((tmp_path / "pictures").glob("front*"))
    exported = next(text for line, text in said.items() if "--format lerobot" in line)
    assert 'The actions fit gymnasium.make("sim.gym:armshare/Lift-Panda-v0"' in " ".join(exported.split())
    # The block with LeRobot is for Python 3.12; `make lerobot` has its calls. Our own is in test_dataset.py.
    block, _, _ = re.findall(r"```python\n(.*?)```", (ROOT / PAGE).read_text(), re.DOTALL)
    peers = [str(ROOT / ".venv-peers" / "bin" / "python"), "-W", "ignore", "-c", block]
    loaded = subprocess.run(peers, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert loaded.returncode == 0, loaded.stderr
    assert "(10, 7)" in loaded.stdout
