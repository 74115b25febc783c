"""A host's cameras record: the real camera process, through its death and that of its host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sim.robot import RobotSpec
from teleop.cameras.film import Film, Trouble, read_film
from teleop.cameras.spec import CameraSpec
from teleop.host.cameras import process as host_cameras
from teleop.host.cameras.process import HostCameras
from teleop.steps import EpisodeStart
from tests.recorder.factory import fake_start
from tests.teleop.cameras.scenes import colour_film, decoded, nearest, scene, shown
from tests.teleop.sessions import PANDA

pytestmark = pytest.mark.slow
REAL: RobotSpec = replace(PANDA, simulated=False)
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def specs(tmp_path: Path) -> list[CameraSpec]:
    """Two cameras, both films in a loop."""
    return [
        CameraSpec(
            name,
            320,
            240,
            device=colour_film(tmp_path / f"{name}.avi", [scene(number, seed=seed) for number in range(40)]),
        )
        for seed, name in enumerate(("desk", "wrist"))
    ]


def started(cameras: HostCameras) -> EpisodeStart:
    return replace(fake_start(), t_mono_ns=time.monotonic_ns(), cameras=cameras.heads())


def film_path(folder: Path, start: EpisodeStart, name: str) -> Path:
    return folder / f"{start.episode}.{name}.film"


def until_longer(path: Path, than: int) -> int:
    """Wait until a file is longer than that; return its length."""
    until = time.monotonic() + 20
    while (size := path.stat().st_size) <= than:
        assert time.monotonic() < until, f"{path.name} does not grow beyond {than}"
        time.sleep(0.01)
    return size


def open_cameras(cameras: HostCameras) -> None:
    """Wait until both give pictures."""
    cameras.start()
    cameras.hold(True)
    until = time.monotonic() + 20
    while len(cameras._timed) < 2:
        assert time.monotonic() < until, "the cameras do not open"
        time.sleep(0.01)


def read(folder: Path, start: EpisodeStart) -> list[Film]:
    return [read_film(film_path(folder, start, head.name)) for head in start.cameras]


def test_both_cameras_record_what_they_see_from_before_the_start_to_the_end(tmp_path, specs):
    cameras = HostCameras(NOWHERE, REAL, specs)
    try:
        open_cameras(cameras)
        start = started(cameras)
        assert [(head.name, head.codec, head.timed) for head in start.cameras] == [
            ("desk", "h264", "arrival"),
            ("wrist", "h264", "arrival"),
        ]
        cameras.record(start, tmp_path)
        for head in start.cameras:
            until_longer(film_path(tmp_path, start, head.name), 30_000)
        end_ns = time.monotonic_ns()
        cameras.end(end_ns)
        for spec, film in zip(specs, read(tmp_path, start), strict=True):
            times = [one.t_captured_ns for one in film.pictures]
            assert film.whole
            assert times == sorted(set(times))
            assert times[0] <= start.t_mono_ns < times[1], "the newest before the start, and all after it"
            assert times[-1] <= end_ns
            found = [nearest(picture, shown(spec.device)) for picture in decoded(film)]
            first = found[0][0]
            assert [at for at, _ in found] == [(first + number) % 40 for number in range(len(found))]
            assert min(psnr for _, psnr in found) > 32
    finally:
        cameras.close()


def test_an_episode_that_ends_at_once_has_films_that_end_at_once(tmp_path, specs):
    cameras = HostCameras(NOWHERE, REAL, specs)
    try:
        open_cameras(cameras)
        start = started(cameras)
        cameras.record(start, tmp_path)
        cameras.end(start.t_mono_ns + 1)
        films = read(tmp_path, start)
        assert [film.whole for film in films] == [True, True]
        for film in films:
            assert film.pictures[0].t_captured_ns <= start.t_mono_ns, "the newest before the start"
            assert film.events == []
    finally:
        cameras.close()


def test_without_a_process_there_are_films_without_pictures_and_nobody_waits(tmp_path, specs):
    cameras = HostCameras(NOWHERE, REAL, specs)
    start = started(cameras)
    cameras.record(start, tmp_path)
    cameras.end(time.monotonic_ns())
    films = read(tmp_path, start)
    assert [(film.pictures, film.whole, film.head) for film in films] == [([], False, head) for head in start.cameras]
    cameras.close()


def test_films_that_are_there_already_are_not_touched(tmp_path, specs):
    cameras = HostCameras(NOWHERE, REAL, specs)
    start = started(cameras)
    film_path(tmp_path, start, "wrist").write_bytes(b"another's")
    with pytest.raises(FileExistsError):
        cameras.record(start, tmp_path)
    assert not film_path(tmp_path, start, "desk").exists()
    assert film_path(tmp_path, start, "wrist").read_bytes() == b"another's"
    cameras.close()


def test_a_camera_process_that_is_killed_is_started_again_and_goes_on_with_the_films(tmp_path, specs):
    cameras = HostCameras(NOWHERE, REAL, specs)
    try:
        open_cameras(cameras)
        start = started(cameras)
        cameras.record(start, tmp_path)
        paths = [film_path(tmp_path, start, head.name) for head in start.cameras]
        sizes = [until_longer(path, 20_000) for path in paths]
        assert cameras._child is not None
        killed_ns = time.monotonic_ns()
        cameras._child.process.kill()
        for path, size in zip(paths, sizes, strict=True):
            until_longer(path, size + 20_000)
        cameras.end(time.monotonic_ns())
        for film in read(tmp_path, start):
            lost = [event for event in film.events if event.trouble is Trouble.LOST]
            before = [one.t_captured_ns for one in film.pictures if one.t_captured_ns <= lost[0].t_from_ns]
            assert film.whole
            assert len(lost) == 1
            assert killed_ns - before[-1] < 1_000_000_000, "at most a second is lost before it"
            assert film.pictures[len(before)].key
            assert film.pictures[len(before)].t_captured_ns == lost[0].t_to_ns
            assert len(decoded(film)) == len(film.pictures)
    finally:
        cameras.close()


def test_a_camera_process_that_does_not_end_its_films_is_ended(tmp_path, specs, monkeypatch):
    monkeypatch.setattr(host_cameras, "_END_S", 0.2)
    cameras = HostCameras(NOWHERE, REAL, specs)
    try:
        open_cameras(cameras)
        start = started(cameras)
        cameras.record(start, tmp_path)
        until_longer(film_path(tmp_path, start, "desk"), 20_000)
        until_longer(film_path(tmp_path, start, "wrist"), 20_000)
        assert cameras._child is not None
        cameras._child.process.send_signal(signal.SIGSTOP)
        cameras.end(time.monotonic_ns())
        assert [film.whole for film in read(tmp_path, start)] == [False, False]
    finally:
        cameras.close()


HOST = """
import sys, time
from pathlib import Path
import msgspec
from teleop.cameras.spec import CameraSpec
from tests.teleop.host import test_filming as here
specs = [msgspec.json.decode(said, type=CameraSpec) for said in sys.argv[2:]]
cameras = here.HostCameras(here.NOWHERE, here.REAL, specs)
here.open_cameras(cameras)
start = here.started(cameras)
cameras.record(start, Path(sys.argv[1]))
print(start.episode, start.t_mono_ns, flush=True)
time.sleep(600)
"""


def test_a_host_that_is_killed_leaves_films_that_end_with_it(tmp_path, specs):
    import msgspec

    said = [msgspec.json.encode(spec).decode() for spec in specs]
    host = subprocess.Popen([sys.executable, "-c", HOST, str(tmp_path), *said], stdout=subprocess.PIPE, text=True)
    try:
        assert host.stdout is not None
        episode, _ = host.stdout.readline().split()
        paths = [tmp_path / f"{episode}.{spec.name}.film" for spec in specs]
        for path in paths:
            until_longer(path, 30_000)
    finally:
        os.kill(host.pid, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        host.wait()
        host.stdout.close()
    for film in map(read_film, paths):
        assert film.whole, "the camera process outlives its host until its films have ended"
        assert -200_000_000 < film.pictures[-1].t_captured_ns - killed_ns < 2_000_000_000
        assert len(decoded(film)) == len(film.pictures)
