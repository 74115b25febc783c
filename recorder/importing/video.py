"""A stranger's video as pictures of an episode: its packets as they are, or, if it has to be decoded, without loss.

H.264 as FORMAT.md has it (section 1.4) is copied. What an episode cannot hold (AV1, HEVC, VP9, H.264 with B-frames) is
decoded once, and what came out of the decoder is kept to the last bit: as lossless H.264, or as PNG if its pixels are
of another kind. Only MP4 is opened, so no list of other files is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from recorder.importing.errors import PicturesBrokenError, TooMuchError
from recorder.importing.footage import Camera, Filming, KindError, Spool
from recorder.pictures.channel import PictureCodec
from recorder.pictures.decode import check_with
from recorder.pictures.errors import PictureError
from recorder.pictures.mp4 import KEY_EVERY
from recorder.pictures.units import PIXELS_MAX, unit_of

_KINDS: Final = frozenset({"h264", "hevc", "av1", "vp9"})
_PLANES: Final = frozenset({"yuv420p", "yuvj420p"})
"""Pixels that lossless H.264 keeps to the last bit."""
_EXTRA_PICTURES: Final = 600
"""How many more pictures than twice its frames an episode may have: those from the key before it, and skipped ones."""
_LOSSLESS: Final = {
    "preset": "veryfast",
    "qp": "0",
    "bf": "0",
    "g": str(KEY_EVERY),
    "x264-params": "repeat-headers=1:annexb=1:scenecut=0",
}
_DECODER: Final = {"err_detect": "explode", "max_pixels": str(PIXELS_MAX)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pictures of a video an episode has."""

    source: str
    """What the source calls the camera."""
    seconds: NDArray[np.float64]
    """(N,): when in the video each frame is."""
    t_ns: NDArray[np.int64]
    """(N,): when each frame was, by the episode's clock."""
    fps: float
    """The set's rate."""
    captured_ns: NDArray[np.int64] | None = None
    """(N,): when each frame's picture was taken, if the source says it."""


def footage(file: IO[bytes], wanted: Wanted, spool: Spool) -> Camera:
    """Return what an episode has of a video.

    Raises PicturesBrokenError, TooMuchError, or KindError for a video that is left out by name.
    """
    with _opened(file, wanted.source) as (container, stream):
        size = stream.codec_context.width, stream.codec_context.height
        kind = stream.codec_context.codec.canonical_name
        if kind not in _KINDS:
            raise KindError(f"video in {kind}, which is not read")
        stamps = np.array(sorted(_stamps(container, stream, wanted)), np.int64)
        chosen = _nearest(stamps, stream, wanted)
        shown = np.unique(chosen)
        count = int(shown[-1] - shown[0]) + 1 + _EXTRA_PICTURES if kind == "h264" else len(shown)
        film = spool.begin(PictureCodec.H264, *size, count)
        if kind == "h264":
            try:
                return _copied(_Source(container, stream, wanted, stamps[shown]), film, spool, chosen, stamps)
            except PictureError:
                spool.forget(film)
                film = spool.begin(PictureCodec.H264, *size, len(shown))
        return _decoded(_Source(container, stream, wanted, stamps[shown]), film, spool, kind, chosen)


@dataclass(frozen=True, slots=True)
class _Source:
    container: Any
    stream: Any
    wanted: Wanted
    stamps: NDArray[np.int64]
    """(n,): those of the pictures that are wanted, in the stream's own units."""

    def packets(self) -> Iterator[Any]:
        """Yield packets from the key before the first picture on; without an end."""
        self.container.seek(int(self.stamps[0]), stream=self.stream, backward=True)
        yield from _packets(self.container, self.stream, self.wanted.source)


@contextmanager
def _opened(file: IO[bytes], source: str) -> Iterator[tuple[Any, Any]]:
    """Give a container and its video; raise PicturesBrokenError or TooMuchError for whatever cannot be read in it."""
    import av

    try:
        with av.open(file, format="mp4", options={"enable_drefs": "0"}) as container:
            if not container.streams.video:
                raise PicturesBrokenError(f"{source}: its file holds no video")
            stream = container.streams.video[0]
            stream.codec_context.options = dict(_DECODER)
            stream.codec_context.thread_count = 1
            if not stream.time_base:
                raise PicturesBrokenError(f"{source}: its video has no clock")
            yield container, stream
    except MemoryError as error:
        raise TooMuchError(f"{source}: its video asks for more memory than any honest one needs") from error
    except (av.FFmpegError, PictureError) as error:
        raise PicturesBrokenError(f"{source}: its video cannot be read: {_said(error)}") from error


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error).partition("\n")[0]


