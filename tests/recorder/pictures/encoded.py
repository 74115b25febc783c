"""Pictures encoded as a camera does it, for tests."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from recorder.pictures.channel import PictureCodec, Pictures
from teleop.cameras.encoders import H264Encoder, JpegEncoder

WIDTH, HEIGHT, FPS = 64, 48, 30.0
KEY_EVERY = 4


def scene(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) that differs from that of every other index."""
    across, down = np.meshgrid(np.linspace(0, 180, width), np.linspace(0, 180, height))
    colours = np.stack([across, down, np.full_like(across, 120 - (index * 7) % 100)], axis=2)
    colours[height // 4 : height // 2, (3 * index) % (width // 2) :][:, : width // 4] = (250, 20 + index % 200, 60)
    return colours.astype(np.uint8)


def _bgr(index: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return `scene` in OpenCV's order, as encoders take it."""
    return np.ascontiguousarray(scene(index, width, height)[:, :, ::-1])


def depth(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint16]:
    """Return a picture (H, W) of 16 bits."""
    return (np.arange(width * height, dtype=np.uint32).reshape(height, width) * 17 + index).astype(np.uint16)


def encoded(codec: PictureCodec, count: int, width: int = WIDTH, height: int = HEIGHT) -> list[tuple[bytes, bool]]:
    """Return `count` pictures, each with whether it is a key."""
    if codec is PictureCodec.H264:
        encoder = H264Encoder(width, height)
        return [encoder.encode(_bgr(i, width, height), 33_333 * i, key=i % KEY_EVERY == 0) for i in range(count)]
    if codec is PictureCodec.JPEG:
        return [JpegEncoder().encode(_bgr(i, width, height), 0, key=True) for i in range(count)]
    if codec is PictureCodec.PNG:
        return [(png(_bgr(i, width, height)), True) for i in range(count)]
    return [(png(depth(i, width, height)), True) for i in range(count)]


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Return an array as PNG; colours in OpenCV's order."""
    done, data = cv2.imencode(".png", pixels)
    assert done
    return bytes(data)


def pictures_of(units: list[tuple[bytes, bool]], codec: PictureCodec, **changed: object) -> Pictures:
    """Return encoded pictures as a camera's channel."""
    end = np.cumsum([len(data) for data, _ in units], dtype=np.int64)
    fields = {
        "name": "front",
        "codec": codec,
        "width": WIDTH,
        "height": HEIGHT,
        "fps": FPS,
        "data": np.frombuffer(b"".join(data for data, _ in units), np.uint8),
        "end": end,
        "t_captured_ns": np.arange(len(units), dtype=np.int64) * 33_333_333,
        "key": np.array([key for _, key in units], np.bool_),
    }
    return Pictures(**(fields | changed))  # type: ignore[arg-type]  # a test changes one by its name


def channel(codec: PictureCodec, count: int = 12) -> Pictures:
    """Return a camera's channel of `count` pictures."""
    return pictures_of(encoded(codec, count), codec)
