"""Drawn pictures: what was drawn once is not drawn again, and whatever they follow from names them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

import recorder.pictures.drawn as drawing
from recorder.pictures.cache import CacheError, PictureCache
from recorder.pictures.channel import PictureCodec
from recorder.pictures.decode import Decoder
from recorder.pictures.drawn import Recorded, View, draw
from recorder.pictures.encoded import GOP, CodecError, OddSizeError, Plane
from recorder.pictures.painters import DrawingLostError, Painters
from sim.catalogue import make_world
from sim.check import drive
from sim.pictures.light import UnknownLightError
from sim.pictures.render import PictureSizeError, StatesMissingError, open_renderer, render_scene_of, renderer_name
from sim.pictures.render_scene import UnknownCameraError

SEED = 3
SMALL = View("front", 64, 48)


class Here(Executor):
    """Draws in this process, and counts what it was asked for."""

    def __init__(self) -> None:
        self.orders = 0

    def submit(self, call, /, *args, **kwargs):
        self.orders += 1
        done: Future = Future()
        done.set_result(call(*args, **kwargs))
        return done


class NoOne(Executor):
    """Nobody should be asked."""

    def submit(self, call, /, *args, **kwargs):
        raise AssertionError(f"a worker was asked for {call}")


def recorded_drive(robot: str = "panda", task: str = "lift", steps: int = 30) -> Recorded:
    world = make_world(robot, task)
    world.connect()
    states = [world.reset(SEED), *(seen for _, seen in islice(drive(world, SEED), steps))]
    world.disconnect()
    seen = {name: np.array([state.values[name] for state in states]) for name in states[0].values}
    return Recorded(robot, task, SEED, 20.0, seen, 10**9 + 50_000_000 * np.arange(len(states)))


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return recorded_drive()


@pytest.fixture
def kept(tmp_path: Path) -> PictureCache:
    return PictureCache(tmp_path / "pictures", 10**9)


def entries(kept: PictureCache) -> list[Path]:
    return sorted(kept.folder.glob("??/*.pictures"))


def test_what_was_drawn_is_not_drawn_again_and_no_renderer_is_opened_for_it(recorded, kept):
    first = draw(recorded, SMALL, kept=kept, executor=(worker := Here()))
    again = draw(recorded, SMALL, kept=kept, executor=NoOne())
    assert worker.orders > 1
    assert bytes(again.pictures.data) == bytes(first.pictures.data)
    assert (again.pictures.end == first.pictures.end).all()
    assert (again.geometry.extrinsics == first.geometry.extrinsics).all()
    assert again.renderer == first.renderer == renderer_name()
    assert (again.pictures.t_captured_ns == recorded.t_observed_ns).all()


def test_another_process_finds_it_without_a_renderer_too(recorded, kept):
    draw(recorded, SMALL, kept=kept, executor=Here())
    with Painters(1) as apart:
        opened = apart.submit(partial(_draws_unopened, recorded, kept)).result()
    assert not opened, "OpenGL was loaded"


def _draws_unopened(recorded: Recorded, kept: PictureCache) -> bool:
    draw(recorded, SMALL, kept=kept, executor=NoOne())
    return "moderngl" in sys.modules or "pybullet" in sys.modules


def test_a_picture_is_what_the_renderer_draws_to_the_last_pixel_if_it_is_lossless(recorded, kept):
    found = draw(recorded, replace(SMALL, codec=PictureCodec.PNG), kept=kept, executor=Here())
    scene = render_scene_of("panda", "lift", SEED, 48)
    renderer, camera = open_renderer(scene, 64, 48), scene.camera("front")
    frames, at = scene.frames(recorded.seen), scene.camera_frames(camera, recorded.seen)
    decoder = Decoder(found.pictures)
    assert len(found.pictures) == len(frames) == 31
    for step, picture in enumerate(renderer.sequence(camera, at, frames)):
        assert (decoder.frame(step) == picture.rgb).all()
        assert (found.geometry.extrinsics[step] == picture.extrinsics).all()
    assert (found.geometry.intrinsics == picture.intrinsics).all()
    renderer.close()


def test_h264_is_close_to_that_and_every_third_picture_stands_alone(recorded, kept):
    exact = Decoder(draw(recorded, replace(SMALL, codec=PictureCodec.PNG), kept=kept, executor=Here()).pictures)
    pictures = draw(recorded, SMALL, kept=kept, executor=Here()).pictures
    decoder = Decoder(pictures)
    for step in (30, 0, 17, 24, 23):
        wrong = decoder.frame(step).astype(float) - exact.frame(step)
        assert 10 * np.log10(255.0**2 / (wrong**2).mean()) > 30.0
    assert [at for at, key in enumerate(pictures.key) if key] == list(range(0, 31, GOP))


def test_depth_is_in_millimetres_and_a_mask_says_what_each_pixel_shows(recorded, kept):
    depth = draw(recorded, replace(SMALL, plane=Plane.DEPTH), kept=kept, executor=Here())
    mask = draw(recorded, replace(SMALL, plane=Plane.MASK), kept=kept, executor=Here())
    assert (depth.pictures.codec, depth.pictures.depth_unit_m) == (PictureCodec.DEPTH16, 0.001)
    metres, numbers = Decoder(depth.pictures).frame(0) * 0.001, Decoder(mask.pictures).frame(0)
    cube = numbers == mask.mask_names.index("cube")
    away = np.linalg.inv(depth.geometry.extrinsics[0]) @ [*recorded.seen["cube_pose"][0, :3], 1.0]
    assert cube.sum() > 4
    assert abs(np.median(metres[cube]) - away[2]) < 0.04
    assert metres.dtype == np.float64
    assert numbers.dtype == np.uint16
    assert depth.mask_names == ()


CHANGED = {
    "camera": lambda recorded, view: (recorded, replace(view, camera="side")),
    "width": lambda recorded, view: (recorded, replace(view, width=66)),
    "height": lambda recorded, view: (recorded, replace(view, height=50)),
    "light": lambda recorded, view: (recorded, replace(view, light="dim")),
    "direction": lambda recorded, view: (recorded, replace(view, light=(0.5, 0.0, -1.0))),
    "plane": lambda recorded, view: (recorded, replace(view, plane=Plane.MASK)),
    "codec": lambda recorded, view: (recorded, replace(view, codec=PictureCodec.JPEG)),
    "seed": lambda recorded, view: (replace(recorded, seed=SEED + 1), view),
    "task": lambda recorded, view: (replace(recorded, task="pick_place", seen=_with_a_bin(recorded)), view),
    "states": lambda recorded, view: (replace(recorded, seen=_moved(recorded)), view),
}


def _with_a_bin(recorded: Recorded):
    return {**recorded.seen, "bin_pose": recorded.seen["cube_pose"]}


def _moved(recorded: Recorded):
    cube = recorded.seen["cube_pose"].copy()
    cube[-1, 0] = np.nextafter(cube[-1, 0], 1.0)
    return {**recorded.seen, "cube_pose": cube}


@pytest.mark.parametrize("what", CHANGED)
def test_whatever_pictures_follow_from_gives_them_another_name(what, recorded, kept):
    draw(recorded, SMALL, kept=kept, executor=Here())
    draw(*CHANGED[what](recorded, SMALL), kept=kept, executor=(worker := Here()))
    assert worker.orders
    assert len(entries(kept)) == 2


def test_so_do_another_renderer_other_code_and_other_files_of_the_robot(recorded, kept, monkeypatch):
    says = drawing._says(recorded, SMALL)
    names = {drawing.key_of(says, "OpenGL, one"), drawing.key_of(says, "OpenGL, another")}
    monkeypatch.setattr(drawing, "drawing_code", lambda: "other code")
    names.add(drawing.key_of(drawing._says(recorded, SMALL), "OpenGL, one"))
    monkeypatch.setattr(drawing, "_description", lambda model: "other files")
    names.add(drawing.key_of(drawing._says(recorded, SMALL), "OpenGL, one"))
    monkeypatch.setattr(drawing, "settings", lambda codec: "another encoder")
    names.add(drawing.key_of(drawing._says(recorded, SMALL), "OpenGL, one"))
    assert len(names) == 5


def test_times_are_the_episodes_own_and_name_nothing(recorded, kept):
    draw(recorded, SMALL, kept=kept, executor=Here())
    later = replace(recorded, t_observed_ns=recorded.t_observed_ns + 5, control_hz=30.0)
    again = draw(later, SMALL, kept=kept, executor=NoOne())
    assert (again.pictures.t_captured_ns == recorded.t_observed_ns + 5).all()
    assert again.pictures.fps == 30.0


def test_a_machine_whose_renderer_changed_keeps_what_it_draws_under_the_new_name(recorded, kept):
    drawing._remember(kept, "OpenGL, a card that was taken out")
    first = draw(recorded, SMALL, kept=kept, executor=Here())
    assert first.renderer == renderer_name()
    assert draw(recorded, SMALL, kept=kept, executor=NoOne()).renderer == renderer_name()
    assert len(entries(kept)) == 1


@pytest.mark.parametrize("at", [0, 3, 40, -60, -9, -6, -2])
def test_a_damaged_file_is_noticed_and_drawn_again(at, recorded, kept):
    first = draw(recorded, SMALL, kept=kept, executor=Here())
    expected = bytes(first.pictures.data)
    (file,) = entries(kept)
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    _replace(file, data)
    again = draw(recorded, SMALL, kept=kept, executor=(worker := Here()))
    assert worker.orders
    assert bytes(again.pictures.data) == expected


@pytest.mark.parametrize("left", [0, 5, 200, -1])
def test_a_file_that_was_cut_off_is_noticed_and_drawn_again(left, recorded, kept):
    expected = bytes(draw(recorded, SMALL, kept=kept, executor=Here()).pictures.data)
    (file,) = entries(kept)
    _replace(file, file.read_bytes()[:left])
    assert bytes(draw(recorded, SMALL, kept=kept, executor=Here()).pictures.data) == expected


def _replace(file: Path, data: bytes) -> None:
    beside = file.with_suffix(".other")
    beside.write_bytes(data)
    beside.replace(file)


def test_drawing_that_fails_half_way_leaves_nothing(recorded, kept):
    class Fails(Here):
        def submit(self, call, /, *args, **kwargs):
            if self.orders > 1:
                raise DrawingLostError("killed")
            return super().submit(call, *args, **kwargs)

    with pytest.raises(DrawingLostError, match="killed"):
        draw(recorded, SMALL, kept=kept, executor=Fails())
    assert not entries(kept)
    assert not list(kept.folder.glob("*.part"))


def test_two_processes_that_want_the_same_draw_it_once(recorded, kept, tmp_path):
    draw(recorded, replace(SMALL, camera="side"), kept=kept, executor=Here())  # so that the renderer's name is known
    fresh = multiprocessing.get_context("spawn")
    gate, counts = fresh.Barrier(2), fresh.SimpleQueue()
    both = [fresh.Process(target=_drawing, args=(recorded, kept, gate, counts)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
        assert one.exitcode == 0
    first, second = counts.get(), counts.get()
    assert first[1] == second[1]
    assert sorted((first[0], second[0]))[0] == 0, "one of them found what the other had drawn"
    assert len(entries(kept)) == 2


def _drawing(recorded: Recorded, kept: PictureCache, gate, counts) -> None:
    worker = Here()
    gate.wait()
    found = draw(recorded, SMALL, kept=kept, executor=worker)
    counts.put((worker.orders, bytes(found.pictures.data)))


def test_what_was_not_used_for_longest_goes_first_and_what_is_mapped_stays_readable(recorded, tmp_path):
    kept = PictureCache(tmp_path / "pictures", 10**9)
    old = draw(recorded, SMALL, kept=kept, executor=Here())
    used = draw(recorded, replace(SMALL, camera="side"), kept=kept, executor=Here())
    sizes = [path.stat().st_size for path in entries(kept)]
    for at, path in enumerate(entries(kept)):
        os.utime(path, ns=(10**9 + at, path.stat().st_mtime_ns))
    draw(recorded, replace(SMALL, camera="side"), kept=kept, executor=NoOne())
    small = PictureCache(kept.folder, sum(sizes) + 100)
    draw(recorded, replace(SMALL, camera="wrist"), kept=small, executor=Here())
    draw(recorded, replace(SMALL, camera="side"), kept=small, executor=NoOne())
    assert len(entries(kept)) == 2
    with pytest.raises(AssertionError, match="a worker was asked"):
        draw(recorded, SMALL, kept=small, executor=NoOne())
    assert Decoder(old.pictures).frame(30).shape == (48, 64, 3)
    assert len(used.pictures) == 31


def test_a_set_larger_than_the_cache_is_drawn_all_the_same(recorded, tmp_path):
    kept = PictureCache(tmp_path / "pictures", 10)
    assert len(draw(recorded, SMALL, kept=kept, executor=Here()).pictures) == 31
    assert len(draw(recorded, replace(SMALL, camera="side"), kept=kept, executor=Here()).pictures) == 31
    assert len(entries(kept)) == 1


@pytest.mark.parametrize(
    ("view", "error", "said"),
    [
        (View("rear"), UnknownCameraError, "no camera 'rear'"),
        (View("front", 5000, 48), PictureSizeError, "5000x48"),
        (View("front", 63, 48), OddSizeError, "63x48"),
        (View("front", light="disco"), UnknownLightError, "no light 'disco'"),
        (View("front", plane=Plane.DEPTH, codec=PictureCodec.JPEG), CodecError, "depth cannot be jpeg"),
        (View("front", plane=Plane.MASK, codec=PictureCodec.H264), CodecError, "mask cannot be h264"),
    ],
)
def test_a_view_that_cannot_be_drawn_is_refused_before_anything_is_written(view, error, said, recorded, kept):
    with pytest.raises(error, match=said):
        draw(recorded, view, kept=kept, executor=NoOne())
    assert not kept.folder.exists()


def test_states_that_do_not_say_where_everything_is_leave_nothing(recorded, kept):
    seen = {name: array for name, array in recorded.seen.items() if name != "cube_pose"}
    with pytest.raises(StatesMissingError, match="cube_pose"):
        draw(replace(recorded, seen=seen), SMALL, kept=kept, executor=Here())
    assert not entries(kept)


def test_a_folder_that_cannot_be_written_is_named(recorded, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(CacheError, match=r"taken.*ARMSHARE_PICTURES"):
        draw(recorded, SMALL, kept=PictureCache(tmp_path / "taken"), executor=Here())


@pytest.mark.parametrize("said", ["much", "0", "-3", "nan"])
def test_a_size_of_the_cache_that_makes_no_sense_is_refused(said, monkeypatch):
    monkeypatch.setenv("ARMSHARE_PICTURES_GB", said)
    with pytest.raises(CacheError, match=f"ARMSHARE_PICTURES_GB is '{said}'"):
        PictureCache()


def test_folder_and_size_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ARMSHARE_PICTURES", str(tmp_path))
    monkeypatch.setenv("ARMSHARE_PICTURES_GB", "0.5")
    assert PictureCache() == PictureCache(tmp_path, 500_000_000)


def test_painters_draw_what_this_process_would_and_one_that_was_killed_is_replaced(recorded, kept, tmp_path):
    here = draw(recorded, SMALL, kept=kept, executor=Here())
    with Painters(2) as apart:
        other = PictureCache(tmp_path / "other", 10**9)
        assert bytes(draw(recorded, SMALL, kept=other, executor=apart).pictures.data) == bytes(here.pictures.data)
        with pytest.raises(DrawingLostError, match="ended with"):
            apart.submit(os._exit, 3).result()
        with pytest.raises(ZeroDivisionError):
            apart.submit(divmod, 1, 0).result()
        assert apart.submit(divmod, 7, 2).result() == (3, 1)


def test_opencv_reads_a_mask_by_itself(recorded, kept):
    pictures = draw(recorded, replace(SMALL, plane=Plane.MASK), kept=kept, executor=Here()).pictures
    found = cv2.imdecode(np.frombuffer(pictures.encoded(5), np.uint8), cv2.IMREAD_UNCHANGED)
    assert (found == Decoder(pictures).frame(5)).all()
