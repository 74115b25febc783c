"""A host that is killed while cameras record: the next start makes an episode of what it has, pictures and all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recorder.file.episode import read_episode
from recorder.host.recording import Recorder
from recorder.pictures.decode import Decoder
from recorder.proof.checks.pictures import problem
from teleop.cameras.spec import CameraSpec
from teleop.host.cameras.process import HostCameras
from teleop.steps import Events
from teleop.wire.reasons import EndReason
from tests.recorder.factory import DOMAIN, ROBOT, fake_episode
from tests.teleop.cameras.scenes import colour_film, scene
from tests.teleop.host.test_filming import NOWHERE, REAL, open_cameras, until_longer

pytestmark = pytest.mark.slow
HZ = 20.0
SECOND_NS = 1_000_000_000


def drive(folder: Path, specs: list[CameraSpec]) -> None:
    """Record a fake episode in real time, with real cameras, until this process is killed."""
    cameras = HostCameras(NOWHERE, REAL, specs)
    open_cameras(cameras)
    events = Events()
    recorder = Recorder(folder, ROBOT, DOMAIN, lambda _sealed: None, films=cameras)
    threading.Thread(target=recorder.run, args=(events,)).start()
    start, steps, _ = fake_episode(600, simulated=False, cameras=cameras.heads())
    events.put(replace(start, t_mono_ns=time.monotonic_ns(), t_wall_ns=time.time_ns()))
    for step in steps:
        began_ns = time.monotonic_ns()
        time.sleep(1.0 / HZ)
        sent_ns, observed_ns = began_ns + 1, time.monotonic_ns()
        events.put(replace(step, t_began_ns=began_ns, t_sent_ns=sent_ns, t_observed_ns=observed_ns))


CHILD = """
import sys
from pathlib import Path
import msgspec
from teleop.cameras.spec import CameraSpec
from tests.recorder.host.test_films_and_crashes import drive
drive(Path(sys.argv[1]), [msgspec.json.decode(said, type=CameraSpec) for said in sys.argv[2:]])
"""


def test_what_a_killed_host_has_recorded_becomes_an_episode_with_its_pictures(tmp_path: Path) -> None:
    device = colour_film(tmp_path / "desk.avi", [scene(number) for number in range(40)])
    specs = [CameraSpec(name, 320, 240, device=device) for name in ("desk", "wrist")]
    said = [msgspec.json.encode(spec).decode() for spec in specs]
    folder = tmp_path / "host"
    host = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), *said])
    try:
        for spec in specs:
            film = folder / "recording" / f"episode-1.{spec.name}.film"
            until = time.monotonic() + 60
            while not film.exists():
                assert time.monotonic() < until
                assert host.poll() is None
                time.sleep(0.01)
            until_longer(film, 50_000)
    finally:
        killed_ns = time.monotonic_ns()
        os.kill(host.pid, signal.SIGKILL)
        host.wait()

    sealed = Recorder(folder, ROBOT, DOMAIN, lambda _sealed: None).recover()
    episode = read_episode(sealed[0].folder / "episode.h5")
    seen = episode.t_observed_ns
    assert episode.end.reason is EndReason.HOST_LOST
    assert killed_ns - seen[-1] < SECOND_NS, "at most a second of steps is lost"
    assert list(episode.pictures) == ["desk", "wrist"]
    assert problem(episode) is None
    for pictures in episode.pictures.values():
        times = pictures.t_captured_ns
        assert times[0] <= seen[0]
        assert seen[-1] - times[-1] < SECOND_NS, "nor of pictures"
        assert np.median(np.diff(times)) == pytest.approx(SECOND_NS / 30.0, rel=0.1)
        assert Decoder(pictures).frame(len(pictures) - 1).shape == (240, 320, 3)
    assert list((folder / "recording").iterdir()) == []
