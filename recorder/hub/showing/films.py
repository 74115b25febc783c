"""Where a camera's pictures lie in an episode's file, so that a browser fetches those that it shows by ranges.

A hub takes a file only with its pictures in one piece and as they were encoded. So nothing is copied, remuxed or
encoded again: whoever looks asks for bytes of `episode.h5` itself.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.file.layout import Place, camera_path
from recorder.file.storage import offset_of
from recorder.hub.showing.clock import Clock
from recorder.hub.showing.opened import shown
from recorder.pictures.channel import PictureCodec

_KINDS: Final = ("end", "t_captured_mono_ns", "key", "marks")


class UnknownCameraError(LookupError):
    """The episode has no pictures by a camera of this name."""


@dataclass(frozen=True, slots=True)
class FilmAnswer:
    """A camera's pictures, in order: where each is in `episode.h5`, when it was taken, and what it needs."""

    episode: str
    camera: str
    codec: PictureCodec
    width: int
    height: int
    depth_unit_m: float
    count: int
    at: int
    """Where in `episode.h5` the first picture begins; the others follow it without a gap."""
    sizes: str
    """Base64 of (count,) little-endian uint32: the bytes of each."""
    t_s: str
    """Base64 of (count,) little-endian float32: when each was taken, s from the first observation; may be below 0."""
    key: str
    """Base64 of (count,) uint8: 1 if it can be decoded by itself."""
    marks: str
    """Base64 of (count,) uint8: 1 frozen, 2 black, 4 late; a sum of these."""


def film_of(file: Path, camera: str) -> FilmAnswer:
    """Return where a camera's pictures lie; raise an EpisodeError or UnknownCameraError."""
    with shown(file) as found:
        said = found.meta.recorded.get(camera)
        place = _place(found.places, camera)
        at = offset_of(found.datasets[place.path], place) if said and place else None
        if said is None or place is None or at is None:
            known = ", ".join(found.meta.recorded) or "no camera at all"
            raise UnknownCameraError(f"expected one of {known}, got {camera[:80]!r}")
        columns = {kind: found.datasets[camera_path(camera, kind)][:] for kind in _KINDS}
        t_s = Clock(found).exactly(columns["t_captured_mono_ns"])
    return FilmAnswer(
        episode=found.meta.episode,
        camera=camera,
        codec=said.codec,
        width=said.width,
        height=said.height,
        depth_unit_m=said.depth_unit_m,
        count=len(columns["end"]),
        at=at,
        sizes=_text(np.diff(columns["end"], prepend=0), "<u4"),
        t_s=_text(t_s, "<f4"),
        key=_text(columns["key"], "|u1"),
        marks=_text(columns["marks"], "|u1"),
    )


def _place(places: tuple[Place, ...], camera: str) -> Place | None:
    return next((one for one in places if one.path == camera_path(camera, "bytes")), None)


def _text(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode()
