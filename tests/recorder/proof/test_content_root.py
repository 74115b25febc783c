"""The content root is the values': repacking keeps it, any other value changes it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.file.episode import Episode, read_episode
from recorder.proof.content import content_root
from recorder.proof.description import hash_file
from tests.recorder.bundles import record
from tests.recorder.factory import fake_episode


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    return read_episode(record(tmp_path_factory.mktemp("root"), fake_episode(300)))


@pytest.mark.parametrize(
    "how",
    [
        {"compression": "gzip", "compression_opts": 9},
        {"compression": "gzip", "shuffle": True, "chunks": True, "fletcher32": True},
        {"compression": "lzf"},
    ],
)
def test_the_root_survives_recompression_and_the_hash_of_the_file_does_not(
    tmp_path: Path, how: dict[str, object]
) -> None:
    path, repacked = record(tmp_path, fake_episode(300)), tmp_path / "repacked.h5"
    with h5py.File(path) as old, h5py.File(repacked, "w", libver="latest") as new:
        new.attrs.update(old.attrs)
        old.visititems(lambda name, found: _copy(new, name, found, how))

    assert hash_file(repacked) != hash_file(path)
    assert content_root(read_episode(repacked).arrays) == content_root(read_episode(path).arrays)


def _copy(new: h5py.File, name: str, found: object, how: dict[str, object]) -> None:
    if isinstance(found, h5py.Dataset):
        new.create_dataset(name, data=found[:], **how)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_value_changes_the_root(episode: Episode, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(episode.arrays)))
    changed = episode.arrays[path].copy()
    raw = changed.view(np.uint8).reshape(-1)
    raw[data.draw(st.integers(0, raw.size - 1))] ^= data.draw(st.integers(1, 255))

    assert content_root({**episode.arrays, path: changed}) != content_root(episode.arrays)


def test_a_moved_row_a_renamed_dataset_and_another_shape_change_the_root(episode: Episode) -> None:
    whole = content_root(episode.arrays)
    arrays = dict(episode.arrays)
    swapped = arrays["applied/gripper"][::-1]
    renamed = {**arrays, "applied/gripped": arrays["applied/gripper"]}
    del renamed["applied/gripper"]
    reshaped = {**arrays, "applied/gripper": arrays["applied/gripper"].ravel()}

    assert whole not in {
        content_root({**arrays, "applied/gripper": swapped}),
        content_root(renamed),
        content_root(reshaped),
    }


def test_the_root_of_one_small_array_is_what_the_specification_says() -> None:
    def prefixed(text: bytes) -> bytes:
        return len(text).to_bytes(4, "little") + text

    values = np.arange(300, dtype="<i8")
    head = b"\x00" + prefixed(b"a/b") + prefixed(b"i8") + prefixed(b"300")
    first = hashlib.sha256(head + prefixed(b"0") + values[:256].tobytes()).digest()
    second = hashlib.sha256(head + prefixed(b"1") + values[256:].tobytes()).digest()

    assert content_root({"a/b": values}) == hashlib.sha256(b"\x01" + first + second).digest()


def test_the_order_of_the_bytes_in_memory_does_not_matter() -> None:
    values = np.arange(300, dtype="<i8")

    assert content_root({"a": values.astype(">i8")}) == content_root({"a": values})
