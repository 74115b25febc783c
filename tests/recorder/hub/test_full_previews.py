"""A full preview: pictures close enough to each other to be shown in step with the rest of an episode."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from recorder.hub.previews.kept import Kept
from recorder.hub.previews.line import Previews
from recorder.hub.previews.making import PICTURES_MAX, RATE_HZ, Preview, make
from recorder.hub.showing.timeline import timeline_of
from recorder.proof.bundle import EPISODE_FILE
from tests.recorder.bundles import record
from tests.recorder.dataset.world import reaching
from tests.recorder.factory import fake_episode
from tests.recorder.filming import head
from tests.recorder.hub.test_previews import film_of


def test_a_full_film_has_a_picture_for_each_tenth_of_a_second_however_long_the_episode(tmp_path: Path) -> None:
    file = record(tmp_path, fake_episode(300, simulated=False, cameras=(head("left"),)))
    line = timeline_of(file)
    short, full = make(file, None), make(file, None, True)
    assert isinstance(short, Preview)
    assert isinstance(full, Preview)
    seen = film_of(full.film)
    assert len(film_of(short.film)) == PICTURES_MAX < len(seen)
    assert len(seen) == np.ceil(line.length_s * RATE_HZ) + 1
    assert line.drawn == []  # a real robot's cameras recorded; nobody draws them


def test_a_simulated_episode_says_which_cameras_it_can_be_drawn_from(tmp_path: Path) -> None:
    (bundle,) = reaching(tmp_path, range(1))
    assert timeline_of(bundle / EPISODE_FILE).drawn == ["front", "side", "wrist"]


def test_a_short_film_has_the_whole_arm_in_it_and_a_full_one_is_what_the_camera_sees(tmp_path: Path) -> None:
    (bundle,) = reaching(tmp_path, range(1))
    short, full = make(bundle / EPISODE_FILE, "front"), make(bundle / EPISODE_FILE, "front", True)
    wrists = [make(bundle / EPISODE_FILE, "wrist", said) for said in (False, True)]
    assert isinstance(short, Preview)
    assert isinstance(full, Preview)
    dark = [int((film_of(one.film)[0].max(axis=2) < 90).any(axis=1).argmax()) for one in (short, full)]
    assert dark[1] < 3, "the arm is cut off by the upper edge of what the camera sees"
    assert dark[0] > 3, "from farther away, there is something above it"
    seen = [film_of(one.film)[0].astype(int) for one in wrists if isinstance(one, Preview)]
    assert np.abs(seen[0] - seen[1]).mean() < 2  # a wrist's camera stays on the wrist


def test_a_full_preview_is_kept_beside_the_short_one(tmp_path: Path) -> None:
    made: list[tuple[Any, ...]] = []

    def maker(_file: Any, camera: str | None, *full: bool) -> Preview:
        made.append((camera, *full))
        return Preview(camera or "front", f"{camera} {full}".encode(), b"still")

    async def ask() -> list[bytes]:
        with ThreadPoolExecutor(1) as worker:
            previews = Previews(Kept(tmp_path / "kept"), worker, maker)
            files = [await previews.of("e", "0x1", tmp_path, "front", full=full) for full in (False, True, False, True)]
        return [film.read_bytes() for film, _ in files]

    assert asyncio.run(ask()) == [b"front ()", b"front (True,)"] * 2
    assert made == [("front",), ("front", True)]
