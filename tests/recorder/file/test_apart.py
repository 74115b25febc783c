"""A stranger's file is read in a process of its own: it may be anything, and ends that process at most."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from recorder.file import episode as files
from recorder.file.apart import Reader, ReaderLostError
from recorder.file.episode import EpisodeError, read_episode
from recorder.file.reader import Bounds
from tests.recorder.bundles import record
from tests.recorder.file.malformed import FOREIGN, REPACKED, WRONG, Change, deflated, virtual_without_end

WAIT_S = 60


@pytest.fixture(scope="module")
def apart() -> Iterator[Reader]:
    made = Reader()
    yield made
    made.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("good"))


def changed(good: Path, folder: Path, change: Change) -> Path:
    """Return a copy of a good file, changed."""
    path = folder / "episode.h5"
    shutil.copy(good, path)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize("plain", [False, True])
def test_what_is_read_apart_is_what_is_read_here(apart: Reader, good: Path, plain: bool) -> None:
    here, there = read_episode(good), apart.read(good, plain=plain)

    assert (there.meta, there.meta_bytes, there.end) == (here.meta, here.meta_bytes, here.end)
    assert list(there.arrays) == list(here.arrays)
    for path, array in here.arrays.items():
        assert (there.arrays[path].dtype, there.arrays[path].tobytes()) == (array.dtype, array.tobytes()), path
        assert not there.arrays[path].flags.writeable, path


@pytest.mark.parametrize("what", [*WRONG, *FOREIGN])
def test_a_wrong_file_is_refused_by_the_same_name_as_here(apart: Reader, good: Path, tmp_path: Path, what: str) -> None:
    change, expected = (WRONG | FOREIGN)[what]
    path = changed(good, tmp_path, change)

    with pytest.raises(EpisodeError) as refused:
        apart.read(path)
    assert type(refused.value) is expected


@pytest.mark.parametrize("what", REPACKED)
def test_a_repacked_file_is_read_by_anyone_but_a_hub(apart: Reader, good: Path, tmp_path: Path, what: str) -> None:
    change, expected = REPACKED[what]
    path = changed(good, tmp_path, change)

    assert apart.read(path).steps == 40
    with pytest.raises(expected):
        apart.read(path, plain=True)


def test_a_hub_takes_no_bytes_that_are_in_no_dataset(apart: Reader, good: Path, tmp_path: Path) -> None:
    path = tmp_path / "episode.h5"
    with h5py.File(good) as source, h5py.File(path, "w", userblock_size=512) as target:
        for name in source:
            source.copy(name, target)
        target.attrs.update(source.attrs)
    with pytest.raises(files.UnboundDataError, match="512 bytes before it"):
        apart.read(path)

    path = changed(good, tmp_path, lambda file: None)
    with h5py.File(path, "r+") as file:  # written and removed again: the file keeps what it held
        file["more"] = np.zeros(1 << 20, "|u1")
        file["kept"] = np.zeros(1, "|u1")
        del file["more"], file["kept"]
    with path.open("ab") as end:
        end.write(bytes(16))
    if path.stat().st_size > 1 << 20:
        assert apart.read(path).steps == 40
        with pytest.raises(files.UnboundDataError, match="beside the values"):
            apart.read(path, plain=True)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_small_file_that_would_become_a_quarter_of_a_gigabyte_is_refused(
    apart: Reader, good: Path, tmp_path: Path, layers: int
) -> None:
    path = changed(good, tmp_path, deflated(layers, 256 << 20))
    assert path.stat().st_size < (2 << 20)

    with pytest.raises(EpisodeError) as refused:
        apart.read(path)

    expected = files.UnreadableFileError if layers == 1 else files.ForbiddenStorageError
    assert type(refused.value) is expected
    assert apart.read(good).steps == 40


def test_a_virtual_dataset_opens_no_other_file(apart: Reader, good: Path, tmp_path: Path) -> None:
    """A pipe hangs whoever opens it until someone writes."""
    source = tmp_path / "source.h5"
    os.mkfifo(source)
    path = changed(good, tmp_path, virtual_without_end(str(source)))

    with pytest.raises(files.ForbiddenStorageError):
        apart.read(path)
    here = [sys.executable, "-c", "import sys; from pathlib import Path; from recorder.file.episode import *; "]
    here[-1] += "read_episode(Path(sys.argv[1]))"
    done = subprocess.run([*here, str(path)], capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert "ForbiddenStorageError" in done.stderr


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link(path: Path) -> None:
    path.symlink_to(path.with_name("good.h5"))


PLACES: dict[str, Callable[[Path], None]] = {
    "a folder": Path.mkdir,
    "a pipe": a_pipe,
    "a socket": a_socket,
    "a link to a device": a_device,
    "a link to a good file": a_link,
}


@pytest.mark.parametrize("what", PLACES)
def test_what_is_not_a_file_is_refused_at_once(
    apart: Reader, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    shutil.copy(good, tmp_path / "good.h5")
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    PLACES[what](Path("episode.h5"))

    for read in (apart.read, read_episode):
        with pytest.raises(files.NotAFileError, match="no regular file"):
            read(Path("episode.h5"))


def test_a_file_that_is_not_there_is_named(apart: Reader, tmp_path: Path) -> None:
    with pytest.raises(files.FileMissingError, match="There is no episode at"):
        apart.read(tmp_path / "episode.h5")


def test_a_reader_that_takes_too_long_says_nothing_about_the_file(good: Path) -> None:
    late = Reader(Bounds(wall_s=0.0))
    try:
        with pytest.raises(ReaderLostError, match="longer than 0 s"):
            late.read(good)
    finally:
        late.close()


def processes() -> set[psutil.Process]:
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return {one for one in alive if one.cmdline()[1:3] == ["-m", "recorder.file.reader"]}


def test_a_reader_that_was_ended_is_started_again(good: Path) -> None:
    before, made = processes(), Reader()
    try:
        assert made.read(good).steps == 40
        (process,) = processes() - before
        process.send_signal(signal.SIGKILL)
        process.wait(WAIT_S)
        assert made.read(good).steps == 40
    finally:
        made.close()


def test_no_process_is_left_of_a_file_or_a_reader(good: Path) -> None:
    before, made = processes(), Reader()
    made.read(good)
    (process,) = processes() - before
    assert process.children() == []
    assert process.num_threads() == 1, "a fork of several threads may never end"
    made.close()
    assert not process.is_running()
