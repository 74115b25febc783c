"""A camera process that crashes costs its films little: another stands by, with its libraries loaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teleop.cameras.film import Trouble
from teleop.cameras.spec import CameraSpec
from teleop.host.cameras.process import HostCameras
from teleop.wire import signalling
from tests.teleop.cameras.scenes import decoded
from tests.teleop.host.test_filming import (
    NOWHERE,
    REAL,
    film_path,
    open_cameras,
    read,
    specs,
    started,
    until_longer,
)

pytestmark = pytest.mark.slow
__all__ = ["specs"]


def until(done: Callable[[], object]) -> None:
    """Wait for it."""
    end_s = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def loaded(pid: int) -> bool:
    """Whether a process has loaded the last that a camera process needs: the encoder."""
    return "libx264" in Path(f"/proc/{pid}/maps").read_text()


@contextmanager
def filmed(specs: list[CameraSpec]) -> Iterator[tuple[HostCameras, list[signalling.Message]]]:
    """Cameras that give pictures, and what they report."""
    told: list[signalling.Message] = []
    cameras = HostCameras(NOWHERE, REAL, specs, told.append)
    try:
        open_cameras(cameras)
        until(lambda: cameras._spare is not None and loaded(cameras._spare.process.pid))
        yield cameras, told
    finally:
        cameras.close()


def lost(told: list[signalling.Message]) -> dict[str, signalling.CameraTroubled]:
    """What was told last of each camera that was lost."""
    return {one.camera: one for one in told if isinstance(one, signalling.CameraTroubled) and one.trouble == "lost"}


def test_who_stands_by_goes_on_with_the_films_and_who_drives_is_told(tmp_path: Path, specs) -> None:
    with filmed(specs) as (cameras, told):
        start = started(cameras)
        cameras.record(start, tmp_path)
        paths = [film_path(tmp_path, start, spec.name) for spec in specs]
        sizes = [until_longer(path, 20_000) for path in paths]
        first, spare = cameras._child, cameras._spare
        assert first is not None
        killed_ns = time.monotonic_ns()
        first.process.kill()
        for path, size in zip(paths, sizes, strict=True):
            until_longer(path, size + 20_000)
        assert cameras._child is spare, "nothing is loaded or waited for: benchmarks/camera_crash.py says what it costs"
        until(lambda: all(one.until_s is not None for one in lost(told).values()))
        assert set(lost(told)) == {"desk", "wrist"}, "who drives is told that both were gone, and are back"
        until(lambda: cameras._spare not in (None, spare))  # and another stands by
        cameras.end(time.monotonic_ns())
        for film in read(tmp_path, start):
            gone = [event for event in film.events if event.trouble is Trouble.LOST]
            assert film.whole
            assert len(gone) == 1
            assert killed_ns > gone[0].t_from_ns
            assert len(decoded(film)) == len(film.pictures)


def test_one_that_died_while_it_stood_by_is_not_waited_for(tmp_path: Path, specs) -> None:
    with filmed(specs) as (cameras, _told):
        start = started(cameras)
        cameras.record(start, tmp_path)
        paths = [film_path(tmp_path, start, spec.name) for spec in specs]
        sizes = [until_longer(path, 20_000) for path in paths]
        first, spare = cameras._child, cameras._spare
        assert first is not None
        assert spare is not None
        spare.process.kill()
        spare.process.wait()
        first.process.kill()
        for path, size in zip(paths, sizes, strict=True):
            until_longer(path, size + 20_000)
        assert cameras._child not in (first, spare)
        cameras.end(time.monotonic_ns())
        assert [film.whole for film in read(tmp_path, start)] == [True, True]


def test_neither_outlives_its_host(specs) -> None:
    with filmed(specs) as (cameras, _told):
        children = [cameras._child, cameras._spare]
    assert [child is not None and child.process.poll() for child in children] == [0, 0]


def test_who_drives_is_told_at_once_of_cameras_that_nobody_reads(tmp_path: Path, specs) -> None:
    told: list[signalling.Message] = []
    cameras = HostCameras(NOWHERE, REAL, specs, told.append)
    cameras.record(started(cameras), tmp_path)
    assert [(one.from_s >= 0.0, one.until_s) for one in lost(told).values()] == [(True, None), (True, None)]
    cameras.close()
