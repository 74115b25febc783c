"""A camera's film: encoded once, in order, with keys where they are promised, and through what cameras do."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from teleop.cameras import capture, filming
from teleop.cameras.capture import CaptureSource, Shot
from teleop.cameras.encoders import open_film_encoder
from teleop.cameras.film import (
    PICTURE_BYTES_MAX,
    Film,
    FilmError,
    FilmEvent,
    FilmPicture,
    FilmWriter,
    Mark,
    Trouble,
    read_film,
)
from teleop.cameras.filming import Filming
from teleop.cameras.spec import CameraSpec
from tests.teleop.cameras.scenes import colour_film, decoded, depth_film, nearest, scene, shown

PERIOD_NS = 33_333_333
SPEC = CameraSpec("desk", 320, 240, device="0")


class Set:
    """A film under way, and what was said of it."""

    def __init__(self, folder: Path, spec: CameraSpec, t_first_ns: int = 0, *, timed: bool = False) -> None:
        self.path = folder / "e.desk.film"
        self.created = FilmWriter(self.path, spec.head(timed=timed))
        self.shared: list[FilmPicture] = []
        self._news = threading.Condition()
        self.troubles: list[tuple[Trouble, bool]] = []
        self.ended = threading.Event()
        self.film = Filming(
            os.dup(self.created.descriptor),
            spec,
            t_first_ns,
            timed=timed,
            share=self._share,
            tell=lambda event, over: self.troubles.append((event.trouble, over)),
            ended=lambda _pictures: self.ended.set(),
        )

    def _share(self, picture: FilmPicture) -> None:
        with self._news:
            self.shared.append(picture)
            self._news.notify()

    def until(self, pictures: int) -> None:
        """Wait until so many are filmed."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.shared) >= pictures, 30)

    def finish(self, t_last_ns: int) -> Film:
        """Stop, and read what was filmed."""
        self.film.stop(t_last_ns)
        self.created.abandon()
        assert self.ended.wait(30)
        return read_film(self.path)


def shots(count: int, first_ns: int = PERIOD_NS) -> list[Shot]:
    times = [first_ns + number * PERIOD_NS for number in range(count)]
    return [Shot(scene(number), t_ns, t_ns, False) for number, t_ns in enumerate(times)]


def test_each_picture_is_encoded_once_and_viewers_get_the_very_bytes(tmp_path: Path) -> None:
    made = Set(tmp_path, SPEC)
    made.film.start()
    for shot in shots(12):
        made.film.offer(shot)
    film = made.finish(12 * PERIOD_NS)
    assert film.whole
    assert made.shared == film.pictures
    assert [one.t_captured_ns for one in film.pictures] == [shot.t_captured_ns for shot in shots(12)]
    assert [number for number, one in enumerate(film.pictures) if one.key] == [0, 10]
    assert film.events == []
    assert made.troubles == []
    for number, picture in enumerate(decoded(film)):
        assert nearest(picture, [scene(other) for other in range(12)])[0] == number
        assert cv2.PSNR(picture, scene(number)) > 32


def test_every_key_can_be_decoded_without_what_was_before_it(tmp_path: Path) -> None:
    made = Set(tmp_path, SPEC)
    made.film.start()
    for shot in shots(12):
        made.film.offer(shot)
    film = made.finish(12 * PERIOD_NS)
    frames = av.CodecContext.create("h264", "r").decode(av.Packet(film.pictures[10].data))
    assert cv2.PSNR(frames[0].to_ndarray(format="bgr24"), scene(10)) > 32


@pytest.mark.parametrize(("codec", "least"), [("jpeg", 34.0), ("png", 300.0)])
def test_a_camera_may_record_jpeg_or_without_loss(tmp_path: Path, codec: str, least: float) -> None:
    made = Set(tmp_path, CameraSpec("desk", 320, 240, device="0", codec=codec))  # type: ignore[arg-type]  a parameter
    made.film.start()
    for shot in shots(3):
        made.film.offer(shot)
    film = made.finish(3 * PERIOD_NS)
    assert [one.key for one in film.pictures] == [True] * 3
    assert min(cv2.PSNR(picture, scene(number)) for number, picture in enumerate(decoded(film))) > least


def test_what_comes_after_the_last_observation_ends_the_film_and_is_not_in_it(tmp_path: Path) -> None:
    made = Set(tmp_path, SPEC)
    made.film.start()
    for shot in shots(4):
        made.film.offer(shot)
    assert len(made.finish(2 * PERIOD_NS + 1).pictures) == 2


