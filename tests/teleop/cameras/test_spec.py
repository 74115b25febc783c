"""How an owner says what cameras record: in a file, checked before anything is opened."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from armshare.platform.host import Wanted
from recorder.host.room import episode_bytes
from sim.robot import RobotModel
from teleop.cameras.spec import CameraError, CameraSpec, cameras_in, require_mounts, require_together
from teleop.hardware.feetech import So101
from tests.docs import ROOT

DESK = {"name": "desk", "device": "/dev/video0"}


def written(folder: Path, *cameras: dict[str, Any]) -> Path:
    path = folder / "cameras.json"
    path.write_text(json.dumps({"cameras": cameras}))
    return path


def test_the_file_in_the_documentation_is_read(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "hardware.md").read_text()
    shown = re.search(r'    \{"cameras": \[\n.*?\]\}\n', text, re.DOTALL)
    assert shown is not None
    (tmp_path / "cameras.json").write_text(shown[0])
    cameras = cameras_in(tmp_path / "cameras.json")
    assert [(one.name, one.head(timed=True).codec) for one in cameras] == [
        ("desk", "h264"),
        ("wrist", "jpeg"),
        ("depth", "depth16"),
    ]
    require_together(cameras)
    require_mounts(Wanted("so101", "arm", ("free",), port="/dev/none").open().spec.model, cameras)


def test_a_head_says_how_a_camera_records(tmp_path: Path) -> None:
    head = cameras_in(written(tmp_path, {**DESK, "mount": "tool", "intrinsics": [1, 2, 3, 4]}))[0].head(timed=False)
    assert (head.name, head.codec, head.width, head.height, head.fps) == ("desk", "h264", 640, 480, 30.0)
    assert (head.timed, head.mount, head.intrinsics, head.extrinsics) == ("arrival", "tool", (1.0, 2.0, 3.0, 4.0), ())
    assert "crf=23 keyint=10" in head.encoder
    assert CameraSpec("desk", 641, 480, device="0").head(timed=False).codec == "jpeg", "H.264 needs an even size"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "a/b"}, "A camera's name is"),
        ({"name": ""}, "A camera's name is"),
        ({"device": ""}, "has no device"),
        ({"width": 8}, "16x16 to 1920x1080 pixels, and 8x480"),
        ({"height": 2000}, "16x16 to 1920x1080 pixels"),
        ({"fps": 0.0}, "`fps` is 0"),
        ({"codec": "av1"}, "Invalid enum value 'av1'"),
        ({"codec": "h264", "width": 641}, "even width and height, and 641x480"),
        ({"codec": "png", "width": 1920, "height": 1080}, "more than 4 MiB"),
        ({"quality": 52}, "`quality` of h264 must be 1 to 51, and it is 52"),
        ({"codec": "jpeg", "quality": 101}, "`quality` of jpeg must be 1 to 100"),
        ({"codec": "png", "quality": 1}, "png has no `quality`: leave it out"),
        ({"gop": 0}, "`gop` is 1 to 60"),
        ({"codec": "depth16", "depth_unit_m": 0.0}, "`depth_unit_m`"),
        ({"intrinsics": [1, 2, 3]}, "`intrinsics` are"),
        ({"intrinsics": [0, 2, 3, 4]}, "focal length"),
        ({"extrinsics": [0, 0, 0, 0, 0, 0]}, "seven numbers"),
        ({"extrinsics": [0, 0, 0, 0, 0, 0, 2]}, "must have length 1"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_what_cannot_record_is_refused_in_a_sentence(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(CameraError, match=re.escape(said)):
        cameras_in(written(tmp_path, {**DESK, **wrong}))


def test_what_is_no_file_of_cameras_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="cannot be read"):
        cameras_in(tmp_path / "none.json")
    (tmp_path / "cameras.json").write_bytes(b"\xff{")
    with pytest.raises(CameraError, match="does not describe cameras"):
        cameras_in(tmp_path / "cameras.json")


def test_cameras_of_one_robot_have_names_of_their_own_and_are_at_most_eight() -> None:
    with pytest.raises(CameraError, match="a name of its own"):
        require_together([CameraSpec("desk", device="0"), CameraSpec("desk", device="1")])
    with pytest.raises(CameraError, match="up to 8 cameras, and these are 9"):
        require_together([CameraSpec(f"camera-{at}", device=str(at)) for at in range(9)])


def test_a_camera_is_mounted_on_a_link_that_the_robot_has() -> None:
    model: RobotModel = So101("/dev/none").spec.model
    require_mounts(model, [CameraSpec("desk", device="0"), CameraSpec("wrist", device="1", mount="gripper_body")])
    with pytest.raises(CameraError, match=r"mounted on 'hand', and .* has no such link\. It has base_link"):
        require_mounts(model, [CameraSpec("wrist", device="1", mount="hand")])


def test_room_is_asked_for_what_cameras_record() -> None:
    spec = Wanted("so101", "arm", ("free",), port="/dev/none", length_s=60.0).open().spec
    head = CameraSpec("desk", device="0").head(timed=False)
    more = episode_bytes(spec, [head, head]) - episode_bytes(spec)
    measured = 2 * 2 * 60 * 30 * 7_000  # two cameras, on the disk twice
    assert 2 * measured < more < 4 * measured
