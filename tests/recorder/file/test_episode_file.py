"""The reader trusts nothing: each way in which a file can be wrong has its own name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rfc8785

from recorder.file import episode as reader
from recorder.file.episode import EpisodeError, read_episode
from recorder.file.layout import STEPS_MAX
from tests.recorder.bundles import record

Change = Callable[[h5py.File], None]


def replace(path: str, data: np.ndarray, **how: object) -> Change:
    def change(file: h5py.File) -> None:
        del file[path]
        file.create_dataset(path, data=data, **how)

    return change


def remove(path: str) -> Change:
    return lambda file: file.__delitem__(path)


def with_meta(**changes: object) -> Change:
    def change(file: h5py.File) -> None:
        meta = json.loads(bytes(file["meta"][:])) | changes
        replace("meta", np.frombuffer(rfc8785.dumps(meta), "|u1"))(file)

    return change


def say_steps(count: int) -> Change:
    def change(file: h5py.File) -> None:
        end = json.loads(bytes(file["meta"][:]))["end"] | {"steps": count}
        with_meta(end=end)(file)

    return change


def external(file: h5py.File) -> None:
    del file["safety"]
    file.create_dataset("safety", (40,), "|u1", external=[("/etc/hostname", 0, 40)])


def virtual(file: h5py.File) -> None:
    del file["safety"]
    layout = h5py.VirtualLayout((40,), "|u1")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (40,))
    file.create_virtual_dataset("safety", layout)


def linked(link: object) -> Change:
    def change(file: h5py.File) -> None:
        del file["safety"]
        file["safety"] = link

    return change


def huge_chunk(file: h5py.File) -> None:
    del file["safety"]
    file.create_dataset("safety", (40,), "|u1", maxshape=(None,), chunks=(32 << 20,), compression="gzip")


WRONG = {
    "no format": (lambda f: f.attrs.__delitem__("format"), reader.FormatVersionError),
    "a version to come": (lambda f: f.attrs.__setitem__("version", 2), reader.FormatVersionError),
    "a format that is no text": (lambda f: f.attrs.__setitem__("format", 1.0), reader.FormatVersionError),
    "a missing dataset": (remove("safety"), reader.MissingDatasetError),
    "a missing group": (remove("commanded"), reader.MissingDatasetError),
    "no meta": (remove("meta"), reader.MissingDatasetError),
    "one dataset more": (lambda f: f.create_dataset("more", data=[1]), reader.UnknownDatasetError),
    "a group too deep": (lambda f: f.create_group("time/deep"), reader.UnknownDatasetError),
    "one row too few": (replace("safety", np.zeros(39, "|u1")), reader.DatasetShapeError),
    "one column too many": (replace("applied/joint_position", np.zeros((40, 4))), reader.DatasetShapeError),
    "another type": (replace("applied/gripper", np.zeros(40, "<f4")), reader.DatasetTypeError),
    "big-endian numbers": (replace("applied/gripper", np.zeros(40, ">f8")), reader.DatasetTypeError),
    "a group for a dataset": (
        lambda f: (f.__delitem__("safety"), f.create_group("safety")),
        reader.MissingDatasetError,
    ),
    "meta that is no JSON": (replace("meta", np.frombuffer(b"{", "|u1")), reader.MetaInvalidError),
    "meta of another type": (replace("meta", np.zeros(4)), reader.DatasetTypeError),
    "meta that is too long": (replace("meta", np.zeros((1 << 20) + 1, "|u1")), reader.TooLargeError),
    "meta with a key too many": (with_meta(more=1), reader.MetaInvalidError),
    "meta without an end": (with_meta(end=None), reader.MetaInvalidError),
    "meta with a path for an id": (with_meta(episode="../../etc"), reader.MetaInvalidError),
    "more steps than a reader takes": (say_steps(STEPS_MAX + 1), reader.TooLargeError),
    "no steps": (say_steps(0), reader.TooLargeError),
    "other steps than the arrays": (say_steps(39), reader.DatasetShapeError),
    "a link to another file": (linked(h5py.ExternalLink("/etc/hostname", "/x")), reader.ForbiddenStorageError),
    "a soft link": (linked(h5py.SoftLink("/applied/gripper")), reader.ForbiddenStorageError),
    "bytes in another file": (external, reader.ForbiddenStorageError),
    "a virtual dataset": (virtual, reader.ForbiddenStorageError),
    "a chunk that would fill the memory": (huge_chunk, reader.ForbiddenStorageError),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, what: str) -> None:
    path = record(tmp_path)
    change, expected = WRONG[what]
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
