"""What one encoded picture says of itself: its size, and whether it can be decoded alone. Nothing is decoded here.

A picture may come from anyone. Each codec has a strict subset that is taken (FORMAT.md, section 1.4): it leaves out
whatever could make a decoder do much more work than the size of the picture explains.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from recorder.pictures.channel import PictureCodec
from recorder.pictures.errors import PictureSizeError, PictureStructureError
from teleop.cameras.film import PICTURE_BYTES_MAX

SIDE_MAX: Final = 4096
"""Pixels, of width and height."""
PIXELS_MAX: Final = SIDE_MAX * 2304


@dataclass(frozen=True, slots=True)
class Unit:
    """One encoded picture."""

    key: bool
    """Whether it can be decoded by itself."""
    size: tuple[int, int] | None
    """Width and height; None if it does not say so itself, but the key before it does."""
    deep: bool = False
    """Whether a pixel is one value of 16 bits instead of three of 8."""


def unit_of(codec: PictureCodec, data: bytes) -> Unit:
    """Return what a picture says of itself; raise PictureStructureError."""
    if not 0 < len(data) <= PICTURE_BYTES_MAX:
        raise PictureStructureError(f"expected a picture of 1 to {PICTURE_BYTES_MAX} bytes, got {len(data)}")
    try:
        if codec is PictureCodec.H264:
            return _access_unit(data)
        if codec is PictureCodec.JPEG:
            return _jpeg(data)
        found = _png(data)
    except (IndexError, _OutOfBitsError) as error:
        raise PictureStructureError(f"a header of the {codec} picture is cut off") from error
    if codec is PictureCodec.DEPTH16 and not found.deep:
        raise PictureStructureError("expected depth as a PNG of 16 bits, got 8 bits")
    return found


def require_unit(codec: PictureCodec, data: bytes, width: int, height: int, *, key: bool) -> Unit:
    """Return what a picture says of itself; raise PictureError unless it has this size, and is a key if `key`."""
    found = unit_of(codec, data)
    if found.size is not None and found.size != (width, height):
        raise PictureSizeError(f"expected a picture of {width}x{height} pixels, got {found.size[0]}x{found.size[1]}")
    if found.key is not key:
        said, is_one = ("a key", "is not one") if key else ("not a key", "is one")
        raise PictureStructureError(f"the picture is called {said}, and {is_one}")
    return found


# H.264 (ITU-T H.264, sections 7.3 and annex B)

_START: Final = b"\0\0\1"
_SLICE, _IDR, _SEI, _SPS, _PPS, _DELIMITER, _FILLER = 1, 5, 6, 7, 8, 9, 12
_KINDS: Final = frozenset({_SLICE, _IDR, _SEI, _SPS, _PPS, _DELIMITER, _FILLER})
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_I_OR_P: Final = frozenset({0, 2, 5, 7})
"""The types of slices: 0 and 5 refer to one picture before it, 2 and 7 to nothing."""
_SLICE_HEAD_BYTES: Final = 16
"""Where the first two numbers of a slice end, at the latest."""
_UNITS_MAX: Final = 256


def _access_unit(data: bytes) -> Unit:
    kinds: set[int] = set()
    size: tuple[int, int] | None = None
    first = 0
    for kind, start, end in _units(data):
        if kind == _SPS:
            size = _same(size, _size_of(data[start:end]))
        elif kind in (_SLICE, _IDR):
            first += _begins_picture(data[start : min(end, start + _SLICE_HEAD_BYTES)])
        kinds.add(kind)
    if unknown := kinds - _KINDS:
        raise PictureStructureError(f"expected units of H.264 of the kinds {sorted(_KINDS)}, got {sorted(unknown)}")
    if first != 1 or {_SLICE, _IDR} <= kinds:
        raise PictureStructureError(f"expected one picture in an access unit, got {first}")
    key = _IDR in kinds
    if key and not {_SPS, _PPS} <= kinds:
        raise PictureStructureError("expected the parameter sets before a picture that is a key")
    return Unit(key, size)


def _units(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield each unit's kind, where its bytes after its head begin, and where they end."""
    at = data.find(_START)
    if at < 0 or data[:at].strip(b"\0"):
        raise PictureStructureError("expected H.264 that begins with a start code (Annex B)")
    for _ in range(_UNITS_MAX):
        start = at + len(_START)
        at = data.find(_START, start)
        end = len(data) if at < 0 else at
        head = data[start]
        if head & 0x80 or start >= end:
            raise PictureStructureError("expected units of H.264 that begin with a zero bit")
        yield head & 0x1F, start + 1, end
        if at < 0:
            return
    raise PictureStructureError(f"expected at most {_UNITS_MAX} units in a picture")


