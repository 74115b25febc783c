"""Previews: a short film and a still picture of each camera, made once, by one worker, for a line that ends."""

from __future__ import annotations

import asyncio
import io
import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import httpx
import numpy as np
import pytest

from recorder.file.episode import UnreadableFileError, read_episode
from recorder.hub.api import make_router
from recorder.hub.previews.kept import FILM, STILL, Kept
from recorder.hub.previews.line import NoCameraError, NoPreviewError, Previews, PreviewsBusyError
from recorder.hub.previews.making import PICTURES_MAX, RATE_HZ, SIZE, NoCamera, Preview, fitted, make
from recorder.pictures.channel import PictureCodec
from recorder.pictures.painters import DrawingLostError
from recorder.proof.manifest import EPISODE_FILE
from tests.recorder.bundles import record
from tests.recorder.dataset.world import reaching
from tests.recorder.factory import fake_episode
from tests.recorder.filming import head
from tests.recorder.hub.test_api import handed_in, sign
from tests.recorder.served import Hub, code

DIGEST = "0x" + "ab" * 32


@dataclass
class Camera:
    """Makes previews that are told apart, counts them, and can be made to wait."""

    made: list[str | None] = field(default_factory=list)
    go: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    fails: Exception | None = None

    def __post_init__(self) -> None:
        self.go.set()

    def __call__(self, file: Any, camera: str | None) -> Preview | NoCamera:
        self.began.set()
        assert self.go.wait(20)
        self.made.append(camera)
        if self.fails is not None:
            raise self.fails
        if camera not in (None, "front", "side"):
            return NoCamera(("front", "side"))
        name = camera or "front"
        with nullcontext(file) if isinstance(file, Path) else file.local() as path:
            read = path.name
        return Preview(name, f"film {read} {name}".encode(), f"still {name}".encode())


