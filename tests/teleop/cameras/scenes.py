"""Films that OpenCV plays as cameras: a scene with something that moves, and a sensor's noise."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

from teleop.cameras.film import Film


def scene(number: int, width: int = 320, height: int = 240, seed: int = 0) -> np.ndarray:
    """Return picture `number` of a scene, (H, W, 3) BGR."""
    random = np.random.default_rng(seed)
    coarse = random.integers(30, 220, (height // 40, width // 40, 3), np.uint8)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    cv2.circle(picture, (width * (number % 60) // 60, height // 2), height // 8, (40, 40, 230), -1)
    return cv2.add(picture, np.random.default_rng([seed, number]).integers(0, 4, picture.shape, np.uint8))


def colour_film(path: Path, pictures: list[np.ndarray], fps: float = 30.0) -> str:
    """Write a film of these pictures, without loss but for the colours' resolution."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"I420"), fps, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return str(path)


def depth_film(path: Path, pictures: list[np.ndarray], fps: float = 30.0) -> str:
    """Write a film of 16 bits without loss."""
    height, width = pictures[0].shape
    how = [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U, cv2.VIDEOWRITER_PROP_IS_COLOR, 0]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, (width, height), how)
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return str(path)


def shown(path: str) -> list[np.ndarray]:
    """Return what OpenCV reads from a film."""
    capture, found = cv2.VideoCapture(path), []
    while (read := capture.read())[0]:
        found.append(read[1])
    return found


def decoded(film: Film) -> list[np.ndarray]:
    """Return the pictures of a film, (H, W, 3) BGR or (H, W) uint16."""
    if film.head.codec != "h264":
        return [cv2.imdecode(np.frombuffer(one.data, np.uint8), cv2.IMREAD_UNCHANGED) for one in film.pictures]
    decoder = av.CodecContext.create("h264", "r")
    return [frame.to_ndarray(format="bgr24") for one in film.pictures for frame in decoder.decode(av.Packet(one.data))]


def nearest(picture: np.ndarray, among: list[np.ndarray]) -> tuple[int, float]:
    """Return which of these a picture is nearest to, and the PSNR, dB."""
    psnr = [cv2.PSNR(picture, other) for other in among]
    return int(np.argmax(psnr)), float(max(psnr))
