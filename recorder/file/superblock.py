"""Opening what a killed writer left: HDF5 refuses a file whose superblock says that a writer has it.

The superblock (HDF5 File Format Specification, section II.A, version 3) is 48 bytes: signature, version, sizes, the
consistency flags, four addresses of which the third is the end of the file, and a checksum (Jenkins' lookup3).
Clearing the flags and setting the end to the file's true size makes it an ordinary file again.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final

_LAYOUT: Final = struct.Struct("<8sBBBBQQQQ")
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_VERSION: Final = 3
_WORD: Final = 0xFFFFFFFF


class SuperblockError(ValueError):
    """A file does not begin with a whole HDF5 superblock of version 3."""


def release(path: Path) -> None:
    """Let go of a file that its writer, which is dead, still seems to hold; raise SuperblockError. Idempotent."""
    with path.open("r+b") as file:
        data = file.read(_LAYOUT.size + 4)
        if len(data) < _LAYOUT.size + 4 or not data.startswith(_SIGNATURE) or data[8] != _VERSION:
            raise SuperblockError(f"{path.name}: expected an HDF5 superblock of version 3, got {data[:12].hex()}")
        if _checksum(data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise SuperblockError(f"{path.name}: the superblock's checksum is wrong; the file is damaged")
        signature, version, offsets, lengths, flags, base, extension, _, root = _LAYOUT.unpack(data[:-4])
        if not flags:
            return
        end = os.fstat(file.fileno()).st_size
        head = _LAYOUT.pack(signature, version, offsets, lengths, 0, base, extension, end, root)
        file.seek(0)
        file.write(head + _checksum(head).to_bytes(4, "little"))
        file.flush()
        os.fsync(file.fileno())


def _checksum(data: bytes) -> int:
    """Return Bob Jenkins' lookup3 `hashlittle` of 44 bytes, initial value 0 (burtleburtle.net/bob/c/lookup3.c)."""
    words = struct.unpack("<11I", data)
    a = b = c = (0xDEADBEEF + len(data)) & _WORD
    for at in range(0, 9, 3):
        a, b, c = _mix((a + words[at]) & _WORD, (b + words[at + 1]) & _WORD, (c + words[at + 2]) & _WORD)
    return _final((a + words[9]) & _WORD, (b + words[10]) & _WORD, c)


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for turn in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _WORD) ^ _rotated(c, turn)
        c = (c + b) & _WORD
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for turn in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, turn)) & _WORD
        a, b, c = b, c, a
    return b


def _rotated(word: int, turn: int) -> int:
    return ((word << turn) | (word >> (32 - turn))) & _WORD
