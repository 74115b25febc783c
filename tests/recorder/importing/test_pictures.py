"""What cameras saw comes in with a data set: packets as they are, or decoded once and kept without loss."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from recorder.dataset import EpisodeDataset
from recorder.export import lerobot, robomimic
from recorder.export.demonstrations import demonstrations
from recorder.file.apart import reader, viewer
from recorder.file.episode import Episode
from recorder.importing.apart import Outcome, Said, import_set, opened
from recorder.importing.footage import Spool
from recorder.importing.making import Order, make
from recorder.importing.sources import open_set
from recorder.importing.taken import digest_of
from recorder.pictures.channel import PictureCodec
from recorder.pictures.decode import Decoder
from tests.recorder.importing.filmed import COPIED, TOP, described, filmed, pixels, video, with_images
from tests.recorder.importing.foreign import ROWS, lerobot_folder, older, robomimic_file

AV1 = {"g": "2", "preset": "12"}


def brought(path: Path, index: int = 0) -> Episode:
    """Return an episode of a set, imported by this process."""
    target = path.parent / f"{path.name}-{index}"
    target.mkdir()
    order = Order(index, "one", str(target / "episode.h5"), str(path), "0" * 64, "test", "1", [])
    make(open_set(path), order)
    episode = reader().read(target / "episode.h5", plain=True, imported=True)
    viewer().look([*episode.pictures.values()])
    return episode


def shown(episode: Episode, camera: str = "top") -> np.ndarray:
    """Return what a camera shows at each step."""
    pictures = episode.pictures[camera]
    return np.stack([Decoder(pictures).frame(int(at)) for at in pictures.at(episode.t_observed_ns[:-1])])


@pytest.mark.parametrize(
    ("codec", "options", "how"),
    [
        ("libx264", COPIED, "copied from H.264"),
        ("libx264", {"g": "2"}, "libx264, without loss, from h264"),
        ("libx264", {"bf": "2", "g": "250"}, "libx264, without loss, from h264"),
        ("libsvtav1", AV1, "libx264, without loss, from av1"),
    ],
)
def test_each_frame_shows_the_pictures_of_the_source_to_the_last_bit(
    tmp_path: Path, codec: str, options: dict[str, str], how: str
) -> None:
    source = filmed(tmp_path / "set", codec=codec, options=options)
    for index in range(2):
        episode = brought(tmp_path / "set", index)
        np.testing.assert_array_equal(shown(episode), source[index * ROWS : (index + 1) * ROWS])
        assert episode.meta.recorded["top"].encoder == how
        assert episode.meta.origin is not None
        assert TOP in episode.meta.origin.values["cameras/top/bytes"]


def test_packets_that_are_copied_begin_with_the_key_before_the_episode(tmp_path: Path) -> None:
    source = filmed(tmp_path / "set")
    pictures = brought(tmp_path / "set", 1).pictures["top"]
    assert pictures.t_captured_ns.tolist()[:3] == pytest.approx([-66_666_666, -33_333_333, 0], abs=2)
    assert (len(pictures), pictures.key.tolist()[0]) == (ROWS + ROWS % 4, True)
    np.testing.assert_array_equal(Decoder(pictures).frame(0), source[4])


def test_the_version_before_has_a_video_for_each_episode(tmp_path: Path) -> None:
    path = older(lerobot_folder(tmp_path / "set", 2, version="v2.1"))
    described(path, TOP, {"dtype": "video", "shape": [48, 64, 3], "names": None})
    each = [video(path / f"videos/chunk-000/{TOP}/episode_{n:06d}.mp4", ROWS, options=COPIED) for n in range(2)]
    np.testing.assert_array_equal(shown(brought(path, 1)), each[1])


def test_pictures_in_a_table_stay_as_they_are_if_they_may(tmp_path: Path) -> None:
    path = lerobot_folder(tmp_path / "set", 2)
    found = pixels(2 * ROWS)
    with_images(path, [cv2.imencode(".png", one[:, :, ::-1])[1].tobytes() for one in found])
    np.testing.assert_array_equal(shown(brought(path, 1)), found[ROWS:])
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in found]
    again = lerobot_folder(tmp_path / "grey", 2)
    with_images(again, [cv2.imencode(".png", one)[1].tobytes() for one in grey])
    episode = brought(again)
    np.testing.assert_array_equal(shown(episode), np.stack([np.stack([one] * 3, axis=-1) for one in grey[:ROWS]]))
    assert episode.meta.recorded["top"].encoder == "PNG, of its pixels"
    jpeg = [cv2.imencode(".jpg", one)[1].tobytes() for one in found]
    with_images(lerobot_folder(tmp_path / "jpeg", 2), jpeg)
    kept = brought(tmp_path / "jpeg").pictures["top"]
    assert (kept.codec, [kept.encoded(n) for n in range(ROWS)]) == (PictureCodec.JPEG, jpeg[:ROWS])


def test_robomimics_arrays_of_pictures_come_in_with_the_last_one(tmp_path: Path) -> None:
    path = robomimic_file(tmp_path / "set.hdf5")
    found = np.random.default_rng(1).integers(0, 255, (ROWS + 1, 12, 16, 3), dtype=np.uint8)
    with h5py.File(path, "r+") as file:
        for group, rows in (("obs", found[:-1]), ("next_obs", found[1:])):
            del file[f"data/demo_0/{group}/agentview_image"]
            file[f"data/demo_0/{group}/agentview_image"] = rows
            file[f"data/demo_0/{group}/agentview_depth"] = np.ones((ROWS, 12, 16, 1), np.float32)
    episode = brought(path)
    pictures = episode.pictures["agentview"]
    np.testing.assert_array_equal(Decoder(pictures).frames(np.arange(ROWS + 1)), found)
    np.testing.assert_array_equal(pictures.t_captured_ns, episode.t_observed_ns)
    assert episode.meta.origin is not None
    assert [one for one in episode.meta.origin.left_out if "depth" in one] == [
        "pictures obs/agentview_depth: float32 (12, 16, 1), which are no colours"
    ]


def imported(path: Path, target: Path, *, pictures: bool = True) -> list[Outcome]:
    target.mkdir(exist_ok=True)
    with opened(path) as source:
        return list(import_set(source, target, Said(digest_of(path), "test", pictures=pictures)))


def test_an_imported_set_goes_out_again_with_its_packets_and_comes_back(tmp_path: Path) -> None:
    source = filmed(tmp_path / "set")
    folders = [one.folder for one in imported(tmp_path / "set", tmp_path / "in")]
    found = demonstrations(folders, action="source", unverified=True)
    assert lerobot.export(found, tmp_path / "again").copied == 2
    for index in range(2):
        again = brought(tmp_path / "again", index)
        np.testing.assert_array_equal(shown(again), source[index * ROWS : (index + 1) * ROWS])
    robomimic.export(found, tmp_path / "again.hdf5")
    with h5py.File(tmp_path / "again.hdf5") as file:
        np.testing.assert_array_equal(file["data/demo_1/obs/top_image"][:], source[ROWS:-1])
    views = brought(tmp_path / "again.hdf5", 1)
    np.testing.assert_array_equal(shown(views), source[ROWS:-1])
    data = EpisodeDataset(tmp_path / "in", action="source", cameras=["top"])
    np.testing.assert_array_equal(data[ROWS]["observation.images.top"], source[ROWS])


def test_pictures_that_nobody_asked_for_are_named_and_left_out(tmp_path: Path) -> None:
    filmed(tmp_path / "set")
    shutil.rmtree(tmp_path / "set/videos")
    (one, _) = imported(tmp_path / "set", tmp_path / "in", pictures=False)
    episode = reader().read(one.folder / "episode.h5", imported=True)
    assert episode.meta.origin is not None
    assert (episode.pictures, episode.meta.origin.left_out) == ({}, [f"pictures {TOP}: not asked for"])


def test_more_than_an_episode_may_have_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with closing(Spool(tmp_path)) as spool, pytest.raises(Exception, match="more than an episode may have"):
        spool.begin(PictureCodec.PNG, 4096, 2304, 10_000)
