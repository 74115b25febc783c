"""Pictures as MP4 of a constant rate, as training code reads video: several episodes of one camera to a file.

H.264 that is stored one picture to a frame is copied without being decoded. Anything else is encoded, once: colours as
H.264, depth as lossless HEVC of 12 bits (`depth.py`). A picture's time in the file is its number divided by the rate;
when it was really taken is not in the video.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.decode import Decoder
from recorder.pictures.depth import coded
from recorder.pictures.errors import PictureError, PictureSizeError, PictureStructureError
from recorder.pictures.units import require_unit

if TYPE_CHECKING:
    import av

KEY_EVERY: Final = 10
"""Pictures from one key to the next, in video that is encoded here: few enough to read at random."""
ENCODER: Final = {"preset": "veryfast", "crf": "20", "bf": "0", "g": str(KEY_EVERY)}
"""Of libx264, in video that is encoded here."""
DEPTH_FORMAT: Final = "gray12le"
"""The pixels of depth."""
_DEPTH_ENCODER: Final = f"lossless=1:bframes=0:keyint={KEY_EVERY}:repeat-headers=1:log-level=none"
"""Of libx265."""
BYTES_MAX: Final = 200 << 20
"""A file that has reached this size gets no further episode."""

_START: Final = b"\0\0\1"
_H264_SETS: Final = frozenset({7, 8})
_HEVC_SETS: Final = frozenset({32, 33, 34})
"""Kinds of units that a decoder has to know before a picture: H.264's SPS and PPS; HEVC's VPS, SPS and PPS."""
_H264_PICTURE: Final = frozenset(range(1, 6))
_HEVC_PICTURE: Final = frozenset(range(32))
"""Kinds of units that belong to a picture itself; parameter sets come before them."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the pictures of one episode are."""

    file: int
    """The number of the file, from 0."""
    start: int
    """Which of the file's pictures is the episode's first."""
    count: int
    copied: bool
    """Whether they are as they were stored; False if they were encoded here."""