def test_an_encoder_that_is_behind_drops_pictures_and_that_is_said(tmp_path: Path) -> None:
    made = Set(tmp_path, SPEC)
    given = shots(filming.WAITING_MAX + 5)
    for shot in given:  # nothing is encoded yet
        made.film.offer(shot)
    made.film.start()
    made.until(filming.WAITING_MAX)
    last_ns = given[-1].t_captured_ns + PERIOD_NS
    made.film.offer(Shot(scene(0), last_ns, last_ns, False))
    film = made.finish(last_ns)
    assert len(film.pictures) == filming.WAITING_MAX + 1
    assert film.pictures[-1].marks == Mark.LATE
    assert [(one.trouble, one.pictures) for one in film.events] == [(Trouble.DROPPED, 5)]
    assert made.troubles == [(Trouble.DROPPED, True)]


def test_no_picture_waits_so_long_that_a_crash_would_lose_a_second_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, given = Set(tmp_path, SPEC), shots(4)
    with monkeypatch.context() as patched:  # nothing is encoded yet
        for shot, waited_ns in zip(
            given, (0, filming.WAITS_NS, filming.WAITS_NS + 1, 2 * filming.WAITS_NS), strict=True
        ):
            patched.setattr(filming.time, "monotonic_ns", lambda at_ns=waited_ns: at_ns)
            made.film.offer(shot)
    made.film.start()
    made.until(2)
    film = made.finish(4 * PERIOD_NS)
    assert [one.t_captured_ns for one in film.pictures] == [shot.t_captured_ns for shot in given[:2]]


def test_a_device_that_comes_back_goes_on_in_the_same_film_with_a_key(tmp_path: Path) -> None:
    made = Set(tmp_path, SPEC)
    made.film.start()
    for shot in shots(3):
        made.film.offer(shot)
    for number, shot in enumerate(shots(3, 60 * PERIOD_NS)):
        made.film.offer(Shot(shot.image, shot.t_captured_ns, shot.t_arrived_ns, number == 0))
    film = made.finish(63 * PERIOD_NS)
    assert [one.key for one in film.pictures] == [True, False, False, True, False, False]
    assert [(one.trouble, one.pictures) for one in film.events] == [(Trouble.LOST, 56)]


def test_another_process_goes_on_after_the_last_whole_record(tmp_path: Path) -> None:
    made, encoder = Set(tmp_path, SPEC), open_film_encoder(SPEC, PICTURE_BYTES_MAX)
    for shot in shots(3):
        data, key = encoder.encode(shot.image, shot.t_captured_ns // 1000, key=shot.t_captured_ns == PERIOD_NS)
        made.created.picture(FilmPicture(shot.t_captured_ns, shot.t_arrived_ns, key, Mark(0), data))
    made.created.flush()
    os.truncate(made.path, made.path.stat().st_size - 1)  # the third was being written when the process was killed
    made.film.start()
    late_ns = 30 * PERIOD_NS
    made.film.offer(Shot(scene(3), late_ns, late_ns, True))
    film = made.finish(late_ns)
    assert film.whole
    assert [one.t_captured_ns for one in film.pictures] == [PERIOD_NS, 2 * PERIOD_NS, late_ns]
    assert [one.key for one in film.pictures] == [True, False, True]
    assert film.events == [FilmEvent(2 * PERIOD_NS, late_ns, Trouble.LOST, 27)]
    assert [nearest(one, [scene(at) for at in range(4)])[0] for one in decoded(film)] == [0, 1, 3]


def test_a_film_that_has_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    made = Set(tmp_path, SPEC)
    descriptor = os.dup(made.created.descriptor)
    made.created.end()
    whole = made.path.read_bytes()
    with pytest.raises(FilmError, match="it has ended"):
        FilmWriter.resume(descriptor)
    assert made.path.read_bytes() == whole


class Scripted:
    """In place of `cv2.VideoCapture`: a device that does what the test says."""

    def __init__(self, *reads: np.ndarray | None, backend: str = "V4L2", opens: bool = True) -> None:
        self.reads, self.backend, self.opens = list(reads), backend, opens
        self.settings: dict[int, float] = {}
        self.taken_ns = 0

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return self.opens

    def set(self, setting: int, value: float) -> bool:
        self.settings[setting] = value
        return True

    def getBackendName(self) -> str:  # noqa: N802  OpenCV's name
        return self.backend

    def get(self, _setting: int) -> float:
        return self.taken_ns / 1e6

    def read(self) -> tuple[bool, np.ndarray | None]:
        time.sleep(0.03)
        self.taken_ns = time.monotonic_ns() - 20_000_000
        picture = self.reads.pop(0) if self.reads else None
        return picture is not None, picture

    def release(self) -> None:
        pass


def filmed(monkeypatch: pytest.MonkeyPatch, spec: CameraSpec, wanted: int, *devices: Scripted) -> list[Shot]:
    """Return the first pictures of a camera that is opened as these devices, one after the other."""
    found: list[Shot] = []
    enough, left = threading.Event(), list(devices)
    monkeypatch.setattr(capture, "_RETRY_S", 0.05)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _device, _how: left.pop(0) if left else Scripted(opens=False))

    def tap(shot: Shot) -> None:
        found.append(shot)
        if len(found) == wanted:
            enough.set()

    source = CaptureSource(spec, lambda: None)
    source.record(tap, 0)
    assert enough.wait(30)
    source.close()
    return found[:wanted]


