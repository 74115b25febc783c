"""How long it takes to decode pictures, on an ordinary processor: what they may take follows from it.

Whole nanoseconds, so that whoever makes an episode and whoever checks it count the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from recorder.pictures.channel import PictureCodec, Pictures

DECODING_NS_MAX: Final = 600 * 1_000_000_000
"""Of the pictures of one episode together: an hour of eight cameras of 640x480 pixels in H.264, 30 a second."""
_NS_A_PICTURE: Final = 50_000
_NS_A_PIXEL: Final[Mapping[PictureCodec, int]] = {
    PictureCodec.H264: 2,
    PictureCodec.JPEG: 3,
    PictureCodec.PNG: 15,
    PictureCodec.DEPTH16: 15,
}
_NS_A_BYTE: Final[Mapping[PictureCodec, int]] = {
    PictureCodec.H264: 25,
    PictureCodec.JPEG: 25,
    PictureCodec.PNG: 12,
    PictureCodec.DEPTH16: 12,
}


def decoding_ns(codec: PictureCodec, pixels: int, pictures: int, nbytes: int) -> int:
    """Return about how long so many pictures take, of so many pixels each and so many bytes together."""
    return pictures * (_NS_A_PICTURE + pixels * _NS_A_PIXEL[codec]) + nbytes * _NS_A_BYTE[codec]


def needed_ns(cameras: Iterable[Pictures]) -> int:
    """Return about how long all pictures of some cameras take."""
    return sum(decoding_ns(one.codec, one.width * one.height, len(one), len(one.data)) for one in cameras)
