"""A robot camera's name and format, and how it records, without the libraries that open a camera."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from sim.model.urdf import read_urdf
from sim.robot import RobotError, RobotModel, RobotSpec
from teleop.cameras.film import RECORDING_MAX
from teleop.steps import FilmHead
from teleop.wire.frames import Codec

WIDTH: Final = 640
HEIGHT: Final = 480
FPS: Final = 30.0
FPS_MAX: Final = 240.0
GOP: Final = 10
"""Every tenth picture can be decoded by itself. Why: docs/decisions/0039-cameras-record.md."""
DEPTH_UNIT_M: Final = 0.001
"""What a 1 of depth is, unless something else is wanted; drawn depth has it too."""
H264_CRF: Final = 23
_QUALITY: Final = {"h264": H264_CRF, "jpeg": 90, "png": 0, "depth16": 0}
_QUALITY_MAX: Final = {"h264": 51, "jpeg": 100, "png": 0, "depth16": 0}
_LOSSLESS_BYTES_MAX: Final = 4_160_000
"""A lossless picture may be as large as its pixels, and an episode's file takes pictures of up to 4 MiB."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


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
    codec: Literal["", "h264", "jpeg", "png", "depth16"] = ""
    """How it is recorded. Empty: `h264`, or `jpeg` if its width or height is odd."""
    quality: int = 0
    """Of `h264` the CRF (1 to 51, less is better), of `jpeg` 1 to 100 (more is better). 0: 23, and 90."""
    gop: int = GOP
    """Of `h264`: every which picture can be decoded by itself."""
    depth_unit_m: float = DEPTH_UNIT_M
    """Of `depth16`: how far away a 1 is."""
    still: bool = False
    """Whether it may well give the same picture twice, to the last pixel: it is not a sensor with noise."""
    intrinsics: tuple[float, ...] = ()
    mount: str = ""
    extrinsics: tuple[float, ...] = ()

    @property
    def film_codec(self) -> str:
        """How it is recorded."""
        return self.codec or ("h264" if self._even else "jpeg")

    @property
    def film_quality(self) -> int:
        """The encoder's setting; 0 if it has none."""
        return self.quality or _QUALITY[self.film_codec]

    @property
    def depth(self) -> bool:
        """Whether its pictures are 16 bits of depth."""
        return self.film_codec == "depth16"

    def head(self, *, timed: bool) -> FilmHead:
        """Return what an episode says of it; `timed`: its device says when a picture was taken."""
        encoders = {
            "h264": f"libx264 ultrafast zerolatency baseline crf={self.film_quality} keyint={self.gop}",
            "jpeg": f"OpenCV JPEG quality={self.film_quality}",
        }
        return FilmHead(
            self.name,
            self.film_codec,
            self.width,
            self.height,
            self.fps,
            "device" if timed else "arrival",
            encoders.get(self.film_codec, "OpenCV PNG"),
            self.depth_unit_m if self.depth else 0.0,
            self.intrinsics,
            self.mount,
            self.extrinsics,
        )

    @property
    def _even(self) -> bool:
        return not (self.width % 2 or self.height % 2)

    def describe(self) -> dict[str, Any]:
        """Return what the descriptor says about it."""
        codecs = [codec.name.lower() for codec in Codec if codec is Codec.JPEG or self._even]
        return {"name": self.name, "width": self.width, "height": self.height, "fps": self.fps, "codecs": codecs}


