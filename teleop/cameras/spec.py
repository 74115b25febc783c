"""A robot camera's name and format, without the libraries that open a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from sim.robot import RobotError, RobotSpec
from teleop.wire.frames import Codec

WIDTH: Final = 640
HEIGHT: Final = 480
FPS: Final = 30.0


class CameraError(RobotError):
    """A camera is not as it was described, or cannot be opened."""


class CameraSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One camera of a robot: a real one if it has a `device`, otherwise a camera of the simulated scene."""

    name: str
    width: int = WIDTH
    height: int = HEIGHT
    fps: float = FPS
    device: str = ""
    """What OpenCV opens: a number, a path, or a URL. A film is played in a loop."""

    def describe(self) -> dict[str, Any]:
        """Return what the descriptor says about it."""
        even = not (self.width % 2 or self.height % 2)
        codecs = [codec.name.lower() for codec in Codec if codec is Codec.JPEG or even]
        return {"name": self.name, "width": self.width, "height": self.height, "fps": self.fps, "codecs": codecs}


def camera_of(said: str) -> CameraSpec:
    """Read `NAME=DEVICE` or `NAME=DEVICE@WIDTHxHEIGHT`; raise CameraError."""
    name, equals, rest = said.partition("=")
    device, at, size = rest.rpartition("@")
    if not at or "/" in size:  # a URL may have an @ of its own
        device, at, size = rest, "", ""
    wide, _, high = size.partition("x")
    if not name or not equals or not device or (at and not (wide.isdecimal() and high.isdecimal())):
        raise CameraError(f"{said!r} is no camera: write NAME=DEVICE or NAME=DEVICE@640x480.")
    if not at:
        return CameraSpec(name, device=device)
    width, height = int(wide), int(high)
    if not (16 <= width <= 1920 and 16 <= height <= 1080):
        raise CameraError(f"A camera's picture has 16x16 to 1920x1080 pixels, and {size} is not within that.")
    return CameraSpec(name, width, height, device=device)


def missing_device(camera: CameraSpec) -> str | None:
    """Return the path of a camera's device or film if there is nothing there; None if there is, or if it is a URL."""
    if "://" in camera.device:
        return None
    path = f"/dev/video{camera.device}" if camera.device.isdecimal() else camera.device
    return None if Path(path).exists() else path


def cameras_of(spec: RobotSpec) -> list[CameraSpec]:
    """Return the cameras of a simulated robot's scene: one picture for each state."""
    return [CameraSpec(camera.name, fps=spec.control_hz) for camera in spec.scene.cameras]
