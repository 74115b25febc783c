"""Demonstrations with pictures for tests of exports: fake episodes, whose cameras see what `encoded.py` draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from recorder.export.demonstrations import Demonstrations, demonstrations
from recorder.file.episode import Episode
from recorder.pictures.channel import PictureCodec, Pictures
from tests.recorder.bundles import TRUST, good_bundle
from tests.recorder.pictures.encoded import channel, encoded, pictures_of

SIZE = (64, 48)
STEPS = (12, 25, 18)


def bundles(folder: Path, *, name: str = "e", **kwargs: Any) -> list[Path]:
    """Return three verified episodes of different lengths."""
    return [
        good_bundle(folder, episode=f"{name}{number}", steps=steps, reach=0.3 + 0.1 * number, seed=number, **kwargs)
        for number, steps in enumerate(STEPS)
    ]


def draw(episode: Episode, camera: str, width: int, height: int) -> Pictures:
    """Return one H.264 picture for each observation."""
    assert (width, height) == SIZE
    units = encoded(PictureCodec.H264, episode.steps + 1)
    return pictures_of(units, PictureCodec.H264, name=camera, t_captured_ns=episode.t_observed_ns.copy())


def draw_early(episode: Episode, camera: str, width: int, height: int) -> Pictures:
    """Return H.264 of which the first picture that is shown is no key: two were taken before the episode."""
    t_ns = np.concatenate([episode.t_observed_ns[0] - [100_000_000, 50_000_000], episode.t_observed_ns])
    units = encoded(PictureCodec.H264, len(t_ns))
    return pictures_of(units, PictureCodec.H264, name=camera, t_captured_ns=t_ns)


def draw_apart(episode: Episode, camera: str, width: int, height: int) -> Pictures:
    """Return lossless pictures, at another rate than the robot's."""
    found = channel(PictureCodec.PNG, 2 * episode.steps)
    t_ns = episode.t_observed_ns[0] + np.arange(len(found), dtype=np.int64) * 33_333_333
    return pictures_of(
        [(found.encoded(index), True) for index in range(len(found))], PictureCodec.PNG, name=camera, t_captured_ns=t_ns
    )


def draw_deep(episode: Episode, camera: str, width: int, height: int) -> Pictures:
    """Return depth, in millimetres."""
    units = encoded(PictureCodec.DEPTH16, episode.steps + 1)
    t_ns = episode.t_observed_ns.copy()
    return pictures_of(units, PictureCodec.DEPTH16, name=camera, t_captured_ns=t_ns, depth_unit_m=0.001)


def score(bundle: Path, episode: Episode) -> dict[str, Any]:
    """Return what a scorer would say."""
    return {"score": 0.5 + episode.meta.seed / 10, "score_smoothness": 0.9}


def found(folders: list[Path], **kwargs: Any) -> Demonstrations:
    """Return the demonstrations in bundles, by joint positions, as the fakes were driven."""
    given = {"cameras": ["front"], "size": SIZE, "draw": draw, "facts": score, "trust": TRUST} | kwargs
    return demonstrations(folders, action="joint_position", **given)