def camera_of(said: str) -> CameraSpec:
    """Read `NAME=DEVICE` or `NAME=DEVICE@WIDTHxHEIGHT`; raise CameraError."""
    name, equals, rest = said.partition("=")
    device, at, size = rest.rpartition("@")
    if not at or "/" in size:  # a URL may have an @ of its own
        device, at, size = rest, "", ""
    wide, _, high = size.partition("x")
    if not name or not equals or not device or (at and not (wide.isdecimal() and high.isdecimal())):
        raise CameraError(f"{said!r} is not a camera: write NAME=DEVICE or NAME=DEVICE@640x480.")
    if not at:
        return required(CameraSpec(name, device=device))
    return required(CameraSpec(name, int(wide), int(high), device=device))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of cameras."""

    cameras: tuple[CameraSpec, ...]


_FILE: Final = msgspec.json.Decoder(_File)


def cameras_in(path: Path) -> tuple[CameraSpec, ...]:
    """Read a JSON file of cameras (docs/hardware.md); raise CameraError, which names what is wrong."""
    try:
        found = _FILE.decode(path.read_bytes()).cameras
    except OSError as error:
        raise CameraError(f"{path} cannot be read: {error.strerror}.") from error
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise CameraError(f"{path} does not describe cameras: {error}. docs/hardware.md shows how.") from error
    for camera in found:
        if not camera.device:
            raise CameraError(f"The camera {camera.name} in {path} has no device: say what opens it.")
    return tuple(required(camera) for camera in found)


def require_together(cameras: Sequence[CameraSpec]) -> None:
    """Raise CameraError unless one robot may have these cameras."""
    names = [camera.name for camera in cameras]
    if len(set(names)) < len(names):
        raise CameraError(f"Each camera needs a name of its own, and these are {', '.join(names)}.")
    if len(names) > RECORDING_MAX:
        raise CameraError(f"A robot records up to {RECORDING_MAX} cameras, and these are {len(names)}.")


def require_mounts(model: RobotModel, cameras: Sequence[CameraSpec]) -> None:
    """Raise CameraError unless each camera that is mounted on a robot is mounted on one of its links."""
    mounted = [camera for camera in cameras if camera.mount]
    links = read_urdf(model.urdf_path).links if mounted else ()
    for camera in mounted:
        if camera.mount not in links:
            raise CameraError(
                f"The camera {camera.name} is mounted on {camera.mount!r}, and {model.name} has no such link. "
                f"It has {', '.join(links)}."
            )


def required(camera: CameraSpec) -> CameraSpec:
    """Return a camera that can record; raise CameraError, which says what is wrong, for any other."""
    for wrong in _wrong(camera):
        raise CameraError(f"{wrong} (camera {camera.name!r})")
    return camera


def _wrong(camera: CameraSpec) -> Iterator[str]:
    codec, size = camera.film_codec, f"{camera.width}x{camera.height}"
    numbers = (*camera.intrinsics, *camera.extrinsics)
    if not _NAME.fullmatch(camera.name):
        yield "A camera's name is 1 to 32 letters, digits, _ and -, and begins with a letter or a digit"
    if not (16 <= camera.width <= 1920 and 16 <= camera.height <= 1080):
        yield f"A camera's picture has 16x16 to 1920x1080 pixels, and {size} is not within that"
    if not 1.0 <= camera.fps <= FPS_MAX:
        yield f"A camera gives 1 to {FPS_MAX:g} pictures a second, and `fps` is {camera.fps:g}"
    if camera.quality and not _QUALITY_MAX[codec]:
        yield f"{codec} has no `quality`: leave it out"
    elif not 0 <= camera.quality <= _QUALITY_MAX[codec]:
        yield f"The `quality` of {codec} must be 1 to {_QUALITY_MAX[codec]}, and it is {camera.quality}"
    if codec == "h264" and not camera._even:
        yield f"H.264 needs an even width and height, and {size} is not: choose jpeg or png"
    if not 1 <= camera.gop <= 60:
        yield f"`gop` is 1 to 60 pictures, and {camera.gop} is not"
    if camera.width * camera.height * {"png": 3, "depth16": 2}.get(codec, 0) > _LOSSLESS_BYTES_MAX:
        yield f"A lossless picture of {size} may have more than 4 MiB: choose a smaller one, jpeg or h264"
    if not 0.0 < camera.depth_unit_m <= 1.0:
        yield f"`depth_unit_m` is above 0 and at most 1, and {camera.depth_unit_m:g} is not"
    if not all(math.isfinite(number) for number in numbers):
        yield "Every number in `intrinsics` and `extrinsics` must be finite"
    if len(camera.intrinsics) not in (0, 4, 8, 9, 12, 16, 18):
        yield "`intrinsics` are fx, fy, cx, cy, then 0, 4, 5, 8, 12 or 14 of OpenCV's distortion coefficients"
    elif camera.intrinsics and min(camera.intrinsics[:2]) <= 0.0:
        yield "The focal lengths in `intrinsics` (fx, fy) must be above 0"
    if len(camera.extrinsics) not in (0, 7):
        yield "`extrinsics` are x, y, z in m and a quaternion x, y, z, w: seven numbers"
    elif camera.extrinsics and abs(math.hypot(*camera.extrinsics[3:]) - 1.0) > 1e-3:
        yield "The quaternion in `extrinsics` must have length 1"


def missing_device(camera: CameraSpec) -> str | None:
    """Return the path of a camera's device or film if there is nothing there; None if there is, or if it is a URL."""
    if "://" in camera.device:
        return None
    path = f"/dev/video{camera.device}" if camera.device.isdecimal() else camera.device
    return None if Path(path).exists() else path


def cameras_of(spec: RobotSpec) -> list[CameraSpec]:
    """Return the cameras of a simulated robot's scene: one picture for each state."""
    return [CameraSpec(camera.name, fps=spec.control_hz) for camera in spec.scene.cameras]
