"""`armshare sim films`: three seconds of a good drive for each task, as a film that is small enough for a phone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from armshare.failures import PlatformError
from armshare.researcher.pictures import GALLERY_SEED, drawn, driven, of_interest, standing
from sim.pictures.render import open_renderer, render_scene_of

SECONDS: Final = 3.0
RATE_HZ: Final = 20
BYTES_MAX: Final = 150_000
WIDE, HIGH = 480, 360
_FINE: Final = 2
"""Drawn this many times larger and then scaled down, so that edges are smooth."""
_STILL: Final = 8
"""Pictures of the end, so that the loop does not hurry on."""
_QUALITIES: Final = (27, 30, 33, 36)
"""x264's constant rate factors, the best first: the first that is small enough is taken."""


def films(target: Path, pairs: Sequence[tuple[str, str]], executor: Executor) -> Iterator[tuple[str, str, int]]:
    """Write `TASK-ROBOT.mp4` for each pair; yield each with its size in bytes. Raises PlatformError."""
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(
            f"Nothing can be written into {target} ({error.strerror}). Name another folder with --to."
        ) from error
    for pair, data in zip(pairs, executor.map(film, pairs), strict=True):
        (target / f"{pair[1]}-{pair[0]}.mp4").write_bytes(data)
        yield *pair, len(data)


def film(pair: tuple[str, str]) -> bytes:
    """Return the film of a scripted drive, all of it in `SECONDS`; raise PlatformError if it cannot be small enough."""
    pictures = _pictures(pair)
    for quality in _QUALITIES:
        data = _encoded(pictures, quality)
        if len(data) <= BYTES_MAX:
            return data
    raise PlatformError(f"the film of {pair[1]} with {pair[0]} has {len(data)} bytes, more than {BYTES_MAX}")


def _pictures(pair: tuple[str, str]) -> list[Any]:
    """Return (H, W, 3) pictures, of the camera that sees most of what the task is about."""
    states = driven(pair)
    count = round(SECONDS * RATE_HZ)
    moments = np.linspace(0, len(states) - 1, count - _STILL).round().astype(int)
    render_scene = render_scene_of(*pair, GALLERY_SEED)
    renderer = open_renderer(render_scene, _FINE * WIDE, _FINE * HIGH)
    middle = states[len(states) // 2]
    seen = {camera: drawn(renderer, render_scene, camera, middle, mask=True) for camera in standing(render_scene)}
    best = max(seen, key=lambda camera: of_interest(render_scene, seen[camera]))
    pictures = [
        cv2.resize(drawn(renderer, render_scene, best, states[at]).rgb, (WIDE, HIGH), interpolation=cv2.INTER_AREA)
        for at in moments
    ]
    renderer.close()
    return [*pictures, *[pictures[-1]] * _STILL]


def _encoded(pictures: Sequence[Any], quality: int) -> bytes:
    """Return an MP4 that any browser shows, its index at the front."""
    import av

    options = {"crf": str(quality), "preset": "veryslow", "profile": "high"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"  # the index can only be moved in a file
        with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=RATE_HZ, options=options)
            stream.width, stream.height, stream.pix_fmt = WIDE, HIGH, "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        return path.read_bytes()