def test_a_device_that_says_when_it_took_a_picture_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = filmed(monkeypatch, SPEC, 4, Scripted(*(scene(number) for number in range(5))))
    assert [15_000_000 < shot.t_arrived_ns - shot.t_captured_ns < 200_000_000 for shot in found] == [True] * 4
    captured = [shot.t_captured_ns for shot in found]
    assert captured == sorted(set(captured))


@pytest.mark.parametrize("backend", ["V4L2", "FFMPEG"])
def test_a_device_with_another_clock_is_not(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    device = Scripted(*(scene(number) for number in range(5)), backend=backend)
    if backend == "V4L2":
        device.get = lambda _setting: time.time() * 1e3  # type: ignore[method-assign]  the device under test
    assert all(shot.t_captured_ns == shot.t_arrived_ns for shot in filmed(monkeypatch, SPEC, 3, device))


def test_a_device_that_was_unplugged_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Scripted(scene(0), scene(1)), Scripted(opens=False), Scripted(scene(2), scene(3))
    found = filmed(monkeypatch, SPEC, 4, *devices)
    assert [shot.reopened for shot in found] == [True, False, True, False]


@pytest.mark.parametrize("as_row", [True, False])
def test_depth_comes_through_to_the_last_bit(monkeypatch: pytest.MonkeyPatch, as_row: bool) -> None:
    depth = np.random.default_rng(0).integers(0, 65536, (240, 320), np.uint16)
    device = Scripted(depth.view(np.uint8).reshape(1, -1) if as_row else depth)
    spec = CameraSpec("desk", 320, 240, device="0", codec="depth16")
    assert (filmed(monkeypatch, spec, 1, device)[0].image == depth).all()
    assert device.settings[cv2.CAP_PROP_CONVERT_RGB] == 0
    assert device.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"Z16 ")


def test_a_colour_camera_that_is_said_to_give_depth_is_refused_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    depth = np.ones((240, 320), np.uint16)
    spec = CameraSpec("desk", 320, 240, device="0", codec="depth16")
    assert (filmed(monkeypatch, spec, 1, Scripted(scene(0)), Scripted(depth))[0].image == 1).all()


def test_a_film_of_16_bits_plays_as_a_depth_camera_and_is_recorded_without_loss(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 65536, (48, 64), np.uint16) for _ in range(9)]
    device = depth_film(tmp_path / "depth.mkv", pictures)
    spec = CameraSpec("desk", 64, 48, device=device, codec="depth16", depth_unit_m=0.0005)
    film = played(tmp_path, spec, 6)
    assert (film.head.codec, film.head.depth_unit_m) == ("depth16", 0.0005)
    found = [next(at for at, one in enumerate(pictures) if (one == picture).all()) for picture in decoded(film)]
    assert found == [(found[0] + number) % 9 for number in range(len(found))]


def test_a_film_that_plays_is_filmed_picture_by_picture_at_its_rate(tmp_path: Path) -> None:
    device = colour_film(tmp_path / "scene.avi", [scene(number) for number in range(40)])
    film = played(tmp_path, CameraSpec("desk", 320, 240, device=device), 30)
    found = [nearest(picture, shown(device)) for picture in decoded(film)]
    assert [at for at, _ in found] == [(found[0][0] + number) % 40 for number in range(len(found))]
    assert min(psnr for _, psnr in found) > 32


def played(folder: Path, spec: CameraSpec, wanted: int) -> Film:
    """Film a camera until there are that many pictures."""
    made, first = Set(folder, spec, time.monotonic_ns()), threading.Event()
    source = CaptureSource(spec, first.set)
    assert first.wait(30)
    source.record(made.film.offer, time.monotonic_ns())
    made.film.start()
    made.until(wanted)
    film = made.finish(time.monotonic_ns())
    source.close()
    return film
