"""`armshare robot` adds a published robot, says what it assumed, and what it does not take."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from tests.armshare.command import armshare_here
from tests.sim.bring.packages import JOINTS, LINKS, WHOLE, crane, robot


def added(urdf: Path, data: Path, *more: str):
    return armshare_here("robot", "add", str(urdf), "--data", str(data), *more)


def test_a_robot_is_added_drawn_checked_and_listed(tmp_path):
    urdf = crane(tmp_path, robot(*LINKS, *JOINTS))
    done = added(urdf.parents[1], tmp_path / "data", "--name", "crane", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["robot"], said["broken"], said["tasks"]) == ("crane", {}, ["reach"])
    assert {"base_link", "upper", "fore"} <= set(said["drawn"])
    assert cv2.imread(said["picture"]).std() > 10, "the picture is not empty"
    assert any("no mass" in one for one in said["assumed"])
    listed = armshare_here("robot", "list", "--data", str(tmp_path / "data"))
    assert listed.stdout == "crane: reach\n"
    again = added(urdf, tmp_path / "data", "--name", "crane")
    assert again.returncode == 2
    assert "crane is there already" in again.stderr
    checked = armshare_here("robot", "check", "crane", "--data", str(tmp_path / "data"))
    assert checked.returncode == 0
    assert "it keeps the contract of every robot" in checked.stdout


def test_a_robot_that_breaks_the_contract_is_kept_only_if_asked_for(tmp_path):
    weak = WHOLE.replace('effort="90"', 'effort="0.5"')
    done = added(crane(tmp_path, weak), tmp_path / "data")
    assert done.returncode == 1
    assert "broken:" in done.stdout
    assert "not added; what was made is in" in done.stdout
    assert not (tmp_path / "data" / "robots" / "crane_2").exists()
    assert (tmp_path / "data" / "robots" / "crane_2.refused" / "crane_2.png").is_file()


@pytest.mark.parametrize(
    ("urdf", "says"),
    [
        (WHOLE.replace("fore.stl", "fore.fbx"), "these meshes cannot be read"),
        (robot(*LINKS[:3], *JOINTS[:2]), "an arm has at least 3 joints"),
        ("no xml", "is not XML"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line_and_leaves_nothing(tmp_path, urdf, says):
    done = added(crane(tmp_path, urdf), tmp_path / "data", "--name", "crane")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert says in last
    assert not any((tmp_path / "data" / "robots").glob("*")) if (tmp_path / "data" / "robots").exists() else True
