"""How drawn pictures are encoded: by the worker that drew them, a batch at a time, the same way every time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

import numpy as np

from recorder.pictures.channel import PictureCodec
from sim.pictures.picture import Picture, depth_units
from sim.robot import RobotError, Vector

GOP: Final = 3
"""Every third picture can be decoded by itself: two are decoded for one, on average, if it is asked for by itself."""
H264_OPTIONS: Final = {
    "preset": "veryfast",
    "tune": "fastdecode",
    "bf": "0",
    "crf": "27",
    "x264-params": "mbtree=0",  # with it, the same pixels now and then have other bytes
    "g": str(GOP),
    "keyint_min": str(GOP),
    "sc_threshold": "0",
}
JPEG_QUALITY: Final = 90
_RATE: Final = Fraction(30)
"""The rate that the encoder is told. It is not the episode's, so that the bytes do not depend on that."""


class OddSizeError(RobotError):
    """H.264 stores colours for two pixels at a time, each way."""


class CodecError(RobotError):
    """Such pictures cannot be encoded so."""


class Plane(StrEnum):
    """What each pixel says."""

    COLOUR = "colour"
    DEPTH = "depth"
    """Metres along the view, as multiples of `DEPTH_UNIT_M`; 0 for nothing, or beyond 65 m."""
    MASK = "mask"
    """Which thing it shows: its place in `Drawn.mask_names`."""


_CODECS: Final = {
    Plane.COLOUR: (PictureCodec.H264, PictureCodec.JPEG, PictureCodec.PNG),
    Plane.DEPTH: (PictureCodec.DEPTH16,),
    Plane.MASK: (PictureCodec.PNG,),
}
"""How each can be encoded; the first is what is taken if nobody says."""


def settings(codec: PictureCodec) -> Any:
    """Return how pictures are encoded, as far as that changes bytes."""
    return {PictureCodec.H264: H264_OPTIONS, PictureCodec.JPEG: JPEG_QUALITY}.get(codec)


def codec_of(plane: Plane, wanted: PictureCodec | None, width: int, height: int) -> PictureCodec:
    """Return the codec of such pictures; raise CodecError or OddSizeError if they cannot be encoded so."""
    codec = wanted or _CODECS[plane][0]
    if codec not in _CODECS[plane]:
        raise CodecError(f"{plane} cannot be {codec}, but {' or '.join(_CODECS[plane])}.")
    if codec is PictureCodec.H264 and (width % 2 or height % 2):
        size = f"{width}x{height}"
        even = f"{width + width % 2}x{height + height % 2}"
        raise OddSizeError(
            f"H.264 needs an even width and height, and {size} is not. Take {even}, or in Python PictureCodec.PNG."
        )
    return codec


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker gives back of the pictures that it drew."""

    pictures: list[tuple[bytes, bool]]
    renderer: str
    intrinsics: Vector
    extrinsics: Vector


def encoded(plane: Plane, codec: PictureCodec, drawn: list[Picture]) -> Batch:
    first = drawn[0]
    pictures = _h264(drawn) if codec is PictureCodec.H264 else [(_image(plane, codec, one), True) for one in drawn]
    return Batch(pictures, first.renderer, first.intrinsics, np.stack([one.extrinsics for one in drawn]))


def _image(plane: Plane, codec: PictureCodec, picture: Picture) -> bytes:
    import cv2

    if plane is Plane.COLOUR:
        pixels: Any = picture.rgb[:, :, ::-1]
    elif plane is Plane.MASK:
        pixels = picture.mask
    else:
        pixels = depth_units(np.asarray(picture.depth))
    if codec is PictureCodec.JPEG:
        done, data = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))
    else:
        done, data = cv2.imencode(".png", pixels)
    assert done, "OpenCV encodes any picture of these types"
    return bytes(data)


def _h264(drawn: list[Picture]) -> list[tuple[bytes, bool]]:
    """Return a batch as access units. The encoder is a new one: nothing depends on what another worker drew."""
    import av
    import cv2

    height, width = drawn[0].rgb.shape[:2]
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.framerate, codec.thread_count = 1 / _RATE, _RATE, 1
    codec.options = dict(H264_OPTIONS)
    packets = []
    for number, picture in enumerate(drawn):
        planes = np.asarray(cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number, codec.time_base
        packets += codec.encode(frame)
    packets += codec.encode(None)
    return [(bytes(packet), packet.is_keyframe) for packet in packets]