def _packets(container: Any, stream: Any, source: str) -> Iterator[Any]:
    for packet in container.demux(stream):
        if packet.size == 0:
            continue
        if packet.pts is None or packet.is_corrupt:
            raise PicturesBrokenError(f"{source}: a picture of its video is cut off, or has no time")
        yield packet


def _stamps(container: Any, stream: Any, wanted: Wanted) -> Iterator[int]:
    """Yield when the pictures are that an episode may have, in the stream's own units; raise TooMuchError."""
    base, period = stream.time_base, 1 / wanted.fps
    first, last = (int((second + slack) / base) for second, slack in _ends(wanted, period))
    container.seek(max(first, 0), stream=stream, backward=True)
    most = 2 * len(wanted.seconds) + _EXTRA_PICTURES
    for count, packet in enumerate(_packets(container, stream, wanted.source)):
        if packet.dts is not None and packet.dts > last:  # no picture is shown before its packet
            return
        if count >= most:
            raise TooMuchError(f"{wanted.source}: its video has more than {most} pictures for {len(wanted.seconds)}")
        if packet.pts <= last:
            yield packet.pts


def _ends(wanted: Wanted, period: float) -> tuple[tuple[Fraction, Fraction], tuple[Fraction, Fraction]]:
    """Return the first and the last second, and how far beyond it a picture may be."""
    slack = Fraction(period)
    return (Fraction(float(wanted.seconds.min())), -slack), (Fraction(float(wanted.seconds.max())), slack)


def _nearest(stamps: NDArray[np.int64], stream: Any, wanted: Wanted) -> NDArray[np.int64]:
    """Return (N,): the picture of each frame; raise PicturesBrokenError if there is none within half a period."""
    seconds = stamps * float(stream.time_base)
    if not len(seconds):
        raise PicturesBrokenError(f"{wanted.source}: its video has no picture where the episode is")
    after = np.searchsorted(seconds, wanted.seconds).clip(0, len(seconds) - 1)
    before = (after - 1).clip(0)
    nearer = np.abs(seconds[before] - wanted.seconds) <= np.abs(seconds[after] - wanted.seconds)
    chosen: NDArray[np.int64] = np.where(nearer, before, after)
    far = np.abs(seconds[chosen] - wanted.seconds) > 0.5 / wanted.fps + 1e-6
    if far.any():
        raise PicturesBrokenError(f"{wanted.source}: its video has no picture for frame {int(np.argmax(far))}")
    if (np.diff(chosen) < 0).any():
        raise PicturesBrokenError(f"{wanted.source}: its frames are in another order than its pictures")
    return chosen


