"""`armshare study quality` goes from nothing to its page, and on from where it was ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from armshare.study import drives
from tests.armshare.command import armshare_here


@pytest.mark.slow
def test_a_small_study_goes_from_nothing_to_its_page_and_is_not_made_twice(tmp_path: Path):
    work, to = tmp_path / "work", tmp_path / "evidence"
    told = armshare_here("study", "quality", "--small", "--work", str(work), "--to", str(to), "--json")
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert report["rules_sha256"] == drives.rules_digest()
    assert {one["id"].partition(".")[0] for one in report["claims"]} == {"a", "b", "c", "d"}
    assert all({"value", "low", "high", "aim", "holds"} <= one.keys() for one in report["claims"])
    assert json.loads((to / "quality.json").read_text()) == report
    page = (to / "quality.md").read_text()
    for name in ("detection", "policies", "skill", "pay"):
        assert f"({name}.svg)" in page
        assert ElementTree.parse(to / f"{name}.svg").getroot().tag.endswith("svg")
    made = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file() and path.suffix != ""}
    assert len([path for path in made if path.name == "episode.h5"]) == sum(one["drives"] for one in report["drives"])
    pictures = {path.name: path.read_bytes() for path in to.glob("*.svg")}
    again = armshare_here("study", "quality", "--small", "--work", str(work), "--to", str(to), "--json")
    assert json.loads(again.stdout) == report
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert {path.name: path.read_bytes() for path in to.glob("*.svg")} == pictures


def test_a_library_that_is_not_there_is_named_before_an_hour_is_spent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "armshare.study.plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    work = tmp_path / "work"
    told = armshare_here("study", "quality", "--small", "--work", str(work), "--to", str(tmp_path / "evidence"))
    assert told.returncode == 2
    assert "armshare[platform,study]" in told.stderr
    assert not work.exists()


def test_no_other_command_loads_a_study():
    program = "import sys, armshare.cli.app; print(sorted(name for name in sys.modules if 'armshare.study' in name))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