@dataclass(frozen=True)
class Fetched:
    """A file that is elsewhere until somebody wants it."""

    there: Path

    @contextmanager
    def local(self) -> Iterator[Path]:
        """Fetch it."""
        yield self.there


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def film_of(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def test_a_simulated_episode_is_drawn_whole_from_the_camera_that_is_named(tmp_path: Path) -> None:
    (bundle,) = reaching(tmp_path, range(1))
    file = bundle / EPISODE_FILE
    steps, hz = read_episode(file).steps, read_episode(file).meta.spec.control_hz

    front, wrist = make(file, None), make(file, "wrist")

    assert isinstance(front, Preview)
    assert isinstance(wrist, Preview)
    assert (front.camera, wrist.camera) == ("front", "wrist")
    film = film_of(front.film)
    assert film.shape == (min(PICTURES_MAX, math.ceil(steps / hz * RATE_HZ) + 1), SIZE[1], SIZE[0], 3)
    assert np.abs(film[0].astype(int) - film[-1]).max() > 30  # the arm moved
    assert front.film.index(b"moov") < front.film.index(b"mdat")  # plays before all of it is there
    still = cv2.imdecode(np.frombuffer(front.still, np.uint8), cv2.IMREAD_COLOR)
    assert still.shape == (SIZE[1], SIZE[0], 3)
    assert make(file, "front") == front  # the same bytes
    assert make(Fetched(file), "front") == front
    assert make(file, "nose") == NoCamera(("front", "side", "wrist"))


def test_what_a_real_robots_camera_recorded_is_decoded(tmp_path: Path) -> None:
    cameras = (head("left"), head("left_depth", PictureCodec.DEPTH16))
    file = record(tmp_path, fake_episode(200, simulated=False, cameras=cameras))

    found = make(file, None)

    assert isinstance(found, Preview)
    assert found.camera == "left"
    film = film_of(found.film)
    assert film.shape[1:] == (*fitted(head().width, head().height)[::-1], 3)
    assert len(film) <= PICTURES_MAX
    assert make(file, "left_depth") == NoCamera(("left",))


def test_an_episode_without_a_camera_or_of_an_unknown_robot_says_so(tmp_path: Path) -> None:
    assert make(record(tmp_path, fake_episode(20, simulated=False)), None) == NoCamera(())
    unknown = make(record(tmp_path, fake_episode(20, episode="other")), None)
    assert not isinstance(unknown, Preview | NoCamera)
    assert "robot" in unknown.why


@pytest.mark.parametrize(
    ("size", "fits"),
    [((640, 480), (320, 240)), ((1920, 1080), (320, 180)), ((480, 640), (320, 320)), ((4000, 2), (320, 2))],
)
def test_a_preview_keeps_a_cameras_shape_within_bounds(size: tuple[int, int], fits: tuple[int, int]) -> None:
    assert fitted(*size) == fits


def test_a_crowd_has_a_preview_made_once_and_a_restart_finds_it(tmp_path: Path, worker: ThreadPoolExecutor) -> None:
    camera = Camera()

    async def crowd(previews: Previews, wanted: list[str | None]) -> list[tuple[Path, Path]]:
        return await asyncio.gather(*(previews.of("e", DIGEST, tmp_path / "e.h5", one) for one in wanted))

    first = asyncio.run(crowd(Previews(Kept(tmp_path / "kept"), worker, camera), ["front"] * 5 + ["side"]))
    assert camera.made == ["front", "side"]
    assert first[0][0].read_bytes() == b"film e.h5 front"
    assert first[5][1].read_bytes() == b"still side"

    previews = Previews(Kept(tmp_path / "kept"), worker, camera)
    assert asyncio.run(crowd(previews, ["front"])) == first[:1]
    assert camera.made == ["front", "side"]
    assert asyncio.run(crowd(previews, [None]))[0] == first[0]
    assert asyncio.run(crowd(previews, [None]))[0] == first[0]
    assert camera.made == ["front", "side", None]  # which camera that is, is asked once


def test_the_line_ends_and_goes_on(tmp_path: Path, worker: ThreadPoolExecutor) -> None:
    camera = Camera()
    camera.go.clear()

    async def ask() -> None:
        previews = Previews(Kept(tmp_path / "kept"), worker, camera, waiting_max=1)
        waits, leaves = (asyncio.create_task(previews.of("e", DIGEST, tmp_path / "e.h5", "front")) for _ in range(2))
        assert await asyncio.to_thread(camera.began.wait, 20)
        with pytest.raises(PreviewsBusyError):
            await previews.of("other", "0x00", tmp_path / "e.h5", None)
        leaves.cancel()
        camera.go.set()
        film, _ = await waits
        assert film.is_file()
        assert await previews.of("e", DIGEST, tmp_path / "e.h5", "side")
        assert camera.made == ["front", "side"]

    asyncio.run(ask())


def test_what_cannot_be_had_is_named_and_not_looked_for_again(tmp_path: Path, worker: ThreadPoolExecutor) -> None:
    camera = Camera()

    async def ask(previews: Previews, wanted: str) -> None:
        await previews.of("e", DIGEST, tmp_path / "e.h5", wanted)

    previews = Previews(Kept(tmp_path / "kept"), worker, camera)
    for _ in range(2):
        with pytest.raises(NoCameraError, match="no camera 'nose' in e: there are front and side"):
            asyncio.run(ask(previews, "nose"))
    assert camera.made == ["nose"]
    camera.fails = UnreadableFileError("it is truncated")
    for _ in range(2):
        with pytest.raises(NoPreviewError, match="truncated"):
            asyncio.run(ask(previews, "front"))
    assert camera.made == ["nose", "front"]


def test_a_lost_worker_makes_nobody_wait_for_ever_and_the_next_request_tries_again(
    tmp_path: Path, worker: ThreadPoolExecutor
) -> None:
    camera = Camera(fails=DrawingLostError("it was killed"))
    previews = Previews(Kept(tmp_path / "kept"), worker, camera)
    with pytest.raises(PreviewsBusyError, match="killed"):
        asyncio.run(previews.of("e", DIGEST, tmp_path / "e.h5", "front"))
    camera.fails = None
    assert asyncio.run(previews.of("e", DIGEST, tmp_path / "e.h5", "front"))[0].is_file()


def test_what_was_not_looked_at_for_longest_goes_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    kept = Kept(folder, bytes_max=30)
    for name in ("a", "b", "c"):
        kept.put(name + FILM, bytes(10))
    assert kept.get("a" + FILM)
    kept.put("d" + STILL, bytes(10))
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "c.mp4", "d.webp"]
    for age, name in ((9, "c.mp4"), (8, "a.mp4"), (7, "d.webp")):
        os.utime(folder / name, (0, 1_000_000 - age))

    again = Kept(folder, bytes_max=30)
    again.put("e" + FILM, bytes(15))
    assert sorted(path.name for path in folder.iterdir()) == ["d.webp", "e.mp4"]
    (folder / "d.webp").unlink()  # somebody makes room
    assert again.get("d" + STILL) is None


