"""The gate of pictures: what is not as the file says is refused by one name, in bounded memory and time."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from recorder.file.apart import PictureTooCostlyError, Reader, _decoding_bounds
from recorder.file.episode import Episode, MetaInvalidError, read_episode
from recorder.file.reader import Look
from recorder.pictures.channel import PictureCodec, Pictures
from recorder.pictures.errors import PictureError
from recorder.proof import refusals
from recorder.proof.asked import Asked, another_robot
from recorder.proof.checks import pictures as proof
from recorder.proof.refusals import GateError
from recorder.proof.verify import verify_bundle
from tests.recorder.bundles import TRUST, Adversary, good_bundle, record
from tests.recorder.factory import fake_episode
from tests.recorder.filming import head, seen
from tests.recorder.lies import PICTURES
from tests.recorder.make_golden import write
from tests.recorder.pictures.encoded import FPS, encoded, pictures_of
from tests.recorder.proof.test_verify import ASKED


@pytest.fixture(scope="module")
def adversary(tmp_path_factory: pytest.TempPathFactory) -> Adversary:
    return Adversary.of(good_bundle(tmp_path_factory.mktemp("seen"), made=seen()))


def test_a_real_robots_episode_with_its_pictures_passes(tmp_path: Path) -> None:
    report = verify_bundle(good_bundle(tmp_path, made=seen()), TRUST)

    assert "pictures" in report.passed


@pytest.mark.parametrize("lie", PICTURES)
def test_a_lie_about_pictures_is_refused_by_its_name(adversary: Adversary, tmp_path: Path, lie: str) -> None:
    change, refusal = PICTURES[lie]
    arrays = {path: array.copy() for path, array in adversary.episode.arrays.items()}
    change(arrays)
    write(tmp_path / "bundle", dataclasses.replace(adversary.episode, arrays=arrays))

    with pytest.raises(GateError) as refused:
        verify_bundle(tmp_path / "bundle", TRUST)
    assert type(refused.value) is refusal
    assert "front" in str(refused.value) or refusal is not refusals.PicturesInvalid


def test_an_endless_stream_is_refused_before_any_of_it_is_decoded(adversary: Adversary) -> None:
    episode = adversary.episode
    count = 3000
    arrays = dict(episode.arrays)
    first_ns = int(episode.t_observed_ns[0])
    key = arrays["cameras/wrist/bytes"][: arrays["cameras/wrist/end"][0]]
    arrays |= {
        "cameras/wrist/bytes": np.tile(key, count),
        "cameras/wrist/end": np.arange(1, count + 1) * len(key),
        "cameras/wrist/t_captured_mono_ns": first_ns + np.arange(count),
        "cameras/wrist/t_arrived_mono_ns": first_ns + np.arange(count),
        "cameras/wrist/key": np.ones(count, np.uint8),
        "cameras/wrist/marks": np.zeros(count, np.uint8),
    }

    def never(_pictures: object) -> None:
        raise AssertionError("nothing of it is decoded")

    found = proof.problem(dataclasses.replace(episode, arrays=arrays), never)
    assert found == "wrist: 3000 pictures in 0.7 s, from a camera of 30 pictures a second"


def test_decoding_that_takes_more_than_it_may_is_refused_and_the_reader_lives_on(monkeypatch: Any) -> None:
    apart = Reader()
    many = pictures_of(encoded(PictureCodec.PNG, 2) * 40_000, PictureCodec.PNG)
    monkeypatch.setattr(
        "recorder.file.apart._decoding_bounds",
        lambda found: msgspec.structs.replace(_decoding_bounds(found), processor_s=1),
    )
    try:
        with pytest.raises(PictureTooCostlyError, match="the pictures of front in 1 s of a processor"):
            apart.look([many])
        apart.look([pictures_of(encoded(PictureCodec.PNG, 2), PictureCodec.PNG)])
    finally:
        apart.close()


def test_all_cameras_of_an_episode_share_what_decoding_may_take(monkeypatch: Any) -> None:
    apart, asked = Reader(), []
    cameras = [pictures_of(encoded(PictureCodec.PNG, 2), PictureCodec.PNG, name=f"camera{one}") for one in range(8)]
    answer = apart._ask
    monkeypatch.setattr(apart, "_ask", lambda *said: asked.append(said) or answer(*said))
    try:
        apart.look(cameras)
        alone = _decoding_bounds(cameras[:1])
        (request, _, wall_s) = asked[0]
        bounds = msgspec.json.decode(request, type=Look).bounds
        assert len(asked) == 1
        assert (bounds.processor_s, wall_s) == (alone.processor_s, alone.wall_s)
    finally:
        apart.close()


def test_cameras_that_take_too_much_only_together_are_refused(monkeypatch: Any) -> None:
    """Each of them takes most of a second, which one alone may."""
    apart = Reader()
    units = encoded(PictureCodec.PNG, 2) * 5_000
    cameras = [pictures_of(units, PictureCodec.PNG, name=f"camera{one}") for one in range(8)]
    monkeypatch.setattr(
        "recorder.file.apart._decoding_bounds",
        lambda found: msgspec.structs.replace(_decoding_bounds(found), processor_s=2),
    )
    try:
        apart.look(cameras[:1])
        with pytest.raises(PictureTooCostlyError, match=r"the pictures of camera0, .*, camera7 in 2 s of a processor"):
            apart.look(cameras)
    finally:
        apart.close()


def test_a_damaged_picture_of_the_last_camera_is_found(monkeypatch: Any) -> None:
    apart = Reader()
    good = [pictures_of(encoded(codec, 3), codec, name=codec.value) for codec in PictureCodec]
    (data, key), *rest = encoded(PictureCodec.PNG, 3)
    damaged = pictures_of([*rest, (data[:-20] + bytes(20), key)], PictureCodec.PNG, name="last")
    try:
        apart.look(good)
        with pytest.raises(PictureError, match="picture 2 of last"):
            apart.look([*good, damaged])
    finally:
        apart.close()


def told(width: int, height: int, fps: float, pictures: int, cameras: int = 8) -> list[Pictures]:
    """Return cameras of such pictures that are not there: only how many there are is asked."""
    return [
        pictures_of(
            [],
            PictureCodec.H264,
            name=f"camera{one}",
            width=width,
            height=height,
            fps=fps,
            data=np.broadcast_to(np.uint8(0), (pictures * 100,)),
            end=np.broadcast_to(np.int64(0), (pictures,)),
        )
        for one in range(cameras)
    ]


@pytest.mark.parametrize(
    ("width", "height", "fps", "seconds"),
    [(640, 480, 30.0, 3600), (1280, 720, 30.0, 1200), (1920, 1080, 30.0, 560)],
)
def test_what_eight_honest_cameras_record_may_be_decoded(width: int, height: int, fps: float, seconds: int) -> None:
    cameras = told(width, height, fps, round(fps * seconds))
    proof.require_decodable(cameras)
    bounds = _decoding_bounds(cameras)
    assert bounds.processor_s < 60 + 3 * 600 + 1
    assert bounds.wall_s == 5 * bounds.processor_s


def test_more_pictures_than_any_honest_episode_has_are_refused() -> None:
    huge = told(4096, 2304, 240.0, 4500)

    with pytest.raises(PictureTooCostlyError, match="36000 pictures of 8 cameras takes about 681 s"):
        proof.require_decodable(huge)
    proof.require_decodable(huge[:7])
    assert _decoding_bounds(huge).processor_s == 60 + 3 * 600


def test_an_episode_with_too_many_pictures_is_refused_before_one_is_decoded(
    adversary: Adversary, monkeypatch: Any
) -> None:
    def never(_pictures: object) -> None:
        raise AssertionError("nothing of it is decoded")

    monkeypatch.setattr(proof, "DECODING_NS_MAX", 1_000_000)
    found = proof.problem(adversary.episode, never)
    assert found is not None
    assert found.startswith("PictureTooCostlyError: to decode")


def test_memory_beyond_what_such_pictures_need_is_refused(monkeypatch: Any) -> None:
    apart = Reader()
    huge = encoded(PictureCodec.JPEG, 1, 4096, 2304)
    pictures = pictures_of(huge, PictureCodec.JPEG, width=4096, height=2304)
    try:
        apart.look([pictures])
        monkeypatch.setattr(
            "recorder.file.apart._decoding_bounds",
            lambda found: msgspec.structs.replace(_decoding_bounds(found), memory_bytes=16 << 20),
        )
        with pytest.raises(PictureTooCostlyError, match="with 16 MiB"):
            apart.look([pictures])
    finally:
        apart.close()


def asked_with(cameras: list[dict[str, Any]]) -> Asked:
    return dataclasses.replace(
        ASKED, simulated=False, described={**ASKED.described, "simulated": False, "cameras": cameras}
    )


@pytest.mark.parametrize(
    ("cameras", "says"),
    [
        ([], "the hub was told of []"),
        ([{"name": "front", "width": 64, "height": 48, "fps": FPS}], "the episode has 'wrist'"),
        (
            [{"name": name, "width": 640, "height": 480, "fps": FPS} for name in ("front", "wrist")],
            "cameras.front: the hub was told 640x480 at",
        ),
        (
            [{"name": name, "width": 64, "height": 48, "fps": 2 * FPS} for name in ("front", "wrist")],
            f"told 64x48 at {2 * FPS:g} a second before the episode began, the episode says 64x48 at {FPS:g}",
        ),
    ],
)
def test_a_camera_that_the_robot_did_not_have_is_another_robot(
    adversary: Adversary, cameras: list[dict[str, Any]], says: str
) -> None:
    both = [{"name": name, "width": 64, "height": 48, "fps": FPS} for name in ("front", "wrist")]
    assert another_robot(asked_with(both), adversary.episode.meta) is None
    assert says in str(another_robot(asked_with(cameras), adversary.episode.meta))


def test_a_simulated_episode_has_no_cameras(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no cameras of a simulated robot"):
        record(tmp_path, fake_episode(cameras=(head(),)))


def test_a_file_that_says_so_nevertheless_is_refused(adversary: Adversary, tmp_path: Path) -> None:
    meta = adversary.episode.meta
    told = msgspec.structs.replace(meta, robot=msgspec.structs.replace(meta.robot, simulated=True))
    assert isinstance(adversary.episode, Episode)
    lie = dataclasses.replace(adversary.episode, meta=told, meta_bytes=told.encode())
    write(tmp_path / "bundle", lie)

    with pytest.raises(MetaInvalidError, match="no cameras of a simulated robot"):
        read_episode(tmp_path / "bundle" / "episode.h5")
