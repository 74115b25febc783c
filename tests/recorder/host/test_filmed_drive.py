"""A real arm (on an emulated bus) is driven once, with two cameras: the films hold what the cameras showed."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from recorder.file.episode import read_episode
from recorder.host.recording import Recorder
from recorder.pictures.decode import Decoder
from recorder.proof.checks.pictures import problem
from recorder.proof.seal import SealedEpisode
from teleop.cameras.film import films_of, read_film
from teleop.cameras.spec import CameraSpec
from teleop.hardware.feetech import So101
from teleop.host.cameras.process import HostCameras
from teleop.operator.viewer import Looking
from teleop.steps import EpisodeStart
from teleop.wire.messages import Mode
from tests.emulators.feetech import FeetechBus
from tests.teleop.cameras.scenes import colour_film, nearest, scene, shown
from tests.teleop.platform import DOMAIN, hosted, hub_at

pytestmark = pytest.mark.anyio
FPS = 30.0


class Kept:
    """The host's cameras; of each film a second name is kept, as a sealed episode's is removed."""

    def __init__(self, cameras: HostCameras, folder: Path) -> None:
        self._cameras, self._folder = cameras, folder

    def record(self, start: EpisodeStart, folder: Path) -> None:
        self._cameras.record(start, folder)
        for film in films_of(folder / f"{start.episode}.journal"):
            os.link(film, self._folder / film.name)

    def end(self, t_last_ns: int) -> None:
        self._cameras.end(t_last_ns)


@pytest.mark.slow
async def test_the_films_of_a_drive_hold_what_the_cameras_showed_in_step_with_the_states(tmp_path):
    kept = tmp_path / "films"
    kept.mkdir()
    devices = {
        name: colour_film(tmp_path / f"{name}.avi", [scene(number, seed=seed) for number in range(40)])
        for seed, name in enumerate(("desk", "wrist"))
    }
    cameras = [CameraSpec(name, 320, 240, device=device, mount="gripper_body") for name, device in devices.items()]
    sealed: list[SealedEpisode] = []
    with FeetechBus() as bus:
        async with (
            hub_at(tmp_path) as (url, hub, registry),
            hosted(url, hub, registry, So101(bus.device, answer_wait_s=0.25), cameras=cameras) as house,
            house.driver() as driver,
        ):
            films = Kept(house.host.cameras, kept)
            recorder = Recorder(tmp_path / "host", house.robot_key, DOMAIN, sealed.append, films=films)
            recording = threading.Thread(target=recorder.run, args=(house.events,))
            recording.start()
            token, address = driver.http.headers["Authorization"].removeprefix("Bearer "), house.robot_key.address
            await driver.join(address, "free")
            async with Looking(url, token, address, "desk", ["h264"]) as looking:
                await looking.read()  # the camera is open
                await driver.begin()
                await driver.armed()
                frames = []
                while len(frames) < 60:
                    await driver.command(Mode.EE_TWIST, [0, 0, 0.02, 0, 0, 0, 1.0], dead_man=True)
                    frames.append(await looking.read())
            assert (await driver.finish())["valid"]
            house.events.put(None)
            await asyncio.to_thread(recording.join)

    episode = read_episode(sealed[0].folder / "episode.h5")
    observed_ns = episode.arrays["time/t_observed_mono_ns"]
    found = [read_film(path) for path in sorted(kept.iterdir())]
    assert [film.head.name for film in found] == list(episode.pictures) == ["desk", "wrist"]
    assert list((tmp_path / "host" / "recording").iterdir()) == []
    assert problem(episode) is None, "what the hub's gate says of the pictures"
    for film in found:
        pictures, times = episode.pictures[film.head.name], np.array([one.t_captured_ns for one in film.pictures])
        assert film.whole
        assert film.head.mount == "gripper_body"
        assert pictures.encoded(0) == film.pictures[0].data, "the same bytes again, in the sealed file"
        assert pictures.encoded(len(pictures) - 1) == film.pictures[len(pictures) - 1].data
        assert np.all(np.diff(times) > 0)
        assert pictures.t_captured_ns[0] <= observed_ns[0] < pictures.t_captured_ns[1]
        assert pictures.t_captured_ns[-1] <= observed_ns[-1]
        late = observed_ns - pictures.t_captured_ns[pictures.at(observed_ns)] > 2.0e9 / FPS
        assert np.mean(late) < 0.1, "each step has a picture of its time; a busy machine may miss some"
        played, decoder = shown(devices[film.head.name]), Decoder(pictures)
        seen = [decoder.frame(index)[:, :, ::-1] for index in range(len(pictures))]
        numbers, psnr = zip(*(nearest(np.ascontiguousarray(one), played) for one in seen), strict=True)
        assert min(psnr) > 32
        assert np.all(np.diff(np.unwrap(numbers, period=40)) == 1), "every picture, in order, and none twice"
        assert np.median(np.diff(times)) == pytest.approx(1e9 / FPS, rel=0.1)
    by_time = {one.t_captured_ns // 1000: one.data for one in found[0].pictures}
    same = [frame.payload == by_time[frame.t_host_us] for frame in frames if frame.t_host_us in by_time]
    assert same == sorted(same), "the very bytes, once the first of the film has come"
    assert sum(same) > 30