def _same(before: tuple[int, int] | None, found: tuple[int, int]) -> tuple[int, int]:
    if before is not None and before != found:
        raise PictureSizeError(f"one picture says that it has {before} pixels, and {found}")
    return found


def _begins_picture(head: bytes) -> bool:
    """Return whether a slice is the first of its picture; raise PictureStructureError if it is one of a B-frame."""
    bits = _Bits(_unescaped(head))
    first = bits.number() == 0
    if (kind := bits.number()) not in _I_OR_P:
        raise PictureStructureError(f"expected slices that are I or P, got type {kind}")
    return first


@lru_cache(maxsize=64)
def _size_of(sps: bytes) -> tuple[int, int]:
    """Return the width and height that a sequence parameter set says (section 7.3.2.1.1)."""
    bits = _Bits(_unescaped(sps))
    profile = bits.take(8)
    bits.take(16)  # constraints and level
    bits.number()  # its id
    if profile in _HIGH_PROFILES:
        _require_eight_bits(bits)
    bits.number()  # log2_max_frame_num
    _skip_order(bits)
    bits.number()  # max_num_ref_frames
    bits.take(1)
    wide, high = bits.number() + 1, bits.number() + 1
    if not bits.take(1):
        raise PictureStructureError("expected H.264 of whole frames, got fields (interlaced)")
    bits.take(1)
    left, right, top, bottom = (bits.number() for _ in range(4)) if bits.take(1) else (0, 0, 0, 0)
    if left + right >= 8 or top + bottom >= 8:  # two pixels each: coded blocks have 16, and no decoder may need more
        raise PictureStructureError(f"expected H.264 cut by less than a block, got {left}, {right}, {top}, {bottom}")
    return 16 * wide - 2 * (left + right), 16 * high - 2 * (top + bottom)


def _require_eight_bits(bits: _Bits) -> None:
    found = bits.number(), bits.number(), bits.number()
    if found != (1, 0, 0):
        raise PictureStructureError(f"expected H.264 with 4:2:0 colours of 8 bits, got chroma and depths {found}")
    bits.take(1)
    if bits.take(1):
        raise PictureStructureError("expected H.264 without scaling matrices")


def _skip_order(bits: _Bits) -> None:
    kind = bits.number()
    if kind == 0:
        bits.number()
    elif kind == 1:
        bits.take(1)
        bits.number()
        bits.number()
        for _ in range(min(bits.number(), 255)):
            bits.number()


def _unescaped(data: bytes) -> bytes:
    return data.replace(b"\0\0\3", b"\0\0")


class _OutOfBitsError(Exception):
    pass


