"""Making the preview of one camera of one episode, in a worker: a short film of it, or a full one, and one picture.

A simulated episode is drawn from its states; of a real robot's, what its camera recorded is decoded.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recorder.file.apart import reader
from recorder.file.episode import Episode
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from sim.robot import RobotError

RECIPE: Final = 2
"""What is in a preview's name, so that one that was made in another way is made again. Count it up."""
SIZE: Final = (320, 240)
"""Width and height; of a camera of another shape, the height is another."""
HEIGHT_MAX: Final = 320
RATE_HZ: Final = 10
PICTURES_MAX: Final = 50
"""A film takes five seconds at most: of what was longer, it shows fewer pictures, so that it looks faster."""
FULL_PICTURES_MAX: Final = 600
"""Of a full film, which is looked at beside the rest of an episode: ten a second of a minute, fewer of a longer one."""
STILL_AT: Final = 0.6
"""Which part of the episode is over in the picture that stands still: at its start nothing has happened yet."""
_FIRST: Final = "front"
"""The camera that is shown if nobody names one."""
_FILM: Final = {"preset": "medium", "crf": "29", "g": str(PICTURES_MAX), "profile": "main", "x264-params": "mbtree=0"}
"""Of libx264; with its macroblock tree, the same pictures would not always give the same bytes."""
_FULL_FILM: Final = _FILM | {"g": "12"}
"""Whoever looks at it jumps to and fro, and every jump begins at a picture that can be decoded by itself."""
_WEBP_QUALITY: Final = 78

Film = Iterable[NDArray[np.uint8]]
"""Pictures (H, W, 3), RGB, which need not all be there at once."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What one camera saw of an episode."""

    camera: str
    film: bytes
    """MP4: H.264 without sound, which begins to play before all of it is there."""
    still: bytes
    """WebP."""


@dataclass(frozen=True, slots=True)
class NoCamera:
    """There is no such camera; these there are."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotShown:
    """This hub cannot show this episode, for good."""

    why: str


class Stored(Protocol):
    """A file that may have to be fetched before it can be read; it can be sent to another process."""

    def local(self) -> AbstractContextManager[Path]:
        """Have it on this machine's disk until the block ends."""


def make(file: Path | Stored, camera: str | None, full: bool = False) -> Preview | NoCamera | NotShown:
    """Make the preview of a verified episode's camera, by default the one in front.

    `full`: with as many pictures as somebody needs who looks at each moment. Raises an EpisodeError or ReaderLostError
    if the file cannot be read here and now.
    """
    _be_quiet()
    try:
        with nullcontext(file) if isinstance(file, Path) else file.local() as path:
            episode = reader().read(path)
            most = FULL_PICTURES_MAX if full else PICTURES_MAX
            return _drawn(episode, camera, most) if episode.meta.robot.simulated else _recorded(episode, camera, most)
    except RobotError as error:  # such as a robot that this hub does not have
        return NotShown(str(error))


def _drawn(episode: Episode, wanted: str | None, most: int) -> Preview | NoCamera:
    from recorder.hub.previews.framing import farther
    from sim.catalogue import description
    from sim.pictures.render import open_renderer, render_scene_of

    meta, (width, height) = episode.meta, SIZE
    scene = render_scene_of(meta.robot.model, meta.task.name, meta.seed, height)
    name = _chosen([camera.name for camera in scene.scene.cameras], wanted)
    if isinstance(name, NoCamera):
        return name
    camera = scene.camera(name)
    if most == PICTURES_MAX:
        camera = farther(camera, description(meta.robot.model))
    rows = _rows(episode.steps, episode.steps / meta.spec.control_hz, most)
    seen = {array: values[rows] for array, values in episode.observations.items()}
    renderer = open_renderer(scene, width, height)
    try:
        sequence = renderer.sequence(camera, scene.camera_frames(camera, seen), scene.frames(seen))
        return _preview(name, (picture.rgb for picture in sequence), len(rows), most)
    finally:
        renderer.close()


def _recorded(episode: Episode, wanted: str | None, most: int) -> Preview | NoCamera:
    cameras = {name: one for name, one in episode.pictures.items() if one.codec is not PictureCodec.DEPTH16}
    name = _chosen([name for name, one in cameras.items() if len(one)], wanted)
    if isinstance(name, NoCamera):
        return name
    pictures = cameras[name]
    seen_ns = episode.t_observed_ns
    rows = _rows(episode.steps, float(seen_ns[-1] - seen_ns[0]) / 1e9, most)
    return _preview(name, _decoded(pictures, pictures.at(seen_ns[rows])), len(rows), most)


def _decoded(pictures: Pictures, indices: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    size, decoder = fitted(pictures.width, pictures.height), Decoder(pictures)
    for index in indices.tolist():
        frame: Any = cv2.resize(decoder.frame(index), size, interpolation=cv2.INTER_AREA)
        yield frame if frame.ndim == 3 else np.repeat((frame >> 8).astype(np.uint8)[..., None], 3, axis=2)


def fitted(width: int, height: int) -> tuple[int, int]:
    """Return the size of a preview of pictures of this size: as wide as all, as high as their shape asks, and even."""
    high = SIZE[0] * height / max(width, 1)
    return SIZE[0], int(min(max(2 * round(high / 2), 2), HEIGHT_MAX))


def _chosen(names: Sequence[str], wanted: str | None) -> str | NoCamera:
    if wanted in names:
        return str(wanted)
    if wanted is not None or not names:
        return NoCamera(tuple(names))
    return _FIRST if _FIRST in names else names[0]


def _rows(steps: int, length_s: float, most: int) -> NDArray[np.intp]:
    """Return which of the N+1 observations are shown: evenly, from the first to the last."""
    count = min(most, steps + 1, max(2, math.ceil(length_s * RATE_HZ) + 1))
    return np.round(np.linspace(0, steps, count)).astype(np.intp)


def _preview(camera: str, film: Film, count: int, most: int) -> Preview:
    still, stills = round(STILL_AT * (count - 1)), []

    def seen() -> Iterator[NDArray[np.uint8]]:
        for index, picture in enumerate(film):
            if index == still:
                stills.append(picture.copy())
            yield picture

    return Preview(camera, mp4(seen(), _FILM if most == PICTURES_MAX else _FULL_FILM), webp(stills[0]))


def mp4(film: Film, options: Mapping[str, str] = _FILM) -> bytes:
    """Encode a film as every browser plays it."""
    import av

    with tempfile.NamedTemporaryFile(suffix=".mp4") as made:  # its index goes to the front in a second pass
        with av.open(made.name, "w", format="mp4", options={"movflags": "+faststart"}) as file:
            stream = file.add_stream("libx264", rate=RATE_HZ, options=dict(options))
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1
            for index, picture in enumerate(film):
                if index == 0:
                    stream.height, stream.width = picture.shape[:2]
                file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            file.mux(stream.encode(None))
        return Path(made.name).read_bytes()


def webp(picture: NDArray[np.uint8]) -> bytes:
    """Encode one picture."""
    _, data = cv2.imencode(".webp", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY])
    return data.tobytes()


@cache
def _be_quiet() -> None:
    """Leave the processor to whatever drives robots, once in each worker."""
    os.nice(10)
    cv2.setNumThreads(1)
