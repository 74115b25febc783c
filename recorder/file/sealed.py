"""A sealed file: AES-256-GCM over segments of 64 KiB, each by itself, so that any range is read, and checked, alone.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway and Vizar, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", CRYPTO 2015, section 7): a segment's nonce holds its number and whether it is the last, and all are
bound to what the file is of. So a segment that is changed, moved, left out or of another file does not open, and nor
does the last one of a file that was cut. Layout: `HEADER`, then each segment with its 16 bytes of tag.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
SEGMENT_BYTES: Final = 64 << 10
TAG_BYTES: Final = 16
HEADER: Final = b"armshare sealed\x01"
"""16 bytes; the last counts the ways in which files are sealed."""
_STEP: Final = SEGMENT_BYTES + TAG_BYTES
_TOGETHER: Final = 16
"""How many segments are read at once: a megabyte."""
_PREFIX: Final = bytes(7)
"""No nonce comes twice although this is the same in all: a key seals one file, once."""

Read = Callable[[int, int], bytes]
"""Returns the bytes of a sealed file from `start` up to `end`, exactly as many."""


class SealBrokenError(ValueError):
    """Bytes are not what was sealed by this key, of this episode: they were changed, moved, cut or mixed up."""


def new_key() -> bytes:
    """Return a key for one file."""
    return secrets.token_bytes(KEY_BYTES)


def bound_to(episode: str, digest: str) -> bytes:
    """Return what an episode's segments are bound to: its id, and its manifest's digest (0x-hex of 32 bytes)."""
    return HEADER + bytes.fromhex(digest.removeprefix("0x")) + episode.encode()


def sealed_size(size: int) -> int:
    """Return how many bytes a file of `size` has once it is sealed; an empty one has one segment."""
    return len(HEADER) + size + TAG_BYTES * _segments(size)


def seal(source: Path, target: BinaryIO, key: bytes, bound: bytes) -> int:
    """Write a file sealed; return its size."""
    size, gcm = source.stat().st_size, AESGCM(key)
    last = _segments(size) - 1
    target.write(HEADER)
    with source.open("rb") as file:
        for number in range(last + 1):
            data = file.read(SEGMENT_BYTES)
            if len(data) != min(SEGMENT_BYTES, size - number * SEGMENT_BYTES):
                raise OSError(f"{source} changed while it was sealed")
            target.write(gcm.encrypt(_nonce(number, number == last), data, bound))
    return size


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed file that can be opened: `size` is that of what is in it."""

    read_sealed: Read
    size: int
    key: bytes
    bound: bytes

    def read(self, start: int, end: int) -> bytes:
        """Return the plain bytes from `start` up to `end`; raise SealBrokenError."""
        if start >= end:
            return b""
        first, after = start // SEGMENT_BYTES, -(-end // SEGMENT_BYTES)
        data = b"".join(self._opened(at, min(at + _TOGETHER, after)) for at in range(first, after, _TOGETHER))
        return data[start - first * SEGMENT_BYTES : end - first * SEGMENT_BYTES]

    def require_whole(self, sealed_bytes: int) -> None:
        """Raise SealBrokenError unless the file has the size, the header and the end of one that was sealed here."""
        if sealed_bytes != sealed_size(self.size):
            raise SealBrokenError(f"expected {sealed_size(self.size)} sealed bytes, got {sealed_bytes}")
        if self.read_sealed(0, len(HEADER)) != HEADER:
            raise SealBrokenError("expected a sealed file, got something else")
        last = _segments(self.size) - 1
        self._opened(last, last + 1)

    def _opened(self, first: int, after: int) -> bytes:
        """Return what is in the segments from `first` up to `after`."""
        last, gcm = _segments(self.size) - 1, AESGCM(self.key)
        end = min(len(HEADER) + after * _STEP, sealed_size(self.size))
        data = self.read_sealed(len(HEADER) + first * _STEP, end)
        found = []
        for number in range(first, after):
            segment = data[(number - first) * _STEP : (number - first + 1) * _STEP]
            try:
                found.append(gcm.decrypt(_nonce(number, number == last), segment, self.bound))
            except (InvalidTag, ValueError) as error:
                said = f"segment {number} of {last + 1} is not what was sealed"
                raise SealBrokenError(f"{said}: it was changed, moved or cut, or the key is another's") from error
        return b"".join(found)


def _segments(size: int) -> int:
    return max(1, -(-size // SEGMENT_BYTES))


def _nonce(number: int, last: bool) -> bytes:
    """Return 12 bytes: nothing, the segment's number, and whether it is the last."""
    return _PREFIX + struct.pack(">IB", number, last)
