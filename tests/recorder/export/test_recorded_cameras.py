"""What a real robot's cameras recorded, exported: copied if there is a picture for each step, else encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.export.demonstrations import demonstrations, frames
from recorder.export.errors import CameraError, MixedRobotsError
from recorder.export.lerobot import export
from recorder.export.lerobot_rows import shown
from recorder.pictures.channel import PictureCodec
from teleop.steps import FilmHead
from tests.recorder import filming
from tests.recorder.bundles import TRUST, good_bundle
from tests.recorder.export.test_lerobot import data, episodes, info, video
from tests.recorder.filming import head, seen

JOINTS: dict[str, Any] = {"action": "joint_position"}


def bundle(folder: Path, cameras: Sequence[FilmHead] | None = None, **kwargs: Any) -> Path:
    """Return a real robot's episode with these cameras, by default one of H.264 and one of JPEG at another rate."""
    given = kwargs if cameras is None else kwargs | {"cameras": tuple(cameras)}
    return good_bundle(folder, made=seen(**given))


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cameras give a picture between each two observations."""
    monkeypatch.setattr(filming, "PERIOD_NS", 50_000_000)


@pytest.mark.usefixtures("in_step")
def test_a_picture_for_each_step_is_copied(tmp_path: Path) -> None:
    found = demonstrations([bundle(tmp_path, [head()])], trust=TRUST, **JOINTS)
    done = export(found, tmp_path / "set")
    assert (done.copied, done.encoded) == (1, 0)
    (row,) = episodes(tmp_path / "set")
    assert row["videos/observation.images.front/from_timestamp"] > 0.0, "the file begins with the key before it"
    (one,) = found
    for pixels, frame in zip(video(tmp_path / "set", row), frames(one), strict=True):
        assert np.array_equal(pixels, frame.pictures["front"])
    assert row["trust"] == "witnessed"
    assert (row["driver"], row["driver_name"], row["driver_sha256"]) == ("policy", "reaching", "ab" * 32)


def test_cameras_of_another_rate_are_encoded_and_say_when_their_pictures_were_taken(tmp_path: Path) -> None:
    found = demonstrations([bundle(tmp_path)], **JOINTS)
    assert found.cameras == ("front", "wrist"), "by default all that were recorded"
    done = export(found, tmp_path / "set")
    assert (done.copied, done.encoded) == (0, 2)
    (one,) = found
    for camera in found.cameras:
        captured = np.array(data(tmp_path / "set")[f"t_captured_mono_ns.{camera}"].to_pylist())
        t_ns = one.episode.t_observed_ns[:-1]
        assert ((t_ns - captured >= 0) & (t_ns - captured < 34_000_000)).all()
        assert (np.diff(shown(one, camera)) > 1).any(), "at 30 a second, some are left out"


def test_notes_are_at_their_frames_and_what_only_a_simulation_knows_is_not_there(tmp_path: Path) -> None:
    export(demonstrations([bundle(tmp_path)], **JOINTS), tmp_path / "set")
    events = data(tmp_path / "set")["language_events"].to_pylist()
    said = {index: [note["content"] for note in notes] for index, notes in enumerate(events) if notes}
    assert said == {0: ["It begins."], 13: ["It has it."]}
    features = info(tmp_path / "set")["features"]
    assert not {"observation.environment_state", "next.reward", "progress"} & set(features)


def test_some_cameras_can_be_named_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path)
    export(demonstrations([folder], cameras=["wrist"], **JOINTS), tmp_path / "set")
    names = [name for name in info(tmp_path / "set")["features"] if name.startswith("observation.images.")]
    assert names == ["observation.images.wrist"]
    with pytest.raises(CameraError, match=r"has no camera 'top'\. It has front and wrist"):
        demonstrations([folder], cameras=["top"], **JOINTS)


def test_cameras_that_differ_between_episodes_are_refused(tmp_path: Path) -> None:
    jpeg = bundle(tmp_path / "jpeg", [head("front", PictureCodec.JPEG)], episode="jpeg")
    h264 = bundle(tmp_path / "h264", [head()], episode="h264")
    without = bundle(tmp_path / "without", [head("side")], episode="without")
    with pytest.raises(CameraError, match="h264 has front as 64x48 h264, and jpeg as 64x48 jpeg"):
        demonstrations([jpeg, h264], **JOINTS)
    with pytest.raises(CameraError, match="without has no camera 'front'"):
        demonstrations([h264, without], **JOINTS)


def test_depth_is_in_millimetres_and_said_to_be_depth(tmp_path: Path) -> None:
    found = demonstrations([bundle(tmp_path, [head("deep", PictureCodec.DEPTH16)])], **JOINTS)
    export(found, tmp_path / "set")
    feature = info(tmp_path / "set")["features"]["observation.images.deep"]
    assert feature["shape"] == [48, 64, 1]
    said = {name: feature["info"][name] for name in ("is_depth_map", "video.codec", "video.pix_fmt", "video.channels")}
    assert said == {"is_depth_map": True, "video.codec": "hevc", "video.pix_fmt": "gray12le", "video.channels": 1}
    assert {name: feature["info"][f"video.{name}"] for name in ("depth_min", "depth_max", "shift", "use_log")} == {
        "depth_min": 0.01,
        "depth_max": 10.0,
        "shift": 3.5,
        "use_log": True,
    }
    (row,), (one,) = episodes(tmp_path / "set"), found
    distances = [frame.pictures["deep"] for frame in frames(one)]
    for name, expected in (("mean", np.mean(distances)), ("max", np.max(distances))):
        value = np.array(row[f"stats/observation.images.deep/{name}"])
        assert value.shape == (1, 1, 1)
        assert value.item() == pytest.approx(expected, rel=1e-3), "millimetres"


def test_a_simulated_and_a_real_robot_do_not_mix(tmp_path: Path) -> None:
    simulated = good_bundle(tmp_path / "simulated", episode="simulated")
    with pytest.raises(MixedRobotsError, match=r"a real fake_arm, .* a simulated fake_arm"):
        demonstrations([bundle(tmp_path / "real"), simulated], cameras=[], **JOINTS)