WITHDRAWN = "withdrawn"


def _add(hub: Hub, previews: Previews) -> None:
    hub.app.include_router(
        make_router(
            access=hub.door,
            intake=hub.intake,
            uploads=hub.uploads,
            catalogue=hub.catalogue,
            log=hub.log,
            database=hub.database,
            previews=previews,
            withdrawn={WITHDRAWN: 1}.get,
        )
    )


@pytest.fixture
def shown(hub: Hub, worker: ThreadPoolExecutor, tmp_path: Path) -> Iterator[httpx.Client]:
    """Serve the routes with those of previews."""
    _add(hub, Previews(Kept(tmp_path / "kept"), worker, Camera()))
    with hub.served() as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


def test_only_a_verified_episode_is_shown_and_browsers_keep_it(tmp_path: Path, hub: Hub, shown: httpx.Client) -> None:
    bundle = handed_in(shown, hub, tmp_path)
    path = f"/api/episodes/{bundle.name}/preview"
    assert code(shown.get(path)) == (409, "episode_state")
    sign(shown, bundle)

    film = shown.get(path, params={"camera": "front"})

    assert (film.status_code, film.headers["content-type"], film.content) == (
        200,
        "video/mp4",
        b"film episode.h5 front",
    )
    assert "max-age=86400" in film.headers["cache-control"]
    again = shown.get(path, params={"camera": "front"}, headers={"If-None-Match": film.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    asked = shown.head(path, params={"camera": "front"})
    assert (asked.status_code, asked.headers["content-length"], asked.content) == (200, str(len(film.content)), b"")
    part = shown.get(path, params={"camera": "front"}, headers={"Range": "bytes=0-3"})  # as Safari asks for films
    assert (part.status_code, part.content) == (206, b"film")
    still = shown.get(path, params={"still": "true"})
    assert (still.headers["content-type"], still.content) == ("image/webp", b"still front")
    assert code(shown.get(path, params={"camera": "nose"})) == (404, "no_camera")
    assert code(shown.get("/api/episodes/nobody/preview")) == (404, "unknown_episode")


def test_a_full_line_says_when_to_come_back(tmp_path: Path, hub: Hub, shown: httpx.Client) -> None:
    bundle = handed_in(shown, hub, tmp_path)
    sign(shown, bundle)
    full = Previews(Kept(tmp_path / "none"), hub.executor, Camera(), waiting_max=0)
    hub.app.router.routes.clear()
    _add(hub, full)
    answer = shown.get(f"/api/episodes/{bundle.name}/preview")
    assert code(answer) == (503, "previews_busy")
    assert int(answer.headers["retry-after"]) > 0


def test_a_withdrawn_episode_is_shown_to_nobody_any_more(tmp_path: Path, hub: Hub, shown: httpx.Client) -> None:
    bundle = handed_in(shown, hub, tmp_path, episode=WITHDRAWN)
    sign(shown, bundle)
    assert shown.get(f"/api/episodes/{bundle.name}").json()["state"] == "verified"
    assert code(shown.get(f"/api/episodes/{bundle.name}/preview")) == (410, "episode_withdrawn")
