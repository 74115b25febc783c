"""What a camera gives: colours, and if asked for, depth and a mask, with everything that geometry needs.

The camera's frame is OpenCV's: x right, y down, z forward; pixel (0, 0) is the top left, its middle at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from sim.robot import Vector
from sim.scene import Camera

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
DEPTH_UNIT_M: Final = 0.001
"""Depth that is kept, or that a policy sees, is a whole multiple of this."""
DEPTH_MAX_M: Final = 65.0
"""What is farther away than this is kept as 0, like nothing."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame of one camera."""

    rgb: Pixels
    """(H, W, 3) uint8, as a screen shows it."""
    depth: Floats | None
    """(H, W) float32, m along the view; infinite where there is nothing. None if not asked for."""
    mask: NDArray[np.uint16] | None
    """(H, W) uint16: the piece seen, from 1 in the order of `RenderScene.pieces`; 0 for none. None if not asked for."""
    intrinsics: Vector
    """(3, 3) float64: the camera matrix K, pixels."""
    extrinsics: Vector
    """(4, 4) float64: the camera's frame in the room."""
    renderer: str
    """The program that drew it."""


class Renderer(Protocol):
    """Draws one scene at one size."""

    @property
    def name(self) -> str:
        """The program that draws, as in `Picture.renderer`."""

    def draw(
        self, camera: Camera, camera_frame: Vector, frames: Floats, *, depth: bool = False, mask: bool = False
    ) -> Picture:
        """Return what `camera` at `camera_frame` (4, 4) sees with the pieces at `frames` (P, 4, 4)."""

    def sequence(
        self, camera: Camera, camera_frames: Vector, frames: Floats, *, depth: bool = False, mask: bool = False
    ) -> Iterator[Picture]:
        """Yield what `camera` sees at each of N steps: its frames (N, 4, 4), and those of the pieces (N, P, 4, 4)."""

    def close(self) -> None:
        """Free what it holds. Idempotent."""


def intrinsics(camera: Camera, width: int, height: int) -> Vector:
    """Return the camera matrix (3, 3) for a picture of that size: square pixels, the axis through the middle."""
    focal = 0.5 * height / np.tan(0.5 * camera.fov_y_rad)
    return np.array(((focal, 0.0, 0.5 * width), (0.0, focal, 0.5 * height), (0.0, 0.0, 1.0)))


def depth_units(depth: Floats) -> NDArray[np.uint16]:
    """Return depth (H, W), m, in multiples of `DEPTH_UNIT_M`; 0 for nothing, or beyond `DEPTH_MAX_M`."""
    near = np.isfinite(depth) & (depth < DEPTH_MAX_M)
    units: NDArray[np.uint16] = np.round(np.where(near, depth, 0.0) / DEPTH_UNIT_M).astype(np.uint16)
    return units
