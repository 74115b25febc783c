"""The MCAP export of a simulated episode: drawn cameras say how they see and where they are, which is known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recorder.export.demonstrations import demonstrations
from recorder.export.drawn import draw_view
from recorder.export.mcap import export
from recorder.file.episode import Episode, read_episode
from recorder.pictures.cache import PictureCache
from recorder.pictures.channel import Pictures
from recorder.pictures.decode import Decoder
from recorder.pictures.drawn import View
from recorder.pictures.encoded import Plane
from sim.pictures.render import render_scene_of
from sim.rotation import to_matrix
from tests.recorder.dataset.world import reaching
from tests.recorder.export.test_mcap import Read, read
from tests.recorder.pictures.test_drawn import Here

SIZE = (64, 48)
CAMERAS = ("front", "wrist")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reaching(tmp_path_factory.mktemp("episodes"), range(1))[0]


@pytest.fixture(scope="module")
def episode(bundle: Path) -> Episode:
    return read_episode(bundle / "episode.h5")


@pytest.fixture(scope="module")
def seen(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Read:
    work = tmp_path_factory.mktemp("mcap")
    kept, painter = PictureCache(work / "pictures", 10**9), Here()

    def draw(episode: Episode, camera: str, width: int, height: int) -> Pictures:
        return draw_view(episode, View(camera, width, height), kept=kept, executor=painter).pictures

    chosen = demonstrations([bundle], cameras=CAMERAS, size=SIZE, draw=draw, unverified=True)
    return read(export(chosen, work / "out.mcap").path)


def wall(episode: Episode, mono_ns: int) -> int:
    return int(episode.meta.t_wall_ns) - int(episode.meta.t_mono_ns) + int(mono_ns)


def places(seen: Read, camera: str) -> list[tuple[int, np.ndarray]]:
    """Return when a camera was where, (4, 4) in the base's frame."""
    found = []
    for at, _, said in seen.topics["/tf"]:
        for one in said.transforms:
            if one.child_frame_id == camera:
                assert one.parent_frame_id == "base"
                t, q = one.translation, one.rotation
                frame = np.eye(4)
                frame[:3, :3], frame[:3, 3] = to_matrix(np.array([q.x, q.y, q.z, q.w])), (t.x, t.y, t.z)
                found.append((at, frame))
    return found


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_drawn_camera_says_how_it_sees(seen: Read, episode: Episode, camera: str) -> None:
    ((at, _, said),) = seen.topics[f"/camera/{camera}/calibration"]
    assert seen.schemas[f"/camera/{camera}/calibration"] == "foxglove.CameraCalibration"
    assert (at, said.frame_id, said.width, said.height) == (wall(episode, episode.t_observed_ns[0]), camera, *SIZE)
    fx, skew, cx, _, fy, cy, *last = said.K
    assert (cx, cy, skew, last) == (32.0, 24.0, 0.0, [0.0, 0.0, 1.0])
    assert fx == pytest.approx(fy)
    assert list(said.P) == [fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0]
    assert list(said.D) == []


def test_a_camera_that_stands_is_placed_once_and_one_on_the_hand_with_each_picture(
    seen: Read, episode: Episode
) -> None:
    assert len(places(seen, "front")) == 1
    moving = places(seen, "wrist")
    assert [at for at, _ in moving] == [wall(episode, at) for at in episode.t_observed_ns]
    assert np.abs(moving[0][1] - moving[-1][1]).max() > 0.01
    assert seen.log_times == sorted(seen.log_times)


def test_what_a_camera_says_of_itself_is_where_things_are_in_its_picture(
    seen: Read, episode: Episode, tmp_path: Path
) -> None:
    """The target, projected by what the export says alone, is where the renderer's mask has it."""
    kept = PictureCache(tmp_path, 10**9)
    target = np.append(episode.observations["target_pose"][0, :3], 1.0)
    hit = 0
    for camera in CAMERAS:
        masks = draw_view(episode, View(camera, *SIZE, plane=Plane.MASK), kept=kept, executor=Here())
        decoder, ((_, _, lens),) = Decoder(masks.pictures), seen.topics[f"/camera/{camera}/calibration"]
        for index, (_, frame) in enumerate(places(seen, camera)):
            x, y, z = (np.linalg.inv(frame) @ target)[:3]
            across, down, _ = np.array(lens.K).reshape(3, 3) @ (x / z, y / z, 1.0)
            if z > 0.0 and 0 <= across < SIZE[0] and 0 <= down < SIZE[1]:
                shown = masks.mask_names[int(decoder.frame(index)[int(down), int(across)])]
                hit += shown == "target"
    assert hit > 5


def test_it_is_as_the_renderer_has_it(seen: Read, episode: Episode) -> None:
    scene = render_scene_of("panda", "reach", episode.meta.seed)
    for camera in CAMERAS:
        expected = scene.camera_frames(scene.camera(camera), episode.observations)
        found = places(seen, camera)
        assert len(found) == (len(expected) if camera == "wrist" else 1)
        for index, (_, frame) in enumerate(found):
            np.testing.assert_allclose(frame, expected[index], atol=1e-6)
