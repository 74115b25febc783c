"""H.264 says how large its pictures are coded, and how much of that is cut away: all of it has to be decoded."""

from __future__ import annotations

import pytest

from recorder.pictures.errors import PictureStructureError
from recorder.pictures.units import _size_of


def exp_golomb(number: int) -> str:
    bits = f"{number + 1:b}"
    return "0" * (len(bits) - 1) + bits


def parameters(blocks: int, right: int, bottom: int) -> bytes:
    """Return a sequence parameter set of the baseline profile: `blocks` each way, cut by pairs of pixels."""
    bits = f"{66:08b}{0:08b}{62:08b}" + "".join(map(exp_golomb, (0, 0, 0, 0, 1))) + "0"
    bits += exp_golomb(blocks - 1) * 2 + "111" + "".join(map(exp_golomb, (0, right, 0, bottom))) + "01"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_what_is_cut_away_is_less_than_a_block() -> None:
    assert _size_of(parameters(68, 0, 4)) == (1088, 1080)
    for right, bottom in ((8, 0), (0, 8), ((16384 - 640) // 2, (16384 - 480) // 2)):
        with pytest.raises(PictureStructureError, match="cut by less than a block"):
            _size_of(parameters(1024, right, bottom))
