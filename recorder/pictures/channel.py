"""The pictures of one camera during one episode, encoded, one after the other, each with its time.

It makes no difference to a reader whether a camera recorded them (they are in the episode's file) or they were drawn
from the states of a simulation (they are in a cache beside it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recorder.pictures.errors import PictureUndecodableError


class PictureCodec(StrEnum):
    """How pictures are encoded."""

    H264 = "h264"
    """Annex B without B-frames, one access unit to a picture."""
    JPEG = "jpeg"
    PNG = "png"
    """Lossless; 8 bits for each of three colours, or 16 bits of one value (a mask)."""
    DEPTH16 = "depth16"
    """A PNG of 16 bits; 0 is nowhere, and otherwise a multiple of `depth_unit_m`."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a camera that was drawn sees, and where it was: exactly."""

    intrinsics: NDArray[np.float64]
    """(3, 3): the camera matrix K, pixels; there is no distortion."""
    extrinsics: NDArray[np.float64]
    """(F, 4, 4): the camera's frame in the room at each picture, x right, y down, z along the view."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """F pictures of one camera, in order."""

    name: str
    codec: PictureCodec
    width: int
    height: int
    fps: float
    """The rate that was asked of the camera, or at which it was drawn; the true times are in `t_captured_ns`."""
    data: memoryview | NDArray[np.uint8]
    """(B,) uint8: all pictures, one after the other. It may be a file's memory map: slice it, do not copy it."""
    end: NDArray[np.int64]
    """(F,): where each ends in `data`; the first begins at 0."""
    t_captured_ns: NDArray[np.int64]
    """(F,), the host's monotonic clock, strictly increasing: when each was taken."""
    key: NDArray[np.bool_]
    """(F,): whether it can be decoded by itself; the first can."""
    depth_unit_m: float = 0.0
    geometry: Geometry | None = None
    """Of a camera that was drawn; of one that recorded, `/meta` has what its owner measured."""

    def __len__(self) -> int:
        """F."""
        return len(self.end)

    def encoded(self, index: int) -> bytes:
        """Return one picture's bytes."""
        return bytes(self.data[int(self.end[index - 1]) if index else 0 : int(self.end[index])])

    def key_before(self, index: int) -> int:
        """Return the newest picture up to `index` that can be decoded by itself; raise PictureUndecodableError."""
        keys = np.flatnonzero(self.key[: index + 1])
        if not len(keys):
            raise PictureUndecodableError(
                f"picture {index} of {self.name}: there is no key before it, so it cannot be decoded"
            )
        return int(keys[-1])

    def at(self, t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return for each time the newest picture that had been taken by then; the first one if there was none yet."""
        return np.maximum(np.searchsorted(self.t_captured_ns, t_ns, side="right") - 1, 0)
