"""`armshare render` writes what any camera saw, and draws only what nobody has drawn before."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from armshare.researcher.pictures import render_episode
from recorder.export.drawn import draw_view
from recorder.file.episode import read_episode
from recorder.pictures.cache import PictureCache
from recorder.pictures.decode import Decoder
from recorder.pictures.drawn import View
from recorder.pictures.encoded import Plane
from tests.recorder.dataset.world import reaching
from tests.recorder.pictures.test_drawn import Here, NoOne

WRIST = View("wrist", 64, 48)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return reaching(tmp_path_factory.mktemp("episodes"), range(1))[0]


@pytest.fixture
def kept(tmp_path: Path) -> PictureCache:
    return PictureCache(tmp_path / "kept", 10**9)


def test_what_was_drawn_for_a_data_set_is_not_drawn_again(bundle: Path, kept: PictureCache, tmp_path: Path) -> None:
    episode = read_episode(bundle / "episode.h5")
    for plane in (Plane.COLOUR, Plane.DEPTH):
        draw_view(episode, View("wrist", 64, 48, plane=plane), kept=kept, executor=Here())
    render_episode(bundle, WRIST, tmp_path / "out", depth=True, kept=kept, executor=NoOne())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["wrist-depth", "wrist.json", "wrist.mp4"]


def test_what_it_draws_is_kept(bundle: Path, kept: PictureCache, tmp_path: Path) -> None:
    first = Here()
    render_episode(bundle, WRIST, tmp_path / "first", mask=True, kept=kept, executor=first)
    render_episode(bundle, WRIST, tmp_path / "again", mask=True, kept=kept, executor=NoOne())
    assert first.orders > 1
    for name in ("wrist.mp4", "wrist.json", "wrist-mask/000003.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_its_files_show_each_state_at_the_episodes_rate(bundle: Path, kept: PictureCache, tmp_path: Path) -> None:
    render_episode(bundle, WRIST, tmp_path, depth=True, mask=True, kept=kept, executor=Here())
    episode = read_episode(bundle / "episode.h5")
    drawn = draw_view(episode, WRIST, kept=kept, executor=NoOne())
    states, decoder = episode.steps + 1, Decoder(drawn.pictures)
    with av.open(str(tmp_path / "wrist.mp4")) as video:
        assert video.streams.video[0].average_rate == episode.meta.spec.control_hz
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == states
    assert all(np.array_equal(frame, decoder.frame(index)) for index, frame in enumerate(frames))
    said = json.loads((tmp_path / "wrist.json").read_text())
    assert said["extrinsics"] == drawn.geometry.extrinsics.tolist()
    assert said["intrinsics"] == drawn.geometry.intrinsics.tolist()
    assert said["t_observed_mono_ns"] == [str(t_ns) for t_ns in episode.t_observed_ns]
    masks, depths = (sorted((tmp_path / f"wrist-{plane}").iterdir()) for plane in ("mask", "depth"))
    assert len(masks) == len(depths) == states
    seen = cv2.imread(str(masks[-1]), cv2.IMREAD_UNCHANGED) == said["mask_names"].index("floor")
    assert seen.any()
    assert (cv2.imread(str(depths[-1]), cv2.IMREAD_UNCHANGED)[seen] > 0).all(), "millimetres"