def _times(wanted: Wanted, chosen: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when the pictures numbered `places` were taken: that of the first frame that shows it.

    A picture that no frame shows lies between its neighbours; one before the first, a period before the one after it.
    """
    shown, first = np.unique(chosen, return_index=True)
    known = wanted.t_ns if wanted.captured_ns is None else wanted.captured_ns
    period = round(1e9 / wanted.fps)
    inside = np.round(np.interp(places, shown, known[first].astype(np.float64))).astype(np.int64)
    early = np.minimum(places - shown[0], 0) * period
    exact = np.searchsorted(shown, places).clip(0, len(shown) - 1)
    times: NDArray[np.int64] = np.where(shown[exact] == places, known[first][exact], inside + early)
    return times


def _copied(
    source: _Source, film: Filming, spool: Spool, chosen: NDArray[np.int64], stamps: NDArray[np.int64]
) -> Camera:
    """Return the packets as they are; raise a PictureError if they are not all of the kind that an episode holds."""
    from av.bitstream import BitStreamFilterContext

    to_annex_b = BitStreamFilterContext("h264_mp4toannexb", source.stream)
    last, found = int(source.stamps[-1]), []
    for packet in source.packets():
        if packet.pts > last:
            break
        for one in to_annex_b.filter(packet):
            data = bytes(one)
            key = unit_of(PictureCodec.H264, data).key
            spool.put(film, data, key=key)
            found.append(int(one.pts or 0))
    if found != sorted(found) or found[-1:] != [last] or not film.key[0]:
        raise PictureError("its pictures do not come in their order, or do not begin with a key")
    skipped = _before_last_key(film, found, int(source.stamps[0]))
    if skipped:
        raise PictureError("it does not begin with the key before its first picture")
    places = np.searchsorted(stamps, np.array(found, np.int64))
    lead = np.arange(len(found)) - found.index(int(source.stamps[0]))
    places = np.where(lead < 0, chosen[0] + lead, places)
    said = f"{source.wanted.source}, packets as they were"
    times = _times(source.wanted, chosen, places)
    made = _made(source, film, spool, said, "copied from H.264", times)
    _require_one_for_each(made)
    return made


def _require_one_for_each(camera: Camera) -> None:
    """Raise a PictureError unless a decoder gives each picture at once: some streams are made to come late."""
    pictures = camera.pictures("it")
    check = check_with(pictures)
    for index in range(len(pictures)):
        check(index)


def _before_last_key(film: Filming, found: list[int], first: int) -> int:
    """Return how many pictures lie before the newest key up to the first picture that is wanted."""
    keys = [number for number, (key, stamp) in enumerate(zip(film.key, found, strict=True)) if key and stamp <= first]
    return keys[-1] if keys else 0


def _decoded(source: _Source, film: Filming, spool: Spool, kind: str, chosen: NDArray[np.int64]) -> Camera:
    """Return the pictures that are wanted, decoded and kept without loss."""
    encode: Callable[[Any], None] | None = None
    encoder = ""
    waiting = [*source.stamps.tolist()][::-1]
    for frame in _frames(source):
        if not waiting:
            break
        if frame.pts > waiting[-1]:
            break
        if frame.pts < waiting[-1]:
            continue
        waiting.pop()
        if (frame.width, frame.height) != (film.width, film.height) or frame.is_corrupt:
            said = "a picture is damaged, or of another size than its video"
            raise PicturesBrokenError(f"{source.wanted.source}: {said}")
        if encode is None:
            lossless = frame.format.name in _PLANES and not (film.width % 2 or film.height % 2)
            film.codec = PictureCodec.H264 if lossless else PictureCodec.PNG
            encoder = f"{'libx264, without loss' if lossless else 'PNG'}, from {kind}"
            encode = _Lossless(spool, film, frame) if lossless else _Png(spool, film)
        encode(frame)
    if waiting:
        raise PicturesBrokenError(f"{source.wanted.source}: {len(waiting)} pictures of its video cannot be decoded")
    if isinstance(encode, _Lossless):
        encode.end()
    shown = np.unique(chosen)
    times = _times(source.wanted, chosen, shown)
    return _made(source, film, spool, f"{source.wanted.source}, decoded, and kept without loss", encoder, times)


def _frames(source: _Source) -> Iterator[Any]:
    decoder = source.stream.codec_context
    for packet in source.packets():
        yield from decoder.decode(packet)
    yield from decoder.decode(None)


class _Lossless:
    """Encodes what a decoder gave as H.264 that decodes to the same values."""

    def __init__(self, spool: Spool, film: Filming, first: Any) -> None:
        import av

        self._av, self._spool, self._film, self._count = av, spool, film, 0
        encoder: Any = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt = film.width, film.height, "yuv420p"
        encoder.time_base, encoder.framerate, encoder.thread_count = Fraction(1, 30), Fraction(30), 1
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(encoder, name, int(getattr(first, name)))
        if first.format.name == "yuvj420p":
            encoder.color_range = 2
        encoder.options = dict(_LOSSLESS)
        self._encoder = encoder

    def __call__(self, frame: Any) -> None:
        if frame.format.name not in _PLANES:
            raise PicturesBrokenError("the kind of pixels changes in the middle of its video")
        copy = self._av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
        copy.pts, self._count = self._count, self._count + 1
        self._put(self._encoder.encode(copy))

    def end(self) -> None:
        self._put(self._encoder.encode(None))

    def _put(self, packets: list[Any]) -> None:
        for packet in packets:
            self._spool.put(self._film, bytes(packet), key=bool(packet.is_keyframe))


class _Png:
    """Encodes pictures as PNG."""

    def __init__(self, spool: Spool, film: Filming) -> None:
        self._spool, self._film = spool, film

    def __call__(self, frame: Any) -> None:
        self._spool.put(self._film, png(frame.to_ndarray(format="rgb24")))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) uint8, RGB, as a PNG."""
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    assert done, "OpenCV encodes any picture of this type"
    return bytes(data)


def _made(source: _Source, film: Filming, spool: Spool, said: str, encoder: str, times: NDArray[np.int64]) -> Camera:
    timed = "" if source.wanted.captured_ns is None else "the source's times of pictures"
    return spool.taken(film, said, encoder, source.wanted.fps, times, timed)
