"""The reader trusts nothing: each way in which a file can be wrong has its own name."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import rfc8785

from recorder.file import episode as reader
from recorder.file.episode import EpisodeError, read_episode
from tests.recorder.bundles import record
from tests.recorder.file.malformed import FOREIGN, WRONG, replace


@pytest.mark.parametrize("what", [*WRONG, *FOREIGN])
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, what: str) -> None:
    path = record(tmp_path)
    change, expected = (WRONG | FOREIGN)[what]
    with h5py.File(path, "r+") as file:
        change(file)

    with pytest.raises(EpisodeError) as refused:
        read_episode(path)
    assert type(refused.value) is expected


def test_values_beyond_the_bound_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = record(tmp_path)
    rows = 60_000
    with h5py.File(path, "r+") as file:
        meta = json.loads(bytes(file["meta"][:]))
        meta["end"]["steps"] = rows
        meta["spec"]["observation"][-1]["shape"] = [2000]
        replace("meta", np.frombuffer(rfc8785.dumps(meta), "|u1"))(file)

    with pytest.raises(reader.TooLargeError, match="bytes of values"):
        read_episode(path)


@pytest.mark.parametrize("size", [0, 7, 600, 4000, 20_000])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, size: int) -> None:
    path = record(tmp_path)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(reader.UnreadableFileError, match=r"episode-1\.h5"):
        read_episode(path)


def test_a_damaged_file_is_refused_by_name_or_read_and_never_raises_anything_else(tmp_path: Path) -> None:
    path = record(tmp_path)
    good = path.read_bytes()
    random = np.random.default_rng(3)
    for _ in range(300):
        damaged = bytearray(good)
        at = int(random.integers(0, len(good)))
        damaged[at] ^= int(random.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_episode(path)
        except EpisodeError:
            continue


def test_arrays_of_a_read_episode_cannot_be_changed(tmp_path: Path) -> None:
    episode = read_episode(record(tmp_path))

    with pytest.raises(ValueError, match="read-only"):
        episode.applied_gripper[0] = 0.5
