"""From pixels to what goes over the wire and into a film: one encoder for each camera and codec, whoever looks."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from teleop.cameras.spec import H264_CRF, CameraSpec
from teleop.wire.frames import FRAME_BYTES_MAX, Codec

Image = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W, 3) uint8, blue, green and red as OpenCV has them; of depth, (H, W) uint16."""
JPEG_QUALITY: Final = 80
_QUALITY_STEP: Final = 10
_FRAMES_PER_S: Final = 30
_BUFFER_BITS: Final = 6 * FRAME_BYTES_MAX
"""x264's model of the reader's buffer, which no frame may overfill: three quarters of the largest frame."""
_CLOCK: Final = Fraction(1, 1_000_000)
_PNG: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)


class Encoder(Protocol):
    """Encodes the pictures of one camera, in order."""

    def encode(self, image: Image, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return a picture's bytes, and whether it can be decoded by itself; `key` asks for that."""


class JpegEncoder:
    """Encodes each picture by itself; at a lower quality once one would have more than `bytes_max`."""

    def __init__(self, quality: int = JPEG_QUALITY, bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._quality, self._bytes_max = quality, bytes_max

    def encode(self, image: Image, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return the picture as JPEG."""
        while True:
            data = _packed(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, self._quality))
            if len(data) <= self._bytes_max or self._quality <= _QUALITY_STEP:
                return data, True
            self._quality -= _QUALITY_STEP


class PngEncoder:
    """Encodes each picture by itself, without loss: colours, or the 16 bits of depth."""

    def encode(self, image: Image, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return the picture as PNG."""
        return _packed(".png", image, _PNG), True


class H264Encoder:
    """Annex B without B-frames: each picture is sent as it comes, and only key frames can be decoded by themselves.

    The quality is lower if a frame would be larger than the wire takes. OpenCV changes the colours: that takes a third
    less than x264's own way of it.
    """

    def __init__(self, width: int, height: int, fps: float = _FRAMES_PER_S, crf: int = H264_CRF, gop: int = 0) -> None:
        """`width` and `height` are even: colours are stored for two pixels at a time.

        Every `gop`-th picture is a key; 0: only those that are asked for, and x264's own.
        """
        import av

        self._av = av
        self._codec = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height, self._codec.pix_fmt = width, height, "yuv420p"
        self._codec.time_base = _CLOCK
        self._codec.framerate = Fraction(fps).limit_denominator(1000)
        self._codec.thread_count = 1
        self._codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": str(crf),
            "bufsize": str(_BUFFER_BITS),
            "maxrate": str(_BUFFER_BITS * _FRAMES_PER_S),
            **({"x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0"} if gop else {}),
        }

    def encode(self, image: Image, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return the picture as an access unit of H.264."""
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)
        frame = self._av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
        frame.pts, frame.time_base = t_us, _CLOCK
        if key:
            frame.pict_type = self._av.video.frame.PictureType.I
        packets = self._codec.encode(frame)
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)


def open_encoder(codec: Codec, width: int, height: int) -> Encoder:
    """Return an encoder of pictures of that size for viewers."""
    return JpegEncoder() if codec is Codec.JPEG else H264Encoder(width, height)


def open_film_encoder(spec: CameraSpec, bytes_max: int) -> Encoder:
    """Return an encoder of a camera's pictures for its film, and for viewers of the same codec."""
    if spec.film_codec == "h264":
        return H264Encoder(spec.width, spec.height, spec.fps, spec.film_quality, spec.gop)
    return JpegEncoder(spec.film_quality, bytes_max) if spec.film_codec == "jpeg" else PngEncoder()


def _packed(suffix: str, image: Image, how: Any) -> bytes:
    done, data = cv2.imencode(suffix, image, how)
    if not done:
        raise ValueError(f"expected a picture (H, W, 3) of uint8 or (H, W) of uint16, got {image.shape} {image.dtype}")
    return data.tobytes()
