"""From pixels to what goes over the wire: one encoder for each camera and codec, however many viewers there are."""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Protocol

import cv2

from sim.pictures.picture import Pixels
from teleop.wire.frames import FRAME_BYTES_MAX, Codec

JPEG_QUALITY: Final = 80
_QUALITY_STEP: Final = 10
_CRF: Final = "23"
_FRAMES_PER_S: Final = 30
_BUFFER_BITS: Final = 6 * FRAME_BYTES_MAX
"""x264's model of the reader's buffer, which no frame may overfill: three quarters of the largest frame."""
_CLOCK: Final = Fraction(1, 1_000_000)


class Encoder(Protocol):
    """Encodes the pictures of one camera, in order."""

    def encode(self, rgb: Pixels, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return the bytes of a picture (H, W, 3), and whether it can be decoded by itself; `key` asks for that."""


class JpegEncoder:
    """Encodes each picture by itself; at a lower quality once one would be larger than a frame may be."""

    def __init__(self) -> None:
        self._quality = JPEG_QUALITY

    def encode(self, rgb: Pixels, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return the picture as JPEG."""
        while True:
            done, data = cv2.imencode(".jpg", rgb[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, self._quality))
            if not done:
                raise ValueError(f"expected a picture (H, W, 3) of uint8, got {rgb.shape} of {rgb.dtype}")
            if data.size <= FRAME_BYTES_MAX or self._quality <= _QUALITY_STEP:
                return data.tobytes(), True
            self._quality -= _QUALITY_STEP


class H264Encoder:
    """Annex B without B-frames: each picture is sent as it comes, and only key frames can be decoded by themselves.

    The quality is lower if a frame would be larger than it may be.
    """

    def __init__(self, width: int, height: int) -> None:
        """`width` and `height` are even: colours are stored for two pixels at a time."""
        import av

        self._av = av
        self._codec = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height, self._codec.pix_fmt = width, height, "yuv420p"
        self._codec.time_base = _CLOCK
        self._codec.framerate = Fraction(_FRAMES_PER_S)
        self._codec.thread_count = 1
        self._codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "profile": "baseline",
            "crf": _CRF,
            "bufsize": str(_BUFFER_BITS),
            "maxrate": str(_BUFFER_BITS * _FRAMES_PER_S),
        }

    def encode(self, rgb: Pixels, t_us: int, *, key: bool) -> tuple[bytes, bool]:
        """Return the picture as an access unit of H.264."""
        frame = self._av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = t_us, _CLOCK
        if key:
            frame.pict_type = self._av.video.frame.PictureType.I
        packets = self._codec.encode(frame)
        return b"".join(bytes(packet) for packet in packets), any(packet.is_keyframe for packet in packets)


def open_encoder(codec: Codec, width: int, height: int) -> Encoder:
    """Return an encoder for pictures of that size."""
    return JpegEncoder() if codec is Codec.JPEG else H264Encoder(width, height)
