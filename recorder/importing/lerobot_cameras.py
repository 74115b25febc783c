"""The cameras of one episode of a LeRobot set: of a video, its part of a file; of images, a column of the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.importing.errors import ForbiddenPartError, MissingPartError, OutsideError
from recorder.importing.folder import Folder
from recorder.importing.footage import Camera, KindError, Spool, camera_name
from recorder.importing.images import Images
from recorder.importing.video import Wanted, footage
from sim.robot import Vector

IMAGES: Final = "observation.images."
_VIDEO: Final = "videos/{key}/chunk-{chunk:03d}/file-{file:03d}.mp4"
_VIDEO_EACH: Final = "videos/chunk-{chunk:03d}/{key}/episode_{episode:06d}.mp4"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an episode's frames when its pictures are read."""

    row: Mapping[str, Any]
    """Its entry in the list of episodes."""
    path: str
    """Its table."""
    first: int
    """Which row of the table is its first."""
    stamps: Vector
    """(N,), s: the set's `timestamp`."""
    t_ns: NDArray[np.int64]
    """(N,): when each frame was, by the episode's clock."""
    hz: float
    chunk: int | None
    """Of a set with a file for each episode, the number of its chunk."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A camera of the set."""

    key: str
    """Such as `observation.images.top`."""
    dtype: str
    """`video` or `image`."""
    depth: bool
    captured_ns: NDArray[np.int64] | None
    """(N,): when each frame's picture was taken, if the set says it."""

    @property
    def name(self) -> str:
        """What it is called beside its pictures."""
        return self.key.removeprefix(IMAGES)


def cameras(
    folder: Folder, features: Sequence[Feature], seen: Seen, spool: Spool
) -> tuple[dict[str, Camera], list[str]]:
    """Return the cameras by name, and what is left out, with why; raise a BrokenEpisodeError."""
    found: dict[str, Camera] = {}
    left = []
    for feature in features:
        try:
            name = camera_name(feature.name, found, spool)
            if feature.depth:
                raise KindError("depth, which is not read from a video")
            found[name] = (_video if feature.dtype == "video" else _images)(folder, feature, seen, spool)
        except KindError as error:
            left.append(f"pictures {feature.key}: {error}")
    return found, left


def _video(folder: Folder, feature: Feature, seen: Seen, spool: Spool) -> Camera:
    key, row = feature.key, seen.row
    if "/" in key or key in (".", ".."):
        raise OutsideError(f"{key[:200]!r} leads out of the data set: no name of a camera has a slash")
    start = 0.0
    if seen.chunk is not None:
        path = _VIDEO_EACH.format(chunk=seen.chunk, key=key, episode=row["episode_index"])
    else:
        chunk, file, begin = (
            row.get(f"videos/{key}/{part}") for part in ("chunk_index", "file_index", "from_timestamp")
        )
        if not (isinstance(chunk, int) and isinstance(file, int) and isinstance(begin, int | float)):
            raise MissingPartError(f"its list of episodes does not say where the video of {key} is")
        path, start = _VIDEO.format(key=key, chunk=chunk, file=file), float(begin)
    seconds = seen.stamps + start
    if not np.isfinite(seconds).all() or np.abs(seconds).max(initial=0.0) > 1e6:
        raise ForbiddenPartError(f"{key}: where in {path} the episode is, is no number of seconds")
    with folder.open(path) as video:
        return footage(video, Wanted(key, seconds, seen.t_ns, seen.hz, feature.captured_ns), spool)


def _images(folder: Folder, feature: Feature, seen: Seen, spool: Spool) -> Camera:
    count, made = len(seen.t_ns), Images(spool, feature.key, len(seen.t_ns))
    for value in folder.values(seen.path, feature.key, seen.first, count):
        data = value.get("bytes") if isinstance(value, dict) else None
        if not isinstance(data, bytes):
            raise MissingPartError(f"{feature.key} has no picture in the table for each frame")
        made.add(data)
    times = seen.t_ns if feature.captured_ns is None else feature.captured_ns
    timed = "" if feature.captured_ns is None else "the source's times of pictures"
    return made.camera(seen.hz, times, timed)
