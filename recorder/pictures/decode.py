"""From encoded pictures to pixels: any picture of a camera, at random or in order.

What a picture says of its size is compared with its camera's before a decoder sees it, so a decoder takes no more
memory or time than the camera's pictures need.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.errors import PictureError, PictureSizeError, PictureUndecodableError
from recorder.pictures.units import require_exact, require_unit

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_COLOURS: Final = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_AS_IT_IS: Final = cv2.IMREAD_UNCHANGED


class Decoder:
    """Decodes the pictures of one camera. Not thread-safe: each thread and each process makes its own."""

    def __init__(self, pictures: Pictures) -> None:
        """Decode these; nothing is read or decoded yet."""
        self._pictures = pictures
        self._source: _Source = _H264(pictures) if pictures.codec is PictureCodec.H264 else _Alone(pictures)

    def frame(self, index: int) -> Pixels:
        """Return a picture: (H, W, 3) uint8, RGB; (H, W) uint16 if its pixels are one value of 16 bits.

        Raises IndexError, or a PictureError that says which picture it is and what is wrong with it.
        """
        self._seek(index)
        return self._source.pixels()

    def frames(self, indices: Sequence[int] | NDArray[np.int64]) -> Pixels:
        """Return several pictures, (n, H, W, 3) or (n, H, W), in the order of `indices`; each is decoded only once.

        Raises as `frame`.
        """
        wanted = np.asarray(indices, np.int64)
        if len(wanted) == 1:
            return self.frame(int(wanted[0]))[None]
        made: Pixels | None = None
        before, at = -1, 0
        for place in np.argsort(wanted, kind="stable").tolist():
            index = int(wanted[place])
            pixels = made[at] if made is not None and index == before else self.frame(index)
            if made is None:
                made = np.empty((len(wanted), *pixels.shape), pixels.dtype)
            made[place] = pixels
            before, at = index, place
        if made is None:
            return np.empty((0, self._pictures.height, self._pictures.width, 3), np.uint8)
        return made

    def check(self, index: int) -> None:
        """Decode a picture, and leave it at that; raise as `frame`, and if it holds more than its pixels."""
        self._seek(index)
        if self._pictures.codec in (PictureCodec.PNG, PictureCodec.DEPTH16):
            try:
                require_exact(self._pictures.encoded(index))
            except PictureError as error:
                raise _of(self._pictures, index, error) from error

    def _seek(self, index: int) -> None:
        if not 0 <= index < len(self._pictures):
            raise IndexError(f"{self._pictures.name} has {len(self._pictures)} pictures: there is no picture {index}")
        self._source.seek(index)


def check_with(pictures: Pictures) -> Callable[[int], None]:
    """Return `Decoder.check` of these pictures. After this, nothing is opened."""
    return Decoder(pictures).check


class _Source(Protocol):
    """Has one decoded picture at a time."""

    def seek(self, index: int) -> None:
        """Decode a picture; raise PictureError."""

    def pixels(self) -> Pixels:
        """Return it in an array of its own."""


class _Alone:
    """Pictures each of which is decoded by itself."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._found: Pixels = np.empty(0, np.uint8)

    def seek(self, index: int) -> None:
        pictures = self._pictures
        data = pictures.encoded(index)
        try:
            unit = require_unit(pictures.codec, data, pictures.width, pictures.height, key=True)
        except PictureError as error:
            raise _of(pictures, index, error) from error
        deep = unit.deep
        try:
            found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), _AS_IT_IS if deep else _COLOURS)
        except cv2.error as error:
            if error.code == cv2.Error.StsNoMem:
                raise MemoryError(str(error)) from error
            raise _of(pictures, index, PictureUndecodableError(str(error))) from error
        _require_decoded(pictures, index, found, deep)
        self._found = found

    def pixels(self) -> Pixels:
        return self._found


def _require_decoded(pictures: Pictures, index: int, found: Any, deep: bool) -> None:
    expected = (pictures.height, pictures.width) if deep else (pictures.height, pictures.width, 3)
    if found is None:
        raise _of(pictures, index, PictureUndecodableError(f"it cannot be decoded as {pictures.codec}"))
    if found.shape != expected or found.dtype != (np.uint16 if deep else np.uint8):
        raise _of(pictures, index, PictureSizeError(f"expected pixels {expected}, got {found.shape} {found.dtype}"))


class _H264:
    """Pictures that need those before them, from the last key on. It goes on from where it is if that is nearer."""

    def __init__(self, pictures: Pictures) -> None:
        import av

        self._av = av
        self._pictures = pictures
        self._keys = np.flatnonzero(pictures.key)
        self._codec = av.CodecContext.create("h264", "r")
        self._codec.thread_count = 1
        self._codec.flags |= av.codec.context.Flags.low_delay
        self._codec.options = {"err_detect": "explode"}
        self._colours = av.video.reformatter.VideoReformatter()
        self._at = -1
        """The picture that was decoded last; -1 if none was, or what the decoder knows is of no more use."""
        self._frame: Any = None

    def seek(self, index: int) -> None:
        if index == self._at:
            return
        place = int(np.searchsorted(self._keys, index, side="right")) - 1
        if place < 0:
            raise _of(self._pictures, index, PictureUndecodableError("there is no key before it"))
        start = int(self._keys[place])
        if start <= self._at < index:
            start = self._at + 1
        else:
            self._codec.flush_buffers()
        self._at = -1
        for each in range(start, index + 1):
            self._frame = self._decoded(each)
        self._at = index

    def pixels(self) -> Pixels:
        return np.asarray(self._colours.reformat(self._frame, format="rgb24", threads=1).to_ndarray(), np.uint8)

    def _decoded(self, index: int) -> Any:
        pictures = self._pictures
        data = pictures.encoded(index)
        try:
            require_unit(pictures.codec, data, pictures.width, pictures.height, key=bool(pictures.key[index]))
            found = self._codec.decode(self._av.Packet(data))
        except PictureError as error:
            raise _of(pictures, index, error) from error
        except self._av.FFmpegError as error:
            if error.errno == errno.ENOMEM:
                raise MemoryError(str(error)) from error
            raise _of(pictures, index, PictureUndecodableError(str(error))) from error
        if len(found) != 1 or found[0].is_corrupt:
            said = f"it gives {len(found)} pictures, some of them damaged" if found else "it gives no picture"
            raise _of(pictures, index, PictureUndecodableError(said))
        if (found[0].width, found[0].height) != (pictures.width, pictures.height):
            size = f"{found[0].width}x{found[0].height}"
            raise _of(pictures, index, PictureSizeError(f"expected {pictures.width}x{pictures.height}, got {size}"))
        return found[0]


def _of(pictures: Pictures, index: int, error: PictureError) -> PictureError:
    """Return the same error, which says which picture it is of."""
    return type(error)(f"picture {index} of {pictures.name}: {error}")
