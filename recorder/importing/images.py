"""A stranger's single pictures: files of PNG or JPEG as they are, if an episode may hold them so, else as PNG."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.importing.errors import PicturesBrokenError
from recorder.importing.footage import Camera, Filming, Spool
from recorder.importing.video import png
from recorder.pictures.channel import PictureCodec
from recorder.pictures.errors import PictureError
from recorder.pictures.units import PIXELS_MAX, unit_of
from teleop.cameras.film import PICTURE_BYTES_MAX

_PNG: Final = b"\x89PNG\r\n\x1a\n"


class Images:
    """One camera whose pictures come one by one."""

    def __init__(self, spool: Spool, source: str, count: int) -> None:
        """There are at most `count` of them."""
        self._spool, self._source, self._count = spool, source, count
        self._film: Filming | None = None
        self._again = False

    def add(self, data: bytes) -> None:
        """Add an encoded picture, as it is if it may be; raise PicturesBrokenError or TooMuchError."""
        try:
            self._add(data)
        except PictureError as error:
            at = len(self._film.end) if self._film else 0
            raise PicturesBrokenError(f"{self._source}: picture {at} cannot be read: {error}") from error

    def pixels(self, found: NDArray[np.uint8]) -> None:
        """Add (H, W, 3) uint8, RGB, as PNG; raise TooMuchError."""
        self._again = True
        self._put(PictureCodec.PNG, found.shape[1], found.shape[0], png(found))

    def camera(self, fps: float, t_captured_ns: NDArray[np.int64], timed: str = "") -> Camera:
        """Return what came; raise PicturesBrokenError unless it is a picture for each time."""
        if self._film is None or len(self._film.end) != len(t_captured_ns):
            found = len(self._film.end) if self._film else 0
            raise PicturesBrokenError(f"{self._source} has {found} pictures, and there are {len(t_captured_ns)} frames")
        how = "PNG, of its pixels" if self._again else f"copied from {self._film.codec.upper()}"
        said = f"{self._source}{'' if self._again else ', as they were'}"
        return self._spool.taken(self._film, said, how, fps, t_captured_ns, timed)

    def _add(self, data: bytes) -> None:
        codec = PictureCodec.PNG if data.startswith(_PNG) else PictureCodec.JPEG
        if self._film is None or self._film.codec is codec:
            try:
                unit = unit_of(codec, data)
            except PictureError:
                if self._film is not None and codec is PictureCodec.JPEG:
                    raise
            else:
                width, height = unit.size or (0, 0)
                self._put(codec, width, height, data)
                return
        pixels = _decoded(data)
        self._again = True
        self._put(PictureCodec.PNG, pixels.shape[1], pixels.shape[0], png(pixels))

    def _put(self, codec: PictureCodec, width: int, height: int, data: bytes) -> None:
        if self._film is None:
            self._film = self._spool.begin(codec, width, height, self._count)
        if self._film.codec is not codec:
            raise PictureError(f"it is {codec}, and the ones before it are {self._film.codec}")
        self._spool.put(self._film, data)


def _decoded(data: bytes) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8, RGB; raise PictureError."""
    import cv2

    if len(data) > PICTURE_BYTES_MAX:
        raise PictureError(f"it has {len(data)} bytes, and at most {PICTURE_BYTES_MAX} are read")
    try:
        found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise PictureError(str(error)) from error
    if found is None or found.ndim != 3 or found.shape[0] * found.shape[1] > PIXELS_MAX:
        raise PictureError("it is no picture, or too large")
    return np.asarray(found, np.uint8)
