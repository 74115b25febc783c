"""Promises of a sealed file: any range opens, and nothing opens that was changed, moved, cut or mixed up."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.file.sealed import (
    HEADER,
    SEGMENT_BYTES,
    TAG_BYTES,
    SealBrokenError,
    Sealed,
    bound_to,
    new_key,
    seal,
    sealed_size,
)

BOUND = bound_to("e1", "0x" + "ab" * 32)
STEP = SEGMENT_BYTES + TAG_BYTES
SIZES = [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES, 17 * SEGMENT_BYTES + 5]
DATA = bytes(number * number % 251 for number in range(max(SIZES)))


def sealed(folder: Path, size: int, key: bytes, bound: bytes = BOUND) -> bytes:
    """Return the first bytes of `DATA`, sealed."""
    source, target = folder / "plain", io.BytesIO()
    source.write_bytes(DATA[:size])
    assert seal(source, target, key, bound) == size
    return target.getvalue()


def opened(data: bytes, size: int, key: bytes, bound: bytes = BOUND) -> Sealed:
    return Sealed(lambda start, end: data[start:end], size, key, bound)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_opens_and_shows_nothing_sealed(tmp_path: Path, size: int) -> None:
    key = new_key()
    data = sealed(tmp_path, size, key)
    found = opened(data, size, key)
    found.require_whole(len(data))
    assert (found.read(0, size), len(data)) == (DATA[:size], sealed_size(size))
    assert size < 16 or DATA[:16] not in data


def test_any_range_opens_across_segments(tmp_path: Path) -> None:
    key, size = new_key(), 5 * SEGMENT_BYTES + 100
    data = sealed(tmp_path, size, key)
    edges = [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES - 7, size - 1, size]
    for start in edges:
        for end in (one for one in edges if one >= start):
            assert opened(data, size, key).read(start, end) == DATA[start:end]


def test_a_range_reads_no_other_segments(tmp_path: Path) -> None:
    key, asked = new_key(), []
    data = sealed(tmp_path, 17 * SEGMENT_BYTES, key)

    def read(start: int, end: int) -> bytes:
        asked.append((start, end))
        return data[start:end]

    found = Sealed(read, 17 * SEGMENT_BYTES, key, BOUND).read(2 * SEGMENT_BYTES, 2 * SEGMENT_BYTES + 1)
    assert found == DATA[2 * SEGMENT_BYTES : 2 * SEGMENT_BYTES + 1]
    assert asked == [(len(HEADER) + 2 * STEP, len(HEADER) + 3 * STEP)]


def _whole(found: Sealed, sealed_bytes: int) -> bytes:
    found.require_whole(sealed_bytes)
    return found.read(0, found.size)


def swapped(data: bytes) -> bytes:
    """Return the file with its first two segments in each other's place."""
    first, second, end = len(HEADER), len(HEADER) + STEP, len(HEADER) + 2 * STEP
    return data[:first] + data[second:end] + data[first:second] + data[end:]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    "attack",
    [
        swapped,
        lambda data: data[: len(HEADER)] + data[len(HEADER) : len(HEADER) + STEP] * 3,  # one for all
        lambda data: flipped(data, len(HEADER)),
        lambda data: flipped(data, len(data) - 1),
        lambda data: data[:-STEP],
        lambda data: data[:-1],
        lambda data: data + bytes(STEP),
        lambda data: bytes(len(HEADER)) + data[len(HEADER) :],
        lambda _data: b"",
    ],
)
def test_a_changed_file_does_not_open(tmp_path: Path, attack: Callable[[bytes], bytes]) -> None:
    key, size = new_key(), 3 * SEGMENT_BYTES
    data = attack(sealed(tmp_path, size, key))
    found = opened(data, size, key)
    with pytest.raises(SealBrokenError):
        _whole(found, len(data))


def test_the_last_segment_of_a_cut_file_does_not_open_as_the_end(tmp_path: Path) -> None:
    """Whoever believes the length of what is there is not deceived either."""
    key = new_key()
    data = sealed(tmp_path, 3 * SEGMENT_BYTES, key)[:-STEP]
    with pytest.raises(SealBrokenError, match="segment 1 of 2"):
        opened(data, 2 * SEGMENT_BYTES, key).read(0, 2 * SEGMENT_BYTES)


@pytest.mark.parametrize("bound", [bound_to("e2", "0x" + "ab" * 32), bound_to("e1", "0x" + "ac" * 32), b""])
def test_what_was_sealed_of_one_episode_does_not_open_as_another(tmp_path: Path, bound: bytes) -> None:
    key = new_key()
    with pytest.raises(SealBrokenError):
        opened(sealed(tmp_path, 10, key), 10, key, bound).read(0, 10)


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(SealBrokenError):
        opened(sealed(tmp_path, 10, new_key()), 10, new_key()).read(0, 10)