class Mp4Files:
    """The videos of one camera, file after file. Close it, or they cannot be read."""

    def __init__(self, path_of: Callable[[int], Path], fps: Fraction | int, *, bytes_max: int = BYTES_MAX) -> None:
        """`path_of` says where a file of a number goes; its folder is made. `fps` is the rate of all of them."""
        self._path_of, self._fps, self._bytes_max = path_of, fps, bytes_max
        self._file: _Mp4 | None = None
        self._number = -1

    def add(self, pictures: Pictures, indices: NDArray[np.int64]) -> Placed:
        """Append an episode: the pictures numbered `indices` (n,), one to a frame; raise a PictureError.

        They are copied if they follow each other. If the first is not a key, those from the key before it on are put
        into the file too, before the episode's start: players need them, and nobody asks for them.
        """
        units = _stored(pictures, indices)
        if units is None:
            return self._append(_encoded(pictures, indices, self._fps), pictures, lead=0, copied=False)
        lead = int(indices[0]) - pictures.key_before(int(indices[0]))
        return self._append(units, pictures, lead=lead, copied=True)

    def close(self) -> None:
        """Finish the last file. Idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, units: Iterable[tuple[bytes, bool]], pictures: Pictures, *, lead: int, copied: bool) -> Placed:
        made = iter(units)
        first, key = next(made)
        file = self._fitting(first, pictures)
        start = file.count + lead
        file.append(first, key=key)
        for unit, key in made:
            file.append(unit, key=key)
        return Placed(self._number, start, file.count - start, copied)

    def _fitting(self, first: bytes, pictures: Pictures) -> _Mp4:
        """Return a file whose decoder these pictures can go on with: of the same parameter sets, and not yet full."""
        deep = pictures.codec is PictureCodec.DEPTH16
        sets = parameter_sets(first, hevc=deep)
        if self._file is not None and self._file.sets == sets and self._file.size < self._bytes_max:
            return self._file
        self.close()
        self._number += 1
        path = self._path_of(self._number)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = _Mp4(path, self._fps, first, sets, pictures.name, "hevc" if deep else "h264")
        return self._file


def parameter_sets(unit: bytes, *, hevc: bool = False) -> bytes:
    """Return what comes before the first slice of an access unit that a decoder has to know: its parameter sets."""
    of_picture, of_sets = (_HEVC_PICTURE, _HEVC_SETS) if hevc else (_H264_PICTURE, _H264_SETS)
    found, at = [], unit.find(_START)
    while at >= 0:
        begin = at + len(_START)
        head = unit[begin] if begin < len(unit) else 0
        kind = head >> 1 & 0x3F if hevc else head & 0x1F
        if kind in of_picture:
            break
        at = unit.find(_START, begin)
        if kind in of_sets:
            found.append(unit[begin : len(unit) if at < 0 else at].rstrip(b"\0"))
    return b"".join(b"\0" + _START + one for one in found)


class _Mp4:
    """One open file."""

    def __init__(self, path: Path, fps: Fraction | int, first: bytes, sets: bytes, name: str, codec: str) -> None:
        import av

        self.sets, self.size, self.count = sets, 0, 0
        self._av, self._period = av, Fraction(1, fps)
        try:
            with av.open(BytesIO(first), format=codec) as probed:
                self._container = av.open(str(path), "w", format="mp4")
                self._stream = self._container.add_stream_from_template(probed.streams.video[0])
        except (av.FFmpegError, IndexError, ValueError) as error:
            raise PictureStructureError(f"{name}: its first picture cannot be copied as {codec}: {error}") from error
        self._stream.time_base = self._period

    def append(self, unit: bytes, *, key: bool) -> None:
        packet: Any = self._av.Packet(unit)
        packet.stream, packet.time_base = self._stream, self._period
        packet.pts = packet.dts = self.count
        packet.duration = 1
        packet.is_keyframe = key
        self._container.mux_one(packet)
        self.count += 1
        self.size += len(unit)

    def close(self) -> None:
        self._container.close()


def _stored(pictures: Pictures, indices: NDArray[np.int64]) -> Iterator[tuple[bytes, bool]] | None:
    """Return the access units of these pictures as they are stored, from a key on; None if they have to be encoded."""
    if pictures.codec is not PictureCodec.H264 or (np.diff(indices) != 1).any():
        return None
    first, last = pictures.key_before(int(indices[0])), int(indices[-1])
    sets = parameter_sets(pictures.encoded(first))
    keys = np.flatnonzero(pictures.key[first : last + 1]) + first
    if any(parameter_sets(pictures.encoded(int(key))) != sets for key in keys):
        return None  # the camera changed its settings on the way
    return _units(pictures, range(first, last + 1))


def _units(pictures: Pictures, indices: Iterable[int]) -> Iterator[tuple[bytes, bool]]:
    for index in indices:
        unit, key = pictures.encoded(index), bool(pictures.key[index])
        try:
            require_unit(pictures.codec, unit, pictures.width, pictures.height, key=key)
        except PictureError as error:
            raise type(error)(f"picture {index} of {pictures.name}: {error}") from error
        yield unit, key


def _encoded(pictures: Pictures, indices: NDArray[np.int64], fps: Fraction | int) -> Iterator[tuple[bytes, bool]]:
    """Yield the access units of these pictures, decoded and encoded again."""
    import av

    if pictures.width % 2 or pictures.height % 2:
        size = f"{pictures.width}x{pictures.height}"
        raise PictureSizeError(f"{pictures.name}: a video needs an even width and height, and {size} is not")
    deep = pictures.codec is PictureCodec.DEPTH16
    encoder = _depth_encoder(pictures, fps) if deep else _encoder(pictures, fps)
    decoder = Decoder(pictures)
    for place, index in enumerate(indices.tolist()):
        pixels = decoder.frame(index)
        if deep:
            frame = av.VideoFrame.from_ndarray(coded(pixels.astype(np.uint16), pictures.depth_unit_m), DEPTH_FORMAT)
        else:
            frame = av.VideoFrame.from_ndarray(_colours(pixels, pictures), format="rgb24")
        frame.pts = place
        yield from _packets(encoder.encode(frame))
    yield from _packets(encoder.encode(None))


def _encoder(pictures: Pictures, fps: Fraction | int) -> av.VideoCodecContext:
    made = _opened("libx264", "yuv420p", pictures, fps)
    made.options = {**ENCODER, "x264-params": "repeat-headers=1:annexb=1:scenecut=0"}
    return made


def _depth_encoder(pictures: Pictures, fps: Fraction | int) -> av.VideoCodecContext:
    made = _opened("libx265", DEPTH_FORMAT, pictures, fps)
    made.options = {"x265-params": _DEPTH_ENCODER}
    return made


def _opened(name: str, pixels: str, pictures: Pictures, fps: Fraction | int) -> av.VideoCodecContext:
    import av

    encoder: Any = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = pictures.width, pictures.height, pixels
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    made: av.VideoCodecContext = encoder
    return made


def _packets(packets: Iterable[Any]) -> Iterator[tuple[bytes, bool]]:
    for packet in packets:
        yield bytes(packet), bool(packet.is_keyframe)


def _colours(pixels: NDArray[Any], pictures: Pictures) -> NDArray[np.uint8]:
    if pixels.ndim != 3:
        raise PictureStructureError(f"{pictures.name}: a video holds colours, and this camera gives one value a pixel")
    return pixels