class _Bits:
    """Reads numbers of a unit of H.264, bit by bit."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """Return the next so many bits."""
        self._left -= count
        if self._left < 0:
            raise _OutOfBitsError
        return self._value >> self._left & ((1 << count) - 1)

    def number(self) -> int:
        """Return the next number in Exp-Golomb code, without regard to a sign (section 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise _OutOfBitsError
        return (1 << zeros) - 1 + self.take(zeros)


# JPEG (ITU-T T.81, annex B)

_SOI, _EOI, _SOS, _DNL = 0xD8, 0xD9, 0xDA, 0xDC
_BASELINE: Final = frozenset({0xC0, 0xC1})
_REFUSED: Final = frozenset({_SOI, _DNL, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})
"""Frames that are progressive (each of any number of scans goes over the whole picture), lossless, or arithmetic."""
_SCAN_END: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")


def _jpeg(data: bytes) -> Unit:
    if data[:2] != b"\xff\xd8":
        raise PictureStructureError("expected a JPEG")
    frame, scans = b"", 0
    kind, at = _marker(data, 2)
    while kind != _EOI:
        part = data[at : at + int.from_bytes(data[at : at + 2], "big")]
        if len(part) < 2 or kind in _REFUSED or (frame and kind in _BASELINE):
            raise PictureStructureError(f"expected a JPEG with one frame, of the baseline, got the marker {kind:#x}")
        if kind in _BASELINE:
            frame = part
        at += len(part)
        if kind == _SOS:
            scans += 1
            found = _SCAN_END.search(data, at)
            at = found.start() if found else len(data)
        kind, at = _marker(data, at)
    if not frame or not 1 <= scans <= frame[7] or data[at:].strip(b"\0"):
        raise PictureStructureError("expected a JPEG with a scan, at most one for each colour, and nothing behind it")
    if frame[2] != 8 or frame[7] not in (1, 3):
        raise PictureStructureError(f"expected a JPEG of 8 bits and three colours, got {frame[2]} and {frame[7]}")
    return Unit(True, (int.from_bytes(frame[5:7], "big"), int.from_bytes(frame[3:5], "big")))


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """Return a marker, and where what it begins has its first byte."""
    if data[at] != 0xFF:
        raise PictureStructureError("expected a marker of JPEG")
    while data[at] == 0xFF:
        at += 1
    return data[at], at + 1


# PNG (RFC 2083)

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PIXELS: Final = {(8, 2): False, (16, 0): True}
"""Bits and colour type that are taken -> whether a pixel is one value of 16 bits."""


def _png(data: bytes) -> Unit:
    chunks = list(_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or set(kinds[1:-1]) != {b"IDAT"}:
        raise PictureStructureError(f"expected a PNG of IHDR, IDAT and IEND, got {kinds[:8]}")
    head = chunks[0][1]
    if len(head) != 13 or head[10:] != b"\0\0\0" or (pixel := (head[8], head[9])) not in _PIXELS:
        raise PictureStructureError("expected a PNG of 8 bits and three colours, or of 16 bits, not interlaced")
    size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    return Unit(True, size, _PIXELS[pixel])


def require_exact(data: bytes) -> None:
    """Raise PictureStructureError unless a PNG unpacks to its pixels only: a decoder would unpack it all."""
    chunks = list(_chunks(data))
    (_, head), packed = chunks[0], b"".join(body for kind, body in chunks if kind == b"IDAT")
    width, high = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    expected = high * (1 + width * (2 if _PIXELS[head[8], head[9]] else 3))
    unpacking = zlib.decompressobj()
    try:
        found = len(unpacking.decompress(packed, expected + 1))
    except zlib.error as error:
        raise PictureStructureError(f"the PNG cannot be unpacked: {error}") from error
    if found != expected or not unpacking.eof or unpacking.unused_data:
        raise PictureStructureError(f"expected a PNG that unpacks to {expected} bytes, got {found} or more")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each chunk's kind and bytes; raise PictureStructureError if one is damaged."""
    if data[: len(_PNG)] != _PNG:
        raise PictureStructureError("expected a PNG")
    at = len(_PNG)
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        checked = data[at + 4 : end]
        if end + 4 > len(data) or zlib.crc32(checked) != int.from_bytes(data[end : end + 4], "big"):
            raise PictureStructureError("a part of the PNG is damaged or cut off")
        yield checked[:4], checked[4:]
        at = end + 4
